//! Messages between threads: one bounded queue for each ordered pair, and one bell for each receiver.
//!
//! A full queue gives the message back: the sender answers for it, and never waits. Messages of one pair keep their order; messages of
//! different senders have none.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;

use super::bell::Bell;
use super::reactor::{AttachedBell, Reactor};

/// Messages that one call of [`Endpoint::receive`] takes from each sender, so that a flood from one leaves room for the others.
const BATCH_MAX: usize = 128;

/// Makes the mesh of `threads` threads (cores, and any other thread that takes an endpoint): `capacity` messages wait between each two.
///
/// # Errors
/// When there are no descriptors left for the bells.
pub fn new<M: Send>(threads: usize, capacity: usize) -> io::Result<Vec<Endpoint<M>>> {
    let queues = (0..threads * threads).map(|_| ArrayQueue::new(capacity)).collect();
    let bells = (0..threads)
        .map(|_| Bell::new().map(Arc::new))
        .collect::<io::Result<_>>()?;
    let shared = Arc::new(Shared { threads, queues, bells });
    let endpoint = |index| Endpoint {
        index,
        shared: Arc::clone(&shared),
    };
    Ok((0..threads).map(endpoint).collect())
}

struct Shared<M> {
    threads: usize,
    /// Of sender and receiver: at `sender * threads + receiver`.
    queues: Box<[ArrayQueue<M>]>,
    bells: Vec<Arc<Bell>>,
}

impl<M> Shared<M> {
    fn queue(&self, from: usize, to: usize) -> &ArrayQueue<M> {
        &self.queues[from * self.threads + to]
    }
}

/// One thread's end of the mesh. Move it to its thread: there a core [attaches](Endpoint::attach) it, another thread receives from it.
pub struct Endpoint<M> {
    index: usize,
    shared: Arc<Shared<M>>,
}

impl<M: Send> Endpoint<M> {
    /// Which of the threads this is.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Sends to thread `to`, which may be this one.
    ///
    /// # Errors
    /// The message, when the queue is full.
    pub fn try_send(&self, to: usize, message: M) -> Result<(), M> {
        self.shared.queue(self.index, to).push(message)?;
        self.shared.bells[to].ring();
        Ok(())
    }

    /// Takes what has come: sender and message. For threads that are no core, which wait with [`Endpoint::receive_blocking`].
    pub fn drain(&self, into: &mut Vec<(usize, M)>) {
        let mut more = false;
        for from in 0..self.shared.threads {
            let queue = self.shared.queue(from, self.index);
            for _ in 0..BATCH_MAX {
                let Some(message) = queue.pop() else { break };
                into.push((from, message));
            }
            more |= !queue.is_empty();
        }
        if more {
            self.shared.bells[self.index].ring();
        }
    }

    /// Waits on this thread, which is no core, until messages come or `duration` is over; then none.
    #[must_use]
    pub fn receive_blocking(&self, duration: Duration) -> Vec<(usize, M)> {
        let mut messages = Vec::new();
        self.drain(&mut messages);
        if messages.is_empty() && self.shared.bells[self.index].wait(duration) {
            self.drain(&mut messages);
        }
        messages
    }

    /// Makes this the endpoint of the calling core.
    #[must_use]
    pub fn attach(self) -> CoreEndpoint<M> {
        let reactor = Reactor::current();
        let attached = reactor.attach(Arc::clone(&self.shared.bells[self.index]));
        CoreEndpoint {
            endpoint: self,
            reactor,
            attached,
            spare: RefCell::default(),
        }
    }
}

/// A core's end of the mesh.
pub struct CoreEndpoint<M> {
    endpoint: Endpoint<M>,
    reactor: Rc<Reactor>,
    attached: Rc<AttachedBell>,
    spare: RefCell<Vec<(usize, M)>>,
}

impl<M: Send> CoreEndpoint<M> {
    /// Which of the threads this is.
    #[must_use]
    pub fn index(&self) -> usize {
        self.endpoint.index()
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.endpoint.threads()
    }

    /// See [`Endpoint::try_send`].
    ///
    /// # Errors
    /// The message, when the queue is full.
    pub fn try_send(&self, to: usize, message: M) -> Result<(), M> {
        self.endpoint.try_send(to, message)
    }

    /// The messages that have come, with their senders; waits until there is one. One task at a time may wait here.
    ///
    /// Give the vector back to [`CoreEndpoint::recycle`] to spare its allocation.
    pub async fn receive(&self) -> Vec<(usize, M)> {
        let mut messages = self.spare.take();
        poll_fn(|context| self.poll_receive(&mut messages, context.waker())).await;
        messages
    }

    /// Keeps the allocation of a vector that [`CoreEndpoint::receive`] gave.
    pub fn recycle(&self, mut messages: Vec<(usize, M)>) {
        messages.clear();
        self.spare.replace(messages);
    }

    fn poll_receive(&self, messages: &mut Vec<(usize, M)>, waker: &Waker) -> Poll<()> {
        self.endpoint.drain(messages);
        if messages.is_empty() {
            self.attached.wait(waker.clone());
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl<M> Drop for CoreEndpoint<M> {
    fn drop(&mut self) {
        self.reactor.detach(&self.attached);
    }
}
