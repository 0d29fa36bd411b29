//! Which leader epoch wrote which offsets (`LeaderEpochFileCache`; KIP-101, KIP-279, KIP-320).
//!
//! Derived data: batches carry their leader's epoch, so the list can be rebuilt from them; the checkpoint file spares that.

use crate::base::ids::LeaderEpoch;
use crate::base::offset::Offset;

/// First offset of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochStart {
    pub epoch: LeaderEpoch,
    pub start_offset: Offset,
}

/// Where an epoch ended: the answer to OffsetForLeaderEpoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    /// The largest known epoch that is not larger than the one asked for.
    pub epoch: LeaderEpoch,
    /// Start of the next epoch, or the log end offset.
    pub end_offset: Offset,
}

/// The epochs of a log; epochs and start offsets strictly grow.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LeaderEpochs {
    entries: Vec<EpochStart>,
}

impl LeaderEpochs {
    /// Takes entries read from a checkpoint; those that break the order are cut as in [`assign`](Self::assign).
    #[must_use]
    pub fn from_entries(entries: &[EpochStart]) -> Self {
        let mut epochs = Self::default();
        for entry in entries {
            epochs.assign(*entry);
        }
        epochs
    }

    #[must_use]
    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Whether [`assign`](Self::assign) would change the list.
    #[must_use]
    pub fn is_news(&self, entry: EpochStart) -> bool {
        entry.epoch.0 >= 0
            && entry.start_offset.0 >= 0
            && self
                .entries
                .last()
                .is_none_or(|last| entry.epoch != last.epoch || entry.start_offset < last.start_offset)
    }

    /// Notes that `entry.epoch` begins at `entry.start_offset`, dropping what that contradicts; says whether anything changed.
    pub fn assign(&mut self, entry: EpochStart) -> bool {
        if !self.is_news(entry) {
            return false;
        }
        while self
            .entries
            .last()
            .is_some_and(|last| last.epoch >= entry.epoch || last.start_offset >= entry.start_offset)
        {
            self.entries.pop();
        }
        self.entries.push(entry);
        true
    }

    /// Where `epoch` ended in a log that ends at `log_end_offset`; `None` when nothing is known of it.
    ///
    /// For an epoch before the first known one, the answer is that epoch itself and the start of the first
    /// (`LeaderEpochFileCache.endOffsetFor`).
    #[must_use]
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end_offset: Offset) -> Option<EpochEnd> {
        if epoch == LeaderEpoch::NONE {
            return None;
        }
        let after = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let floor = after.checked_sub(1).and_then(|index| self.entries.get(index));
        match (floor, self.entries.get(after)) {
            (floor, Some(next)) => Some(EpochEnd {
                epoch: floor.map_or(epoch, |entry| entry.epoch),
                end_offset: next.start_offset,
            }),
            (Some(latest), None) if latest.epoch == epoch => Some(EpochEnd {
                epoch,
                end_offset: log_end_offset,
            }),
            (Some(_) | None, None) => None,
        }
    }

    /// The epoch that wrote `offset`.
    #[must_use]
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        Some(entry.epoch)
    }

    /// Forgets what begins at `end_offset` or later; says whether anything changed.
    pub fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        let kept = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// Forgets what lies before `start_offset`; the epoch that holds it then begins there. Says whether anything changed.
    pub fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let after = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(holder) = after.checked_sub(1) else {
            return false;
        };
        self.entries.drain(..holder);
        match self.entries.first_mut() {
            Some(first) if first.start_offset < start_offset => {
                first.start_offset = start_offset;
                true
            }
            Some(_) | None => holder > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(epoch: i32, offset: i64) -> EpochStart {
        EpochStart {
            epoch: LeaderEpoch(epoch),
            start_offset: Offset(offset),
        }
    }

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        LeaderEpochs::from_entries(
            &entries
                .iter()
                .map(|&(epoch, offset)| start(epoch, offset))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn entries_strictly_grow() {
        for (entries, kept) in [
            (&[(1, 0), (2, 10)][..], &[(1, 0), (2, 10)][..]),
            (&[(1, 0), (1, 10)], &[(1, 0)]),
            (&[(1, 10), (2, 10)], &[(2, 10)]),
            (&[(1, 0), (2, 10), (3, 20), (2, 15)], &[(1, 0), (2, 15)]),
            (&[(1, 0), (2, 10), (3, 5)], &[(1, 0), (3, 5)]),
            (&[(-1, 0), (1, -1)], &[]),
        ] {
            assert_eq!(epochs(entries), epochs(kept), "{entries:?}");
            let plain: Vec<_> = epochs(entries)
                .entries()
                .iter()
                .map(|entry| (entry.epoch.0, entry.start_offset.0))
                .collect();
            assert_eq!(plain, kept);
        }
    }

    #[test]
    fn ends_are_found_as_kafka_finds_them() {
        let epochs = epochs(&[(2, 100), (4, 200), (7, 300)]);
        for (asked, answer) in [
            (-1, None),
            (0, Some((0, 100))),
            (1, Some((1, 100))),
            (2, Some((2, 200))),
            (3, Some((2, 200))),
            (6, Some((4, 300))),
            (7, Some((7, 350))),
            (8, None),
        ] {
            let found = epochs
                .end_offset_for(LeaderEpoch(asked), Offset(350))
                .map(|end| (end.epoch.0, end.end_offset.0));
            assert_eq!(found, answer, "{asked}");
        }
        assert_eq!(LeaderEpochs::default().end_offset_for(LeaderEpoch(0), Offset(0)), None);
    }

    #[test]
    fn offsets_have_epochs() {
        let epochs = epochs(&[(2, 100), (4, 200)]);
        for (offset, epoch) in [
            (99, None),
            (100, Some(2)),
            (199, Some(2)),
            (200, Some(4)),
            (900, Some(4)),
        ] {
            assert_eq!(epochs.epoch_of(Offset(offset)).map(|epoch| epoch.0), epoch);
        }
    }

    #[test]
    fn truncation_keeps_the_rest() {
        for (end, kept, changed) in [
            (100, &[][..], true),
            (200, &[(2, 100)], true),
            (201, &[(2, 100), (4, 200)], false),
        ] {
            let mut list = epochs(&[(2, 100), (4, 200)]);
            assert_eq!(list.truncate_from_end(Offset(end)), changed);
            assert_eq!(list, epochs(kept));
        }
        for (start, kept, changed) in [
            (50, &[(2, 100), (4, 200)][..], false),
            (100, &[(2, 100), (4, 200)], false),
            (150, &[(2, 150), (4, 200)], true),
            (200, &[(4, 200)], true),
            (250, &[(4, 250)], true),
        ] {
            let mut list = epochs(&[(2, 100), (4, 200)]);
            assert_eq!(list.truncate_from_start(Offset(start)), changed, "{start}");
            assert_eq!(list, epochs(kept));
        }
    }
}
