//! Fills the map of a round with the keys of the dirty part of a log (`Cleaner.buildOffsetMap`).

use super::batches::{Located, SegmentBatches};
use super::sift::{control_type, unpack};
use super::{Cleaner, CompactionWork, Ended, RECORDS_PER_LOOK, Workspace, breathe};
use crate::base::offset::{FilePosition, Offset};
use crate::log::aborted::AbortedTransaction;
use crate::log::compaction::offset_map::Growth;
use crate::log::compaction::transactions::Transactions;
use crate::log::compaction::{Dirt, OffsetMap, Round};
use crate::record::Unpacked;
use crate::rt::{random, task};
use crate::storage::Log;
use crate::storage::cold::WhenCold;

impl Cleaner {
    /// Reads the dirty part until it ends, or no key fits the map any more: the round ends before that record.
    pub(super) async fn fill_map(
        &mut self,
        log: &Log,
        dirt: &Dirt,
        work: &CompactionWork<'_>,
        aborted: Vec<AbortedTransaction>,
        workspace: &mut Workspace,
    ) -> Result<Round, Ended> {
        let records = dirt.end_offset.distance_from(dirt.first_dirty_offset);
        let seed = [random::u64(), random::u64()];
        let mut filling = Filling {
            map: OffsetMap::new(&self.settings.map, u64::try_from(records).unwrap_or(0), seed),
            transactions: Transactions::new(aborted),
            first_dirty_offset: dirt.first_dirty_offset,
        };
        let end_offset = self.fill(log, dirt, &mut filling, workspace).await?;
        Ok(Round {
            map: filling.map,
            end_offset: end_offset.unwrap_or(dirt.end_offset),
            now: work.now,
            delete_retention_ms: work.rules.delete_retention_ms,
        })
    }

    /// The offset of the first record that did not fit.
    async fn fill(
        &mut self,
        log: &Log,
        dirt: &Dirt,
        filling: &mut Filling,
        workspace: &mut Workspace,
    ) -> Result<Option<Offset>, Ended> {
        let segments = log.segments_below(dirt.end_offset);
        let first = segments
            .partition_point(|segment| segment.base_offset <= dirt.first_dirty_offset)
            .saturating_sub(1);
        for segment in segments.iter().skip(first) {
            let position = if segment.base_offset < dirt.first_dirty_offset {
                log.floor_of(segment.base_offset, dirt.first_dirty_offset)?
            } else {
                FilePosition::ZERO
            };
            let buffer = std::mem::take(&mut workspace.read);
            let mut batches = SegmentBatches::open_at(log, segment, position, buffer)?;
            while let Some(batch) = batches.next().await? {
                log.check_compactable()?;
                if let Some(full_at) = filling.take(&batch, workspace).await? {
                    return Ok(Some(full_at));
                }
                let bytes = batch.view.bytes().len() as u64;
                self.keep_pace(log, bytes).await?;
            }
            workspace.read = batches.into_buffer();
        }
        Ok(None)
    }
}

/// A map on its way.
struct Filling {
    map: OffsetMap,
    transactions: Transactions,
    first_dirty_offset: Offset,
}

impl Filling {
    /// Takes the keys of a batch; the offset of the first record that does not fit.
    async fn take(&mut self, batch: &Located<'_>, workspace: &mut Workspace) -> Result<Option<Offset>, Ended> {
        task::begin_part("compaction: map");
        let header = *batch.view.header();
        if header.attributes.is_control() {
            let control_type = control_type(batch, &mut workspace.decompressor)?;
            self.transactions.pass_marker(&header, control_type);
            return Ok(None);
        }
        if self.transactions.pass_records(&header) || header.last_offset() < self.first_dirty_offset {
            return Ok(None);
        }
        let unpacked = unpack(batch, workspace).await?;
        let full_at = self.put_keys(batch, &unpacked).await;
        workspace.keep_expanded(unpacked.into_buffer());
        full_at
    }

    async fn put_keys(&mut self, batch: &Located<'_>, unpacked: &Unpacked<'_>) -> Result<Option<Offset>, Ended> {
        for (number, record) in unpacked.records().enumerate() {
            let record = record.map_err(|_| batch.unreadable())?;
            if let Some(key) = record.key
                && record.offset >= self.first_dirty_offset
            {
                while !self.map.put(key, record.offset) {
                    let Some(growth) = self.map.grow() else {
                        return Ok(Some(record.offset));
                    };
                    grow(growth).await;
                }
            }
            if number % RECORDS_PER_LOOK == 0 {
                breathe("compaction: map").await;
            }
        }
        Ok(None)
    }
}

async fn grow(mut growth: Growth<'_>) {
    while growth.move_piece() {
        breathe("compaction: map").await;
    }
}

impl Log {
    /// The position of a batch at or before `offset` in a segment.
    fn floor_of(&self, segment: Offset, offset: Offset) -> Result<FilePosition, Ended> {
        let mut files = self.inner.files.borrow_mut();
        Ok(files.segment(segment)?.floor_of_offset(offset, WhenCold::Wait)?)
    }
}
