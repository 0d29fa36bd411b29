//! Where a read begins and ends: the plan of one read, and the positions remembered for it.

use thiserror::Error;

use crate::base::offset::{FilePosition, Offset};

use super::state::LogState;

/// Positions remembered for readers, and as many for what was appended last.
const POSITION_HINTS: usize = 8;

/// What to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadRequest {
    /// First offset wanted; the batch that holds it is returned whole.
    pub offset: Offset,
    /// Nothing from here on: high watermark, last stable offset, or log end offset; begins a batch.
    pub upper: Offset,
    pub bytes_max: u32,
    /// Whether the first batch is returned even when it alone is larger than `bytes_max`.
    pub first_batch: FirstBatch,
}

/// What happens when the first batch does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstBatch {
    /// It is returned, whole.
    Whole,
    /// Nothing is returned.
    IfItFits,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ReadError {
    /// The reader must choose another offset.
    #[error("offset {offset} is not in the log [{log_start_offset}, {log_end_offset}]")]
    OutOfRange {
        offset: Offset,
        log_start_offset: Offset,
        log_end_offset: Offset,
    },
}

/// A place in a segment's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Known(FilePosition),
    /// Where the batch with this offset begins, to be searched with the segment's index.
    BatchOf(Offset),
}

/// What to read of which file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadPlan {
    /// Nothing yet.
    Empty,
    Segment {
        base_offset: Offset,
        start: Place,
        end: Place,
        /// Offset that follows `end`.
        end_offset: Offset,
        /// Bytes of the segment.
        segment_bytes: u32,
    },
}

/// Plans a read; changes nothing.
///
/// # Errors
/// [`ReadError::OutOfRange`] before the log's start and after its end.
pub fn plan_read(state: &LogState, request: &ReadRequest) -> Result<ReadPlan, ReadError> {
    let (log_start_offset, log_end_offset) = (state.log_start_offset(), state.log_end_offset());
    if request.offset < log_start_offset || request.offset > log_end_offset {
        return Err(ReadError::OutOfRange {
            offset: request.offset,
            log_start_offset,
            log_end_offset,
        });
    }
    let upper = request.upper.min(log_end_offset);
    if request.offset >= upper {
        return Ok(ReadPlan::Empty);
    }
    let mut index = state.segment_index_of(request.offset);
    let mut start = place_of(state, index, request.offset);
    // The offset may lie after the last batch of a segment: the next batch then begins the next segment.
    while let (Place::Known(position), Some(segment)) = (start, state.segments().get(index)) {
        if position < segment.end_position() {
            break;
        }
        index += 1;
        start = Place::Known(FilePosition::ZERO);
    }
    Ok(plan_segment(state, index, start, upper))
}

/// Plans a read of the segment after `base_offset`, when a search found nothing in that one.
#[must_use]
pub fn plan_next_segment(state: &LogState, base_offset: Offset, upper: Offset) -> ReadPlan {
    let index = state
        .segments()
        .partition_point(|segment| segment.base_offset <= base_offset);
    plan_segment(
        state,
        index,
        Place::Known(FilePosition::ZERO),
        upper.min(state.log_end_offset()),
    )
}

fn plan_segment(state: &LogState, index: usize, start: Place, upper: Offset) -> ReadPlan {
    let Some(segment) = state.segments().get(index) else {
        return ReadPlan::Empty;
    };
    if upper <= segment.base_offset {
        return ReadPlan::Empty;
    }
    let next_base = state.segments().get(index + 1).map(|next| next.base_offset);
    let segment_end = next_base.unwrap_or(state.log_end_offset());
    let (end, end_offset) = if upper >= segment_end {
        (Place::Known(segment.end_position()), segment_end)
    } else {
        (place_of(state, index, upper), upper)
    };
    ReadPlan::Segment {
        base_offset: segment.base_offset,
        start,
        end,
        end_offset,
        segment_bytes: segment.bytes,
    }
}

/// Where `offset` stands in a segment, as far as it is known without a look into files.
fn place_of(state: &LogState, index: usize, offset: Offset) -> Place {
    let Some(segment) = state.segments().get(index) else {
        return Place::BatchOf(offset);
    };
    if offset <= segment.base_offset {
        return Place::Known(FilePosition::ZERO);
    }
    match state.hints().find(offset, segment.base_offset) {
        Some(position) => Place::Known(position),
        None => Place::BatchOf(offset),
    }
}

/// The batch at or after `offset` begins at `position` of `segment`, or, when `position` is its end, in the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hint {
    pub offset: Offset,
    pub segment: Offset,
    pub position: FilePosition,
}

/// A few remembered positions, so that a reader who goes on where it stopped needs no index.
///
/// What was appended last and what was read last are kept apart: a busy producer must not push out a slow reader. A reader that
/// goes on takes the place of its own last read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PositionHints {
    appended: [Option<Hint>; POSITION_HINTS],
    read: [Option<Hint>; POSITION_HINTS],
    appended_next: u8,
    read_next: u8,
}

impl PositionHints {
    #[must_use]
    pub fn find(&self, offset: Offset, segment: Offset) -> Option<FilePosition> {
        self.appended
            .iter()
            .chain(&self.read)
            .flatten()
            .find(|hint| hint.offset == offset && hint.segment == segment)
            .map(|hint| hint.position)
    }

    pub(super) fn note_appended(&mut self, hint: Hint) {
        put(&mut self.appended, &mut self.appended_next, hint);
    }

    /// Forgets positions in segments whose files are others from here on.
    pub(super) fn forget(&mut self, is_gone: impl Fn(Offset) -> bool) {
        for hint in self.appended.iter_mut().chain(&mut self.read) {
            if hint.is_some_and(|hint| is_gone(hint.segment)) {
                *hint = None;
            }
        }
    }

    pub(super) fn note_read(&mut self, from: Offset, next: Hint) {
        let own = self
            .read
            .iter_mut()
            .find(|hint| hint.is_some_and(|hint| hint.offset == from));
        match own {
            Some(own) => *own = Some(next),
            None => put(&mut self.read, &mut self.read_next, next),
        }
    }
}

fn put(ring: &mut [Option<Hint>; POSITION_HINTS], next: &mut u8, hint: Hint) {
    let index = usize::from(*next) % POSITION_HINTS;
    ring[index] = Some(hint);
    *next = next.wrapping_add(1);
}

const _: () = assert!(POSITION_HINTS.is_power_of_two());

#[cfg(test)]
mod tests;
