//! The `.snapshot` file: what is known of all producers before the offset in its name.
//!
//! ```text
//!  0  version i16 = 1
//!  2  crc u32            CRC-32C of everything after it
//!  6  count i32
//! 10  count entries of 46 bytes, big-endian:
//!       0 producer id i64     8 epoch i16        10 last sequence i32   14 last offset i64
//!      22 offset delta i32   26 timestamp i64    34 coordinator epoch i32   38 transaction first offset i64, -1 is none
//!     then, ignored by Kafka, what its format has no place for: the batches before the last one of each producer
//!       0 magic u32 = "DBTS"   4 count u32
//!       8 count entries of 32 bytes: producer id i64, last sequence i32, last offset i64, offset delta i32, timestamp i64
//! ```
//!
//! (`ProducerStateManager.readSnapshot`, `ProducerSnapshot.json`.) With Kafka's entries alone a repeat of an older batch after a
//! restart would be an out-of-order error. Kafka reads its entries and lets trailing bytes be, as they are under its checksum.

use thiserror::Error;

use crate::base::crc32c::crc32c;
use crate::base::ids::{ProducerEpoch, ProducerId, Sequence};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::Producers;
use super::entry::{ProducerEntry, RememberedBatch};

const VERSION: i16 = 1;
const CHECKED_FROM: usize = 6;
const ENTRY_BYTES: usize = 46;
const OLDER_MAGIC: [u8; 4] = *b"DBTS";
const OLDER_ENTRY_BYTES: usize = 32;

const _: () = assert!(ENTRY_BYTES == 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8);
const _: () = assert!(OLDER_ENTRY_BYTES == 8 + 4 + 8 + 4 + 8);

/// A snapshot is not usable: an older one, or the log itself, serves instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("producer snapshot is torn or of an unknown version")]
pub struct BadSnapshot;

/// The bytes of a snapshot.
#[must_use]
pub fn encode(producers: &Producers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(18 + producers.len() * ENTRY_BYTES);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&i32::try_from(producers.len()).unwrap_or(i32::MAX).to_be_bytes());
    for (producer_id, entry) in producers.iter() {
        encode_entry(&mut bytes, producer_id, entry);
    }
    encode_older(&mut bytes, producers);
    let crc = crc32c(&bytes[CHECKED_FROM..]);
    bytes[2..CHECKED_FROM].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn encode_entry(bytes: &mut Vec<u8>, producer_id: ProducerId, entry: &ProducerEntry) {
    let delta = entry.batches().last().map_or(0, |batch| batch.offset_delta);
    let transaction = entry.transaction_first_offset.map_or(-1, |offset| offset.0);
    bytes.extend_from_slice(&producer_id.0.to_be_bytes());
    bytes.extend_from_slice(&entry.epoch.0.to_be_bytes());
    bytes.extend_from_slice(&entry.last_sequence().0.to_be_bytes());
    bytes.extend_from_slice(&entry.last_offset().0.to_be_bytes());
    bytes.extend_from_slice(&delta.to_be_bytes());
    bytes.extend_from_slice(&entry.last_timestamp.0.to_be_bytes());
    bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
    bytes.extend_from_slice(&transaction.to_be_bytes());
}

fn encode_older(bytes: &mut Vec<u8>, producers: &Producers) {
    bytes.extend_from_slice(&OLDER_MAGIC);
    let count_at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    let mut count: u32 = 0;
    for (producer_id, entry) in producers.iter() {
        let older = entry.batches().len().saturating_sub(1);
        for batch in &entry.batches()[..older] {
            bytes.extend_from_slice(&producer_id.0.to_be_bytes());
            bytes.extend_from_slice(&batch.last_sequence.0.to_be_bytes());
            bytes.extend_from_slice(&batch.last_offset.0.to_be_bytes());
            bytes.extend_from_slice(&batch.offset_delta.to_be_bytes());
            bytes.extend_from_slice(&batch.timestamp.0.to_be_bytes());
            count += 1;
        }
    }
    bytes[count_at..count_at + 4].copy_from_slice(&count.to_be_bytes());
}

/// Reads a snapshot, of Kafka or of ours.
///
/// # Errors
/// [`BadSnapshot`] when its version is unknown, its checksum differs, or it is shorter than it says.
pub fn decode(bytes: &[u8]) -> Result<Producers, BadSnapshot> {
    let mut fields = Fields(bytes);
    let version = i16::from_be_bytes(fields.take()?);
    let crc = u32::from_be_bytes(fields.take()?);
    if version != VERSION || crc != crc32c(fields.0) {
        return Err(BadSnapshot);
    }
    let count = i32::from_be_bytes(fields.take()?);
    let mut kept: Vec<(ProducerId, ProducerEntry)> = Vec::new();
    for _ in 0..usize::try_from(count).map_err(|_| BadSnapshot)? {
        kept.push(decode_entry(&mut fields)?);
    }
    let mut producers = Producers::default();
    let mut older = OlderBatches::decode(fields);
    kept.sort_by_key(|(producer_id, _)| *producer_id);
    for (producer_id, last) in kept {
        producers.restore(producer_id, older.put_before(producer_id, &last));
    }
    Ok(producers)
}

fn decode_entry(fields: &mut Fields<'_>) -> Result<(ProducerId, ProducerEntry), BadSnapshot> {
    let producer_id = ProducerId(i64::from_be_bytes(fields.take()?));
    let mut entry = ProducerEntry::new(ProducerEpoch(i16::from_be_bytes(fields.take()?)));
    let last_sequence = Sequence(i32::from_be_bytes(fields.take()?));
    let last_offset = Offset(i64::from_be_bytes(fields.take()?));
    let offset_delta = i32::from_be_bytes(fields.take()?);
    let timestamp = TimestampMs(i64::from_be_bytes(fields.take()?));
    entry.last_timestamp = timestamp;
    entry.coordinator_epoch = i32::from_be_bytes(fields.take()?);
    let transaction = i64::from_be_bytes(fields.take()?);
    entry.transaction_first_offset = (transaction >= 0).then_some(Offset(transaction));
    if last_offset.0 >= 0 {
        entry.push(RememberedBatch {
            last_sequence,
            last_offset,
            offset_delta,
            timestamp,
        });
    }
    Ok((producer_id, entry))
}

/// The batches before the last one of each producer, in the order of the ids.
struct OlderBatches<'a> {
    left: u32,
    fields: Fields<'a>,
    next: Option<(ProducerId, RememberedBatch)>,
}

impl<'a> OlderBatches<'a> {
    /// Takes what follows Kafka's entries; nothing, in a snapshot that Kafka wrote.
    fn decode(mut fields: Fields<'a>) -> Self {
        let magic: Result<[u8; 4], BadSnapshot> = fields.take();
        let count = fields.take().map_or(0, u32::from_be_bytes);
        let left = if magic == Ok(OLDER_MAGIC) { count } else { 0 };
        let mut batches = Self {
            left,
            fields,
            next: None,
        };
        batches.advance();
        batches
    }

    fn advance(&mut self) {
        self.next = (self.left > 0).then(|| self.take()).and_then(Result::ok);
        self.left = self.left.saturating_sub(1);
    }

    fn take(&mut self) -> Result<(ProducerId, RememberedBatch), BadSnapshot> {
        let producer_id = ProducerId(i64::from_be_bytes(self.fields.take()?));
        let batch = RememberedBatch {
            last_sequence: Sequence(i32::from_be_bytes(self.fields.take()?)),
            last_offset: Offset(i64::from_be_bytes(self.fields.take()?)),
            offset_delta: i32::from_be_bytes(self.fields.take()?),
            timestamp: TimestampMs(i64::from_be_bytes(self.fields.take()?)),
        };
        Ok((producer_id, batch))
    }

    /// The entry with its older batches before its last one.
    fn put_before(&mut self, producer_id: ProducerId, last: &ProducerEntry) -> ProducerEntry {
        let mut entry = ProducerEntry::new(last.epoch);
        entry.coordinator_epoch = last.coordinator_epoch;
        entry.last_timestamp = last.last_timestamp;
        entry.transaction_first_offset = last.transaction_first_offset;
        while let Some((id, batch)) = self.next.filter(|(id, _)| *id <= producer_id) {
            if id == producer_id {
                entry.push(batch);
            }
            self.advance();
        }
        for batch in last.batches() {
            entry.push(*batch);
        }
        entry
    }
}

/// Bytes not read yet.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadSnapshot> {
        let (field, rest) = self.0.split_first_chunk().ok_or(BadSnapshot)?;
        self.0 = rest;
        Ok(*field)
    }
}
