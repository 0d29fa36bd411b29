//! What goes when the end of a log is taken back: the plan.
//!
//! A replica whose log goes on where its leader's does not ends it there (`LocalLog.truncateTo`). Batches go whole: the one that holds the offset goes
//! with those after it.

use crate::base::offset::{FilePosition, Offset};

use super::state::LogState;

/// What is known of the segment that holds the offset, once it was searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boundary {
    /// The first batch that reaches the offset, or goes beyond it.
    Batch {
        position: FilePosition,
        base_offset: Offset,
    },
    /// All batches of the segment end before it.
    Behind,
}

/// What goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Truncation {
    /// Base offset of the segment that will be the active one.
    pub segment: Offset,
    /// Where that one is cut; `None` when all its batches stay.
    pub cut: Option<FilePosition>,
    /// Base offsets of the segments behind it, which go, the last one first: a crash between two leaves a log without a gap.
    pub removed: Vec<Offset>,
    /// Everything below stays as it is; a recovery point above is not true any more.
    pub kept_end: Offset,
}

/// The segment in which the boundary of `to` is searched; `None` when the log does not reach `to`.
#[must_use]
pub fn segment_to_search(state: &LogState, to: Offset) -> Option<Offset> {
    if to >= state.log_end_offset() {
        return None;
    }
    let to = to.max(state.log_start_offset());
    let segment = state.segments().get(state.segment_index_of(to))?;
    Some(segment.base_offset)
}

/// Plans what goes so that the log does not reach beyond `to`; changes nothing. `segment` is what [`segment_to_search`] named, and `boundary`
/// what was found there.
#[must_use]
pub fn plan_truncation(state: &LogState, to: Offset, segment: Offset, boundary: Boundary) -> Truncation {
    let behind = state.segments().iter().rev();
    let behind = behind.map(|one| one.base_offset).take_while(|base| *base > segment);
    let (cut, kept_end) = match boundary {
        Boundary::Batch { position, base_offset } => (Some(position), to.min(base_offset)),
        Boundary::Behind => (None, to),
    };
    Truncation {
        segment,
        cut,
        removed: behind.collect(),
        kept_end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::TimestampMs;

    /// Segments at 10, 20 and 30, the last one empty.
    fn state() -> LogState {
        let mut state = LogState::new(Offset(10), TimestampMs(0));
        state.begin_segment(Offset(20), TimestampMs(0));
        state.begin_segment(Offset(30), TimestampMs(0));
        state
    }

    #[test]
    fn the_segment_of_the_offset_is_searched() {
        let table = [
            (0, Some(10)),
            (10, Some(10)),
            (19, Some(10)),
            (20, Some(20)),
            (29, Some(20)),
            (30, None),
            (31, None),
        ];
        for (to, expected) in table {
            assert_eq!(segment_to_search(&state(), Offset(to)), expected.map(Offset), "{to}");
        }
    }

    #[test]
    fn what_reaches_the_offset_goes_with_all_behind_it() {
        let batch = |position, base_offset| Boundary::Batch {
            position: FilePosition(position),
            base_offset: Offset(base_offset),
        };
        let table = [
            (
                "a batch begins there",
                15,
                10,
                batch(700, 15),
                Some(700),
                vec![30, 20],
                15,
            ),
            ("inside a batch", 15, 10, batch(600, 12), Some(600), vec![30, 20], 12),
            (
                "in a hole, with a batch behind it",
                15,
                10,
                batch(700, 17),
                Some(700),
                vec![30, 20],
                15,
            ),
            (
                "in a hole at the end of a segment",
                19,
                10,
                Boundary::Behind,
                None,
                vec![30, 20],
                19,
            ),
            ("the begin of a segment", 20, 20, batch(0, 20), Some(0), vec![30], 20),
        ];
        for (what, to, segment, boundary, cut, removed, kept_end) in table {
            let expected = Truncation {
                segment: Offset(segment),
                cut: cut.map(FilePosition),
                removed: removed.into_iter().map(Offset).collect(),
                kept_end: Offset(kept_end),
            };
            let planned = plan_truncation(&state(), Offset(to), Offset(segment), boundary);
            assert_eq!(planned, expected, "{what}");
        }
    }
}
