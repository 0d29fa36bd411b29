//! File ranges to sockets by `sendfile(2)`: in slices, so that one transfer does not hold the core, and never from a cold page, since
//! reading it would stall every connection of the core.

use std::io;
use std::rc::Rc;

use super::socket::Socket;
use crate::base::limits::SENDFILE_SLICE_BYTES_MIN;
use crate::base::offset::FilePosition;
use crate::base::step_bytes::STEP;
use crate::rt::fs::File;
use crate::rt::uring::task::{begin_part, yield_now};
use crate::rt::uring::time;

impl Socket {
    pub(super) async fn send_range(
        self: &Rc<Self>,
        file: &File,
        position: FilePosition,
        length: u64,
    ) -> io::Result<()> {
        let step_bytes = &self.reactor.sendfile_bytes;
        let end = position.plus(length);
        let mut sent = 0;
        while sent < length {
            let at = position.plus(sent);
            let slice = (length - sent).min(step_bytes.at(at) as u64);
            file.make_resident(at, slice, end).await?;
            if sent == 0 {
                file.read_ahead(end);
            }
            begin_part("sendfile");
            let began = time::now();
            let outcome = file.send_to(self.descriptor(), at, slice);
            let took = time::now().since(began);
            // A slice that is short, or that the socket had no room for, tells nothing of whole ones but that they take longer.
            if took > STEP || matches!(outcome, Ok(count) if count >= SENDFILE_SLICE_BYTES_MIN as u64) {
                step_bytes.note(took);
            }
            match outcome {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    sent += count;
                    if count < slice {
                        // The socket is full.
                        self.wait_writable().await?;
                    } else if sent < length {
                        yield_now().await;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
