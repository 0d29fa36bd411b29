//! The receiving direction of a connection: a multishot receive that the kernel fills from the core's buffers.
//!
//! When bytes come while earlier ones are unread since another turn, or too many in one turn, the task does not keep up: the receive
//! is cancelled, the kernel's socket buffer fills, and the peer stops. It is armed again when the task has read all and asks for more.

#![expect(unsafe_code, reason = "entries name descriptors that the kernel uses")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use io_uring::{cqueue, opcode};

use super::Received;
use super::socket::Socket;
use crate::rt::uring::buffers::GROUP;
use crate::rt::uring::operations::{Key, Target};
use crate::rt::uring::reactor::Reactor;

/// Buffers that one turn may bring a connection before its receive is cancelled.
const UNREAD_MAX: usize = 16;

/// See the module.
#[derive(Default)]
pub(super) struct Receiving {
    unread: VecDeque<Received>,
    /// The core's turn in which the first of them came.
    unread_since: u64,
    /// The receive that the kernel has of this connection.
    armed: Option<Key>,
    end: Option<End>,
    waker: Option<Waker>,
}

/// How the stream ended.
#[derive(Clone, Copy)]
enum End {
    /// The peer said that it sends no more.
    Finished,
    /// With this error number.
    Failed(i32),
}

impl Receiving {
    /// Adds what came in `turn`; true when the task does not keep up.
    fn push(&mut self, received: Received, turn: u64) -> bool {
        if self.unread.is_empty() {
            self.unread_since = turn;
        }
        self.unread.push_back(received);
        self.unread.len() >= UNREAD_MAX || self.unread_since != turn
    }

    /// Drops what is unread, and lets the task that waits see the end.
    pub fn abandon(this: &RefCell<Self>) {
        let (unread, waker) = {
            let mut state = this.borrow_mut();
            state.end.get_or_insert(End::Finished);
            (std::mem::take(&mut state.unread), state.waker.take())
        };
        drop(unread);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Socket {
    /// The next bytes; arms the receive when nothing is there and none is armed.
    pub fn poll_receive(self: &Rc<Self>, waker: &Waker) -> Poll<io::Result<Received>> {
        let mut state = self.receiving.borrow_mut();
        if let Some(received) = state.unread.pop_front() {
            return Poll::Ready(Ok(received));
        }
        match state.end {
            Some(End::Finished) => return Poll::Ready(Ok(Received::end_of_stream())),
            Some(End::Failed(code)) => return Poll::Ready(Err(io::Error::from_raw_os_error(code))),
            None => {}
        }
        state.waker = Some(waker.clone());
        if state.armed.is_some() {
            return Poll::Pending;
        }
        if !self.reactor.buffers().has_lent() {
            self.reactor.buffers().wait_for_buffer(waker.clone());
            return Poll::Pending;
        }
        let entry = opcode::RecvMulti::new(self.fd(), GROUP).build();
        // SAFETY: the target owns the descriptor; the buffers are the reactor's, which outlives all that is in flight.
        let key = unsafe { self.reactor.submit_to(entry, Rc::clone(self) as Rc<dyn Target>) };
        let Some(key) = key else {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::ECANCELED)));
        };
        state.armed = Some(key);
        Poll::Pending
    }

    fn take_received(self: &Rc<Self>, reactor: &Rc<Reactor>, result: i32, flags: u32) -> Option<Received> {
        let buffer = cqueue::buffer_select(flags)?;
        reactor.buffers().taken();
        let length = usize::try_from(result).unwrap_or(0);
        let received = Received::new(reactor, buffer, length);
        (length > 0 && !self.is_closed()).then_some(received)
    }
}

impl Target for Socket {
    fn complete(self: Rc<Self>, reactor: &Rc<Reactor>, result: i32, flags: u32) {
        if result == -libc::ENOBUFS {
            reactor.count(|statistics| statistics.receive_buffers_exhausted += 1);
        }
        let received = self.take_received(reactor, result, flags);
        let mut state = self.receiving.borrow_mut();
        if !cqueue::more(flags) {
            state.armed = None;
        }
        if let Some(received) = received {
            if state.push(received, reactor.turn())
                && let Some(key) = state.armed
            {
                // Again when it goes on after a cancellation, which misses a receive that is at work at that moment.
                reactor.cancel(key);
            }
        } else if result == 0 {
            state.end.get_or_insert(End::Finished);
        } else if result < 0 && ![libc::ECANCELED, libc::ENOBUFS, libc::EINTR, libc::EAGAIN].contains(&-result) {
            state.end.get_or_insert(End::Failed(-result));
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
