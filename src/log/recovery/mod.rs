//! What to do with what a start finds: decision tables, as data. Those on unfinished compactions are in [`swap`].
//!
//! **Before a segment is looked into** ([`check_for`]). "Synced" says how much of it lies below the recovery point; all of it, when the last
//! stop was clean. Of a segment whose front is synced, only that much of its indexes is asked about and used.
//!
//! | synced | role   | epochs | offset index | time index | check    |
//! |--------|--------|--------|--------------|------------|----------|
//! | nothing| any    | any    | any          | any        | walk all |
//! | front  | any    | lost   | any          | any        | walk all |
//! | front  | any    | known  | not sound    | any        | walk all |
//! | front  | any    | known  | sound        | not sound  | walk all |
//! | front  | any    | known  | sound        | sound      | walk tail|
//! | wholly | any    | lost   | any          | any        | walk all |
//! | wholly | any    | known  | not sound    | any        | walk all |
//! | wholly | any    | known  | sound        | not sound  | walk all |
//! | wholly | closed | known  | sound        | sound      | trust    |
//! | wholly | active | known  | sound        | sound      | walk tail|
//!
//! **Where the walk over its batches ended** ([`verdict_for`]):
//!
//! | ended                        | first bad batch        | verdict                                       |
//! |------------------------------|------------------------|-----------------------------------------------|
//! | at the end of the file       | -                      | keep                                          |
//! | short of the next segment    | not synced             | keep, and cut off all segments after it       |
//! | short of the next segment    | synced                 | keep: compaction leaves gaps                  |
//! | torn, zeroes or corrupt      | not synced             | cut it off, with all segments after it        |
//! | torn, zeroes or corrupt      | synced                 | quarantine: touch nothing, partition offline  |
//! | behind the next segment      | not synced             | cut it off, and keep the segments after it    |
//! | behind the next segment      | synced                 | quarantine                                    |
//!
//! What was not synced was not acknowledged to anyone who asked for durability, and a crash may lose, tear or reorder it: it is cut
//! at the first batch that is not whole. What was synced can only be hurt by the disk or by a person; cutting would silently
//! delete acknowledged records behind the damage, so a person decides.

pub mod rebuild;
pub mod swap;

use super::index::IndexState;

/// What the disk could write in the time that the syncs of one log take.
const BYTES_PER_LOG: u64 = 512 * 1024;

/// Whether what a crash left is sooner on the disk by one sync of all that the page cache has of any file, `dirty_bytes`, than by those of
/// each log.
#[must_use]
pub fn is_sooner_synced_at_once(logs: usize, dirty_bytes: u64) -> bool {
    let logs = u64::try_from(logs).unwrap_or(u64::MAX);
    dirty_bytes <= logs.saturating_mul(BYTES_PER_LOG)
}

/// How much of a segment was on the disk, with its indexes, when the broker stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    Nothing,
    /// The recovery point lies in it, or at its end.
    Front,
    Wholly,
}

/// Whether the batch in question was on the disk when the broker stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Synced {
    Wholly,
    Partly,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Closed,
    /// The last one.
    Active,
}

/// Whether the leader epochs could be read from their checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Epochs {
    Known,
    Lost,
}

/// What is known of a segment before its batches are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentFacts {
    pub synced: Extent,
    pub role: Role,
    pub epochs: Epochs,
    pub offset_index: IndexState,
    pub time_index: IndexState,
}

/// How to look at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentCheck {
    /// Its size and its indexes are right.
    Trust,
    /// Its batches are walked from the last one that is in the index, to learn where the log ends.
    WalkTail,
    /// All batches are walked, their checksums verified, both indexes made anew.
    WalkAll,
}

/// One row: what it asks for, `None` being anything, and what follows.
struct SegmentRow {
    synced: Option<Extent>,
    role: Option<Role>,
    epochs: Option<Epochs>,
    offset_index_is_sound: Option<bool>,
    time_index_is_sound: Option<bool>,
    check: SegmentCheck,
}

impl SegmentRow {
    fn matches(&self, facts: &SegmentFacts) -> bool {
        let offset_index_is_sound = facts.offset_index == IndexState::Sound;
        let time_index_is_sound = facts.time_index == IndexState::Sound;
        self.synced.is_none_or(|wanted| wanted == facts.synced)
            && self.role.is_none_or(|wanted| wanted == facts.role)
            && self.epochs.is_none_or(|wanted| wanted == facts.epochs)
            && self
                .offset_index_is_sound
                .is_none_or(|wanted| wanted == offset_index_is_sound)
            && self
                .time_index_is_sound
                .is_none_or(|wanted| wanted == time_index_is_sound)
    }
}

const ANY: SegmentRow = SegmentRow {
    synced: None,
    role: None,
    epochs: None,
    offset_index_is_sound: None,
    time_index_is_sound: None,
    check: SegmentCheck::WalkAll,
};

/// The first table of the module's description.
const SEGMENT_ROWS: [SegmentRow; 10] = [
    SegmentRow {
        synced: Some(Extent::Nothing),
        ..ANY
    },
    SegmentRow {
        synced: Some(Extent::Front),
        epochs: Some(Epochs::Lost),
        ..ANY
    },
    SegmentRow {
        synced: Some(Extent::Front),
        epochs: Some(Epochs::Known),
        offset_index_is_sound: Some(false),
        ..ANY
    },
    SegmentRow {
        synced: Some(Extent::Front),
        epochs: Some(Epochs::Known),
        offset_index_is_sound: Some(true),
        time_index_is_sound: Some(false),
        ..ANY
    },
    SegmentRow {
        synced: Some(Extent::Front),
        epochs: Some(Epochs::Known),
        offset_index_is_sound: Some(true),
        time_index_is_sound: Some(true),
        check: SegmentCheck::WalkTail,
        ..ANY
    },
    SegmentRow {
        synced: Some(Extent::Wholly),
        epochs: Some(Epochs::Lost),
        ..ANY
    },
    SegmentRow {
        synced: Some(Extent::Wholly),
        epochs: Some(Epochs::Known),
        offset_index_is_sound: Some(false),
        ..ANY
    },
    SegmentRow {
        synced: Some(Extent::Wholly),
        epochs: Some(Epochs::Known),
        offset_index_is_sound: Some(true),
        time_index_is_sound: Some(false),
        ..ANY
    },
    SegmentRow {
        synced: Some(Extent::Wholly),
        role: Some(Role::Closed),
        epochs: Some(Epochs::Known),
        offset_index_is_sound: Some(true),
        time_index_is_sound: Some(true),
        check: SegmentCheck::Trust,
    },
    SegmentRow {
        synced: Some(Extent::Wholly),
        role: Some(Role::Active),
        epochs: Some(Epochs::Known),
        offset_index_is_sound: Some(true),
        time_index_is_sound: Some(true),
        check: SegmentCheck::WalkTail,
    },
];

/// How to look at a segment.
#[must_use]
pub fn check_for(facts: &SegmentFacts) -> SegmentCheck {
    SEGMENT_ROWS
        .iter()
        .find(|row| row.matches(facts))
        .map_or(SegmentCheck::WalkAll, |row| row.check)
}

/// How the walk over the batches of a segment ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WalkEnd {
    /// The last batch ends where the file does.
    Complete,
    /// So too, but the next segment begins at a later offset: what stood between is not in the file.
    Short,
    /// The file ends inside a batch.
    Torn,
    /// Nothing but zeroes from here to the end of the file.
    Zeroes,
    /// These bytes are not the batch that belongs here: checksum, length, format or offset.
    Corrupt,
    /// The last batch ends where the next segment begins, and the file does not: what is behind was written before that segment was begun,
    /// and that it was cut off again is not on the disk.
    Surplus,
}

/// What to do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Keep,
    /// The segment ends at the first bad batch; segments after it are removed.
    Cut,
    /// The segment ends at the first bad batch; segments after it stay.
    CutSurplus,
    /// Nothing is touched; the partition stays offline and the log says which file and where.
    Quarantine,
}

const ENDS: [(WalkEnd, Synced, Verdict); 12] = [
    (WalkEnd::Complete, Synced::Partly, Verdict::Keep),
    (WalkEnd::Complete, Synced::Wholly, Verdict::Keep),
    (WalkEnd::Short, Synced::Partly, Verdict::Cut),
    (WalkEnd::Short, Synced::Wholly, Verdict::Keep),
    (WalkEnd::Torn, Synced::Partly, Verdict::Cut),
    (WalkEnd::Torn, Synced::Wholly, Verdict::Quarantine),
    (WalkEnd::Zeroes, Synced::Partly, Verdict::Cut),
    (WalkEnd::Zeroes, Synced::Wholly, Verdict::Quarantine),
    (WalkEnd::Corrupt, Synced::Partly, Verdict::Cut),
    (WalkEnd::Corrupt, Synced::Wholly, Verdict::Quarantine),
    (WalkEnd::Surplus, Synced::Partly, Verdict::CutSurplus),
    (WalkEnd::Surplus, Synced::Wholly, Verdict::Quarantine),
];

/// What to do with a segment whose walk ended so; `synced` is said of the first bad batch.
#[must_use]
pub fn verdict_for(end: WalkEnd, synced: Synced) -> Verdict {
    ENDS.iter()
        .find(|(row_end, row_synced, _)| *row_end == end && *row_synced == synced)
        .map_or(Verdict::Quarantine, |(_, _, verdict)| *verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_all_is_synced_at_once() {
        let mebibyte = 1024 * 1024;
        let table = [
            (0, 0, true),
            (0, 1, false),
            (12, 0, true),
            (12, 6 * mebibyte, true),
            (12, 6 * mebibyte + 1, false),
            (5000, 2500 * mebibyte, true),
            (5000, 2501 * mebibyte, false),
            (usize::MAX, u64::MAX, true),
        ];
        for (logs, dirty_bytes, expected) in table {
            assert_eq!(
                is_sooner_synced_at_once(logs, dirty_bytes),
                expected,
                "{logs} {dirty_bytes}"
            );
        }
    }

    fn all_facts() -> Vec<SegmentFacts> {
        let states = [IndexState::Missing, IndexState::Torn, IndexState::Sound];
        let mut all = Vec::new();
        for synced in [Extent::Nothing, Extent::Front, Extent::Wholly] {
            for role in [Role::Closed, Role::Active] {
                for epochs in [Epochs::Known, Epochs::Lost] {
                    for offset_index in states {
                        for time_index in states {
                            all.push(SegmentFacts {
                                synced,
                                role,
                                epochs,
                                offset_index,
                                time_index,
                            });
                        }
                    }
                }
            }
        }
        all
    }

    #[test]
    fn the_segment_table_is_total_and_unambiguous() {
        let all = all_facts();
        assert_eq!(all.len(), 3 * 2 * 2 * 3 * 3);
        for facts in &all {
            let rows = SEGMENT_ROWS.iter().filter(|row| row.matches(facts)).count();
            assert_eq!(rows, 1, "{facts:?}");
        }
        for row in &SEGMENT_ROWS {
            assert!(all.iter().any(|facts| row.matches(facts)), "a row that nothing matches");
        }
    }

    #[test]
    fn only_what_is_synced_and_indexed_is_trusted() {
        for facts in all_facts() {
            let is_sound = facts.offset_index == IndexState::Sound && facts.time_index == IndexState::Sound;
            let may_use = facts.synced != Extent::Nothing && facts.epochs == Epochs::Known && is_sound;
            assert_eq!(check_for(&facts) != SegmentCheck::WalkAll, may_use, "{facts:?}");
            assert!(check_for(&facts) != SegmentCheck::Trust || facts.synced == Extent::Wholly);
        }
    }

    #[test]
    fn the_table_of_ends_is_total_and_unambiguous() {
        let ends = [
            WalkEnd::Complete,
            WalkEnd::Short,
            WalkEnd::Torn,
            WalkEnd::Zeroes,
            WalkEnd::Corrupt,
            WalkEnd::Surplus,
        ];
        assert_eq!(ENDS.len(), ends.len() * 2);
        for end in ends {
            for synced in [Synced::Wholly, Synced::Partly] {
                let rows = ENDS.iter().filter(|row| row.0 == end && row.1 == synced).count();
                assert_eq!(rows, 1, "{end:?} {synced:?}");
                let cuts = matches!(verdict_for(end, synced), Verdict::Cut | Verdict::CutSurplus);
                assert!(!cuts || synced == Synced::Partly, "synced data is never cut");
            }
        }
    }
}
