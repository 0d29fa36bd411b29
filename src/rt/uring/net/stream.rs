//! The handle of a connection.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use bytes::Bytes;

use super::socket::Socket;
use super::{Received, SendPart};
use crate::base::offset::FilePosition;
use crate::rt::fs::File;
use crate::rt::uring::reactor::Reactor;

/// A TCP connection of this core. Clones are the same connection; with the last of them it is closed.
#[derive(Clone)]
pub struct Stream {
    handle: Rc<Handle>,
}

struct Handle {
    socket: Rc<Socket>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.socket.close();
    }
}

impl Stream {
    pub(super) fn new(reactor: Rc<Reactor>, descriptor: OwnedFd) -> Self {
        Self {
            handle: Rc::new(Handle {
                socket: Socket::new(reactor, descriptor),
            }),
        }
    }

    pub(super) fn socket(&self) -> &Rc<Socket> {
        &self.handle.socket
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.socket().peer_address()
    }

    /// The next bytes as they came, at most one buffer full; empty when the peer sends no more (it may still read), or after
    /// [`Stream::close`]. One task at a time may wait here. Dropping the future loses nothing.
    ///
    /// # Errors
    /// `ConnectionReset` and what else ends a connection; the same again when called again.
    pub async fn receive(&self) -> io::Result<Received> {
        poll_fn(|context| self.socket().poll_receive(context.waker())).await
    }

    /// Sends all parts, in one call of the kernel where they fit. Sends of one connection follow each other in the order of their calls.
    ///
    /// Dropped before it ended, it closes the connection: how much the peer got is unknown then.
    ///
    /// # Errors
    /// `BrokenPipe`, `ConnectionReset`: the connection can send no more.
    pub async fn send(&self, parts: Vec<Bytes>) -> io::Result<()> {
        self.send_all(parts.into_iter().map(SendPart::Bytes).collect()).await
    }

    /// Sends a range of a file, from the page cache, in slices with a turn for others between; see [`Stream::send`].
    ///
    /// # Errors
    /// As [`Stream::send`]; `UnexpectedEof` when the file ends before the range does, and then the connection is closed.
    pub async fn send_file(&self, file: &File, position: FilePosition, length: u64) -> io::Result<()> {
        let file = file.clone();
        self.send_all(vec![SendPart::File { file, position, length }]).await
    }

    /// Ends the connection in both directions, at once for this side: sends fail, and [`Stream::receive`] says that the stream ended.
    /// What was sent before still goes out.
    pub fn close(&self) {
        self.socket().close();
    }
}
