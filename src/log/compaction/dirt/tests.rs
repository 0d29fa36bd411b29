use super::*;
use crate::log::epochs::LeaderEpochs;
use crate::log::index::TimeEntry;
use crate::log::producers::Producers;
use crate::log::segment::{ActiveSegment, Segment};
use crate::log::state::Recovered;

const RULES: Rules = Rules {
    dirty_ratio_min: 0.5,
    lag_min_ms: 0,
    lag_max_ms: i64::MAX,
    delete_retention_ms: 1000,
};

const BOUNDS: Bounds = Bounds {
    compacted_to: None,
    stable_end: Offset(i64::MAX),
    earliest_dirty: None,
};

/// Segments at 0, 10, 20, 30 of 100 bytes each, the last one active; the largest timestamp of each is its base offset.
fn state(log_start_offset: i64) -> LogState {
    let segment = |number: i64| {
        let entry = TimeEntry {
            timestamp: TimestampMs(number * 10),
            offset: Offset(number * 10),
        };
        Segment {
            base_offset: Offset(number * 10),
            bytes: 100,
            largest_timestamp: Some(entry),
        }
    };
    LogState::from_recovered(Recovered {
        segments: (0..4).map(segment).collect(),
        active: ActiveSegment::new(TimestampMs(0)),
        log_start_offset: Offset(log_start_offset),
        log_end_offset: Offset(40),
        epochs: LeaderEpochs::default(),
        producers: Producers::default(),
    })
    .unwrap()
}

fn dirt(state: &LogState, bounds: &Bounds, rules: &Rules, now: i64) -> Dirt {
    match assess(state, bounds, rules, TimestampMs(now)) {
        Assessment::Known(dirt) => dirt,
        Assessment::NeedsLargest { segment } => panic!("the largest timestamp of {segment} is known"),
    }
}

#[test]
fn the_dirty_part_has_bounds() {
    // Checkpoint, last stable offset, min.compaction.lag.ms at 25; first dirty offset, end, clean and dirty bytes.
    for (compacted_to, stable_end, lag_min_ms, expected) in [
        (None, 99, 0, (0, 30, 0, 300)),
        (Some(0), 99, 0, (0, 30, 0, 300)),
        (Some(10), 99, 0, (10, 30, 100, 200)),
        (Some(30), 99, 0, (30, 30, 300, 0)),
        // In the middle of a segment: a map that was full.
        (Some(15), 99, 0, (15, 30, 200, 200)),
        // Beyond the log: everything is dirty.
        (Some(41), 99, 0, (0, 30, 0, 300)),
        (Some(40), 99, 0, (40, 30, 400, 0)),
        // Nothing at or beyond the last stable offset, and no half segments.
        (None, 30, 0, (0, 30, 0, 300)),
        (None, 29, 0, (0, 20, 0, 200)),
        (None, 20, 0, (0, 20, 0, 200)),
        (None, 5, 0, (0, 0, 0, 0)),
        (Some(10), 5, 0, (10, 10, 100, 0)),
        (Some(15), 12, 0, (15, 10, 200, 0)),
        // Nothing that is too young: the largest timestamps are 0, 10, 20.
        (None, 99, 1, (0, 30, 0, 300)),
        (None, 99, 5, (0, 30, 0, 300)),
        (None, 99, 6, (0, 20, 0, 200)),
        (None, 99, 16, (0, 10, 0, 100)),
        (None, 99, i64::MAX, (0, 0, 0, 0)),
        (Some(20), 99, 16, (20, 20, 200, 0)),
    ] {
        let bounds = Bounds {
            compacted_to: compacted_to.map(Offset),
            stable_end: Offset(stable_end),
            ..BOUNDS
        };
        let rules = Rules { lag_min_ms, ..RULES };
        let found = dirt(&state(0), &bounds, &rules, 25);
        let plain = (
            found.first_dirty_offset.0,
            found.end_offset.0,
            found.clean_bytes,
            found.dirty_bytes,
        );
        assert_eq!(plain, expected, "{compacted_to:?} {stable_end} {lag_min_ms}");
    }
}

#[test]
fn what_was_deleted_is_not_dirty() {
    let bounds = Bounds {
        compacted_to: Some(Offset(5)),
        ..BOUNDS
    };
    let found = dirt(&state(10), &bounds, &RULES, 0);
    assert_eq!((found.first_dirty_offset, found.dirty_bytes), (Offset(10), 200));
    let found = dirt(&state(15), &bounds, &RULES, 0);
    assert_eq!((found.first_dirty_offset, found.dirty_bytes), (Offset(15), 200));
}

#[test]
fn timestamps_that_are_not_known_are_asked_for() {
    let mut state = state(0);
    let mut segment = state.segments()[1];
    segment.largest_timestamp = None;
    assert!(state.replace_segments(&[segment], segment));
    let rules = Rules { lag_min_ms: 1, ..RULES };
    let needed = Assessment::NeedsLargest { segment: Offset(10) };
    assert_eq!(assess(&state, &BOUNDS, &rules, TimestampMs(25)), needed);
    dirt(&state, &BOUNDS, &RULES, 25);
}

#[test]
fn dirt_is_worth_it_by_ratio_or_by_age() {
    for (clean, dirty, is_overdue, ratio, expected) in [
        (0, 0, false, 0.5, false),
        (0, 0, true, 0.0, false),
        (0, 1, false, 0.5, true),
        (100, 100, false, 0.5, false),
        (100, 101, false, 0.5, true),
        (100, 1, false, 0.0, true),
        (100, 1, true, 0.5, true),
        (0, 100, false, 1.0, false),
        (100, 0, true, 0.5, false),
    ] {
        let dirt = Dirt {
            first_dirty_offset: Offset(0),
            end_offset: Offset(10),
            clean_bytes: clean,
            dirty_bytes: dirty,
            is_overdue,
        };
        let rules = Rules {
            dirty_ratio_min: ratio,
            ..RULES
        };
        assert_eq!(
            dirt.is_worth_compacting(&rules),
            expected,
            "{clean} {dirty} {is_overdue} {ratio}"
        );
    }
}

#[test]
fn old_dirt_is_overdue() {
    for (earliest, lag_max_ms, expected) in [
        (None, 10, false),
        (Some(989), 10, true),
        (Some(990), 10, false),
        (Some(1), i64::MAX, false),
        // Batches without timestamps have no age.
        (Some(0), 10, false),
        (Some(-1), 10, false),
    ] {
        let bounds = Bounds {
            earliest_dirty: earliest.map(TimestampMs),
            ..BOUNDS
        };
        let rules = Rules { lag_max_ms, ..RULES };
        assert_eq!(
            dirt(&state(0), &bounds, &rules, 1000).is_overdue,
            expected,
            "{earliest:?}"
        );
    }
}

#[test]
fn the_dirtiest_comes_first() {
    let dirt = |clean_bytes, dirty_bytes| Dirt {
        first_dirty_offset: Offset(0),
        end_offset: Offset(10),
        clean_bytes,
        dirty_bytes,
        is_overdue: false,
    };
    let logs = [dirt(100, 200), dirt(100, 50), dirt(10, 90), dirt(0, 0)];
    assert_eq!(dirtiest(logs.iter().map(|dirt| (dirt, &RULES))), Some(2));
    assert_eq!(dirtiest(logs[1..2].iter().map(|dirt| (dirt, &RULES))), None);
    assert_eq!(dirtiest([]), None);
}
