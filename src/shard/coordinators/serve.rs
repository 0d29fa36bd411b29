//! Requests and deadlines of coordinators: decide, append, tell, answer.

use std::rc::{Rc, Weak};

use bytes::Bytes;

use crate::base::ids::TopicIdPartition;
use crate::base::limits::ANSWERS_AT_ONCE_MAX;
use crate::coordinator::group::{Answer, Coordinator, Effects, GroupError, Record, Request, Ticket};
use crate::partition::types::AppendError;
use crate::record::{BatchBuilder, Record as LogRecord};
use crate::rt;
use crate::shard::Shard;
use crate::shard::deadlines::Expire;
use crate::shard::execute::flush_in_time;
use crate::shard::message::ShardReply;

use super::{Asker, Phase, Row, now};

/// Deadlines of a coordinator that are carried out in one step.
const DEADLINES_PER_STEP_MAX: usize = 32;

/// Bytes of a record in a batch beside its key and value, at most.
const RECORD_OVERHEAD_BYTES: usize = 32;

impl Shard {
    /// Takes a request for the groups of a partition.
    pub(in crate::shard) fn coordinate(self: &Rc<Self>, partition: TopicIdPartition, request: Request, asker: Asker) {
        let Some(row) = self.coordinator_row(partition) else {
            let refused = request.refused(GroupError::NotCoordinator);
            self.tell(asker, refused);
            return;
        };
        let ticket = row.park(asker);
        let is_commit = matches!(request, Request::CommitOffsets(_));
        if !is_commit {
            self.append_gathered(&row);
        }
        let effects = match &mut *row.phase.borrow_mut() {
            Phase::Serving(coordinator) => coordinator.handle(ticket, request, now()),
            Phase::Loading => Effects::answer(ticket, request.refused(GroupError::Loading)),
            Phase::Over => Effects::answer(ticket, request.refused(GroupError::NotCoordinator)),
        };
        if is_commit {
            self.gather(&row, effects);
        } else {
            self.settle(&row, effects);
        }
    }

    /// Appends records and gives answers when they are on the disk.
    pub(super) fn settle(self: &Rc<Self>, row: &Rc<Row>, effects: Effects) {
        let effects = self.keep(row, effects);
        self.arm(row);
        self.set_to_work(row);
        if effects.answers.is_empty() {
            return;
        }
        let Some(partition) = self.hosted(row.partition) else {
            self.give_all(row, effects.answers);
            return;
        };
        let appended = row.appended.get();
        if !partition.waits_for_disk(true) || partition.is_durable(appended) {
            self.give_all(row, effects.answers);
            return;
        }
        let (shard, row) = (Rc::clone(self), Rc::clone(row));
        rt::task::spawn(async move {
            match partition.durable(appended).await {
                Ok(()) => shard.give_all(&row, effects.answers),
                Err(_) => {
                    let refuse =
                        |(ticket, answer): (Ticket, Answer)| (ticket, answer.into_refusal(GroupError::NotCoordinator));
                    shard.give_all(&row, effects.answers.into_iter().map(refuse).collect());
                    // What it believes may not be so after a restart.
                    shard.end_coordinator(&row);
                }
            }
        });
    }

    fn give_all(self: &Rc<Self>, row: &Rc<Row>, answers: Vec<(Ticket, Answer)>) {
        if answers.len() <= ANSWERS_AT_ONCE_MAX {
            for (ticket, answer) in answers {
                self.give(row, ticket, answer);
            }
            return;
        }
        // Of a large group that goes on.
        let (shard, row) = (Rc::clone(self), Rc::clone(row));
        rt::task::spawn(async move {
            for (ticket, answer) in answers {
                shard.give(&row, ticket, answer);
                rt::task::yield_if_needed().await;
            }
        });
    }

    pub(super) fn give(self: &Rc<Self>, row: &Rc<Row>, ticket: Ticket, answer: Answer) {
        let asker = row.waiting.borrow_mut().remove(&ticket);
        if let Some(asker) = asker {
            self.tell(asker, answer);
        }
    }

    fn tell(self: &Rc<Self>, asker: Asker, answer: Answer) {
        let Asker { tag, origin } = asker;
        self.answer(origin, ShardReply::Group { tag, answer });
    }

    /// Appends the records, each replayed as it stands in the log; if they cannot be appended, the answers say so.
    fn keep(self: &Rc<Self>, row: &Rc<Row>, mut effects: Effects) -> Effects {
        let records = std::mem::take(&mut effects.records);
        if records.is_empty() {
            return effects;
        }
        let mut phase = row.phase.borrow_mut();
        let Phase::Serving(coordinator) = &mut *phase else {
            return effects;
        };
        match self.append_records(row, coordinator, &records) {
            Ok(()) => effects,
            Err(error) => {
                effects.records = records;
                coordinator.on_append_failed(effects, error, now())
            }
        }
    }

    fn append_records(
        self: &Rc<Self>,
        row: &Rc<Row>,
        coordinator: &mut Coordinator,
        records: &[Record],
    ) -> Result<(), GroupError> {
        let partition = self.hosted(row.partition).ok_or(GroupError::NotCoordinator)?;
        if partition.is_writing_ahead() {
            // A tool writes into the topic by itself.
            return Err(GroupError::NotAvailable);
        }
        let bytes_max = partition.batch_bytes_max();
        let mut rest = records;
        while !rest.is_empty() {
            let (batch, count) = build(rest, bytes_max)?;
            let before = partition.high_watermark();
            let appended = partition
                .append_own(&batch, rt::time::wall())
                .map_err(|error| refusal(&error))?;
            row.appended.set(appended.end_offset.max(row.appended.get()));
            self.advanced(row.partition, &partition, before);
            flush_in_time(&partition);
            let (done, left) = rest.split_at(count);
            for record in done {
                coordinator.replay(record);
            }
            rest = left;
        }
        Ok(())
    }

    /// Has the row woken at its coordinator's next deadline.
    fn arm(&self, row: &Rc<Row>) {
        let next = match &*row.phase.borrow() {
            Phase::Serving(coordinator) => coordinator.next_deadline(),
            Phase::Loading | Phase::Over => None,
        };
        let Some(next) = next else { return };
        if row.armed.get().is_none_or(|armed| next < armed) {
            row.armed.set(Some(next));
            let weak: Weak<dyn Expire> = Rc::<Row>::downgrade(row) as Weak<dyn Expire>;
            self.deadlines.add(next, weak);
        }
    }
}

impl Expire for Row {
    fn expire(self: Rc<Self>) {
        let Some(shard) = self.shard.upgrade() else { return };
        rt::task::begin_part("group deadlines");
        self.armed.set(None);
        shard.append_gathered(&self);
        let effects = match &mut *self.phase.borrow_mut() {
            Phase::Serving(coordinator) => coordinator.on_deadline(now(), DEADLINES_PER_STEP_MAX),
            Phase::Loading | Phase::Over => return,
        };
        shard.settle(&self, effects);
    }
}

/// A batch of the first records that fit in it, and how many these are.
fn build(records: &[Record], bytes_max: usize) -> Result<(Bytes, usize), GroupError> {
    let now = rt::time::wall();
    let mut builder = BatchBuilder::new();
    let mut count = 0;
    for record in records {
        let (key, value) = record.encode().map_err(|_| GroupError::TooLarge)?;
        let bytes = key.len() + value.as_ref().map_or(0, Bytes::len) + RECORD_OVERHEAD_BYTES;
        if builder.batch_bytes() + bytes > bytes_max {
            break;
        }
        let added = builder.append(&LogRecord::new(now, Some(&key), value.as_deref()));
        added.map_err(|_| GroupError::TooLarge)?;
        count += 1;
    }
    if count == 0 {
        return Err(GroupError::TooLarge);
    }
    let batch = builder.build().map_err(|_| GroupError::TooLarge)?;
    Ok((batch, count))
}

/// Kafka: `GroupMetadataManager.appendGroupMetadataErrorToResponseError`.
fn refusal(error: &AppendError) -> GroupError {
    match error {
        AppendError::NotHosted | AppendError::Offline => GroupError::NotCoordinator,
        AppendError::Full => GroupError::NotAvailable,
        AppendError::Invalid(_) | AppendError::Refused(_) | AppendError::Transactional => GroupError::TooLarge,
    }
}
