use super::*;
use crate::base::ids::{LeaderEpoch, ProducerEpoch, Sequence};
use crate::base::limits::PRODUCER_BATCHES_RETAINED;
use crate::log::append::Origin;

fn batch(epoch: i16, base_sequence: i32, count: i32) -> Batch {
    Batch {
        base_offset: Offset(0),
        last_offset_delta: count - 1,
        bytes: 100,
        max_timestamp: TimestampMs(1000),
        leader_epoch: LeaderEpoch(0),
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(base_sequence),
        is_transactional: false,
        is_control: false,
    }
}

/// Appends batches `(epoch, base sequence, count)` one after another, without a check.
fn producers(batches: &[(i16, i32, i32)]) -> Producers {
    let mut producers = Producers::default();
    let mut offset = Offset(100);
    for &(epoch, base, count) in batches {
        producers.note(&batch(epoch, base, count), offset);
        offset = offset.plus(i64::from(count));
    }
    producers
}

#[derive(Debug, PartialEq)]
enum Answer {
    Append,
    Duplicate(i64),
    OutOfOrder,
    OldEpoch,
}

fn ask(producers: &Producers, origin: Origin, next: (i16, i32, i32)) -> Answer {
    match check(producers, &batch(next.0, next.1, next.2), origin) {
        Ok(Verdict::Append) => Answer::Append,
        Ok(Verdict::Duplicate(earlier)) => Answer::Duplicate(earlier.base_offset().0),
        Err(ProducerError::OutOfOrderSequence { .. }) => Answer::OutOfOrder,
        Err(ProducerError::OldEpoch { .. }) => Answer::OldEpoch,
        Err(ProducerError::TransactionOpen { .. }) => unreachable!(),
    }
}

#[test]
fn sequences_are_dense() {
    let max = i32::MAX;
    let six = &[(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (0, 5, 1)][..];
    for (written, next, answer) in [
        // An unknown producer may begin anywhere.
        (&[][..], (0, 0, 1), Answer::Append),
        (&[], (0, 17, 1), Answer::Append),
        (&[], (3, 17, 1), Answer::Append),
        // The next one, a gap, a step back.
        (&[(0, 0, 10)], (0, 10, 1), Answer::Append),
        (&[(0, 0, 10)], (0, 11, 1), Answer::OutOfOrder),
        (&[(0, 0, 10)], (0, 5, 1), Answer::OutOfOrder),
        // The same again; the same beginning or the same end alone is no repeat.
        (&[(0, 0, 10)], (0, 0, 10), Answer::Duplicate(100)),
        (&[(0, 0, 10), (0, 10, 5)], (0, 0, 10), Answer::Duplicate(100)),
        (&[(0, 0, 10), (0, 10, 5)], (0, 10, 5), Answer::Duplicate(110)),
        (&[(0, 0, 10)], (0, 0, 9), Answer::OutOfOrder),
        (&[(0, 0, 10)], (0, 1, 9), Answer::OutOfOrder),
        // Five are remembered.
        (six, (0, 1, 1), Answer::Duplicate(101)),
        (six, (0, 0, 1), Answer::OutOfOrder),
        // Sequences wrap.
        (&[(0, max, 1)], (0, 0, 1), Answer::Append),
        (&[(0, max - 1, 2)], (0, 0, 1), Answer::Append),
        (&[(0, max - 1, 4)], (0, 2, 1), Answer::Append),
        (&[(0, max - 1, 4)], (0, max - 1, 4), Answer::Duplicate(100)),
        (&[(0, max - 1, 4)], (0, 0, 1), Answer::OutOfOrder),
        // Epochs: a new one begins at 0, an old one is refused, also for a repeat.
        (&[(1, 0, 10)], (2, 0, 1), Answer::Append),
        (&[(1, 0, 10)], (2, 10, 1), Answer::OutOfOrder),
        (&[(1, 0, 10)], (0, 10, 1), Answer::OldEpoch),
        (&[(1, 0, 10)], (0, 0, 10), Answer::OldEpoch),
        (&[(1, 0, 10), (2, 0, 1)], (1, 10, 1), Answer::OldEpoch),
        (&[(1, 0, 10), (2, 0, 1)], (2, 1, 1), Answer::Append),
    ] {
        assert_eq!(
            ask(&producers(written), Origin::Client, next),
            answer,
            "{written:?} then {next:?}"
        );
    }
}

#[test]
fn origins_differ_in_what_is_checked() {
    for (origin, next, answer) in [
        (Origin::Coordinator, (1, 500, 1), Answer::Append),
        (Origin::Coordinator, (0, 0, 1), Answer::OldEpoch),
        (Origin::Replication, (1, 500, 1), Answer::Append),
        (Origin::Replication, (0, 0, 1), Answer::Append),
    ] {
        assert_eq!(
            ask(&producers(&[(1, 0, 10)]), origin, next),
            answer,
            "{origin:?} {next:?}"
        );
    }
}

#[test]
fn a_transaction_takes_no_other_batches() {
    let mut open = batch(0, 0, 1);
    open.is_transactional = true;
    let mut producers = Producers::default();
    producers.note(&open, Offset(5));
    assert_eq!(
        producers.get(ProducerId(7)).unwrap().transaction_first_offset,
        Some(Offset(5))
    );
    let plain = check(&producers, &batch(0, 1, 1), Origin::Client);
    assert_eq!(
        plain,
        Err(ProducerError::TransactionOpen {
            producer_id: ProducerId(7)
        })
    );

    let mut marker = batch(0, -1, 1);
    marker.is_control = true;
    producers.note(&marker, Offset(6));
    assert_eq!(ask(&producers, Origin::Client, (0, 1, 1)), Answer::Append);
}

#[test]
fn idle_producers_expire() {
    let mut known = producers(&[(0, 0, 1)]);
    assert_eq!(known.expire(TimestampMs(1999), 1000), 0);
    assert_eq!(known.expire(TimestampMs(2000), 1000), 1);
    assert!(known.is_empty());
}

#[test]
fn the_oldest_make_room() {
    let mut known = Producers::default();
    for id in 0..=PRODUCERS_PER_PARTITION_MAX {
        let mut one = batch(0, 0, 1);
        one.producer_id = ProducerId(i64::try_from(id).unwrap());
        known.note(&one, Offset(one.producer_id.0));
    }
    assert!(known.len() <= PRODUCERS_PER_PARTITION_MAX);
    assert!(known.get(ProducerId(0)).is_none());
    assert!(
        known
            .get(ProducerId(i64::try_from(PRODUCERS_PER_PARTITION_MAX).unwrap()))
            .is_some()
    );
}

fn many() -> Producers {
    let mut known = Producers::default();
    for id in [3, 1, 2] {
        for sequence in 0..=PRODUCER_BATCHES_RETAINED {
            let mut one = batch(4, i32::try_from(sequence).unwrap(), 1);
            one.producer_id = ProducerId(id);
            one.is_transactional = id == 2;
            known.note(&one, Offset(id * 100 + i64::try_from(sequence).unwrap()));
        }
    }
    known
}

#[test]
fn snapshots_keep_everything() {
    for known in [Producers::default(), producers(&[(0, 0, 1)]), many()] {
        assert_eq!(snapshot::decode(&snapshot::encode(&known)), Ok(known));
    }
}

#[test]
fn torn_snapshots_are_refused() {
    let whole = snapshot::encode(&many());
    for length in 0..whole.len() {
        assert_eq!(
            snapshot::decode(&whole[..length]),
            Err(snapshot::BadSnapshot),
            "{length}"
        );
    }
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 0x10;
        assert_eq!(snapshot::decode(&bent), Err(snapshot::BadSnapshot), "{at}");
    }
}
