//! The front of logs: what has had its time goes, now and then; what clients delete, at once.

use std::rc::Rc;
use std::time::Duration;

use crate::base::ids::TopicIdPartition;
use crate::base::offset::Offset;
use crate::log::room::Room;
use crate::partition::Partition;
use crate::partition::types::{DeleteRecordsError, DeleteUpTo};
use crate::rt;
use crate::shard::message::{Answer, Asked, ShardReply};
use crate::shard::{Origin, Shard};
use crate::storage::{Health, Trimmed};

/// Partitions that are looked at before the next rest: the rests of one round add up to the interval.
const PARTITIONS_AT_ONCE: usize = 64;

impl Shard {
    /// Looks at each partition once in `log.retention.check.interval.ms`, spread over it, for ever.
    pub async fn retain(self: Rc<Self>) {
        let interval = self.config.broker.retention_check_interval;
        rt::time::sleep(interval.min(self.config.broker.task_delay_initial)).await;
        loop {
            let hosted: Vec<TopicIdPartition> = self.hosted.borrow().keys().copied().collect();
            let groups = hosted.chunks(PARTITIONS_AT_ONCE);
            let rest = interval / u32::try_from(groups.len().max(1)).unwrap_or(u32::MAX);
            for group in groups {
                for id in group {
                    self.retain_one(*id).await;
                    rt::task::yield_if_needed().await;
                }
                rt::time::sleep(rest).await;
            }
            if hosted.is_empty() {
                rt::time::sleep(rest).await;
            }
        }
    }

    async fn retain_one(self: &Rc<Self>, id: TopicIdPartition) {
        let Some(partition) = self.hosted(id) else { return };
        match partition.retain(rt::time::wall()).await {
            Ok(None) => {}
            Ok(Some(trimmed)) => self.trimmed(id, &partition, trimmed),
            // The failure itself was told, once; after it every partition of the directory comes here.
            Err(error) => tracing::debug!(partition = %partition.name(), %error, "retention is not done"),
        }
    }

    /// The log of a partition begins later: its readers look again, its files go in time.
    fn trimmed(self: &Rc<Self>, id: TopicIdPartition, partition: &Partition, trimmed: Trimmed) {
        let woken = self.purgatory.borrow_mut().look_again(id);
        self.wake(woken);
        if !trimmed.files.is_empty() {
            // On a full disk room is made at once.
            let delay = match partition.log().health().room() {
                Room::None => Duration::ZERO,
                Room::Enough | Room::Little => partition.file_delete_delay(),
            };
            let at = rt::time::now().plus(delay);
            self.trash.add(at, partition.log().health(), trimmed.files);
        }
    }

    /// Looks at the room on the disk of each directory, this core at its share of them, for ever.
    pub async fn watch_room(self: Rc<Self>) {
        let floor_bytes = self.config.broker.free_bytes_min;
        let cores = usize::from(self.cores);
        let mine = self.directories.all().iter().skip(self.id.index()).step_by(cores);
        let mine: Vec<Health> = mine.map(|directory| directory.health().clone()).collect();
        while !mine.is_empty() {
            let looks = mine.iter().map(|health| health.look_at_room(floor_bytes));
            rt::time::sleep(looks.min().unwrap_or_default()).await;
        }
    }

    /// Deletes records, partition by partition, and answers with where each log begins.
    pub(super) fn delete_records(self: &Rc<Self>, items: Vec<Asked<DeleteUpTo>>, origin: Origin) {
        let shard = Rc::clone(self);
        rt::task::spawn(async move {
            let mut answers = Vec::with_capacity(items.len());
            for Asked { tag, partition, what } in items {
                let result = shard.delete_records_of(partition, what).await;
                answers.push(Answer { tag, result });
            }
            shard.answer(origin, ShardReply::DeleteRecords(answers));
        });
    }

    async fn delete_records_of(
        self: &Rc<Self>,
        id: TopicIdPartition,
        up_to: DeleteUpTo,
    ) -> Result<Offset, DeleteRecordsError> {
        let partition = self.hosted_or(id, DeleteRecordsError::NotHosted, DeleteRecordsError::Offline)?;
        let trimmed = partition.delete_records(up_to).await?;
        let log_start_offset = trimmed.log_start_offset;
        self.trimmed(id, &partition, trimmed);
        Ok(log_start_offset)
    }
}
