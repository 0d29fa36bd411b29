use super::*;
use crate::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::base::time::TimestampMs;
use crate::log::{AppendContext, AppendPlan, Batch, Origin, Settings, plan_append};

/// Batches of ten records and a hundred bytes, three to a segment.
fn log(batches: usize) -> LogState {
    let settings = Settings {
        segment_bytes_max: 300,
        ..Settings::default()
    };
    let context = AppendContext {
        settings,
        origin: Origin::Client,
        leader_epoch: LeaderEpoch(0),
        now: TimestampMs(0),
    };
    let batch = Batch {
        base_offset: Offset(0),
        last_offset_delta: 9,
        bytes: 100,
        max_timestamp: TimestampMs(0),
        leader_epoch: LeaderEpoch(0),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: Sequence::NONE,
        is_transactional: false,
        is_control: false,
    };
    let mut state = LogState::new(Offset(0), TimestampMs(0));
    for _ in 0..batches {
        let Ok(AppendPlan::Append(appending)) = plan_append(&state, &batch, &context) else {
            panic!("the batch fits");
        };
        state.apply(&appending);
    }
    state
}

fn plan(state: &LogState, offset: i64, upper: i64) -> Result<ReadPlan, ReadError> {
    let request = ReadRequest {
        offset: Offset(offset),
        upper: Offset(upper),
        bytes_max: 1000,
        first_batch: FirstBatch::Whole,
    };
    plan_read(state, &request)
}

fn known(position: u64) -> Place {
    Place::Known(FilePosition(position))
}

fn segment(base_offset: i64, start: Place, end: Place, end_offset: i64, segment_bytes: u32) -> ReadPlan {
    ReadPlan::Segment {
        base_offset: Offset(base_offset),
        start,
        end,
        end_offset: Offset(end_offset),
        segment_bytes,
    }
}

#[test]
fn reads_are_planned_within_one_segment() {
    let state = log(5);
    let inside = |offset| Place::BatchOf(Offset(offset));
    for (offset, upper, expected) in [
        (0, 50, segment(0, known(0), known(300), 30, 300)),
        // What was appended last is known by position.
        (10, 50, segment(0, known(100), known(300), 30, 300)),
        (40, 50, segment(30, known(100), known(200), 50, 200)),
        (30, 99, segment(30, known(0), known(200), 50, 200)),
        (0, 20, segment(0, known(0), known(200), 20, 300)),
        (0, 30, segment(0, known(0), known(300), 30, 300)),
        (30, 40, segment(30, known(0), known(100), 40, 200)),
        (5, 50, segment(0, inside(5), known(300), 30, 300)),
        (15, 25, segment(0, inside(15), inside(25), 25, 300)),
        (0, 0, ReadPlan::Empty),
        (50, 50, ReadPlan::Empty),
        (20, 10, ReadPlan::Empty),
    ] {
        assert_eq!(plan(&state, offset, upper), Ok(expected), "[{offset}, {upper})");
    }
}

#[test]
fn offsets_out_of_range_are_told() {
    let mut state = log(5);
    assert!(matches!(plan(&state, 51, 51), Err(ReadError::OutOfRange { .. })));
    assert!(matches!(plan(&state, -1, 50), Err(ReadError::OutOfRange { .. })));
    let forgotten = state.advance_log_start_to(Offset(35));
    assert_eq!(forgotten.len(), 1);
    assert!(matches!(plan(&state, 34, 50), Err(ReadError::OutOfRange { .. })));
    assert!(plan(&state, 35, 50).is_ok());
}

#[test]
fn a_sequential_reader_is_remembered_beside_a_busy_producer() {
    let mut state = log(2);
    let hint = |offset, position| Hint {
        offset: Offset(offset),
        segment: Offset(0),
        position: FilePosition(position),
    };
    for reader in 0..20 {
        state.note_read(Offset(0), hint(101 + reader, 50));
        assert_eq!(
            state.hints().find(Offset(101 + reader), Offset(0)),
            Some(FilePosition(50))
        );
    }
    state.note_read(Offset(120), hint(99, 77));
    assert_eq!(state.hints().find(Offset(120), Offset(0)), None, "it went on");
    assert_eq!(state.hints().find(Offset(99), Offset(0)), Some(FilePosition(77)));
    assert_eq!(state.hints().find(Offset(99), Offset(30)), None, "of another segment");
    assert_eq!(
        state.hints().find(Offset(20), Offset(0)),
        Some(FilePosition(200)),
        "the end of the log"
    );
}
