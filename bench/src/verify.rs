//! Reads back what a run has written, and holds it against what was acknowledged.
//!
//! Every batch is looked at: its checksum, its place, who sent it and as what number, its sequences, its records. Whatever is lost, there
//! twice, out of order or changed is a failure that names it; a run that fails here has no result.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen::base::ids::{ProducerId, Sequence};
use duramen::record::{BatchError, BatchView, Batches, Decompressor};

use crate::batch::{Identity, Producer, Template, Templates, sequence};
use crate::client::{Control, FetchRequests, Place, Slot, TopicHandle};
use crate::failure::{Context, Failure, Result, fail};
use crate::ledger::Ledger;
use crate::number::count;

/// Partitions of one fetch, and bytes of each.
const PARTITIONS_PER_FETCH: usize = 16;
const PARTITION_BYTES: i32 = 4 << 20;

/// How long records that nobody has acknowledged may take to appear.
const APPEAR_MAX: Duration = Duration::from_secs(30);

/// How long an answer without anything is asked for again.
const EMPTY_MAX: Duration = Duration::from_secs(30);

/// A batch expands to no more.
const EXPANDED_BYTES_MAX: u64 = 64 << 20;

/// What should be found.
pub struct Expectation {
    pub topic: TopicHandle,
    pub templates: Arc<Templates>,
    pub identity: Identity,
    /// By partition and stream.
    pub ledgers: BTreeMap<(i32, u32), Ledger>,
    /// By stream, where batches have sequences.
    pub producers: BTreeMap<u32, Producer>,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verified {
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
}

/// Reads everything back.
pub fn verify(address: SocketAddr, expectation: &Expectation, threads: usize) -> Result<Verified> {
    let ends = settled_ends(address, expectation)?;
    let threads = threads.max(1);
    let slots: Vec<_> = (0..expectation.topic.partitions).map(Slot::new).collect();
    let found: Vec<Result<Verified>> = std::thread::scope(|scope| {
        let share = slots.len().div_ceil(threads).max(1);
        let workers: Vec<_> = slots
            .chunks(share)
            .map(|slots| (slots, &ends))
            .map(|(slots, ends)| scope.spawn(move || verify_share(address, expectation, slots, ends)))
            .collect();
        let joined = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|done| done.unwrap_or_else(|_| Err(Failure::new("the verifier has a defect"))))
            .collect()
    });
    let mut all = Verified::default();
    for one in found {
        let one = one?;
        all.batches += one.batches;
        all.records += one.records;
        all.bytes += one.bytes;
    }
    Ok(all)
}

/// The ends of the partitions, once everything that was sent can be there.
fn settled_ends(address: SocketAddr, expectation: &Expectation) -> Result<Vec<i64>> {
    let mut control = Control::connect(address)?;
    let records: u64 = expectation
        .ledgers
        .values()
        .map(|ledger| ledger.batches * u64::from(expectation.templates.of(0).record_count().unsigned_abs()))
        .sum();
    let has_offsets = expectation
        .ledgers
        .values()
        .all(|ledger| ledger.has_offsets || ledger.batches == 0);
    let began = Instant::now();
    loop {
        let ends = control.offsets(&expectation.topic, Place::End)?;
        let found: i64 = ends.iter().sum();
        if has_offsets || found.cast_unsigned() >= records || began.elapsed() > APPEAR_MAX {
            return Ok(ends);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn verify_share(address: SocketAddr, expectation: &Expectation, slots: &[Slot], ends: &[i64]) -> Result<Verified> {
    let mut control = Control::connect(address)?;
    let requests = FetchRequests::new(control.versions(), &expectation.topic, PARTITION_BYTES, 0)?;
    let mut all = Verified::default();
    for slots in slots.chunks(PARTITIONS_PER_FETCH) {
        let mut checks: Vec<_> = slots
            .iter()
            .map(|slot| Check::new(expectation, *slot, ends[slot.index]))
            .collect();
        let mut last_found = Instant::now();
        loop {
            let open: Vec<_> = checks.iter().filter(|check| check.next < check.end).collect();
            if open.is_empty() {
                break;
            }
            let wanted = open.iter().map(|check| (check.slot.partition, check.next));
            let answer = control.exchange(&requests.frame(0, wanted)?)?;
            for (partition, records) in requests.answer(0, &answer)? {
                let Some(check) = checks.iter_mut().find(|check| check.slot.partition == partition) else {
                    fail!("partition {partition} was answered, and not asked for");
                };
                if check.take(&records)? {
                    last_found = Instant::now();
                }
            }
            if last_found.elapsed() > EMPTY_MAX {
                fail!("nothing is read back, though the partitions do not end");
            }
        }
        for check in checks {
            let found = check.finish()?;
            all.batches += found.batches;
            all.records += found.records;
            all.bytes += found.bytes;
        }
    }
    Ok(all)
}

/// The reading of one partition.
struct Check<'a> {
    expectation: &'a Expectation,
    slot: Slot,
    next: i64,
    end: i64,
    found: BTreeMap<u32, Ledger>,
    all: Verified,
    decompressor: Decompressor,
}

impl<'a> Check<'a> {
    fn new(expectation: &'a Expectation, slot: Slot, end: i64) -> Self {
        Self {
            expectation,
            slot,
            next: 0,
            end,
            found: BTreeMap::new(),
            all: Verified::default(),
            decompressor: Decompressor::new(EXPANDED_BYTES_MAX),
        }
    }

    /// Takes what was fetched; whether there was anything.
    fn take(&mut self, records: &Bytes) -> Result<bool> {
        let before = self.next;
        for batch in Batches::new(records) {
            match batch {
                Ok(batch) => self.batch(&batch).context(|| self.place())?,
                // The last batch of an answer may be cut; it comes again.
                Err(BatchError::Truncated { .. }) if self.next > before => break,
                Err(error) => return Err(Failure::new(error.to_string())).context(|| self.place()),
            }
        }
        Ok(self.next > before)
    }

    fn place(&self) -> String {
        format!("partition {} at offset {}", self.slot.partition, self.next)
    }

    fn batch(&mut self, batch: &BatchView<'_>) -> Result<()> {
        let header = batch.header();
        batch
            .check_crc()
            .map_err(|error| Failure::new(format!("corrupt: {error}")))?;
        if header.base_offset.0 != self.next {
            fail!("a batch begins at offset {} instead", header.base_offset.0);
        }
        let id = self.expectation.identity.id(header.max_timestamp);
        let Some(id) = id.filter(|id| self.expectation.ledgers.contains_key(&(self.slot.partition, id.stream))) else {
            fail!(
                "a batch that nobody has sent, with timestamp {}",
                header.max_timestamp.0
            );
        };
        let found = self.found.entry(id.stream).or_default();
        match id.number.cmp(&found.batches) {
            std::cmp::Ordering::Less => fail!("repeated: batch {} of stream {} is there again", id.number, id.stream),
            std::cmp::Ordering::Greater => {
                fail!(
                    "lost: batch {} of stream {} follows where batch {} should",
                    id.number,
                    id.stream,
                    found.batches
                );
            }
            std::cmp::Ordering::Equal => found.find(id.number, header.base_offset.0),
        }
        let template = self.expectation.templates.of(id.number);
        if header.record_count != template.record_count() || header.last_offset_delta + 1 != header.record_count {
            fail!(
                "changed: {} records instead of {}",
                header.record_count,
                template.record_count()
            );
        }
        let producer = self.expectation.producers.get(&id.stream);
        let expected = producer.map_or((ProducerId::NONE, Sequence::NONE), |producer| {
            (ProducerId(producer.id), sequence(id.number, template.record_count()))
        });
        if (header.producer_id, header.base_sequence) != expected {
            fail!(
                "changed: sequence {:?} of producer {:?}",
                header.base_sequence,
                header.producer_id
            );
        }
        if !has_records_of(batch, template, &mut self.decompressor)? {
            fail!(
                "changed: the records are not those of batch {} of stream {}",
                id.number,
                id.stream
            );
        }
        self.all.batches += 1;
        self.all.records += u64::from(header.record_count.unsigned_abs());
        self.all.bytes += count(batch.bytes().len());
        self.next = header.next_offset().0;
        Ok(())
    }

    /// After the last batch: everything that was acknowledged is there, where it was said to be.
    fn finish(self) -> Result<Verified> {
        let partition = self.slot.partition;
        let streams = self.expectation.ledgers.range((partition, 0)..=(partition, u32::MAX));
        for ((_, stream), told) in streams {
            let found = self.found.get(stream).cloned().unwrap_or_default();
            if found.batches < told.batches {
                fail!(
                    "lost: partition {partition} has {} batches of stream {stream}, {} were acknowledged",
                    found.batches,
                    told.batches
                );
            }
            if found.batches > told.batches {
                fail!(
                    "partition {partition} has {} batches of stream {stream}, {} were sent",
                    found.batches,
                    told.batches
                );
            }
            if told.has_offsets && found.digest != told.digest {
                fail!(
                    "partition {partition}: batches of stream {stream} are not at the offsets that were acknowledged"
                );
            }
        }
        Ok(self.all)
    }
}

/// Whether a batch has the records of the template, however they are compressed.
fn has_records_of(batch: &BatchView<'_>, template: &Template, decompressor: &mut Decompressor) -> Result<bool> {
    if batch.header().attributes.compression() == template.compression() {
        // Most brokers store the bytes that they got.
        if batch.record_bytes() == template.body() {
            return Ok(true);
        }
    }
    let wrong = |error: BatchError| Failure::new(format!("corrupt: {error}"));
    let mut unpacking = batch.unpack(decompressor, Vec::new()).map_err(wrong)?;
    while unpacking.advance().map_err(wrong)? {}
    let unpacked = unpacking.finish();
    let mut expected = template.key_values();
    for record in unpacked.records() {
        let record = record.map_err(wrong)?;
        match expected.next() {
            Some((key, value)) if record.key == key && record.value == value => {}
            _ => return Ok(false),
        }
    }
    Ok(expected.next().is_none())
}

#[cfg(test)]
mod tests;
