//! Compacts the logs of this core, the dirtiest first (`LogCleaner`).

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use crate::base::ids::TopicIdPartition;
use crate::log::compaction::dirt::dirtiest;
use crate::log::compaction::offset_map::MapSize;
use crate::partition::Partition;
use crate::rt;
use crate::shard::Shard;
use crate::storage::{Cleaner, CleanerSettings, StorageError};

/// The shortest rest between two looks, whatever the configuration says.
const BACKOFF_MIN: Duration = Duration::from_millis(10);

/// How often it is looked whether the rest has become shorter.
const BACKOFF_LOOK: Duration = Duration::from_secs(15);

impl Shard {
    /// Compacts one log after the other; when none is dirty enough, rests for `log.cleaner.backoff.ms`. For ever.
    pub async fn compact_logs(self: Rc<Self>) {
        if !self.config.broker.cleaner.is_enabled {
            return;
        }
        let mut settings = self.cleaner_settings();
        let mut cleaner = Cleaner::new(settings);
        // Those that hold what cannot be read, for as long as the broker runs.
        let mut uncleanable = HashSet::new();
        loop {
            self.rest_from_compaction().await;
            let wanted = self.cleaner_settings();
            if wanted != settings {
                settings = wanted;
                cleaner = Cleaner::new(settings);
            }
            let mut left_alone = uncleanable.clone();
            while let Some(id) = self.dirtiest_log(&left_alone).await {
                match self.compact_log(id, &mut cleaner).await {
                    Outcome::Compacted => {}
                    Outcome::LeftAlone => drop(left_alone.insert(id)),
                    Outcome::Uncleanable => {
                        left_alone.insert(id);
                        uncleanable.insert(id);
                    }
                }
            }
        }
    }

    /// Rests for `log.cleaner.backoff.ms`. A shorter time that is set meanwhile holds from the next look at it on.
    async fn rest_from_compaction(&self) {
        let began = rt::time::now();
        loop {
            let backoff = self.current_config().broker.cleaner.backoff.max(BACKOFF_MIN);
            let left = backoff.saturating_sub(rt::time::now().since(began));
            if left.is_zero() {
                return;
            }
            rt::time::sleep(left.min(BACKOFF_LOOK)).await;
        }
    }

    fn cleaner_settings(&self) -> CleanerSettings {
        let config = &self.current_config().broker.cleaner;
        let cores = self.cores.max(1);
        CleanerSettings {
            map: MapSize {
                bytes_max: config.map_bytes_max / u64::from(cores),
                load_factor: config.map_load_factor,
            },
            bytes_per_second: config.io_bytes_per_second / f64::from(cores),
        }
    }

    /// The dirtiest log that is dirty enough.
    async fn dirtiest_log(&self, left_alone: &HashSet<TopicIdPartition>) -> Option<TopicIdPartition> {
        let hosted: Vec<(TopicIdPartition, Rc<Partition>)> = {
            let hosted = self.hosted.borrow();
            let candidates = hosted
                .iter()
                .filter(|(id, partition)| partition.compaction_rules().is_some() && !left_alone.contains(*id));
            candidates.map(|(id, partition)| (*id, Rc::clone(partition))).collect()
        };
        let mut looked_at = Vec::with_capacity(hosted.len());
        for (id, partition) in hosted {
            let Some(rules) = partition.compaction_rules() else {
                continue;
            };
            match partition.dirt(&rules, rt::time::wall()).await {
                Ok(dirt) => looked_at.push((id, dirt, rules)),
                Err(error) => {
                    tracing::debug!(partition = %partition.name(), %error, "it is not known how dirty a log is")
                }
            }
            rt::task::yield_if_needed().await;
        }
        let place = dirtiest(looked_at.iter().map(|(_, dirt, rules)| (dirt, rules)))?;
        looked_at.get(place).map(|(id, _, _)| *id)
    }

    async fn compact_log(&self, id: TopicIdPartition, cleaner: &mut Cleaner) -> Outcome {
        let Some(partition) = self.hosted(id) else {
            return Outcome::LeftAlone;
        };
        let Some(rules) = partition.compaction_rules() else {
            return Outcome::LeftAlone;
        };
        let began = rt::time::now();
        let mut removed = Vec::new();
        let compacted = partition.compact(cleaner, &rules, rt::time::wall(), &mut removed).await;
        if !removed.is_empty() {
            let at = rt::time::now().plus(partition.file_delete_delay());
            self.trash.add(at, partition.log().health(), removed);
        }
        match compacted {
            Ok(Some(compacted)) => {
                tracing::info!(
                    partition = %partition.name(),
                    end_offset = %compacted.end_offset,
                    bytes_before = compacted.bytes_before,
                    bytes_after = compacted.bytes_after,
                    took_ms = rt::time::now().since(began).as_millis(),
                    "a log is compacted"
                );
                Outcome::Compacted
            }
            Ok(None) => Outcome::LeftAlone,
            Err(error @ StorageError::Damaged { .. }) => {
                tracing::error!(partition = %partition.name(), %error, "a log cannot be compacted, and is not until the next start");
                Outcome::Uncleanable
            }
            Err(error) => {
                tracing::warn!(partition = %partition.name(), %error, "a log cannot be compacted now");
                Outcome::LeftAlone
            }
        }
    }
}

/// What became of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Compacted,
    /// Until the next look.
    LeftAlone,
    Uncleanable,
}
