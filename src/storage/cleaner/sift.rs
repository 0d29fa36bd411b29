//! Passes batches on to the new segment: in whole, in part, emptied, or not at all.

use super::Ended;
use super::batches::Located;
use super::write::SegmentWriter;
use crate::base::time::TimestampMs;
use crate::log::compaction::Round;
use crate::log::compaction::retain::{Kept, Surroundings, WhenEmpty, is_last_of_producer};
use crate::log::compaction::transactions::{MarkerFate, Transactions};
use crate::record::{BatchBuilder, BatchHeader, ControlType, Decompressor, emptied};
use crate::rt::task;
use crate::storage::Log;

/// Records between two looks at the clock.
const RECORDS_PER_LOOK: usize = 32;

/// A round, on its way along a log.
pub(super) struct Sieve<'a> {
    round: &'a Round,
    transactions: Transactions,
    decompressor: Decompressor,
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
    pub(super) fn new(round: &'a Round, transactions: Transactions, decompressor: Decompressor) -> Self {
        Self {
            round,
            transactions,
            decompressor,
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
        let header = *batch.view.header();
        let is_discarded = self.pass_transaction(batch, writer)?;
        let surroundings = Surroundings {
            ends_segment,
            is_last_of_producer: log
                .with_state(|state| is_last_of_producer(&header, state.producers().get(header.producer_id))),
            is_discarded,
        };
        let plan = self.round.plan_batch(&header, &surroundings);
        let seen = self.look(batch, &header, plan.kept).await?;
        if seen.kept == 0 {
            return match plan.when_empty {
                WhenEmpty::Dropped => Ok(()),
                WhenEmpty::Kept => writer.put(log, &emptied(&header)),
            };
        }
        let needs_horizon = seen.tombstones > 0 || plan.is_marker_to_delete;
        let horizon = needs_horizon.then(|| self.round.new_delete_horizon(&header)).flatten();
        if seen.kept == self.stays.len() && horizon.is_none() {
            return writer.put(log, batch.view.bytes());
        }
        let rewritten = self.rewrite(batch, &header, horizon).await?;
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
    async fn look(&mut self, batch: &Located<'_>, header: &BatchHeader, kept: Kept) -> Result<Seen, Ended> {
        self.stays.clear();
        let mut seen = Seen::default();
        if kept == Kept::None {
            return Ok(seen);
        }
        let records = batch.view.records(&mut self.decompressor);
        for (number, record) in records.map_err(|_| batch.unreadable())?.enumerate() {
            let record = record.map_err(|_| batch.unreadable())?;
            let stays = kept == Kept::All || self.round.keeps(header, &record);
            self.stays.push(stays);
            if stays {
                seen.kept += 1;
                seen.tombstones += usize::from(record.value.is_none());
            }
            if number % RECORDS_PER_LOOK == 0 {
                task::yield_if_needed().await;
            }
        }
        Ok(seen)
    }

    /// The batch with the records that stay.
    async fn rewrite(
        &mut self,
        batch: &Located<'_>,
        header: &BatchHeader,
        horizon: Option<TimestampMs>,
    ) -> Result<bytes::Bytes, Ended> {
        let mut builder = BatchBuilder::rewriting(header, horizon);
        let records = batch.view.records(&mut self.decompressor);
        let records = records.map_err(|_| batch.unreadable())?;
        for (number, (record, stays)) in records.zip(&self.stays).enumerate() {
            if *stays {
                let record = record.map_err(|_| batch.unreadable())?;
                builder.append_view(&record).map_err(|_| batch.unreadable())?;
            }
            if number % RECORDS_PER_LOOK == 0 {
                task::yield_if_needed().await;
            }
        }
        let builder = builder.last_offset_delta(header.last_offset_delta);
        builder.build().map_err(|_| batch.unreadable())
    }
}

/// What a control batch is about; `None` for one that compaction has emptied.
pub(super) fn control_type(batch: &Located<'_>, decompressor: &mut Decompressor) -> Result<Option<ControlType>, Ended> {
    let mut records = batch.view.records(decompressor).map_err(|_| batch.unreadable())?;
    let Some(record) = records.next() else { return Ok(None) };
    let record = record.map_err(|_| batch.unreadable())?;
    let control_type = ControlType::from_key(record.key).ok_or_else(|| batch.unreadable())?;
    Ok(Some(control_type))
}
