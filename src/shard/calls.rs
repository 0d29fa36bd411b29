//! Requests that wait for an answer of a core.

use std::cell::RefCell;
use std::rc::Rc;

use crate::base::ids::ShardId;
use crate::shard::message::ShardReply;

/// Takes the answers of cores; a request that waits is a row that implements this, not a parked future.
pub trait Respond {
    /// An answer has come. Called on the core where the request was made, any number of times, as often as it called.
    fn respond(self: Rc<Self>, reply: ShardReply);
}

/// Names one waiting call of one core. The generation tells a late answer from one for the slot's next user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CallId {
    index: u32,
    generation: u32,
}

/// Where an answer goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ReplyTo {
    pub core: ShardId,
    pub call: CallId,
}

/// The waiting calls of one core.
#[derive(Default)]
pub struct Calls {
    rows: RefCell<Rows>,
}

#[derive(Default)]
struct Rows {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    waiting: Option<Rc<dyn Respond>>,
}

impl Calls {
    /// Keeps `waiting` until [`take`](Self::take).
    pub fn add(&self, waiting: Rc<dyn Respond>) -> CallId {
        let mut rows = self.rows.borrow_mut();
        if let Some(index) = rows.free.pop()
            && let Some(slot) = rows.slots.get_mut(index as usize)
        {
            slot.waiting = Some(waiting);
            return CallId {
                index,
                generation: slot.generation,
            };
        }
        let index = u32::try_from(rows.slots.len()).unwrap_or(u32::MAX);
        crate::check!(index < u32::MAX, "calls in flight are bounded by admission");
        rows.slots.push(Slot {
            generation: 0,
            waiting: Some(waiting),
        });
        CallId { index, generation: 0 }
    }

    /// The call's row, once; `None` for a call that was answered or given up.
    pub fn take(&self, call: CallId) -> Option<Rc<dyn Respond>> {
        let mut rows = self.rows.borrow_mut();
        let slot = rows.slots.get_mut(call.index as usize)?;
        if slot.generation != call.generation {
            return None;
        }
        let waiting = slot.waiting.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        rows.free.push(call.index);
        Some(waiting)
    }

    /// Calls without an answer.
    #[must_use]
    pub fn count(&self) -> usize {
        let rows = self.rows.borrow();
        rows.slots.len() - rows.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ignore;
    impl Respond for Ignore {
        fn respond(self: Rc<Self>, _: ShardReply) {}
    }

    #[test]
    fn a_late_answer_does_not_reach_the_next_user_of_a_slot() {
        let calls = Calls::default();
        let first = calls.add(Rc::new(Ignore));
        assert!(calls.take(first).is_some());
        let second = calls.add(Rc::new(Ignore));
        assert_ne!(first, second);
        assert!(calls.take(first).is_none());
        assert_eq!(calls.count(), 1);
        assert!(calls.take(second).is_some());
        assert_eq!(calls.count(), 0);
    }
}
