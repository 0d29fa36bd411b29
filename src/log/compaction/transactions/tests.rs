use super::*;
use crate::base::ids::{LeaderEpoch, ProducerEpoch, Sequence};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::record::{BatchBuilder, BatchHeader, ProducerStamp, Record};

fn header(producer_id: i64, offset: i64, is_transactional: bool) -> BatchHeader {
    let mut builder = BatchBuilder::new()
        .base_offset(Offset(offset))
        .leader_epoch(LeaderEpoch(0))
        .producer(ProducerStamp {
            producer_id: ProducerId(producer_id),
            producer_epoch: ProducerEpoch(0),
            base_sequence: Sequence(0),
        });
    if is_transactional {
        builder = builder.transactional();
    }
    builder.append(&Record::new(TimestampMs(0), None, None)).unwrap();
    BatchHeader::decode(&builder.build().unwrap()).unwrap()
}

fn aborted(producer_id: i64, first: i64, last: i64) -> AbortedTransaction {
    AbortedTransaction {
        producer_id: ProducerId(producer_id),
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable_offset: Offset(first),
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Producer, offset, whether aborted.
    Records(i64, i64, bool),
    Plain(i64, i64),
    Marker(i64, i64, Option<ControlType>, MarkerFate),
}

use MarkerFate::{Discarded, Needed};
use Step::{Marker, Plain, Records};

fn walk(transactions: Vec<AbortedTransaction>, steps: &[Step]) {
    let mut state = Transactions::new(transactions);
    for step in steps {
        match *step {
            Records(producer, offset, is_aborted) => {
                assert_eq!(
                    state.pass_records(&header(producer, offset, true)),
                    is_aborted,
                    "{step:?}"
                );
            }
            Plain(producer, offset) => assert!(!state.pass_records(&header(producer, offset, false)), "{step:?}"),
            Marker(producer, offset, control_type, fate) => {
                assert_eq!(
                    state.pass_marker(&header(producer, offset, true), control_type),
                    fate,
                    "{step:?}"
                );
            }
        }
    }
}

#[test]
fn aborted_records_are_known_and_their_markers_kept() {
    let (commit, abort) = (Some(ControlType::Commit), Some(ControlType::Abort));
    let (one, two) = (aborted(1, 0, 5), aborted(2, 8, 9));
    walk(
        vec![two, one],
        &[
            Records(1, 0, true),
            Records(2, 1, false),
            Records(1, 2, true),
            Plain(1, 3),
            Marker(2, 4, commit, Needed(None)),
            Marker(1, 5, abort, Needed(Some(one))),
            // The same producers again, the other way round.
            Records(1, 6, false),
            Records(2, 8, true),
            Marker(2, 9, abort, Needed(Some(two))),
            Marker(1, 10, commit, Needed(None)),
        ],
    );
}

#[test]
fn markers_without_records_are_not_needed() {
    let (commit, abort) = (Some(ControlType::Commit), Some(ControlType::Abort));
    walk(
        vec![aborted(1, 0, 5)],
        &[
            Marker(1, 5, abort, Discarded),
            Marker(2, 6, commit, Discarded),
            Marker(3, 7, abort, Discarded),
            Marker(4, 8, None, Discarded),
            Marker(5, 9, Some(ControlType::LeaderChange), Needed(None)),
        ],
    );
}
