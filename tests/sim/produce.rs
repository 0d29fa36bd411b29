//! One producer of a simulated log.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use duramen::base::ids::LeaderEpoch;
use duramen::base::offset::Offset;
use duramen::base::time::TimestampMs;
use duramen::log::read::FirstBatch;
use duramen::log::{Origin, ReadRequest};
use duramen::rt::local::Event;
use duramen::rt::sim::Simulation;
use duramen::rt::{task, time};
use duramen::storage::{Ahead, AwaitsDisk, Log, NewBatch, StorageError, WaitEnd};

use super::{Life, NAP};
use crate::shadow::view;

/// One producer: appends some batches, waits for some to be durable, sends some twice.
pub(super) async fn produce(life: &Life, log: &Log, producer: u64) {
    for _ in 0..life.draw(12) {
        let turn = life.begin_append().await;
        let batches: Vec<Vec<u8>> = (0..=life.draw(3)).map(|_| life.next_batch(producer)).collect();
        let ahead = match batches.as_slice() {
            [alone] if life.percent(60) => match write_ahead(life, log, alone).await {
                Some(ahead) => Some(ahead),
                None => return,
            },
            _ => None,
        };
        // Now and then it is given up, and what was written of it with it.
        let ahead = ahead.filter(|_| !life.percent(10));
        task::yield_now().await;
        if ahead.is_none() {
            turn_has_come(log).await;
        }
        let epoch = life.leader_epoch();
        let Some(next) = append(life, log, &batches, ahead.as_ref(), epoch) else {
            return;
        };
        drop(ahead);
        drop(turn);
        if life.percent(20) && !log.is_writing_ahead() {
            assert_repeat_is_known(log, &batches[batches.len() - 1], next);
        }
        if life.percent(60) {
            let is_durable = life.acknowledges_early
                || match life.percent(50) {
                    true => log.make_durable(next).await.is_ok(),
                    false => told_of(log, next).await == WaitEnd::OnDisk,
                };
            if !is_durable {
                return;
            }
            if !Simulation::has_crashed() {
                life.shadow.borrow_mut().acknowledge(next.0);
            }
        }
        task::yield_now().await;
    }
}

/// Waits until nobody writes ahead, as all do who have not.
async fn turn_has_come(log: &Log) {
    while log.is_writing_ahead() && !Simulation::has_crashed() {
        time::sleep(NAP).await;
    }
}

/// Writes a batch ahead, while others append; `None` when the disk has failed.
async fn write_ahead(life: &Life, log: &Log, batch: &[u8]) -> Option<Ahead> {
    let bytes = Bytes::copy_from_slice(batch);
    let view = view(&bytes);
    let batch = NewBatch::as_it_is(&view);
    let written = log.write_ahead(&batch, &bytes, Origin::Client, LeaderEpoch(0), time::wall());
    let ahead = written.await;
    if let Err(StorageError::Full { .. }) = ahead {
        read_back(life, log);
    }
    ahead.ok()
}

/// Waits for durability as the broker's requests do.
async fn told_of(log: &Log, up_to: Offset) -> WaitEnd {
    #[derive(Default)]
    struct Told {
        ends: RefCell<Vec<(usize, WaitEnd)>>,
        told: Event,
    }
    impl AwaitsDisk for Told {
        fn wait_ended(self: Rc<Self>, number: usize, end: WaitEnd) {
            self.ends.borrow_mut().push((number, end));
            self.told.notify();
        }
    }
    let waits = Rc::new(Told::default());
    log.when_durable(up_to, Rc::clone(&waits) as Rc<dyn AwaitsDisk>, 7);
    loop {
        let told = waits.told.listen();
        match waits.ends.borrow().as_slice() {
            [] => {}
            [(7, end)] => return *end,
            more => panic!("told more than once: {more:?}"),
        }
        told.await;
    }
}

/// Appends batches by one call; returns the offset after them, `None` when the disk has failed. They are noted before: a call that
/// fails, or during which the machine goes down, may leave some of them.
fn append(life: &Life, log: &Log, batches: &[Vec<u8>], ahead: Option<&Ahead>, epoch: LeaderEpoch) -> Option<Offset> {
    let views: Vec<_> = batches.iter().map(|bytes| view(bytes)).collect();
    let mut expected = log.log_end_offset();
    for batch in &views {
        let mut stored = batch.bytes().to_vec();
        stored[..8].copy_from_slice(&expected.0.to_be_bytes());
        stored[12..16].copy_from_slice(&epoch.0.to_be_bytes());
        life.shadow.borrow_mut().written.insert(expected.0, stored);
        expected = expected.plus(i64::from(batch.header().record_count));
    }
    let new: Vec<_> = views
        .iter()
        .map(|view| {
            let batch = NewBatch::as_it_is(view);
            ahead.map_or(batch, |ahead| batch.behind(ahead))
        })
        .collect();
    let outcomes = log.append(&new, Origin::Client, epoch, time::wall());
    if let Err(StorageError::Full { .. }) = outcomes {
        let end = log.log_end_offset();
        assert!(end < expected, "what found no room is not in the log");
        life.shadow.borrow_mut().refuse_from(end.0);
        read_back(life, log);
    }
    let outcomes = outcomes.ok()?;
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.is_ok_and(|appended| !appended.is_duplicate))
    );
    assert_eq!(log.log_end_offset(), expected);
    Some(expected)
}

/// The log is whole after an append that found no room: its end is where the shadow's is, and can be read.
fn read_back(life: &Life, log: &Log) {
    assert_eq!(life.shadow.borrow().end(), log.log_end_offset().0);
    let last = life
        .shadow
        .borrow()
        .written
        .last_key_value()
        .map(|(base, bytes)| (*base, bytes.clone()));
    let Some((base, bytes)) = last.filter(|(base, _)| *base >= log.log_start_offset().0) else {
        return;
    };
    let request = ReadRequest {
        offset: Offset(base),
        upper: Offset(i64::MAX),
        bytes_max: 1 << 20,
        first_batch: FirstBatch::Whole,
    };
    let range = log
        .read(&request)
        .expect("the disk works")
        .expect("the offset is in the log");
    assert_eq!(range.expect("there is a batch").read().expect("the disk works"), bytes);
}

fn assert_repeat_is_known(log: &Log, bytes: &[u8], next: Offset) {
    let batch = view(bytes);
    let outcomes = log.append(
        &[NewBatch::as_it_is(&batch)],
        Origin::Client,
        LeaderEpoch(0),
        TimestampMs(0),
    );
    if let Ok(outcomes) = outcomes {
        let appended = outcomes[0].expect("a repeat is no error");
        assert!(appended.is_duplicate, "a repeat is known");
        assert_eq!(appended.last_offset.next(), next);
    }
}
