use super::*;
use crate::base::offset::FilePosition;

fn segment(base_offset: i64, bytes: u32) -> Segment {
    Segment {
        bytes,
        ..Segment::new(Offset(base_offset))
    }
}

/// Segments at 0, 10, 20, 30, the last one active, and a reader's position in each.
fn state() -> LogState {
    let mut state = LogState::from_recovered(Recovered {
        segments: (0..4).map(|number| segment(number * 10, 100)).collect(),
        active: ActiveSegment::new(TimestampMs(0)),
        log_start_offset: Offset(0),
        log_end_offset: Offset(40),
        epochs: LeaderEpochs::default(),
        producers: Producers::default(),
    })
    .unwrap();
    for number in 0..4 {
        let next = Hint {
            offset: Offset(number * 10 + 5),
            segment: Offset(number * 10),
            position: FilePosition(50),
        };
        state.note_read(Offset(number * 10), next);
    }
    state
}

#[test]
fn a_run_of_closed_segments_is_replaced() {
    let whole = [0, 10, 20, 30];
    for (run, cleaned, bases) in [
        (&[(0, 100)][..], 0, Some(&[0, 10, 20, 30][..])),
        (&[(0, 100), (10, 100)], 0, Some(&[0, 20, 30])),
        (&[(10, 100), (20, 100)], 10, Some(&[0, 10, 30])),
        (&[(0, 100), (10, 100), (20, 100)], 0, Some(&[0, 30])),
        // The active segment stays.
        (&[(30, 100)], 30, None),
        (&[(20, 100), (30, 100)], 20, None),
        // Not the segments that the log has.
        (&[], 0, None),
        (&[(0, 100), (20, 100)], 0, None),
        (&[(5, 100)], 5, None),
        (&[(10, 99)], 10, None),
        (&[(0, 100), (10, 100)], 10, None),
    ] {
        let mut state = state();
        let run: Vec<Segment> = run.iter().map(|(base, bytes)| segment(*base, *bytes)).collect();
        assert_eq!(
            state.replace_segments(&run, segment(cleaned, 7)),
            bases.is_some(),
            "{run:?}"
        );
        let found: Vec<i64> = state.segments().iter().map(|held| held.base_offset.0).collect();
        assert_eq!(found, bases.unwrap_or(&whole), "{run:?}");
        let replaced = |base: i64| bases.is_some() && run.iter().any(|one| one.base_offset.0 == base);
        for base in whole {
            let hint = state.hints().find(Offset(base + 5), Offset(base));
            assert_eq!(hint.is_none(), replaced(base), "the position in {base} of {run:?}");
        }
        let bytes = if bases.is_some() {
            7 + 100 * (found.len() as u64 - 1)
        } else {
            400
        };
        assert_eq!(state.bytes(), bytes);
    }
}
