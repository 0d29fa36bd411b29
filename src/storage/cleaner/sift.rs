//! Passes batches on to the new segment: in whole, in part, emptied, or not at all.

use bytes::Bytes;

use super::batches::Located;
use super::write::SegmentWriter;
use super::{Ended, RECORDS_PER_LOOK, Workspace, breathe, breathe_deeply};

use crate::base::limits::CHECKSUM_STEP_BYTES;
use crate::base::time::TimestampMs;
use crate::log::compaction::Round;
use crate::log::compaction::retain::{BatchPlan, Kept, Surroundings, WhenEmpty, is_last_of_producer};
use crate::log::compaction::transactions::{MarkerFate, Transactions};
use crate::record::recompress::{Recompression, Target};
use crate::record::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, BatchView, Compression, CompressionLevel, ControlType, Decompressor,
    Unpacked, emptied,
};
use crate::rt::{task, time};
use crate::storage::Log;

/// Bytes of records that are compressed between two looks at the clock: gzip takes 60 us for them.
const COMPRESSED_AT_ONCE: usize = 2 * 1024;

/// A batch may be as long as the format can say: it was in the log before.
const BATCH_BYTES_MAX: usize = i32::MAX as usize;

/// A round, on its way along a log.
pub(super) struct Sieve<'a> {
    round: &'a Round,
    transactions: Transactions,
    pub(super) workspace: Workspace,
    /// Which records of the present batch stay.
    stays: Vec<bool>,
}

/// What is seen of a batch when each of its records was looked at.
#[derive(Default)]
struct Seen {
    kept: usize,
    tombstones: usize,
}

impl<'a> Sieve<'a> {
    pub(super) fn new(round: &'a Round, transactions: Transactions, workspace: Workspace) -> Self {
        Self {
            round,
            transactions,
            workspace,
            stays: Vec::new(),
        }
    }

    /// Passes one batch.
    pub(super) async fn pass(
        &mut self,
        log: &Log,
        batch: &Located<'_>,
        ends_segment: bool,
        writer: &mut SegmentWriter,
    ) -> Result<(), Ended> {
        task::begin_part("compaction: sift");
        let header = *batch.view.header();
        let is_discarded = self.pass_transaction(batch, writer)?;
        let surroundings = Surroundings {
            ends_segment,
            is_last_of_producer: log
                .with_state(|state| is_last_of_producer(&header, state.producers().get(header.producer_id))),
            is_discarded,
        };
        let plan = self.round.plan_batch(&header, &surroundings);
        if plan.kept == Kept::None {
            return put_emptied(log, &header, plan.when_empty, writer).await;
        }
        let unpacked = unpack(batch, &mut self.workspace).await?;
        let outcome = self.pass_records(log, batch, &plan, &unpacked, writer).await;
        self.workspace.keep_expanded(unpacked.into_buffer());
        outcome
    }

    /// Passes the records of a batch that stay.
    async fn pass_records(
        &mut self,
        log: &Log,
        batch: &Located<'_>,
        plan: &BatchPlan,
        unpacked: &Unpacked<'_>,
        writer: &mut SegmentWriter,
    ) -> Result<(), Ended> {
        let header = batch.view.header();
        let seen = self.look(batch, plan.kept, unpacked).await?;
        if seen.kept == 0 {
            return put_emptied(log, header, plan.when_empty, writer).await;
        }
        let needs_horizon = seen.tombstones > 0 || plan.is_marker_to_delete;
        let horizon = needs_horizon.then(|| self.round.new_delete_horizon(header)).flatten();
        if seen.kept == self.stays.len() && horizon.is_none() {
            return writer.put(log, batch.view.bytes()).await;
        }
        let plain = self.rewrite(batch, horizon, unpacked).await?;
        let written = match self.compress(batch, &plain).await? {
            Some(compressed) => writer.put(log, &compressed).await,
            None => writer.put(log, &plain).await,
        };
        self.workspace.keep_rewritten(plain);
        written
    }

    /// Whether the records of a batch were aborted, or the marker in it is of no use.
    fn pass_transaction(&mut self, batch: &Located<'_>, writer: &mut SegmentWriter) -> Result<bool, Ended> {
        let header = batch.view.header();
        if !header.attributes.is_control() {
            return Ok(self.transactions.pass_records(header));
        }
        let control_type = control_type(batch, &mut self.workspace.decompressor)?;
        match self.transactions.pass_marker(header, control_type) {
            MarkerFate::Discarded => Ok(true),
            MarkerFate::Needed(aborted) => {
                if let Some(aborted) = aborted {
                    writer.put_aborted(&aborted);
                }
                Ok(false)
            }
        }
    }

    /// Looks at each record of a batch.
    async fn look(&mut self, batch: &Located<'_>, kept: Kept, unpacked: &Unpacked<'_>) -> Result<Seen, Ended> {
        self.stays.clear();
        let mut seen = Seen::default();
        for (number, record) in unpacked.records().enumerate() {
            let record = record.map_err(|_| batch.unreadable())?;
            let stays = kept == Kept::All || self.round.keeps(batch.view.header(), &record);
            self.stays.push(stays);
            if stays {
                seen.kept += 1;
                seen.tombstones += usize::from(record.value.is_none());
            }
            if number % RECORDS_PER_LOOK == 0 {
                breathe("compaction: sift").await;
            }
        }
        Ok(seen)
    }

    /// The batch with the records that stay, not compressed.
    async fn rewrite(
        &mut self,
        batch: &Located<'_>,
        horizon: Option<TimestampMs>,
        unpacked: &Unpacked<'_>,
    ) -> Result<Vec<u8>, Ended> {
        let header = batch.view.header();
        let buffer = self
            .workspace
            .take_rewritten(BATCH_HEADER_BYTES + unpacked.record_bytes().len());
        let mut builder = BatchBuilder::rewriting(header, horizon).collecting_in(buffer);
        for (number, (record, stays)) in unpacked.records().zip(&self.stays).enumerate() {
            if *stays {
                let record = record.map_err(|_| batch.unreadable())?;
                builder.append_view(&record).map_err(|_| batch.unreadable())?;
            }
            if number % RECORDS_PER_LOOK == 0 {
                breathe("compaction: rewrite").await;
            }
        }
        let builder = builder.last_offset_delta(header.last_offset_delta);
        let mut sealing = builder.sealing().map_err(|_| batch.unreadable())?;
        while sealing.advance(CHECKSUM_STEP_BYTES) {
            breathe("compaction: checksum").await;
        }
        Ok(sealing.finish())
    }

    /// The same with the codec that it had, if it had one.
    async fn compress(&mut self, batch: &Located<'_>, plain: &[u8]) -> Result<Option<Bytes>, Ended> {
        let compression = batch.view.header().attributes.compression();
        let Some(compression) = compression.filter(|codec| *codec != Compression::None) else {
            return Ok(None);
        };
        let target = Target {
            compression,
            level: CompressionLevel::Default,
            batch_bytes_max: BATCH_BYTES_MAX,
        };
        let view = BatchView::parse_only(plain).map_err(|_| batch.unreadable())?;
        let begun = Recompression::begin(&view, target, &mut self.workspace.decompressor);
        let mut recompression = begun.map_err(|_| batch.unreadable())?;
        loop {
            breathe_deeply("compaction: compress").await;
            let block_bytes = self.workspace.block_bytes.of(compression);
            let began = time::now();
            let compressed = recompression.advance(COMPRESSED_AT_ONCE, block_bytes.next());
            if recompression.has_ended_block() {
                block_bytes.note(time::now().since(began));
            }
            if let Some(compressed) = compressed.map_err(|_| batch.unreadable())? {
                return Ok(Some(compressed));
            }
        }
    }
}

async fn put_emptied(
    log: &Log,
    header: &BatchHeader,
    when_empty: WhenEmpty,
    writer: &mut SegmentWriter,
) -> Result<(), Ended> {
    match when_empty {
        WhenEmpty::Dropped => Ok(()),
        WhenEmpty::Kept => writer.put(log, &emptied(header)).await,
    }
}

/// Expands the records of a batch.
pub(super) async fn unpack<'a>(batch: &Located<'a>, workspace: &mut Workspace) -> Result<Unpacked<'a>, Ended> {
    let buffer = workspace.take_expanded();
    let unpacking = batch.view.unpack(&mut workspace.decompressor, buffer);
    let mut unpacking = unpacking.map_err(|_| batch.unreadable())?;
    if batch.view.header().attributes.compression() != Some(Compression::None) {
        breathe_deeply("compaction: unpack").await;
    }
    while unpacking.advance().map_err(|_| batch.unreadable())? {
        breathe_deeply("compaction: unpack").await;
    }
    Ok(unpacking.finish())
}

/// What a control batch is about; `None` for one that compaction has emptied.
pub(super) fn control_type(batch: &Located<'_>, decompressor: &mut Decompressor) -> Result<Option<ControlType>, Ended> {
    let mut records = batch.view.records(decompressor).map_err(|_| batch.unreadable())?;
    let Some(record) = records.next() else { return Ok(None) };
    let record = record.map_err(|_| batch.unreadable())?;
    let control_type = ControlType::from_key(record.key).ok_or_else(|| batch.unreadable())?;
    Ok(Some(control_type))
}
