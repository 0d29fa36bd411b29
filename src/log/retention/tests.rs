use super::*;
use crate::base::ids::LeaderEpoch;
use crate::log::LeaderEpochs;
use crate::log::index::TimeEntry;
use crate::log::producers::Producers;
use crate::log::segment::ActiveSegment;
use crate::log::state::Recovered;

const FOR_EVER: Retention = Retention {
    deletes: true,
    age_ms_max: -1,
    bytes_max: -1,
};

/// A log with ten records to a segment: bytes and largest timestamp of each. `None` was not read from its index yet.
fn log(segments: &[(u32, Option<i64>)], start: i64) -> LogState {
    let segment = |(number, (bytes, timestamp)): (i64, &(u32, Option<i64>))| {
        let base_offset = Offset(number * 10);
        Segment {
            base_offset,
            bytes: *bytes,
            largest_timestamp: timestamp.map(|timestamp| TimeEntry {
                timestamp: TimestampMs(timestamp),
                offset: base_offset,
            }),
        }
    };
    let segments: Vec<Segment> = (0..).zip(segments).map(segment).collect();
    let last = segments[segments.len() - 1];
    let records = if last.bytes == 0 { 0 } else { 10 };
    LogState::from_recovered(Recovered {
        log_end_offset: last.base_offset.plus(records),
        segments,
        active: ActiveSegment::new(TimestampMs(0)),
        log_start_offset: Offset(start),
        epochs: LeaderEpochs::default(),
        producers: Producers::default(),
    })
    .expect("segments")
}

fn plan(state: &LogState, retention: Retention, high_watermark: i64) -> RetentionPlan {
    plan_retention(
        state,
        &RetentionContext {
            retention: &retention,
            high_watermark: Offset(high_watermark),
            now: TimestampMs(1000),
            modified: &[],
        },
    )
}

/// How many segments go, where the log then begins, whether the active one is rolled for it, and why.
fn removed(state: &LogState, retention: Retention, high_watermark: i64) -> Option<(usize, i64, bool, RemovalReason)> {
    match plan(state, retention, high_watermark) {
        RetentionPlan::Keep => None,
        RetentionPlan::Remove(removal) => {
            Some((removal.segments, removal.start_offset.0, removal.rolls, removal.reason))
        }
        needs @ (RetentionPlan::NeedsLargest { .. } | RetentionPlan::NeedsModified { .. }) => panic!("{needs:?}"),
    }
}

#[test]
fn by_bytes() {
    use RemovalReason::Bytes;
    let state = log(&[(100, Some(0)), (100, Some(0)), (100, Some(0))], 0);
    for (bytes_max, expected) in [
        (-1, None),
        (301, None),
        (300, None),
        (201, None),
        // A segment goes when what stays is at least `retention.bytes`.
        (200, Some((1, 10, false, Bytes))),
        (101, Some((1, 10, false, Bytes))),
        (100, Some((2, 20, false, Bytes))),
        (1, Some((2, 20, false, Bytes))),
        (0, Some((3, 30, true, Bytes))),
        (i64::MAX, None),
    ] {
        let retention = Retention { bytes_max, ..FOR_EVER };
        assert_eq!(removed(&state, retention, 30), expected, "{bytes_max}");
        let keeps = Retention {
            deletes: false,
            ..retention
        };
        assert_eq!(removed(&state, keeps, 30), None, "{bytes_max}");
    }
}

#[test]
fn by_age() {
    use RemovalReason::Age;
    let one_hundred = Retention {
        age_ms_max: 100,
        ..FOR_EVER
    };
    for (timestamps, expected) in [
        (vec![900, 0, 0], None),
        (vec![899, 900, 0], Some((1, 10, false, Age))),
        (vec![0, 899, 950], Some((2, 20, false, Age))),
        // The active segment too, once it is old.
        (vec![0, 0, 899], Some((3, 30, true, Age))),
        // A timestamp in the future holds its segment, and those behind it.
        (vec![0, 5000, 0], Some((1, 10, false, Age))),
        (vec![i64::MAX, 0, 0], None),
    ] {
        let segments: Vec<_> = timestamps.iter().map(|&timestamp| (100, Some(timestamp))).collect();
        assert_eq!(removed(&log(&segments, 0), one_hundred, 30), expected, "{timestamps:?}");
    }
    let at_once = Retention {
        age_ms_max: 0,
        ..FOR_EVER
    };
    assert_eq!(removed(&log(&[(100, Some(1000))], 0), at_once, 10), None);
    assert_eq!(
        removed(&log(&[(100, Some(999))], 0), at_once, 10),
        Some((1, 10, true, Age))
    );
    assert_eq!(
        removed(&log(&[(0, Some(-1))], 0), at_once, 10),
        None,
        "an empty log stays"
    );
}

#[test]
fn what_is_not_known_is_asked_for() {
    let one_hundred = Retention {
        age_ms_max: 100,
        ..FOR_EVER
    };
    let state = log(&[(100, Some(0)), (100, None), (100, Some(-1)), (100, Some(1000))], 0);
    let needs_largest = RetentionPlan::NeedsLargest { segment: Offset(10) };
    assert_eq!(plan(&state, one_hundred, 40), needs_largest);
    let mut state = state;
    state.note_largest_timestamp(Offset(10), TimeEntry::none(Offset(10)));
    let needs_modified = RetentionPlan::NeedsModified { segment: Offset(10) };
    assert_eq!(plan(&state, one_hundred, 40), needs_modified);
    for (modified, segments) in [([800, 950], 2), ([950, 800], 1), ([800, 800], 3)] {
        let context = RetentionContext {
            retention: &one_hundred,
            high_watermark: Offset(40),
            now: TimestampMs(1000),
            modified: &[
                (Offset(10), TimestampMs(modified[0])),
                (Offset(20), TimestampMs(modified[1])),
            ],
        };
        let plan = plan_retention(&state, &context);
        let goes_as_planned = matches!(plan, RetentionPlan::Remove(removal) if removal.segments == segments);
        assert!(goes_as_planned, "{modified:?}: {plan:?}");
    }
}

#[test]
fn nothing_beyond_the_high_watermark() {
    let all = Retention {
        age_ms_max: 0,
        ..FOR_EVER
    };
    let state = log(&[(100, Some(0)), (100, Some(0)), (100, Some(0))], 0);
    for (high_watermark, segments) in [(0, 0), (9, 0), (10, 1), (19, 1), (29, 2), (30, 3)] {
        let gone = removed(&state, all, high_watermark).map_or(0, |(segments, ..)| segments);
        assert_eq!(gone, segments, "{high_watermark}");
    }
}

#[test]
fn rules_follow_each_other() {
    let both = Retention {
        age_ms_max: 100,
        bytes_max: 300,
        deletes: true,
    };
    let state = log(
        &[(100, Some(999)), (100, Some(0)), (100, Some(999)), (100, Some(999))],
        0,
    );
    assert_eq!(removed(&state, both, 40), Some((2, 20, false, RemovalReason::Bytes)));
}

#[test]
fn the_start_is_kept_where_deletion_put_it() {
    let mut state = log(&[(100, Some(0)), (100, Some(0)), (100, Some(0))], 0);
    assert!(state.advance_log_start_to(Offset(5)).is_empty());
    assert_eq!(removed(&state, FOR_EVER, 30), None);
    let one = Retention {
        bytes_max: 200,
        ..FOR_EVER
    };
    assert_eq!(removed(&state, one, 30), Some((1, 10, false, RemovalReason::Bytes)));
    assert_eq!(
        state.advance_log_start_to(Offset(15)).len(),
        1,
        "wholly below the start"
    );
    assert_eq!(state.epochs().latest(), None::<LeaderEpoch>);
}
