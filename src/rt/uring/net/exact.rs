//! Receiving a known number of bytes: the large rest of a message goes straight into its own memory, without a copy by us.

#![expect(unsafe_code, reason = "entries name memory that the kernel writes")]

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use io_uring::opcode;

use super::socket::Socket;
use super::{Received, Stream};
use crate::rt::uring::operations::outcome;

/// With this much to come a receive of its own is cheaper than a copy out of the pool.
const DIRECT_BYTES_MIN: usize = 16 * 1024;

impl Stream {
    /// Adds exactly `length` bytes to `into`. The caller has bounded `length`: so much memory is reserved at once.
    ///
    /// Dropped before it ended, it closes the connection: bytes are lost then.
    ///
    /// # Errors
    /// `UnexpectedEof` when the peer sends less; as [`Stream::receive`]. The connection is closed.
    pub async fn receive_exact(&self, mut into: Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
        let unfinished = Unfinished { socket: self.socket() };
        let socket = unfinished.socket;
        let end = into.len() + length;
        into.reserve(length);
        while into.len() < end {
            let missing = end - into.len();
            let received = poll_fn(|context| socket.poll_some(context.waker(), missing)).await?;
            if let Some(mut received) = received {
                if received.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                into.extend_from_slice(received.take(missing));
                socket.receiving.borrow_mut().unread(received, socket.reactor.turn());
            } else {
                into = socket.receive_direct(into, missing).await?;
            }
        }
        std::mem::forget(unfinished);
        Ok(into)
    }
}

/// Bytes of a message were taken from the stream and are nowhere: nothing can follow.
struct Unfinished<'a> {
    socket: &'a Rc<Socket>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.socket.close();
    }
}

impl Socket {
    /// What has come; `None` when `missing` bytes had better be received directly, and may.
    fn poll_some(self: &Rc<Self>, waker: &Waker, missing: usize) -> Poll<io::Result<Option<Received>>> {
        if missing < DIRECT_BYTES_MIN {
            self.poll_receive(waker).map_ok(Some)
        } else {
            self.poll_quiet(waker).map(Option::transpose)
        }
    }

    /// Adds at most `missing` bytes: fewer only when the stream ends or fails before.
    async fn receive_direct(self: &Rc<Self>, mut into: Vec<u8>, missing: usize) -> io::Result<Vec<u8>> {
        self.receiving.borrow_mut().bulk = true;
        let target = into.spare_capacity_mut().as_mut_ptr().cast();
        let entry = opcode::Recv::new(self.fd(), target, u32::try_from(missing).unwrap_or(u32::MAX))
            .flags(libc::MSG_WAITALL)
            .build();
        // SAFETY: the held vector owns the spare capacity that is written, at least `missing` bytes; the held socket the descriptor.
        let (result, (_, mut into)) = unsafe { self.reactor.submit(entry, (Rc::clone(self), into)) }.await;
        match outcome(result) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                // SAFETY: the kernel wrote `count` bytes, at most `missing`, after the first `len`.
                unsafe { into.set_len(into.len() + count.min(missing)) };
                Ok(into)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(into),
            Err(error) => Err(error),
        }
    }
}
