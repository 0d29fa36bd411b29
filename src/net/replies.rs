//! Answers of one connection, sent in the order of their requests.
//!
//! A slot is reserved when a request is read and completed at any later moment; what is complete at the front leaves together.
//! A slot that is dropped without an answer closes the connection: a peer never waits for an answer that does not come.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::net::admission::Units;
use crate::rt::local::Event;
use crate::rt::net::SendPart;

/// What one request is answered with.
#[derive(Default)]
pub struct Reply {
    /// Empty when the request has no answer (acks=0).
    pub parts: Vec<SendPart>,
    /// Held until the answer has left.
    pub units: Option<Units>,
    /// Close the connection after this answer.
    pub close: bool,
}

impl Reply {
    /// Nothing is sent, and the connection ends.
    #[must_use]
    pub fn close() -> Self {
        Self {
            close: true,
            ..Self::default()
        }
    }
}

enum Slot {
    Waiting,
    Ready(Reply),
}

struct Queue {
    slots: RefCell<VecDeque<Slot>>,
    /// Sequence of the slot at the front.
    front: Cell<u64>,
    changed: Event,
    closed: Cell<bool>,
}

/// The answers of one connection.
#[derive(Clone)]
pub struct Replies {
    queue: Rc<Queue>,
}

/// The place of one answer.
pub struct ReplySlot {
    queue: Rc<Queue>,
    sequence: u64,
    completed: bool,
}

impl Default for Replies {
    fn default() -> Self {
        Self::new()
    }
}

impl Replies {
    #[must_use]
    pub fn new() -> Self {
        let queue = Queue {
            slots: RefCell::new(VecDeque::new()),
            front: Cell::new(0),
            changed: Event::new(),
            closed: Cell::new(false),
        };
        Self { queue: Rc::new(queue) }
    }

    /// The place of the next answer.
    #[must_use]
    pub fn reserve(&self) -> ReplySlot {
        let mut slots = self.queue.slots.borrow_mut();
        let sequence = self.queue.front.get() + slots.len() as u64;
        slots.push_back(Slot::Waiting);
        ReplySlot {
            queue: Rc::clone(&self.queue),
            sequence,
            completed: false,
        }
    }

    /// Requests without an answer that has left.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.queue.slots.borrow().len()
    }

    /// No more requests come; [`next`](Self::next) ends when the answers have left.
    pub fn close(&self) {
        self.queue.closed.set(true);
        self.queue.changed.notify();
    }

    /// The answers that may leave now, at least one; `None` when the queue was closed and is empty.
    pub async fn next(&self) -> Option<Vec<Reply>> {
        loop {
            let changed = self.queue.changed.listen();
            let ready = self.take_ready();
            if !ready.is_empty() {
                return Some(ready);
            }
            if self.queue.closed.get() && self.in_flight() == 0 {
                return None;
            }
            changed.await;
        }
    }

    /// Waits until fewer than `limit` requests are in flight.
    pub async fn below(&self, limit: usize) {
        while self.in_flight() >= limit && !self.queue.closed.get() {
            let changed = self.queue.changed.listen();
            if self.in_flight() < limit {
                return;
            }
            changed.await;
        }
    }

    fn take_ready(&self) -> Vec<Reply> {
        let mut slots = self.queue.slots.borrow_mut();
        let mut ready = Vec::new();
        while let Some(Slot::Ready(_)) = slots.front() {
            if let Some(Slot::Ready(reply)) = slots.pop_front() {
                ready.push(reply);
            }
        }
        self.queue.front.set(self.queue.front.get() + ready.len() as u64);
        drop(slots);
        if !ready.is_empty() {
            self.queue.changed.notify();
        }
        ready
    }
}

impl ReplySlot {
    /// Gives the answer.
    pub fn complete(mut self, reply: Reply) {
        self.put(reply);
    }

    fn put(&mut self, reply: Reply) {
        self.completed = true;
        let index = usize::try_from(self.sequence.saturating_sub(self.queue.front.get())).unwrap_or(usize::MAX);
        let at_front = index == 0;
        if let Some(slot) = self.queue.slots.borrow_mut().get_mut(index) {
            *slot = Slot::Ready(reply);
        }
        if at_front {
            self.queue.changed.notify();
        }
    }
}

impl Drop for ReplySlot {
    fn drop(&mut self) {
        if !self.completed {
            self.put(Reply::close());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn reply(text: &'static str) -> Reply {
        Reply {
            parts: vec![SendPart::Bytes(Bytes::from_static(text.as_bytes()))],
            ..Reply::default()
        }
    }

    fn texts(replies: Vec<Reply>) -> Vec<String> {
        replies
            .iter()
            .flat_map(|reply| &reply.parts)
            .map(|part| match part {
                SendPart::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                SendPart::File { .. } => "file".into(),
            })
            .collect()
    }

    #[test]
    fn answers_leave_in_the_order_of_their_requests() {
        let replies = Replies::new();
        let (a, b, c) = (replies.reserve(), replies.reserve(), replies.reserve());
        c.complete(reply("c"));
        assert!(replies.take_ready().is_empty());
        a.complete(reply("a"));
        assert_eq!(texts(replies.take_ready()), ["a"]);
        b.complete(reply("b"));
        assert_eq!(texts(replies.take_ready()), ["b", "c"]);
        assert_eq!(replies.in_flight(), 0);
    }

    #[test]
    fn a_dropped_slot_closes_the_connection() {
        let replies = Replies::new();
        let slot = replies.reserve();
        drop(slot);
        let ready = replies.take_ready();
        assert_eq!(ready.len(), 1);
        assert!(ready[0].close && ready[0].parts.is_empty());
    }
}
