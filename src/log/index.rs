//! The two indexes of a segment, as bytes. Both are derived from the batches, and rebuilt when they are missing or torn.
//!
//! ```text
//! .index       entry of 8 bytes, big-endian     0 relative offset i32   4 position i32
//! .timeindex   entry of 12 bytes, big-endian    0 timestamp i64         8 relative offset i32
//! ```
//!
//! Relative offsets count from the segment's base offset and name the *last* record of a batch; positions are where that
//! batch begins. Offsets and timestamps only grow along a file. A file may end in zeroes: Kafka makes index files at their full
//! size and cuts them when it closes them. (`OffsetIndex`, `TimeIndex`)

use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;

/// Bytes of an entry of the offset index.
pub const OFFSET_ENTRY_BYTES: u32 = 8;
/// Bytes of an entry of the time index.
pub const TIME_ENTRY_BYTES: u32 = 12;

/// One entry of the offset index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetEntry {
    /// Offset of the last record of a batch.
    pub last_offset: Offset,
    /// Where that batch begins.
    pub position: FilePosition,
}

impl OffsetEntry {
    /// `None` when it does not fit a segment with this base offset.
    #[must_use]
    pub fn encode(&self, base_offset: Offset) -> Option<[u8; 8]> {
        let relative = i32::try_from(self.last_offset.distance_from(base_offset)).ok()?;
        let position = i32::try_from(self.position.0).ok()?;
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&relative.to_be_bytes());
        bytes[4..].copy_from_slice(&position.to_be_bytes());
        Some(bytes)
    }

    #[must_use]
    pub fn decode(bytes: &[u8; 8], base_offset: Offset) -> Self {
        let [a, b, c, d, e, f, g, h] = *bytes;
        Self {
            last_offset: base_offset.plus(i64::from(i32::from_be_bytes([a, b, c, d]))),
            position: FilePosition(u64::from(u32::from_be_bytes([e, f, g, h]))),
        }
    }
}

/// The last entry of an offset index that lies below `limit`, and how many entries there are up to it. Behind them may stand anything: what
/// was not synced when the machine stopped.
#[must_use]
pub fn last_offset_entry_below(bytes: &[u8], base_offset: Offset, limit: Offset) -> (Option<OffsetEntry>, u32) {
    let (mut last, mut count) = (None, 0);
    for entry in bytes.as_chunks::<8>().0 {
        let entry = OffsetEntry::decode(entry, base_offset);
        let grows =
            last.is_none_or(|last: OffsetEntry| entry.last_offset > last.last_offset && entry.position > last.position);
        if !grows || entry.position == FilePosition::ZERO || entry.last_offset >= limit {
            break;
        }
        (last, count) = (Some(entry), count + 1);
    }
    (last, count)
}

/// As [`last_offset_entry_below`], of a time index.
#[must_use]
pub fn last_time_entry_below(bytes: &[u8], base_offset: Offset, limit: Offset) -> (Option<TimeEntry>, u32) {
    let (mut last, mut count) = (None, 0);
    for entry in bytes.as_chunks::<12>().0 {
        let entry = TimeEntry::decode(entry, base_offset);
        let grows = last.is_none_or(|last: TimeEntry| entry.timestamp > last.timestamp && entry.offset > last.offset);
        if !grows || entry.offset < base_offset || entry.offset >= limit {
            break;
        }
        (last, count) = (Some(entry), count + 1);
    }
    (last, count)
}

/// One entry of the time index: every record up to `offset` has a timestamp of at most `timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeEntry {
    pub timestamp: TimestampMs,
    /// Offset of the last record of the first batch with this timestamp.
    pub offset: Offset,
}

impl TimeEntry {
    /// What an empty segment or time index has.
    #[must_use]
    pub fn none(base_offset: Offset) -> Self {
        Self {
            timestamp: TimestampMs::NONE,
            offset: base_offset,
        }
    }

    /// `None` when it does not fit a segment with this base offset.
    #[must_use]
    pub fn encode(&self, base_offset: Offset) -> Option<[u8; 12]> {
        let relative = i32::try_from(self.offset.distance_from(base_offset)).ok()?;
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.timestamp.0.to_be_bytes());
        bytes[8..].copy_from_slice(&relative.to_be_bytes());
        Some(bytes)
    }

    #[must_use]
    pub fn decode(bytes: &[u8; 12], base_offset: Offset) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        Self {
            timestamp: TimestampMs(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
            offset: base_offset.plus(i64::from(i32::from_be_bytes([i, j, k, l]))),
        }
    }
}

/// What is found when an index file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexState {
    Missing,
    /// Its size or its last entry is impossible.
    Torn,
    Sound,
}

/// Judges an offset index by its size and its last entry, for a segment of `log_bytes` bytes (`OffsetIndex.sanityCheck`).
#[must_use]
pub fn judge_offset_index(
    file_bytes: u64,
    last: Option<OffsetEntry>,
    base_offset: Offset,
    log_bytes: u64,
) -> IndexState {
    let last_is_possible = match last {
        None => file_bytes == 0,
        Some(entry) => entry.last_offset >= base_offset && entry.position.0 < log_bytes,
    };
    if file_bytes.is_multiple_of(u64::from(OFFSET_ENTRY_BYTES)) && last_is_possible {
        IndexState::Sound
    } else {
        IndexState::Torn
    }
}

/// Judges a time index by its size and its last entry, for a segment of `log_bytes` bytes (`TimeIndex.sanityCheck`).
///
/// A segment that was closed has the largest of its timestamps there: an index without entries beside batches is torn.
#[must_use]
pub fn judge_time_index(file_bytes: u64, last: Option<TimeEntry>, base_offset: Offset, log_bytes: u64) -> IndexState {
    let last_is_possible = match last {
        None => file_bytes == 0 && log_bytes == 0,
        Some(entry) => entry.offset >= base_offset && entry.timestamp.0 >= 0,
    };
    if file_bytes.is_multiple_of(u64::from(TIME_ENTRY_BYTES)) && last_is_possible {
        IndexState::Sound
    } else {
        IndexState::Torn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kafkas_bytes() {
        let base = Offset(1000);
        let entry = OffsetEntry {
            last_offset: Offset(1258),
            position: FilePosition(0x0102_0304),
        };
        assert_eq!(entry.encode(base), Some([0, 0, 1, 2, 1, 2, 3, 4]));
        assert_eq!(OffsetEntry::decode(&[0, 0, 1, 2, 1, 2, 3, 4], base), entry);

        let entry = TimeEntry {
            timestamp: TimestampMs(258),
            offset: Offset(1003),
        };
        assert_eq!(entry.encode(base), Some([0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]));
        assert_eq!(TimeEntry::decode(&[0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3], base), entry);
    }

    #[test]
    fn entries_out_of_range_are_refused() {
        let far = Offset(i64::from(i32::MAX) + 1);
        let position = FilePosition(1 << 31);
        assert_eq!(
            OffsetEntry {
                last_offset: far,
                position: FilePosition(0)
            }
            .encode(Offset(0)),
            None
        );
        assert_eq!(
            OffsetEntry {
                last_offset: Offset(0),
                position
            }
            .encode(Offset(0)),
            None
        );
        assert_eq!(
            TimeEntry {
                timestamp: TimestampMs(0),
                offset: far
            }
            .encode(Offset(0)),
            None
        );
    }

    #[test]
    fn indexes_are_judged_by_size_and_last_entry() {
        let entry = |last_offset, position| {
            Some(OffsetEntry {
                last_offset: Offset(last_offset),
                position: FilePosition(position),
            })
        };
        for (bytes, last, state) in [
            (0, None, IndexState::Sound),
            (8, entry(10, 0), IndexState::Sound),
            (8, entry(10, 99), IndexState::Sound),
            (8, entry(10, 100), IndexState::Torn),
            (8, entry(9, 0), IndexState::Torn),
            (9, entry(10, 0), IndexState::Torn),
            (8, None, IndexState::Torn),
        ] {
            assert_eq!(
                judge_offset_index(bytes, last, Offset(10), 100),
                state,
                "{bytes} {last:?}"
            );
        }
    }
}
