//! Coordinators come into being from their partitions.

use std::rc::Rc;

use crate::base::ids::LeaderEpoch;
use crate::base::limits::BATCH_EXPANDED_BYTES_MAX;
use crate::base::offset::Offset;
use crate::coordinator::group::{Coordinator, Effects, Loader};
use crate::partition::types::{Read, ReadRange};
use crate::record::{BatchError, BatchView, Batches, Decompressor};
use crate::rt;
use crate::shard::Shard;
use crate::shard::message::Asked;

use super::catalogue::Topics;
use super::{Phase, Row, config, now};

/// Bytes that are read at a time; a batch that is longer is read alone.
const READ_BYTES: u32 = 64 * 1024;

/// Bytes of records that are loaded between two looks at the clock, which takes some microseconds.
const BYTES_PER_LOOK: usize = 4096;

/// What a record counts for beside its key and value.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// Why a coordinator does not come into being.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("the partition is gone, or cannot be read")]
    Unreadable,
    #[error("its log cannot be read at offset {0:?}")]
    Gap(Offset),
    #[error("{0}")]
    Read(#[from] std::io::Error),
}

impl Shard {
    /// Reads the coordinator of a partition and lets it serve.
    pub(super) async fn load_coordinator(self: Rc<Self>, row: Rc<Row>) {
        let began = rt::time::now();
        match self.read_coordinator(&row).await {
            Ok(mut coordinator) => {
                let image = self.image();
                self.tune_all(&mut coordinator, &image, row.partition);
                let effects = begin_to_serve(&mut coordinator).await;
                // Nobody tells a coordinator of changes while it is loaded.
                let newest = self.image();
                let interval = self.current_config().broker.groups.consumer.assignment_interval;
                if coordinator.set_assignment_interval(interval) {
                    self.tune_all(&mut coordinator, &newest, row.partition);
                }
                self.tune_changed(&mut coordinator, &image, &newest, row.partition);
                coordinator.on_topics(Box::new(Topics(newest)));
                let (groups, offsets) = (coordinator.group_count(), coordinator.offsets().count());
                if matches!(*row.phase.borrow(), Phase::Over) {
                    return;
                }
                row.phase.replace(Phase::Serving(Box::new(coordinator)));
                if groups > 0 {
                    let (partition, took) = (row.partition.partition, rt::time::now().since(began));
                    tracing::debug!(partition, groups, offsets, ?took, "groups are coordinated");
                }
                self.settle(&row, effects);
            }
            Err(error) => {
                let partition = row.partition.partition;
                tracing::error!(partition, %error, "the groups of a partition cannot be read; the others are served");
                self.end_coordinator(&row);
            }
        }
    }

    async fn read_coordinator(&self, row: &Row) -> Result<Coordinator, LoadError> {
        let mut loader = Loader::new(Coordinator::new(config(&self.config.broker.groups)));
        let mut workspace = Decompressor::new(BATCH_EXPANDED_BYTES_MAX);
        let partition = self.hosted(row.partition).ok_or(LoadError::Unreadable)?;
        let mut offset = partition.log().log_start_offset();
        let end = partition.high_watermark();
        drop(partition);
        while offset < end {
            let bytes = match self.read_from(row, offset).await? {
                Some(range) => range.file.read_cold(range.position, to_size(range.bytes)).await?,
                None => break,
            };
            let before = offset;
            for batch in Batches::new(&bytes) {
                // The end of a slice may be a part of a batch.
                let Ok(batch) = batch else { break };
                if let Err(error) = load_batch(&mut loader, &batch, &mut workspace).await {
                    let (partition, offset) = (row.partition.partition, batch.header().base_offset.0);
                    tracing::error!(partition, offset, %error, "a batch of the groups is damaged and passed over");
                }
                offset = batch.header().next_offset();
            }
            if offset == before {
                return Err(LoadError::Gap(offset));
            }
        }
        let (coordinator, skipped) = loader.finish();
        if skipped.unknown + skipped.broken + skipped.undecided > 0 {
            tracing::warn!(
                partition = row.partition.partition,
                ?skipped,
                "records of the groups are passed over"
            );
        }
        // What a crash of the machine may still take back is not told to anybody before it is on the disk.
        row.appended.set(end);
        Ok(coordinator)
    }

    async fn read_from(&self, row: &Row, offset: Offset) -> Result<Option<ReadRange>, LoadError> {
        let asked = Asked {
            tag: 0,
            partition: row.partition,
            what: Read {
                offset,
                current_leader_epoch: LeaderEpoch::NONE,
                last_fetched_epoch: LeaderEpoch::NONE,
                bytes_max: READ_BYTES,
            },
        };
        let outcome = self.read_when_warm(&asked).await;
        outcome.map(|outcome| outcome.range).map_err(|_| LoadError::Unreadable)
    }

    /// Ends a coordinator; all that wait for it are told to look for another.
    pub(super) fn end_coordinator(self: &Rc<Self>, row: &Rc<Row>) {
        let phase = row.phase.replace(Phase::Over);
        self.refuse_gathered(row);
        if let Phase::Serving(mut coordinator) = phase {
            for (ticket, answer) in coordinator.take_waiting().answers {
                self.give(row, ticket, answer);
            }
        }
    }
}

/// Gives the members of all groups their time to be heard of, in steps.
async fn begin_to_serve(coordinator: &mut Coordinator) -> Effects {
    let mut effects = Effects::default();
    let mut after = None;
    loop {
        rt::task::begin_part("begin to serve groups");
        after = coordinator.on_loaded(after.as_ref(), now(), &mut effects);
        if after.is_none() {
            return effects;
        }
        rt::task::yield_if_needed().await;
    }
}

/// Loads a batch in steps. Of one that is damaged, what comes before the damage counts.
async fn load_batch(
    loader: &mut Loader,
    batch: &BatchView<'_>,
    workspace: &mut Decompressor,
) -> Result<(), BatchError> {
    rt::task::begin_part("expand groups");
    batch.check_crc()?;
    let mut unpacking = batch.unpack(workspace, Vec::new())?;
    while unpacking.advance()? {
        rt::task::yield_if_needed().await;
        rt::task::begin_part("expand groups");
    }
    let unpacked = unpacking.finish();
    rt::task::begin_part("load groups");
    let mut bytes = 0;
    for record in unpacked.records() {
        let record = record?;
        loader.load(batch.header(), &record);
        bytes += RECORD_OVERHEAD_BYTES;
        bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if bytes >= BYTES_PER_LOOK {
            bytes = 0;
            rt::task::yield_if_needed().await;
            rt::task::begin_part("load groups");
        }
    }
    rt::task::yield_if_needed().await;
    Ok(())
}

fn to_size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
