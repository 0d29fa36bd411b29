//! Blocks of a segment that the file system finds before there is anything to write in them: when, and how many.
//!
//! A file system that finds them late, when the page cache is written out, holds those who write to the file meanwhile. It pays for
//! segments that fill fast, and only for those: what is reserved and not written takes room from everybody else.

use std::time::Duration;

use crate::base::time::Monotonic;

/// So many parts of the spare room of a disk are for what is reserved and not written.
const ALLOWANCE_PARTS: u64 = 8;

/// So many parts of what is left of that are for one extent, so that those who come later find some.
const EXTENT_PARTS: u64 = 4;

/// Measures of reserving.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measures {
    /// Bytes that are appended between two looks.
    pub look_bytes: u64,
    /// A log that took them in less time is hot.
    pub look_within: Duration,
    /// Bytes that a hot segment has reserved ahead of its end, at most; half of them are there when more are wanted.
    pub ahead_bytes: u64,
    /// Fewer are not worth the call.
    pub extent_bytes_min: u64,
}

/// Bytes that the logs of a directory may have reserved, where so many are free above what is little.
#[must_use]
pub fn allowance(spare_bytes: u64) -> u64 {
    spare_bytes / ALLOWANCE_PARTS
}

/// How fast a log grows.
#[derive(Clone, Copy, Default, Debug)]
pub struct Heat {
    /// The last look.
    looked: Option<Monotonic>,
    is_fast: bool,
}

impl Heat {
    /// [`Measures::look_bytes`] were appended since the last look.
    pub fn note(&mut self, now: Monotonic, measures: &Measures) {
        let last = self.looked.replace(now);
        self.is_fast = last.is_some_and(|last| now.since(last) <= measures.look_within);
    }

    #[must_use]
    pub fn demand(&self, now: Monotonic, measures: &Measures) -> Demand {
        let is_recent = self
            .looked
            .is_some_and(|looked| now.since(looked) <= measures.look_within);
        if self.is_fast && is_recent {
            Demand::Hot
        } else {
            Demand::None
        }
    }
}

/// What a segment wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    None,
    /// It fills fast.
    Hot,
    /// As its topic is set (`preallocate`), from its beginning to its end.
    Whole,
}

/// A segment as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Of its batches.
    pub bytes: u64,
    /// Its blocks are reserved up to here; below `bytes` there are none.
    pub reserved_to: u64,
    pub segment_bytes_max: u64,
    /// What may still be reserved in its directory.
    pub allowance_bytes: u64,
}

/// Bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    pub begin: u64,
    pub end: u64,
}

impl Extent {
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end - self.begin
    }
}

/// What to reserve of a segment; `None` where there is enough, or no room for it.
#[must_use]
pub fn plan_reserve(demand: Demand, segment: &Standing, measures: &Measures) -> Option<Extent> {
    let (ahead_bytes, bytes_max) = match demand {
        Demand::None => return None,
        Demand::Hot => (measures.ahead_bytes, segment.allowance_bytes / EXTENT_PARTS),
        Demand::Whole => (segment.segment_bytes_max, segment.allowance_bytes),
    };
    let begin = segment.reserved_to.max(segment.bytes);
    if begin - segment.bytes > measures.ahead_bytes / 2 {
        return None;
    }
    let wanted_to = segment.bytes.saturating_add(ahead_bytes);
    // No rest of a segment is left that is not worth a call of its own.
    let wanted_to = if wanted_to.saturating_add(measures.extent_bytes_min) > segment.segment_bytes_max {
        segment.segment_bytes_max
    } else {
        wanted_to
    };
    let bytes = wanted_to.saturating_sub(begin).min(bytes_max);
    (bytes >= measures.extent_bytes_min).then_some(Extent {
        begin,
        end: begin + bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    const MEASURES: Measures = Measures {
        look_bytes: 8 * MIB,
        look_within: Duration::from_secs(4),
        ahead_bytes: 64 * MIB,
        extent_bytes_min: 4 * MIB,
    };

    fn plan(demand: Demand, bytes: u64, reserved_to: u64, segment_bytes_max: u64, allowance_bytes: u64) -> (u64, u64) {
        let segment = Standing {
            bytes,
            reserved_to,
            segment_bytes_max,
            allowance_bytes,
        };
        let plan = plan_reserve(demand, &segment, &MEASURES);
        plan.map_or((0, 0), |extent| {
            assert_eq!(extent.bytes(), extent.end - extent.begin);
            (extent.begin / MIB, extent.end / MIB)
        })
    }

    #[test]
    fn a_hot_segment_has_extents_ahead_of_its_end() {
        use Demand::{Hot, None, Whole};
        let (bytes, max, much) = (100 * MIB, GIB, 100 * GIB);
        for (demand, bytes, reserved_to, max, allowance, planned) in [
            (None, bytes, 0, max, much, (0, 0)),
            (Hot, 0, 0, max, much, (0, 64)),
            (Hot, bytes, 0, max, much, (100, 164)),
            // Half of it is left, and less.
            (Hot, bytes, 133 * MIB, max, much, (0, 0)),
            (Hot, bytes, 132 * MIB, max, much, (132, 164)),
            (Hot, bytes, 110 * MIB, max, much, (110, 164)),
            // Appends were faster.
            (Hot, bytes, 90 * MIB, max, much, (100, 164)),
            // The end of the segment.
            (Hot, bytes, 132 * MIB, 167 * MIB, much, (132, 167)),
            (Hot, bytes, 132 * MIB, 168 * MIB, much, (132, 164)),
            (Hot, bytes, 132 * MIB, 136 * MIB, much, (132, 136)),
            (Hot, bytes, 132 * MIB, 135 * MIB, much, (0, 0)),
            (Hot, bytes, 0, bytes, much, (0, 0)),
            (Hot, bytes, 0, bytes - 1, much, (0, 0)),
            // A small segment.
            (Hot, 0, 0, 4 * MIB, much, (0, 4)),
            (Hot, 0, 0, 4 * MIB - 1, much, (0, 0)),
            // Others have reserved.
            (Hot, bytes, 0, max, 80 * MIB, (100, 120)),
            (Hot, bytes, 0, max, 16 * MIB, (100, 104)),
            (Hot, bytes, 0, max, 16 * MIB - 1, (0, 0)),
            (Hot, bytes, 0, max, 0, (0, 0)),
            // All of it, or what there is.
            (Whole, 0, 0, max, much, (0, 1024)),
            (Whole, bytes, 0, max, much, (100, 1024)),
            (Whole, bytes, GIB, max, much, (0, 0)),
            (Whole, bytes, 1000 * MIB, max, much, (0, 0)),
            (Whole, bytes, 164 * MIB, max, much, (0, 0)),
            (Whole, bytes, 132 * MIB, max, much, (132, 1024)),
            (Whole, bytes, 0, max, 80 * MIB, (100, 180)),
            (Whole, bytes, 0, max, 4 * MIB - 1, (0, 0)),
            (Whole, 0, 0, 4 * MIB - 1, much, (0, 0)),
            (Hot, u64::MAX - 1, 0, u64::MAX, u64::MAX, (0, 0)),
        ] {
            let told = format!("{demand:?} {bytes} {reserved_to} {max} {allowance}");
            assert_eq!(plan(demand, bytes, reserved_to, max, allowance), planned, "{told}");
        }
    }

    #[test]
    fn a_log_is_hot_while_it_fills_fast() {
        let at = |seconds: u64| Monotonic(seconds * 1_000_000_000);
        let mut heat = Heat::default();
        assert_eq!(heat.demand(at(0), &MEASURES), Demand::None);
        heat.note(at(10), &MEASURES);
        assert_eq!(
            heat.demand(at(10), &MEASURES),
            Demand::None,
            "the first bytes tell nothing"
        );
        heat.note(at(14), &MEASURES);
        assert_eq!(heat.demand(at(18), &MEASURES), Demand::Hot);
        assert_eq!(heat.demand(at(19), &MEASURES), Demand::None, "nothing comes any more");
        heat.note(at(19), &MEASURES);
        assert_eq!(heat.demand(at(19), &MEASURES), Demand::None, "it took too long");
        heat.note(at(20), &MEASURES);
        assert_eq!(heat.demand(at(20), &MEASURES), Demand::Hot);
    }

    #[test]
    fn a_part_of_the_spare_room_is_reserved() {
        assert_eq!(allowance(0), 0);
        assert_eq!(allowance(80 * GIB), 10 * GIB);
    }
}
