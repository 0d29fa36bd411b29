//! What to do with a compaction that a stop has interrupted: a decision table, as data.
//!
//! A compacted segment is written under names with `.cleaned`. Its files are synced, get `.swap` for it, and these names are synced:
//! from here on the old segments are as good as gone. They get `.deleted`, the names are synced; the new files get the names of the
//! first old segment, the names are synced; what is `.deleted` goes when its time has come. (`LogSegments.replaceSegments` and
//! `LogLoader`, where these names come from.)
//!
//! | file of segment N        | N.log.swap is | do                                                           |
//! |--------------------------|---------------|--------------------------------------------------------------|
//! | `.cleaned`, `.deleted`   | any           | remove: not of the log, or not any more                      |
//! | `.swap`                  | whole         | finish: remove the segments that it replaces, give it its name |
//! | `.swap`                  | damaged       | quarantine: touch nothing, partition offline                 |
//! | `.swap`                  | missing       | remove: an index is made from the batches                    |
//!
//! What it replaces are the segments that begin from N to where its last batch ends. No batch of theirs lies beyond, for compaction
//! keeps the last one, be it empty.

use crate::log::names::FileMark;

/// What is known of `N.log.swap`, for a file of segment N.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SwapLog {
    Missing,
    Whole,
    /// It was synced before it got its name: the disk or a person has hurt it.
    Damaged,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SwapVerdict {
    Remove,
    Finish,
    Quarantine,
}

const ROWS: [(FileMark, Option<SwapLog>, SwapVerdict); 5] = [
    (FileMark::Cleaned, None, SwapVerdict::Remove),
    (FileMark::Deleted, None, SwapVerdict::Remove),
    (FileMark::Swap, Some(SwapLog::Whole), SwapVerdict::Finish),
    (FileMark::Swap, Some(SwapLog::Damaged), SwapVerdict::Quarantine),
    (FileMark::Swap, Some(SwapLog::Missing), SwapVerdict::Remove),
];

/// What to do with a file with this mark.
#[must_use]
pub fn verdict_for_marked(mark: FileMark, log: SwapLog) -> SwapVerdict {
    ROWS.iter()
        .find(|(row_mark, row_log, _)| *row_mark == mark && row_log.is_none_or(|wanted| wanted == log))
        .map_or(SwapVerdict::Quarantine, |(_, _, verdict)| *verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_total_and_unambiguous() {
        for mark in FileMark::ALL {
            for log in [SwapLog::Missing, SwapLog::Whole, SwapLog::Damaged] {
                let rows = ROWS
                    .iter()
                    .filter(|row| row.0 == mark && row.1.is_none_or(|wanted| wanted == log));
                assert_eq!(rows.count(), 1, "{mark:?} {log:?}");
                let is_finished = verdict_for_marked(mark, log) == SwapVerdict::Finish;
                assert_eq!(is_finished, mark == FileMark::Swap && log == SwapLog::Whole);
            }
        }
    }
}
