//! Deadlines of groups, at most one for each purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::time::Monotonic;

/// What a deadline is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TimerKey {
    /// A member has to be heard of.
    Session { group: Arc<str>, member: Arc<str> },
    /// A member of the consumer protocol has to give partitions up.
    Rebalance { group: Arc<str>, member: Arc<str> },
    /// Members have to join.
    Join { group: Arc<str> },
    /// Members have to ask for their assignment.
    Sync { group: Arc<str> },
}

impl TimerKey {
    /// The group that it belongs to.
    #[must_use]
    pub fn group(&self) -> &Arc<str> {
        match self {
            Self::Session { group, .. }
            | Self::Rebalance { group, .. }
            | Self::Join { group }
            | Self::Sync { group } => group,
        }
    }
}

/// When a timer is due, and where it stands in the queue: one that was put off keeps its place and moves when it comes up, so that a
/// heartbeat moves nothing.
#[derive(Clone, Copy, Debug)]
struct Scheduled {
    due: Monotonic,
    queued: Monotonic,
}

/// The deadlines, by time.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BTreeSet<(Monotonic, TimerKey)>,
    scheduled: BTreeMap<TimerKey, Scheduled>,
}

impl Timers {
    /// Sets the deadline of `key`, in place of an earlier one.
    pub fn schedule(&mut self, key: TimerKey, due: Monotonic) {
        if let Some(scheduled) = self.scheduled.get_mut(&key) {
            scheduled.due = due;
            if scheduled.queued <= due {
                return;
            }
            let entry = (scheduled.queued, key);
            scheduled.queued = due;
            self.queue.remove(&entry);
            self.queue.insert((due, entry.1));
            return;
        }
        self.scheduled.insert(key.clone(), Scheduled { due, queued: due });
        self.queue.insert((due, key));
    }

    /// Takes the deadline of `key` away.
    pub fn cancel(&mut self, key: &TimerKey) {
        if let Some((key, scheduled)) = self.scheduled.remove_entry(key) {
            self.queue.remove(&(scheduled.queued, key));
        }
    }

    /// When `key` is due.
    #[must_use]
    pub fn due(&self, key: &TimerKey) -> Option<Monotonic> {
        self.scheduled.get(key).map(|scheduled| scheduled.due)
    }

    /// The next moment at which there may be something due.
    #[must_use]
    pub fn next(&self) -> Option<Monotonic> {
        self.queue.first().map(|(queued, _)| *queued)
    }

    /// Takes a deadline that has come.
    pub fn pop_due(&mut self, now: Monotonic) -> Option<TimerKey> {
        loop {
            let (queued, _) = self.queue.first()?;
            if *queued > now {
                return None;
            }
            let (_, key) = self.queue.pop_first()?;
            let scheduled = self.scheduled.get_mut(&key)?;
            if scheduled.due <= now {
                self.scheduled.remove(&key);
                return Some(key);
            }
            scheduled.queued = scheduled.due;
            self.queue.insert((scheduled.due, key));
        }
    }

    /// Deadlines that are set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.scheduled.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(member: &str) -> TimerKey {
        TimerKey::Session {
            group: "g".into(),
            member: member.into(),
        }
    }

    #[test]
    fn deadlines_come_in_order_and_once() {
        let mut timers = Timers::default();
        for (member, due) in [("a", 30), ("b", 10), ("c", 20)] {
            timers.schedule(session(member), Monotonic(due));
        }
        timers.schedule(session("b"), Monotonic(25));
        timers.schedule(session("a"), Monotonic(5));
        timers.cancel(&session("c"));
        timers.cancel(&session("nobody"));
        assert_eq!(timers.pop_due(Monotonic(4)), None);
        assert_eq!(timers.pop_due(Monotonic(5)), Some(session("a")));
        assert_eq!(timers.next(), Some(Monotonic(10)), "the place of what was put off");
        assert_eq!(timers.pop_due(Monotonic(24)), None);
        assert_eq!(timers.next(), Some(Monotonic(25)));
        assert_eq!(timers.pop_due(Monotonic(99)), Some(session("b")));
        assert_eq!(timers.pop_due(Monotonic(99)), None);
        assert_eq!((timers.count(), timers.next()), (0, None));
    }
}
