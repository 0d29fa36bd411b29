//! Passes batches on to the new segment: in whole, in part, emptied, or not at all.

use bytes::Bytes;

use super::batches::Located;
use super::write::SegmentWriter;
use super::{Ended, breathe};

use crate::base::limits::RECOMPRESSION_STEP_BYTES;
use crate::base::time::TimestampMs;
use crate::log::compaction::Round;
use crate::log::compaction::retain::{BatchPlan, Kept, Surroundings, WhenEmpty, is_last_of_producer};
use crate::log::compaction::transactions::{MarkerFate, Transactions};
use crate::record::recompress::{Recompression, Target};
use crate::record::{
    BatchBuilder, BatchHeader, BatchView, Compression, CompressionLevel, ControlType, Decompressor, Unpacked, emptied,
};
use crate::rt::task;
use crate::storage::Log;

/// Records between two looks at the clock.
const RECORDS_PER_LOOK: usize = 32;

/// Bytes of the buffer for expanded records that are kept between two batches.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

/// A batch may be as long as the format can say: it was in the log before.
const BATCH_BYTES_MAX: usize = i32::MAX as usize;

/// A round, on its way along a log.
pub(super) struct Sieve<'a> {
    round: &'a Round,
    transactions: Transactions,
    decompressor: Decompressor,
    /// Which records of the present batch stay.
    stays: Vec<bool>,
    /// For records that are expanded.
    buffer: Vec<u8>,
}

/// What is seen of a batch when each of its records was looked at.
#[derive(Default)]
struct Seen {
    kept: usize,
    tombstones: usize,
}

impl<'a> Sieve<'a> {
    pub(super) fn new(round: &'a Round, transactions: Transactions, decompressor: Decompressor) -> Self {
        Self {
            round,
            transactions,
            decompressor,
            stays: Vec::new(),
            buffer: Vec::new(),
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
            return put_emptied(log, &header, plan.when_empty, writer);
        }
        let buffer = std::mem::take(&mut self.buffer);
        let unpacked = unpack(batch, &mut self.decompressor, buffer).await?;
        let outcome = self.pass_records(log, batch, &plan, &unpacked, writer).await;
        self.buffer = unpacked.into_buffer();
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
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
            return put_emptied(log, header, plan.when_empty, writer);
        }
        let needs_horizon = seen.tombstones > 0 || plan.is_marker_to_delete;
        let horizon = needs_horizon.then(|| self.round.new_delete_horizon(header)).flatten();
        if seen.kept == self.stays.len() && horizon.is_none() {
            return writer.put(log, batch.view.bytes());
        }
        let rewritten = self.rewrite(batch, horizon, unpacked).await?;
        let rewritten = self.compress(batch, rewritten).await?;
        writer.put(log, &rewritten)
    }

    /// Whether the records of a batch were aborted, or the marker in it is of no use.
    fn pass_transaction(&mut self, batch: &Located<'_>, writer: &mut SegmentWriter) -> Result<bool, Ended> {
        let header = batch.view.header();
        if !header.attributes.is_control() {
            return Ok(self.transactions.pass_records(header));
        }
        let control_type = control_type(batch, &mut self.decompressor)?;
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
                breathe().await;
                task::begin_part("compaction: sift");
            }
        }
        Ok(seen)
    }

    /// The batch with the records that stay, not compressed.
    async fn rewrite(
        &self,
        batch: &Located<'_>,
        horizon: Option<TimestampMs>,
        unpacked: &Unpacked<'_>,
    ) -> Result<Bytes, Ended> {
        let header = batch.view.header();
        let mut builder = BatchBuilder::rewriting(header, horizon);
        for (number, (record, stays)) in unpacked.records().zip(&self.stays).enumerate() {
            if *stays {
                let record = record.map_err(|_| batch.unreadable())?;
                builder.append_view(&record).map_err(|_| batch.unreadable())?;
            }
            if number % RECORDS_PER_LOOK == 0 {
                breathe().await;
                task::begin_part("compaction: rewrite");
            }
        }
        breathe().await;
        let builder = builder.last_offset_delta(header.last_offset_delta);
        builder.build().map_err(|_| batch.unreadable())
    }

    /// The same with the codec that it had.
    async fn compress(&mut self, batch: &Located<'_>, plain: Bytes) -> Result<Bytes, Ended> {
        let compression = batch.view.header().attributes.compression();
        let Some(compression) = compression.filter(|codec| *codec != Compression::None) else {
            return Ok(plain);
        };
        let target = Target {
            compression,
            level: CompressionLevel::Default,
            batch_bytes_max: BATCH_BYTES_MAX,
        };
        let view = BatchView::parse_only(&plain).map_err(|_| batch.unreadable())?;
        let begun = Recompression::begin(&view, target, &mut self.decompressor);
        let mut recompression = begun.map_err(|_| batch.unreadable())?;
        loop {
            breathe().await;
            task::begin_part("compaction: compress");
            let compressed = recompression.advance(RECOMPRESSION_STEP_BYTES);
            if let Some(compressed) = compressed.map_err(|_| batch.unreadable())? {
                return Ok(compressed);
            }
        }
    }
}

fn put_emptied(
    log: &Log,
    header: &BatchHeader,
    when_empty: WhenEmpty,
    writer: &mut SegmentWriter,
) -> Result<(), Ended> {
    match when_empty {
        WhenEmpty::Dropped => Ok(()),
        WhenEmpty::Kept => writer.put(log, &emptied(header)),
    }
}

/// Expands the records of a batch.
pub(super) async fn unpack<'a>(
    batch: &Located<'a>,
    decompressor: &mut Decompressor,
    buffer: Vec<u8>,
) -> Result<Unpacked<'a>, Ended> {
    let unpacking = batch.view.unpack(decompressor, buffer);
    let mut unpacking = unpacking.map_err(|_| batch.unreadable())?;
    while unpacking.advance().map_err(|_| batch.unreadable())? {
        breathe().await;
        task::begin_part("compaction: unpack");
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
