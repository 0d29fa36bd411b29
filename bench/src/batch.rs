//! Record batches that are built once and sent many times, each time as another batch.
//!
//! A [`Template`] is a real batch, built by the broker's own builder. What changes from one sending to the next stands in its header:
//! timestamp and producer. The checksum follows from that of the records, which is known, without a pass over them.
//!
//! **Identity.** The timestamp says which batch this is: the stream that it belongs to (what one connection sends to one partition) and
//! its number there. A broker keeps it, whatever it does to the records, so that what is read back can be told apart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum_combine};
use duramen::base::crc32c::crc32c;
use duramen::base::ids::{ProducerEpoch, ProducerId, Sequence};
use duramen::base::time::TimestampMs;
use duramen::record::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchError, BatchHeader, BatchView, Compression, CompressionLevel, Record,
};

use crate::failure::{Failure, Result};
use crate::number::{count, float, index, rounded};
use crate::scenario::{Codec, KEY_BYTES, Records};

/// Bytes of all templates together, about: they stay in a core's cache.
const TEMPLATES_BYTES: u64 = 1 << 20;

/// How many templates there are.
const TEMPLATES_MIN: u64 = 4;
const TEMPLATES_MAX: u64 = 1024;

/// Where the part of a batch under the checksum begins, and the checksum itself.
const CHECKED_FROM: usize = 21;
const CRC_AT: usize = 17;

/// How far back the timestamps of a run begin: further than it can be long, a batch a millisecond.
const ORIGIN_MS_AGO: i64 = 365 * 24 * 3600 * 1000;

/// Which batch of which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchId {
    pub stream: u32,
    pub number: u64,
}

/// How the batches of a run are told apart.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    origin_ms: i64,
    streams: u32,
}

impl Identity {
    /// For so many streams to each partition.
    pub fn new(streams: u32) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            origin_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX) - ORIGIN_MS_AGO,
            streams: streams.max(1),
        }
    }

    pub fn streams(&self) -> u32 {
        self.streams
    }

    /// The timestamp that says `id`.
    pub fn timestamp(&self, id: BatchId) -> TimestampMs {
        let position = id.number * u64::from(self.streams) + u64::from(id.stream);
        TimestampMs(self.origin_ms + position.cast_signed())
    }

    /// The batch that a timestamp says; `None` when it is of another run.
    pub fn id(&self, timestamp: TimestampMs) -> Option<BatchId> {
        let position = u64::try_from(timestamp.0 - self.origin_ms).ok()?;
        let streams = u64::from(self.streams);
        Some(BatchId {
            stream: u32::try_from(position % streams).ok()?,
            number: position / streams,
        })
    }
}

/// The producer of a batch that has sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
}

/// One batch without what makes it one of a stream.
pub struct Template {
    header: BatchHeader,
    /// The records as they are sent.
    body: Bytes,
    body_crc: u32,
    /// Key and value of each record, for those who read it back.
    plain: Vec<(Option<String>, Vec<u8>)>,
    shift: Arc<Shift>,
}

impl Template {
    /// What follows the header.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Key and value of each record.
    pub fn key_values(&self) -> impl Iterator<Item = (Option<&[u8]>, Option<&[u8]>)> {
        let records = self.plain.iter();
        records.map(|(key, value)| (key.as_ref().map(String::as_bytes), Some(value.as_slice())))
    }

    pub fn compression(&self) -> Option<Compression> {
        self.header.attributes.compression()
    }

    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    pub fn batch_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.body.len()
    }

    /// The header of this batch as number `id.number` of its stream.
    pub fn header(&self, timestamp: TimestampMs, producer: Option<Producer>, number: u64) -> [u8; BATCH_HEADER_BYTES] {
        let mut header = self.header;
        header.base_timestamp = timestamp;
        header.max_timestamp = timestamp;
        if let Some(producer) = producer {
            header.producer_id = ProducerId(producer.id);
            header.producer_epoch = ProducerEpoch(producer.epoch);
            header.base_sequence = sequence(number, self.header.record_count);
        }
        let mut bytes = header.encode();
        let crc = self.shift.apply(crc32c(&bytes[CHECKED_FROM..])) ^ self.body_crc;
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        bytes
    }
}

/// The sequence of the first record of batch `number`, all batches of the stream being of one length.
pub fn sequence(number: u64, records: i32) -> Sequence {
    let position = number * u64::from(records.unsigned_abs()) % (1 << 31);
    Sequence(i32::try_from(position).unwrap_or(0))
}

/// The templates of a run; batch number `n` of a stream is made from the template `n` modulo their number.
pub struct Templates(Vec<Template>);

impl Templates {
    pub fn new(records: &Records, seed: u64) -> Result<Self> {
        let batch_bytes = records.value_bytes_per_batch().max(1);
        let number = (TEMPLATES_BYTES / batch_bytes).clamp(TEMPLATES_MIN, TEMPLATES_MAX);
        let mut noise = Noise(seed);
        let mut shifts = BTreeMap::new();
        let made: Result<_> = (0..number)
            .map(|_| template(records, &mut noise, &mut shifts))
            .collect();
        Ok(Self(made?))
    }

    pub fn of(&self, number: u64) -> &Template {
        &self.0[index(number % count(self.0.len()))]
    }
}

fn template(records: &Records, noise: &mut Noise, shifts: &mut BTreeMap<usize, Arc<Shift>>) -> Result<Template> {
    let compression = match records.codec {
        Codec::None => Compression::None,
        Codec::Gzip => Compression::Gzip,
        Codec::Snappy => Compression::Snappy,
        Codec::Lz4 => Compression::Lz4,
        Codec::Zstd => Compression::Zstd,
    };
    let wrong = |error: BatchError| Failure::new(error.to_string());
    let mut builder = BatchBuilder::new().compression(compression, CompressionLevel::Default);
    let mut plain = Vec::new();
    for _ in 0..records.per_batch() {
        let key = (records.keys > 0).then(|| key(noise.next() % records.keys));
        let value = value(records, noise);
        let record = Record::new(TimestampMs(0), key.as_ref().map(String::as_bytes), Some(&value));
        builder.append(&record).map_err(wrong)?;
        plain.push((key, value));
    }
    let built = builder.build().map_err(wrong)?;
    let header = *BatchView::parse_only(&built).map_err(wrong)?.header();
    let body = built.slice(BATCH_HEADER_BYTES..);
    let shift = shifts
        .entry(body.len())
        .or_insert_with(|| Arc::new(Shift::over(body.len())));
    Ok(Template {
        header,
        body_crc: crc32c(&body),
        shift: Arc::clone(shift),
        plain,
        body,
    })
}

fn key(number: u64) -> String {
    format!("{number:0width$x}", width = index(KEY_BYTES))
}

/// Noise, then what compresses to nothing.
fn value(records: &Records, noise: &mut Noise) -> Vec<u8> {
    let noisy = index(rounded(float(records.value_bytes) * (1.0 - records.compressibility)));
    let mut value = Vec::with_capacity(index(records.value_bytes) + 8);
    while value.len() < noisy {
        value.extend_from_slice(&noise.next().to_le_bytes());
    }
    value.truncate(noisy);
    value.resize(index(records.value_bytes), b'.');
    value
}

/// Pseudo-random numbers from a seed (SplitMix64).
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }
}

/// Spreads a number over all bits.
pub fn mixed(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// What a checksum becomes when so many bytes follow, as a table for each of its bytes: a checksum is linear.
struct Shift([[u32; 256]; 4]);

impl Shift {
    fn over(bytes: usize) -> Self {
        let shifted = |crc: u32| {
            let combined = checksum_combine(CrcAlgorithm::Crc32Iscsi, crc.into(), 0, count(bytes));
            u32::try_from(combined).unwrap_or(0)
        };
        let mut tables = [[0; 256]; 4];
        for (table, place) in tables.iter_mut().zip([0, 8, 16, 24]) {
            let bits: Vec<u32> = (0..8).map(|bit| shifted(1 << (place + bit))).collect();
            for (byte, entry) in table.iter_mut().enumerate() {
                *entry = (0..8)
                    .filter(|bit| byte >> bit & 1 == 1)
                    .fold(0, |sum, bit| sum ^ bits[bit]);
            }
        }
        Self(tables)
    }

    fn apply(&self, crc: u32) -> u32 {
        let bytes = crc.to_le_bytes();
        self.0
            .iter()
            .zip(bytes)
            .fold(0, |sum, (table, byte)| sum ^ table[usize::from(byte)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen::record::Decompressor;

    fn records(codec: Codec) -> Records {
        Records {
            value_bytes: 300,
            keys: 7,
            compressibility: 0.5,
            batch_bytes: Some(4000),
            batch_records: None,
            codec,
        }
    }

    #[test]
    fn a_batch_is_valid_whatever_its_number() {
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let templates = Templates::new(&records(codec), 3).unwrap();
            let identity = Identity::new(5);
            for number in [0, 1, 77, 1 << 33] {
                let id = BatchId { stream: 4, number };
                let template = templates.of(number);
                let producer = Producer { id: 9, epoch: 2 };
                let mut bytes = template.header(identity.timestamp(id), Some(producer), number).to_vec();
                bytes.extend_from_slice(template.body());
                let batch = BatchView::parse_only(&bytes).unwrap();
                batch.check_crc().unwrap();
                assert_eq!(batch.header().record_count, 12);
                assert_eq!(batch.header().producer_id, ProducerId(9));
                assert_eq!(identity.id(batch.header().max_timestamp), Some(id));
                let mut decompressor = Decompressor::new(1 << 20);
                for record in batch.records(&mut decompressor).unwrap() {
                    let record = record.unwrap();
                    assert_eq!(record.timestamp, identity.timestamp(id));
                    assert_eq!(record.value.unwrap().len(), 300);
                    assert_eq!(record.key.unwrap().len(), 16);
                }
            }
        }
    }

    #[test]
    fn what_compresses_does() {
        let bytes = |compressibility| {
            let mut records = records(Codec::Zstd);
            records.compressibility = compressibility;
            Templates::new(&records, 1).unwrap().of(0).body().len()
        };
        let (noise, half, nothing) = (bytes(0.0), bytes(0.5), bytes(1.0));
        assert!(
            noise > 3600 && (1700..2300).contains(&half) && nothing < 500,
            "{noise} {half} {nothing}"
        );
    }

    #[test]
    fn a_seed_says_all_bytes() {
        let body = |seed| {
            Templates::new(&records(Codec::None), seed)
                .unwrap()
                .of(3)
                .body()
                .clone()
        };
        assert_eq!(body(1), body(1));
        assert_ne!(body(1), body(2));
    }

    #[test]
    fn sequences_wrap_as_the_protocol_says() {
        let cases = [
            (0, 15, 0),
            (2, 15, 30),
            (1 << 31, 1, 0),
            ((1 << 31) - 1, 1, i32::MAX),
            (1 << 30, 3, 1 << 30),
        ];
        for (number, records, expected) in cases {
            assert_eq!(sequence(number, records), Sequence(expected), "{number} {records}");
        }
    }

    #[test]
    fn other_runs_have_no_id() {
        let identity = Identity {
            origin_ms: 1000,
            streams: 3,
        };
        assert_eq!(identity.id(TimestampMs(999)), None);
        assert_eq!(identity.id(TimestampMs(1007)), Some(BatchId { stream: 1, number: 2 }));
    }
}
