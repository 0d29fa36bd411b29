//! What was just appended and the journal will soon want, kept in memory: reading it back from the page cache would cost more than all the
//! rest of a group.
//!
//! Only where somebody waited for the disk lately, and within limits: what is not here is read back. A run that does not begin and end
//! where the journal wants its bytes is of no use, and is dropped.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::durability::{End, Unsynced};
use crate::base::limits::{KEPT_BYTES_PER_JOURNAL_MAX, KEPT_BYTES_PER_LOG_MAX};
use crate::base::offset::{FilePosition, Offset};

/// Bytes that all logs of one journal keep.
#[derive(Clone, Default, Debug)]
pub(super) struct Budget {
    used: Rc<Cell<usize>>,
}

impl Budget {
    fn take(&self, bytes: usize) -> bool {
        let used = self.used.get() + bytes;
        let has_room = used <= KEPT_BYTES_PER_JOURNAL_MAX;
        if has_room {
            self.used.set(used);
        }
        has_room
    }
}

/// Bytes of batches that stand one after the other at a place of a log.
#[derive(Debug)]
pub(super) struct Run {
    segment: Offset,
    position: FilePosition,
    bytes: Vec<u8>,
    budget: Budget,
}

impl Run {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn end_position(&self) -> FilePosition {
        self.position.plus(u64::try_from(self.bytes.len()).unwrap_or(0))
    }

    /// Adds what was appended at a place, if it is the next.
    fn extend(&mut self, segment: Offset, position: FilePosition, parts: &[&[u8]]) -> bool {
        let added: usize = parts.iter().map(|part| part.len()).sum();
        let goes_on = segment == self.segment && position == self.end_position();
        if !goes_on || self.bytes.len() + added > KEPT_BYTES_PER_LOG_MAX || !self.budget.take(added) {
            return false;
        }
        self.bytes.reserve_exact(added);
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        true
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.budget.used.set(self.budget.used.get() - self.bytes.len());
    }
}

/// What one log keeps.
#[derive(Default, Debug)]
pub(super) struct Kept {
    run: RefCell<Option<Run>>,
    /// Somebody waited for the disk since nothing more was kept.
    is_wanted: Cell<bool>,
}

impl Kept {
    /// Somebody waits for the disk: who appends next is likely to wait as well.
    pub(super) fn want(&self) {
        self.is_wanted.set(true);
    }

    /// Keeps what was appended at a place of the log, if there is a use for it and room.
    pub(super) fn keep(&self, budget: &Budget, segment: Offset, position: FilePosition, parts: &[&[u8]]) {
        if !self.is_wanted.get() {
            return;
        }
        let mut run = self.run.borrow_mut();
        if run.as_mut().is_some_and(|run| run.extend(segment, position, parts)) {
            return;
        }
        let had_run = run.take().is_some();
        let mut begun = Run {
            segment,
            position,
            bytes: Vec::new(),
            budget: budget.clone(),
        };
        if begun.extend(segment, position, parts) {
            *run = Some(begun);
        } else if had_run {
            // It grew, and nobody waited: until somebody does, nothing is kept.
            self.is_wanted.set(false);
        }
    }

    /// The bytes of exactly this part of the log. What else there is goes.
    pub(super) fn take(&self, unsynced: &Unsynced) -> Option<Run> {
        let run = self.run.take()?;
        let is_this = run.segment == unsynced.from.segment
            && run.position == unsynced.from.position
            && u64::try_from(run.bytes.len()) == Ok(unsynced.bytes);
        is_this.then_some(run)
    }

    /// Everything below is on the disk.
    pub(super) fn forget_below(&self, end: &End) {
        let mut run = self.run.borrow_mut();
        if run
            .as_ref()
            .is_some_and(|run| (run.segment, run.end_position()) <= (end.segment, end.position))
        {
            run.take();
        }
    }

    pub(super) fn forget(&self) {
        self.run.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsynced(position: u64, bytes: u64) -> Unsynced {
        let end = |position| End {
            position: FilePosition(position),
            ..End::default()
        };
        Unsynced {
            from: end(position),
            to: end(position + bytes),
            bytes,
        }
    }

    fn keep(kept: &Kept, budget: &Budget, position: u64, bytes: &[u8]) {
        kept.keep(budget, Offset(0), FilePosition(position), &[bytes, b"!"]);
    }

    fn taken(kept: &Kept, position: u64, bytes: u64) -> Option<Vec<u8>> {
        Some(kept.take(&unsynced(position, bytes))?.bytes().to_vec())
    }

    #[test]
    fn what_is_wanted_is_kept_and_taken_once() {
        let (kept, budget) = (Kept::default(), Budget::default());
        keep(&kept, &budget, 0, b"a");
        assert_eq!(taken(&kept, 0, 2), None, "nobody has waited");
        kept.want();
        keep(&kept, &budget, 2, b"b");
        keep(&kept, &budget, 4, b"c");
        assert_eq!(budget.used.get(), 4);
        assert_eq!(taken(&kept, 2, 4).as_deref(), Some(&b"b!c!"[..]));
        assert_eq!(taken(&kept, 2, 4), None);
        assert_eq!(budget.used.get(), 0);
    }

    #[test]
    fn another_part_is_not_taken_for_it() {
        for (position, bytes) in [(0, 2), (4, 2), (2, 1), (2, 3), (2, u64::MAX)] {
            let (kept, budget) = (Kept::default(), Budget::default());
            kept.want();
            keep(&kept, &budget, 2, b"b");
            let to = unsynced(position, 0).to;
            let wrong = Unsynced {
                from: unsynced(position, 0).from,
                to,
                bytes,
            };
            assert!(kept.take(&wrong).is_none(), "{position} {bytes}");
            assert_eq!(budget.used.get(), 0);
        }
    }

    #[test]
    fn a_gap_begins_a_new_run() {
        let (kept, budget) = (Kept::default(), Budget::default());
        kept.want();
        keep(&kept, &budget, 0, b"a");
        keep(&kept, &budget, 10, b"b");
        assert_eq!(taken(&kept, 10, 2).as_deref(), Some(&b"b!"[..]));
    }

    #[test]
    fn limits_hold() {
        let (kept, budget) = (Kept::default(), Budget::default());
        kept.want();
        let half = vec![0; KEPT_BYTES_PER_LOG_MAX / 2];
        let length = u64::try_from(half.len()).unwrap() + 1;
        keep(&kept, &budget, 0, &half);
        keep(&kept, &budget, length, &half);
        assert_eq!(taken(&kept, 0, 2 * length), None, "more than one log may keep");
        let logs: Vec<Kept> = (0..3 * KEPT_BYTES_PER_JOURNAL_MAX / KEPT_BYTES_PER_LOG_MAX)
            .map(|_| {
                let log = Kept::default();
                log.want();
                keep(&log, &budget, 0, &half);
                log
            })
            .collect();
        assert!(budget.used.get() <= KEPT_BYTES_PER_JOURNAL_MAX);
        assert!(logs.last().is_some_and(|last| last.run.borrow().is_none()));
        drop(logs);
        assert_eq!(budget.used.get(), 0);
    }

    #[test]
    fn what_is_on_the_disk_is_forgotten() {
        let (kept, budget) = (Kept::default(), Budget::default());
        kept.want();
        keep(&kept, &budget, 2, b"b");
        kept.forget_below(&unsynced(3, 0).to);
        assert!(kept.run.borrow().is_some());
        kept.forget_below(&unsynced(4, 0).to);
        assert!(kept.run.borrow().is_none());
    }
}
