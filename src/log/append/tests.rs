use super::*;
use crate::base::ids::{ProducerEpoch, ProducerId, Sequence};
use crate::log::recovery::rebuild::Rebuild;
use crate::log::segment::RollReason;

const SETTINGS: Settings = Settings {
    preallocate: false,
    segment_bytes_max: 1000,
    segment_ms_max: 500,
    segment_jitter_ms: 0,
    index_bytes_max: 1 << 20,
    index_interval_bytes: 250,
};

fn batch(records: i32, bytes: u32, max_timestamp: i64) -> Batch {
    Batch {
        base_offset: Offset(0),
        last_offset_delta: records - 1,
        bytes,
        max_timestamp: TimestampMs(max_timestamp),
        leader_epoch: LeaderEpoch(-1),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: Sequence::NONE,
        is_transactional: false,
        is_control: false,
    }
}

fn plan(state: &LogState, settings: &Settings, batch: &Batch, now: i64) -> Result<AppendPlan, AppendError> {
    let context = AppendContext {
        settings: *settings,
        origin: Origin::Client,
        leader_epoch: LeaderEpoch(4),
        now: TimestampMs(now),
    };
    plan_append(state, batch, &context)
}

fn append(state: &mut LogState, settings: &Settings, batch: &Batch, now: i64) -> Appending {
    match plan(state, settings, batch, now) {
        Ok(AppendPlan::Append(appending)) => {
            state.apply(&appending);
            appending
        }
        other => panic!("{other:?}"),
    }
}

fn rolls(appended: &Batch, next: &Batch, settings: &Settings, now: i64) -> Option<RollReason> {
    let mut state = LogState::new(Offset(0), TimestampMs(0));
    append(&mut state, settings, appended, 0);
    append(&mut state, settings, next, now).roll.map(|roll| roll.reason)
}

#[test]
fn segments_end_as_kafkas_do() {
    let small_index = Settings {
        index_bytes_max: 12,
        ..SETTINGS
    };
    let unhurried = Settings {
        segment_ms_max: i64::MAX,
        ..SETTINGS
    };
    let jittered = Settings {
        segment_jitter_ms: 100,
        ..SETTINGS
    };
    for (first, next, settings, now, reason) in [
        (batch(1, 500, 0), batch(1, 500, 0), &SETTINGS, 0, None),
        (
            batch(1, 500, 0),
            batch(1, 501, 0),
            &SETTINGS,
            0,
            Some(RollReason::Bytes),
        ),
        // Age counts in timestamps of records where they have some, else by the clock.
        (batch(1, 100, 0), batch(1, 100, 500), &SETTINGS, 9999, None),
        (
            batch(1, 100, 0),
            batch(1, 100, 501),
            &SETTINGS,
            0,
            Some(RollReason::Age),
        ),
        (
            batch(1, 100, 0),
            batch(1, 100, 401),
            &jittered,
            0,
            Some(RollReason::Age),
        ),
        (batch(1, 100, -1), batch(1, 100, -1), &SETTINGS, 500, None),
        (
            batch(1, 100, -1),
            batch(1, 100, -1),
            &SETTINGS,
            501,
            Some(RollReason::Age),
        ),
        (batch(i32::MAX, 100, 0), batch(1, 100, 0), &unhurried, 0, None),
        (
            batch(i32::MAX, 100, 0),
            batch(2, 100, 0),
            &unhurried,
            0,
            Some(RollReason::OffsetRange),
        ),
        (
            batch(1, 100, 0),
            batch(1, 100, 0),
            &small_index,
            0,
            Some(RollReason::IndexFull),
        ),
    ] {
        assert_eq!(rolls(&first, &next, settings, now), reason, "{first:?} {next:?}");
    }
}

#[test]
fn a_batch_larger_than_a_segment_is_refused() {
    let state = LogState::new(Offset(0), TimestampMs(0));
    let refused = plan(&state, &SETTINGS, &batch(1, 1001, 0), 0);
    assert!(matches!(refused, Err(AppendError::BatchTooLarge { bytes: 1001, .. })));
    assert!(plan(&state, &SETTINGS, &batch(1, 1000, 0), 0).is_ok());
}

#[test]
fn plans_change_nothing_and_say_where() {
    let mut state = LogState::new(Offset(10), TimestampMs(0));
    append(&mut state, &SETTINGS, &batch(5, 600, 7), 0);
    let appending = append(&mut state, &SETTINGS, &batch(3, 500, 8), 3);
    assert_eq!((appending.base_offset, appending.last_offset), (Offset(15), Offset(17)));
    assert_eq!((appending.segment, appending.position), (Offset(15), FilePosition(0)));
    assert_eq!(state.log_end_offset(), Offset(18));
    assert_eq!(state.segments().len(), 2);
    assert_eq!(state.active().created, TimestampMs(3));
    assert_eq!(state.bytes(), 1100);
    let before = format!("{state:?}");
    assert!(plan(&state, &SETTINGS, &batch(1, 10, 0), 0).is_ok());
    assert_eq!(format!("{state:?}"), before);
}

#[test]
fn the_first_batch_of_an_epoch_is_noted() {
    let mut state = LogState::new(Offset(0), TimestampMs(0));
    let first = append(&mut state, &SETTINGS, &batch(2, 10, 0), 0);
    assert!(first.epoch_start.is_some());
    assert_eq!(append(&mut state, &SETTINGS, &batch(2, 10, 0), 0).epoch_start, None);
    assert!(state.begin_epoch(LeaderEpoch(5)));
    assert_eq!(state.epochs().epoch_of(Offset(3)), Some(LeaderEpoch(4)));
    assert_eq!(state.epochs().epoch_of(Offset(4)), Some(LeaderEpoch(5)));
}

#[test]
fn a_replica_keeps_offsets_and_epochs() {
    let mut state = LogState::new(Offset(0), TimestampMs(0));
    let context = AppendContext {
        settings: SETTINGS,
        origin: Origin::Replication,
        leader_epoch: LeaderEpoch(9),
        now: TimestampMs(0),
    };
    let copied = Batch {
        base_offset: Offset(7),
        leader_epoch: LeaderEpoch(2),
        ..batch(3, 10, 0)
    };
    let Ok(AppendPlan::Append(appending)) = plan_append(&state, &copied, &context) else {
        panic!("a gap is no error: compaction leaves some");
    };
    assert_eq!(
        (appending.base_offset, appending.leader_epoch),
        (Offset(7), LeaderEpoch(2))
    );
    state.apply(&appending);
    let again = plan_append(&state, &copied, &context);
    assert!(matches!(
        again,
        Err(AppendError::OffsetTaken {
            log_end_offset: Offset(10),
            ..
        })
    ));
}

#[test]
fn a_walked_segment_equals_the_written_one() {
    let settings = Settings {
        segment_bytes_max: u32::MAX,
        segment_ms_max: i64::MAX,
        ..SETTINGS
    };
    let mut state = LogState::new(Offset(100), TimestampMs(0));
    let mut rebuild = Rebuild::new(Offset(100), TimestampMs(0), settings.index_interval_bytes);
    let (mut offsets, mut times) = (Vec::new(), Vec::new());
    for index in 0..50_u32 {
        let one = batch(3, 61 + index * 7 % 90, i64::from(index * 37 % 100));
        let appending = append(&mut state, &settings, &one, 0);
        let entry = appending.offset_entry.and_then(|entry| entry.encode(Offset(100)));
        offsets.extend(entry.into_iter().flatten());
        let entry = appending.time_entry.and_then(|entry| entry.encode(Offset(100)));
        times.extend(entry.into_iter().flatten());
        let written = Batch {
            base_offset: appending.base_offset,
            ..one
        };
        assert!(rebuild.accepts(&written));
        rebuild.take(&written);
    }
    assert!(offsets.len() > 8 && times.len() > 12);
    assert_eq!(rebuild.index_files(), (offsets.as_slice(), times.as_slice()));
    assert_eq!(
        (rebuild.segment(), rebuild.active()),
        (*state.active_segment(), *state.active())
    );
    assert_eq!(rebuild.next_offset(), state.log_end_offset());
    let closing = state.closing_time_entry().and_then(|entry| entry.encode(Offset(100)));
    times.extend(closing.into_iter().flatten());
    rebuild.close();
    assert_eq!(rebuild.index_files().1, times);
}
