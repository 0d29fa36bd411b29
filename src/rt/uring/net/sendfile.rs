//! File ranges to sockets by `sendfile(2)`: in slices, so that one transfer does not hold the core, and never from a cold page, since
//! reading it would stall every connection of the core.

use std::io;
use std::rc::Rc;

use super::socket::Socket;
use crate::base::limits::SENDFILE_SLICE_BYTES_MAX;
use crate::base::offset::FilePosition;
use crate::rt::fs::File;
use crate::rt::uring::task::yield_now;

impl Socket {
    pub(super) async fn send_range(
        self: &Rc<Self>,
        file: &File,
        position: FilePosition,
        length: u64,
    ) -> io::Result<()> {
        let mut sent = 0;
        while sent < length {
            let slice = (length - sent).min(u64::from(SENDFILE_SLICE_BYTES_MAX));
            let at = position.plus(sent);
            file.make_resident(at, slice).await?;
            match file.send_to(self.descriptor(), at, slice) {
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
