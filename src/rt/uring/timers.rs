//! The timers of a core, soonest first. The driver's wait ends with the first of them.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::base::time::Monotonic;

/// Names one timer; the moment comes first, so that the map is ordered by it.
pub(super) type TimerKey = (Monotonic, u64);

/// See the module.
#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<TimerKey, Waker>,
    next_id: u64,
}

impl Timers {
    /// Adds a timer, or gives an existing one another waker.
    pub fn set(&mut self, key: Option<TimerKey>, deadline: Monotonic, waker: Waker) -> TimerKey {
        let key = key.unwrap_or_else(|| {
            self.next_id += 1;
            (deadline, self.next_id)
        });
        self.waiting.insert(key, waker);
        key
    }

    pub fn remove(&mut self, key: TimerKey) {
        self.waiting.remove(&key);
    }

    /// When the first timer is due.
    pub fn next(&self) -> Option<Monotonic> {
        self.waiting.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Takes one timer that is due.
    pub fn take_due(&mut self, now: Monotonic) -> Option<Waker> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        let late = timers.set(None, Monotonic(30), Waker::noop().clone());
        timers.set(None, Monotonic(10), Waker::noop().clone());
        timers.set(None, Monotonic(10), Waker::noop().clone());
        assert_eq!(timers.next(), Some(Monotonic(10)));
        assert!(timers.take_due(Monotonic(9)).is_none());
        assert!(timers.take_due(Monotonic(10)).is_some());
        assert!(timers.take_due(Monotonic(10)).is_some());
        assert!(timers.take_due(Monotonic(10)).is_none());
        timers.remove(late);
        assert_eq!(timers.next(), None);
    }
}
