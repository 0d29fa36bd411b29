//! Whose turn it is: batches of one connection stand in a partition in the order in which they came, also when the checks of one take
//! longer than those of the next. Batches of other connections do not wait for them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::base::ids::ShardId;
use crate::rt::local::Event;

/// Where a batch comes from: a connection, by the core that serves it and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    pub core: ShardId,
    pub connection: u64,
}

/// The batches of one partition that are being checked, or wait for it: as many as requests are in flight.
#[derive(Default)]
pub struct Turns {
    taken: RefCell<VecDeque<(Source, u64)>>,
    next: Cell<u64>,
    changed: Event,
}

/// The place of one batch among those of its source; given up when it is dropped.
pub struct Turn {
    turns: Rc<Turns>,
    source: Source,
    number: u64,
}

impl Turns {
    /// Whether nothing of this source is ahead.
    #[must_use]
    pub fn is_free(&self, source: Source) -> bool {
        self.taken.borrow().iter().all(|(other, _)| *other != source)
    }

    /// The next place.
    #[must_use]
    pub fn take(self: &Rc<Self>, source: Source) -> Turn {
        let number = self.next.get();
        self.next.set(number + 1);
        self.taken.borrow_mut().push_back((source, number));
        Turn {
            turns: Rc::clone(self),
            source,
            number,
        }
    }
}

impl Turn {
    /// Waits until everything of this source that was ahead is done.
    pub async fn reached(&self) {
        while !self.is_first() {
            let changed = self.turns.changed.listen();
            changed.await;
        }
    }

    fn is_first(&self) -> bool {
        let taken = self.turns.taken.borrow();
        let first = taken.iter().find(|(source, _)| *source == self.source);
        first.is_some_and(|(_, number)| *number == self.number)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns
            .taken
            .borrow_mut()
            .retain(|(_, number)| *number != self.number);
        self.turns.changed.notify();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_reached(turn: &Turn) -> bool {
        let reached = pin!(turn.reached());
        matches!(reached.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
    }

    #[test]
    fn turns_of_one_source_come_in_order_and_others_do_not_wait() {
        let turns = Rc::new(Turns::default());
        let source = |connection| Source {
            core: ShardId(0),
            connection,
        };
        let (first, second, other) = (turns.take(source(1)), turns.take(source(1)), turns.take(source(2)));
        assert!(!turns.is_free(source(1)) && !turns.is_free(source(2)) && turns.is_free(source(3)));
        assert_eq!([&first, &second, &other].map(is_reached), [true, false, true]);
        let third = turns.take(source(1));
        drop(second);
        assert!(
            !is_reached(&third),
            "one that was given up holds nobody, and lets nobody pass the first"
        );
        drop(first);
        assert!(is_reached(&third));
        drop((third, other));
        assert!(turns.is_free(source(1)) && turns.is_free(source(2)));
    }
}
