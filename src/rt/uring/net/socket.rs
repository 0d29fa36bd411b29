//! A connection as the ring knows it: the descriptor and the states of its two directions. Kept alive by whatever is in flight on it.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use io_uring::types;
use socket2::SockRef;

use super::receive::Receiving;
use crate::rt::local::Turn;
use crate::rt::uring::reactor::Reactor;

/// See the module.
pub(super) struct Socket {
    descriptor: OwnedFd,
    pub reactor: Rc<Reactor>,
    peer: Cell<Option<SocketAddr>>,
    pub receiving: RefCell<Receiving>,
    /// One send at a time: the bytes of two would mix.
    pub send_turn: Turn,
    /// A send failed or was given up half-way: what the peer got is unknown.
    pub send_broken: Cell<bool>,
    closed: Cell<bool>,
}

impl Socket {
    pub fn new(reactor: Rc<Reactor>, descriptor: OwnedFd) -> Rc<Self> {
        Rc::new(Self {
            descriptor,
            reactor,
            peer: Cell::new(None),
            receiving: RefCell::default(),
            send_turn: Turn::new(),
            send_broken: Cell::new(false),
            closed: Cell::new(false),
        })
    }

    pub fn fd(&self) -> types::Fd {
        types::Fd(self.descriptor.as_raw_fd())
    }

    pub fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        if let Some(address) = self.peer.get() {
            return Ok(address);
        }
        let address = SockRef::from(&self.descriptor)
            .peer_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::other("the peer has no internet address"))?;
        self.peer.set(Some(address));
        Ok(address)
    }

    /// Ends both directions. What is in flight completes soon; the descriptor is closed when the last of it has.
    pub fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        // The only errors are those of a connection that is gone already.
        let _ = SockRef::from(&self.descriptor).shutdown(Shutdown::Both);
        Receiving::abandon(&self.receiving);
    }
}
