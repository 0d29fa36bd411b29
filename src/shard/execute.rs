//! What a core does with a request: at once, on the partitions that it owns.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::base::ids::TopicIdPartition;
use crate::base::limits::STEP_MAX;
use crate::base::offset::Offset;
use crate::partition::Partition;
use crate::partition::append::{Begun, Preparation, Prepared};
use crate::partition::types::{Append, AppendError, Appended, EpochEnd, ReadError};
use crate::rt;
use crate::shard::calls::ReplyTo;
use crate::shard::coordinators::Asker;
use crate::shard::message::{AckWhen, Answer, Asked, FindEpochEnd, ShardReply, ShardRequest};
use crate::shard::{Origin, Shard};
use crate::storage::{AwaitsDisk, WaitEnd};

type Appends = Vec<Answer<Result<Appended, AppendError>>>;

/// Batches that wait for their checks or for the disk; when the last of them is there, or lost, the answer leaves. A wait that is
/// given up never counts: no answer is better than one that says more than is true.
struct PendingAppend {
    shard: Rc<Shard>,
    ack_when: AckWhen,
    answers: RefCell<Appends>,
    waiting: Cell<usize>,
    origin: Cell<Option<Origin>>,
}

impl PendingAppend {
    /// One of those that were waited for is there; after the last of them the request is answered.
    fn one_ended(&self) {
        self.waiting.set(self.waiting.get() - 1);
        if self.waiting.get() == 0
            && let Some(origin) = self.origin.take()
        {
            self.shard.answer(origin, ShardReply::Append(self.answers.take()));
        }
    }

    fn set(&self, index: usize, result: Result<Appended, AppendError>) {
        if let Some(answer) = self.answers.borrow_mut().get_mut(index) {
            answer.result = result;
        }
    }
}

impl AwaitsDisk for PendingAppend {
    fn wait_ended(self: Rc<Self>, number: usize, end: WaitEnd) {
        match end {
            WaitEnd::OnDisk => {}
            WaitEnd::Failed => self.set(number, Err(AppendError::Offline)),
        }
        self.one_ended();
    }
}

/// What is left to do for one append.
enum Rest {
    Prepare(TopicIdPartition, Preparation),
    /// It stands in the log up to this offset.
    Sync(Rc<Partition>, Offset),
}

/// Has an append on the disk within the topic's `flush.ms`.
pub(super) fn flush_in_time(partition: &Rc<Partition>) {
    let Some(within) = partition.take_flush_time() else {
        return;
    };
    let partition = Rc::clone(partition);
    rt::task::spawn_background(async move {
        rt::time::sleep(within).await;
        partition.flush_began();
        // A failure takes the log directory offline, and is told there.
        drop(partition.durable(partition.log().log_end_offset()).await);
    });
}

impl Shard {
    /// Executes a request and answers it, now or, where durability or the controller has to be waited for, later.
    pub(super) fn execute(self: &Rc<Self>, request: ShardRequest, origin: Origin) {
        rt::task::begin_part(request.name());
        match request {
            ShardRequest::Append { ack_when, items } => self.append(ack_when, items, origin),
            ShardRequest::Read { items } => self.read(items, origin),
            ShardRequest::FindOffsets { items } => self.find_offsets(items, origin),
            ShardRequest::EpochEnds { items } => {
                let answers = self.each(items, find_epoch_end, (ReadError::NotHosted, ReadError::Offline));
                self.answer(origin, ShardReply::EpochEnds(answers));
            }
            ShardRequest::DeleteRecords { items } => self.delete_records(items, origin),
            ShardRequest::Producers { items } => {
                let answers = self.each(
                    items,
                    |partition, ()| Ok(partition.active_producers()),
                    (ReadError::NotHosted, ReadError::Offline),
                );
                self.answer(origin, ShardReply::Producers(answers));
            }
            ShardRequest::LogSizes { of } => {
                let shard = Rc::clone(self);
                rt::task::spawn(async move {
                    let sizes = shard.log_sizes(of).await;
                    shard.answer(origin, ShardReply::LogSizes(sizes));
                });
            }
            ShardRequest::Group {
                tag,
                partition,
                request,
            } => self.coordinate(partition, request, Asker { tag, origin }),
            ShardRequest::Controller(request) => self.control(request, origin),
        }
    }

    fn each<T, R, E: Clone>(
        &self,
        items: Vec<Asked<T>>,
        mut serve: impl FnMut(&Partition, T) -> Result<R, E>,
        not_here: (E, E),
    ) -> Vec<Answer<Result<R, E>>> {
        let answer = |Asked { tag, partition, what }| {
            let (not_hosted, offline) = not_here.clone();
            let hosted = self.hosted_or(partition, not_hosted, offline);
            let result = hosted.and_then(|hosted| serve(&hosted, what));
            Answer { tag, result }
        };
        items.into_iter().map(answer).collect()
    }

    fn append(self: &Rc<Self>, ack_when: AckWhen, items: Vec<Asked<Append>>, origin: Origin) {
        let (now, began) = (rt::time::wall(), rt::time::now());
        let mut has_time = true;
        let mut answers: Appends = Vec::with_capacity(items.len());
        let mut later = Vec::new();
        for Asked {
            tag,
            partition: id,
            what,
        } in items
        {
            let hosted = self.hosted_or(id, AppendError::NotHosted, AppendError::Offline);
            let begun = hosted.map(|partition| {
                let before = partition.high_watermark();
                let begun = match has_time {
                    true => partition.begin_append(what, now),
                    false => Begun::Preparing(partition.prepare_append(what, now)),
                };
                self.advanced(id, &partition, before);
                (partition, begun)
            });
            let index = answers.len();
            let result = match begun {
                Err(error) => Err(error),
                Ok((_, Begun::Preparing(preparation))) => {
                    later.push((index, Rest::Prepare(id, preparation)));
                    Err(AppendError::Offline)
                }
                Ok((partition, Begun::Done(result))) => {
                    if let Ok(appended) = &result {
                        flush_in_time(&partition);
                        if partition.waits_for_disk(ack_when == AckWhen::Durable) {
                            later.push((index, Rest::Sync(partition, appended.end_offset)));
                        }
                    }
                    result
                }
            };
            answers.push(Answer { tag, result });
            has_time = has_time && rt::time::now().since(began) < STEP_MAX / 2;
        }
        if later.is_empty() {
            self.answer(origin, ShardReply::Append(answers));
            return;
        }
        let pending = Rc::new(PendingAppend {
            shard: Rc::clone(self),
            ack_when,
            answers: RefCell::new(answers),
            waiting: Cell::new(later.len()),
            origin: Cell::new(Some(origin)),
        });
        for (index, rest) in later {
            let pending = Rc::clone(&pending);
            match rest {
                Rest::Prepare(id, preparation) => {
                    rt::task::spawn(Rc::clone(self).prepare_and_append(pending, index, id, preparation));
                }
                Rest::Sync(partition, end_offset) => partition.when_durable(end_offset, pending, index),
            }
        }
    }

    async fn prepare_and_append(
        self: Rc<Self>,
        pending: Rc<PendingAppend>,
        index: usize,
        id: TopicIdPartition,
        preparation: Preparation,
    ) {
        match self.append_prepared(id, preparation.run().await).await {
            Ok((partition, appended)) => {
                pending.set(index, Ok(appended));
                flush_in_time(&partition);
                if partition.waits_for_disk(pending.ack_when == AckWhen::Durable) {
                    partition.when_durable(appended.end_offset, pending, index);
                    return;
                }
            }
            Err(error) => pending.set(index, Err(error)),
        }
        pending.one_ended();
    }

    /// Appends a batch in steps. The partition may go between any two of them.
    async fn append_prepared(
        self: &Rc<Self>,
        id: TopicIdPartition,
        prepared: Prepared,
    ) -> Result<(Rc<Partition>, Appended), AppendError> {
        let hosted = || self.hosted_or(id, AppendError::NotHosted, AppendError::Offline);
        let ahead = hosted()?.write_ahead(&prepared, rt::time::wall()).await?;
        let partition = hosted()?;
        let before = partition.high_watermark();
        let appended = partition.append_prepared(prepared, ahead, rt::time::wall());
        self.advanced(id, &partition, before);
        Ok((partition, appended?))
    }

    /// Wakes the readers of a partition whose high watermark has moved.
    pub(super) fn advanced(self: &Rc<Self>, id: TopicIdPartition, partition: &Partition, before: Offset) {
        let high_watermark = partition.high_watermark();
        if high_watermark > before {
            let woken = self.purgatory.borrow_mut().advanced(id, high_watermark);
            self.wake(woken);
        }
    }

    /// Begins a watch. A partition that has more already, or is not here, ends it at once.
    pub(super) fn begin_watch(self: &Rc<Self>, reply_to: ReplyTo, items: Vec<Asked<Offset>>) {
        let mut ready = Vec::new();
        for Asked {
            tag,
            partition,
            what: seen,
        } in items
        {
            self.purgatory.borrow_mut().watch(reply_to, partition, tag, seen);
            match self.hosted(partition) {
                Some(hosted) if hosted.high_watermark() <= seen => {}
                Some(_) | None => ready.push(tag),
            }
        }
        if !ready.is_empty() {
            self.purgatory.borrow_mut().unwatch(reply_to);
            self.wake(vec![super::purgatory::Woken { reply_to, tags: ready }]);
        }
    }
}

fn find_epoch_end(partition: &Partition, asked: FindEpochEnd) -> Result<Option<EpochEnd>, ReadError> {
    partition.epoch_end(asked.current_leader_epoch, asked.leader_epoch)
}
