//! What a core does with a request: at once, on the partitions that it owns.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::base::ids::TopicIdPartition;
use crate::base::offset::Offset;
use crate::partition::Partition;
use crate::partition::types::{Append, AppendError, Appended, EpochEnd, OffsetFound, Read, ReadError};
use crate::rt;
use crate::shard::calls::ReplyTo;
use crate::shard::message::{AckWhen, Answer, Asked, FindEpochEnd, FindOffset, ShardReply, ShardRequest};
use crate::shard::{Origin, Shard};

type Appends = Vec<Answer<Result<Appended, AppendError>>>;

/// Appended batches that wait for the disk; when the last of them is there, or lost, the answer leaves. A wait that is given up
/// never counts: no answer is better than one that says more than is true.
struct PendingAppend {
    answers: RefCell<Appends>,
    waiting: Cell<usize>,
    origin: Cell<Option<Origin>>,
}

impl Shard {
    /// Executes a request and answers it, now or, where durability or the controller has to be waited for, later.
    pub(super) fn execute(self: &Rc<Self>, request: ShardRequest, origin: Origin) {
        rt::task::begin_part(request.name());
        match request {
            ShardRequest::Append { ack_when, items } => self.append(ack_when, items, origin),
            ShardRequest::Read { items } => {
                let answers = self.each(
                    items,
                    |partition, what: Read| partition.read(what),
                    (ReadError::NotHosted, ReadError::Offline),
                );
                self.answer(origin, ShardReply::Read(answers));
            }
            ShardRequest::FindOffsets { items } => {
                let answers = self.each(items, find_offset, (ReadError::NotHosted, ReadError::Offline));
                self.answer(origin, ShardReply::FindOffsets(answers));
            }
            ShardRequest::EpochEnds { items } => {
                let answers = self.each(items, find_epoch_end, (ReadError::NotHosted, ReadError::Offline));
                self.answer(origin, ShardReply::EpochEnds(answers));
            }
            ShardRequest::DeleteRecords { items } => self.delete_records(items, origin),
            ShardRequest::LogSizes => {
                let sizes = self.log_sizes();
                self.answer(origin, ShardReply::LogSizes(sizes));
            }
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
        let now = rt::time::wall();
        let mut answers: Appends = Vec::with_capacity(items.len());
        let mut waits = Vec::new();
        for Asked {
            tag,
            partition: id,
            what,
        } in items
        {
            let partition = match self.hosted_or(id, AppendError::NotHosted, AppendError::Offline) {
                Ok(partition) => partition,
                Err(error) => {
                    answers.push(Answer {
                        tag,
                        result: Err(error),
                    });
                    continue;
                }
            };
            let before = partition.high_watermark();
            let result = partition.append(&what, now);
            if let (AckWhen::Durable, Ok(appended)) = (ack_when, &result) {
                waits.push((answers.len(), Rc::clone(&partition), appended.end_offset));
            }
            answers.push(Answer { tag, result });
            self.advanced(id, &partition, before);
        }
        if waits.is_empty() {
            self.answer(origin, ShardReply::Append(answers));
            return;
        }
        let pending = Rc::new(PendingAppend {
            answers: RefCell::new(answers),
            waiting: Cell::new(waits.len()),
            origin: Cell::new(Some(origin)),
        });
        for (index, partition, end_offset) in waits {
            let (shard, pending) = (Rc::clone(self), Rc::clone(&pending));
            rt::task::spawn(async move {
                if partition.durable(end_offset).await.is_err()
                    && let Some(answer) = pending.answers.borrow_mut().get_mut(index)
                {
                    answer.result = Err(AppendError::Offline);
                }
                pending.waiting.set(pending.waiting.get() - 1);
                if pending.waiting.get() == 0
                    && let Some(origin) = pending.origin.take()
                {
                    shard.answer(origin, ShardReply::Append(pending.answers.take()));
                }
            });
        }
    }

    /// Wakes the readers of a partition whose high watermark has moved.
    fn advanced(self: &Rc<Self>, id: TopicIdPartition, partition: &Partition, before: Offset) {
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

fn find_offset(partition: &Partition, asked: FindOffset) -> Result<Option<OffsetFound>, ReadError> {
    partition.find_offset(asked.current_leader_epoch, asked.target)
}

fn find_epoch_end(partition: &Partition, asked: FindEpochEnd) -> Result<Option<EpochEnd>, ReadError> {
    partition.epoch_end(asked.current_leader_epoch, asked.leader_epoch)
}
