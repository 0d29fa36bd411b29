//! One hosted replica: log, storage and watermarks under one owner.
//!
//! A [`Partition`] belongs to one core and is called by that core's thread alone. It validates and appends batches, says what may be
//! read and where it stands, and tells when a record is committed and durable. It knows no other partition, no connection and no
//! request.
//!
//! Invariants:
//! - `log_start_offset <= high_watermark <= log_end_offset`; the high watermark never goes back within a leader epoch.
//! - With one replica a record is committed when it is appended: readers see it at once. An acks=all answer waits for the disk too.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::base::ids::{LeaderEpoch, TopicIdPartition, TopicPartition};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::config::{TimestampType as ConfiguredTimestampType, TopicConfig};
use crate::log::Settings;
use crate::partition::types::ActiveProducer;
use crate::record::{Rules, TimestampType};
use crate::rt;
use crate::storage::{AwaitsDisk, Log, StorageError};

pub mod append;
mod compact;
mod flush;
pub mod read;
mod retain;
pub mod turns;
pub mod types;
mod workspace;

use turns::Turns;
pub use workspace::Workspace;

/// One replica, and on this node the leader.
pub struct Partition {
    pub id: TopicIdPartition,
    log: Log,
    /// The same for all partitions of the topic.
    config: RefCell<Rc<TopicConfig>>,
    leader_epoch: Cell<LeaderEpoch>,
    high_watermark: Cell<Offset>,
    workspace: Rc<Workspace>,
    /// Batches that are being checked.
    turns: Rc<Turns>,
    /// A task waits to flush by `flush.ms`.
    is_flush_due: Cell<bool>,
}

impl Partition {
    /// A replica whose log is open, led by this node in `leader_epoch`.
    ///
    /// # Errors
    /// The epoch cannot be noted in the log's directory.
    pub fn new(
        id: TopicIdPartition,
        log: Log,
        config: Rc<TopicConfig>,
        leader_epoch: LeaderEpoch,
        workspace: Rc<Workspace>,
    ) -> Result<Self, StorageError> {
        log.begin_epoch(leader_epoch)?;
        let high_watermark = Cell::new(log.log_end_offset());
        Ok(Self {
            id,
            log,
            config: RefCell::new(config),
            leader_epoch: Cell::new(leader_epoch),
            high_watermark,
            workspace,
            turns: Rc::default(),
            is_flush_due: Cell::new(false),
        })
    }

    #[must_use]
    pub fn name(&self) -> &TopicPartition {
        self.log.partition()
    }

    /// The log itself, for its closing and its deletion.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The end of what all replicas have.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark.get()
    }

    /// Waits until everything below `end_offset` is committed and on the disk.
    ///
    /// # Errors
    /// The log directory is offline.
    pub async fn durable(&self, end_offset: Offset) -> Result<(), StorageError> {
        self.log.make_durable(end_offset).await
    }

    /// Whether everything below `end_offset` is on the disk.
    #[must_use]
    pub fn is_durable(&self, end_offset: Offset) -> bool {
        self.log.durable_end_offset() >= end_offset
    }

    /// Bytes of the largest batch that the topic takes.
    #[must_use]
    pub fn batch_bytes_max(&self) -> usize {
        usize::try_from(self.config.borrow().message_bytes_max).unwrap_or(usize::MAX)
    }

    /// Producers that are remembered, by their ids.
    #[must_use]
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        self.log.with_state(|state| {
            let active = state.producers().iter().map(|(id, entry)| ActiveProducer {
                id,
                epoch: entry.epoch,
                last_sequence: entry.last_sequence(),
                last_timestamp: entry.last_timestamp,
                coordinator_epoch: entry.coordinator_epoch,
                transaction_first_offset: entry.transaction_first_offset,
            });
            active.collect()
        })
    }

    /// [`durable`](Self::durable) for one who is told.
    pub fn when_durable(&self, end_offset: Offset, who: Rc<dyn AwaitsDisk>, number: usize) {
        self.log.when_durable(end_offset, who, number);
    }

    /// Forgets producers that have been silent for longer than `expiration`.
    pub fn expire_producers(&self, now: TimestampMs, expiration: Duration) {
        let expiration_ms = i64::try_from(expiration.as_millis()).unwrap_or(i64::MAX);
        self.log.expire_producers(now, expiration_ms);
    }

    /// Takes new settings of its topic.
    pub fn configure(&self, config: Rc<TopicConfig>) {
        self.log.set_settings(log_settings(&config));
        self.config.replace(config);
    }

    /// Leads in a new epoch. An older one than it leads in already changes nothing.
    pub fn lead(&self, leader_epoch: LeaderEpoch) {
        if leader_epoch <= self.leader_epoch.get() {
            return;
        }
        self.leader_epoch.set(leader_epoch);
        if let Err(error) = self.log.begin_epoch(leader_epoch) {
            tracing::error!(partition = %self.name(), %error, "a new leader epoch cannot be noted");
        }
    }

    /// Says which thread serves the partition, for whoever wants to see that it is always the same.
    fn trace(&self, operation: &'static str) {
        tracing::trace!(target: "duramen::served", operation, partition = %self.name(), thread = rt::host::thread_id());
    }

    fn rules(&self, now: TimestampMs, zstd_allowed: bool) -> Rules {
        let config = self.config.borrow();
        Rules {
            batch_bytes_max: usize::try_from(config.message_bytes_max).unwrap_or(usize::MAX),
            key_required: config.cleanup.compact,
            timestamp_type: match config.timestamp_type {
                ConfiguredTimestampType::CreateTime => TimestampType::CreateTime,
                ConfiguredTimestampType::LogAppendTime => TimestampType::LogAppendTime,
            },
            timestamp_before_max_ms: config.timestamp_before_max_ms,
            timestamp_after_max_ms: config.timestamp_after_max_ms,
            now,
            zstd_allowed,
        }
    }
}

/// The settings of a log, of all those of its topic.
#[must_use]
pub fn log_settings(config: &TopicConfig) -> Settings {
    // Only closed segments are compacted (`LogConfig.maxSegmentMs`).
    let segment_ms = match config.cleanup.compact {
        true => config.segment_ms.min(config.compaction_lag_max_ms),
        false => config.segment_ms,
    };
    Settings {
        segment_bytes_max: config.segment_bytes,
        segment_ms_max: segment_ms,
        // Less than all of the age, or every batch would begin a segment (`LogConfig.randomSegmentJitter`).
        segment_jitter_ms: drawn_below(config.segment_jitter_ms.min(segment_ms)),
        index_bytes_max: config.segment_index_bytes,
        index_interval_bytes: config.index_interval_bytes,
        preallocate: config.preallocate,
    }
}

/// A random number in `[0, bound)`; 0 when there is none.
fn drawn_below(bound: i64) -> i64 {
    let drawn = u64::try_from(bound)
        .ok()
        .and_then(|bound| rt::random::u64().checked_rem(bound));
    drawn.and_then(|drawn| i64::try_from(drawn).ok()).unwrap_or(0)
}

#[cfg(test)]
#[cfg(not(feature = "sim"))]
mod tests {
    use super::drawn_below;

    #[test]
    fn jitter_stays_below_its_bound() {
        for bound in [i64::MIN, -1, 0, 1] {
            assert_eq!(drawn_below(bound), 0, "{bound}");
        }
        let drawn: Vec<i64> = (0..200).map(|_| drawn_below(3)).collect();
        assert!((0..3).all(|value| drawn.contains(&value)) && drawn.iter().all(|value| *value < 3));
        assert!(drawn_below(i64::MAX) >= 0);
    }
}
