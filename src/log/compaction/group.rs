//! Which neighbouring segments become one (`Cleaner.groupSegmentsBySize`).

use std::ops::Range;

use crate::base::offset::Offset;
use crate::log::index::TIME_ENTRY_BYTES;
use crate::log::segment::{Segment, Settings};
use crate::record::BATCH_HEADER_BYTES;

/// Parts `segments` into groups, each of which becomes one segment that is not larger than a topic's may be: in bytes, in bytes of an
/// index, in offsets. `end` follows the last of them.
#[must_use]
pub fn group(segments: &[Segment], end: Offset, settings: &Settings) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut bytes, mut index_bytes) = (0, 0);
    for (index, segment) in segments.iter().enumerate() {
        let (more, more_index) = (u64::from(segment.bytes), index_bytes_of(segment, settings));
        let segment_end = segments.get(index + 1).map_or(end, |next| next.base_offset);
        let fits = |group: &Range<usize>| {
            let base_offset = segments[group.start].base_offset;
            bytes + more <= u64::from(settings.segment_bytes_max)
                && index_bytes + more_index <= u64::from(settings.index_bytes_max)
                && segment_end.distance_from(base_offset) <= i64::from(i32::MAX)
        };
        match groups.last_mut() {
            Some(group) if fits(group) => {
                group.end += 1;
                bytes += more;
                index_bytes += more_index;
            }
            Some(_) | None => {
                groups.push(index..index + 1);
                (bytes, index_bytes) = (more, more_index);
            }
        }
    }
    groups
}

/// Bytes that the larger of a segment's indexes has at most: an entry for each interval, at most one for each batch.
fn index_bytes_of(segment: &Segment, settings: &Settings) -> u64 {
    let interval = u64::from(settings.index_interval_bytes).max(BATCH_HEADER_BYTES as u64);
    (u64::from(segment.bytes) / interval + 1) * u64::from(TIME_ENTRY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: i64 = i32::MAX as i64;

    #[test]
    fn groups_are_as_large_as_a_segment_may_be() {
        for (segments, groups) in [
            (&[][..], &[][..]),
            (&[(0, 100)], &[(0, 1)]),
            (&[(0, 100), (10, 100)], &[(0, 2)]),
            (&[(0, 500), (10, 500), (20, 1)], &[(0, 2), (2, 3)]),
            (&[(0, 999), (10, 2), (20, 998)], &[(0, 1), (1, 3)]),
            // One that is too large stands alone.
            (&[(0, 10), (10, 2000), (20, 10)], &[(0, 1), (1, 2), (2, 3)]),
            // Empty segments cost nothing.
            (&[(0, 1000), (10, 0), (20, 0)], &[(0, 3)]),
            // The last offset must be within reach of the first.
            (&[(0, 1), (10, 1), (FAR, 1)], &[(0, 2), (2, 3)]),
            (&[(0, 1), (10, 1), (FAR + 1, 1)], &[(0, 1), (1, 2), (2, 3)]),
        ] {
            let all: Vec<Segment> = segments
                .iter()
                .map(|&(base, bytes)| Segment {
                    bytes,
                    ..Segment::new(Offset(base))
                })
                .collect();
            let end = segments.last().map_or(0, |(base, _)| base + 10);
            let settings = Settings {
                segment_bytes_max: 1000,
                ..Settings::default()
            };
            let found: Vec<_> = group(&all, Offset(end), &settings)
                .into_iter()
                .map(|group| (group.start, group.end))
                .collect();
            assert_eq!(found, groups, "{segments:?}");
        }
    }

    #[test]
    fn indexes_fit_too() {
        let segment = |base| Segment {
            bytes: 1000,
            ..Segment::new(Offset(base))
        };
        let segments = [segment(0), segment(10), segment(20)];
        for (interval, index_bytes, count) in [
            (100, 264, 2),
            (100, 263, 3),
            (0, 17 * 12 * 3, 1),
            (0, 17 * 12 * 3 - 1, 2),
        ] {
            let settings = Settings {
                index_interval_bytes: interval,
                index_bytes_max: index_bytes,
                ..Settings::default()
            };
            let groups = group(&segments, Offset(30), &settings);
            assert_eq!(groups.len(), count, "{interval} {index_bytes}");
        }
    }
}
