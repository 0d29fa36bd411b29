//! The checks on a producer's batch, in Kafka's order.
//!
//! Sources: `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`. Two rules are stricter than
//! there, because the batch is stored as it came: offset deltas count from 0 without a gap (Kafka writes a compressed batch anew, and
//! stores others with the gap), and a record is exactly as long as it says (Kafka does not look in compressed batches).

use crate::base::crc32c::{Crc32c, crc32c};
use crate::base::ids::LeaderEpoch;
use crate::base::limits::CHECKSUM_STEP_BYTES;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::batch::BatchView;
use super::codec::{Decompressor, Expansion};
use super::error::{BatchError, Corruption, Invalidity, RecordError, RecordErrors, RecordFault, RecordRefusal};
use super::header::{Assignment, BatchHeader, CHECKED_FROM, Compression, TimestampType};
use super::source::{SliceSource, Source, StreamSource};
use super::walk::{LongRecord, Walk, walk_record};

/// What a topic and a request demand of a batch.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Bytes of a batch (`max.message.bytes`).
    pub batch_bytes_max: usize,
    /// Whether each record must have a key (`cleanup.policy` contains `compact`).
    pub key_required: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// How far a record's timestamp may lie in the past (`message.timestamp.before.max.ms`).
    pub timestamp_before_max_ms: i64,
    /// How far a record's timestamp may lie in the future (`message.timestamp.after.max.ms`).
    pub timestamp_after_max_ms: i64,
    /// The time of the append.
    pub now: TimestampMs,
    /// Whether the version of the request knows zstd (7 and later).
    pub zstd_allowed: bool,
}

/// What is known of a batch that passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validated {
    /// At least 1.
    pub record_count: i32,
    /// Number of records less 1.
    pub last_offset_delta: i32,
    /// As the topic counts it: the greatest of the records, or the time of the append.
    pub max_timestamp: TimestampMs,
    /// The first record with this timestamp.
    pub offset_delta_of_max_timestamp: i32,
    /// The topic's.
    pub timestamp_type: TimestampType,
}

impl Validated {
    /// What is written into the header of this batch when it is appended at `base_offset`.
    #[must_use]
    pub fn assignment(&self, base_offset: Offset, leader_epoch: LeaderEpoch) -> Assignment {
        Assignment {
            base_offset,
            leader_epoch,
            timestamp_type: self.timestamp_type,
            max_timestamp: self.max_timestamp,
        }
    }
}

/// Checks a batch from a client as Apache Kafka does before it appends it.
///
/// # Errors
/// The first rule of the batch that is broken; rules of single records are collected over all of them.
pub fn validate(
    batch: &BatchView<'_>,
    rules: &Rules,
    decompressor: &mut Decompressor,
) -> Result<Validated, BatchError> {
    let mut validation = Validation::begin(batch, rules, decompressor)?;
    loop {
        if let Some(validated) = validation.advance(u64::MAX)? {
            return Ok(validated);
        }
    }
}

/// The checks of [`validate`] in steps, for batches that would hold a core for too long.
pub struct Validation<'a, 'd, 'r> {
    batch: BatchView<'a>,
    checksum: ChecksumState,
    walk: RecordWalk<'r>,
    source: RecordSource<'a, 'd>,
}

enum RecordSource<'a, 'd> {
    Plain(SliceSource<'a>),
    Compressed(StreamSource<'a, 'd>),
}

impl<'a, 'd, 'r> Validation<'a, 'd, 'r> {
    /// Does the checks that come before the checksum.
    ///
    /// # Errors
    /// The first rule of the batch that is broken.
    pub fn begin(
        batch: &BatchView<'a>,
        rules: &'r Rules,
        decompressor: &'d mut Decompressor,
    ) -> Result<Self, BatchError> {
        let compression = check_header(batch, rules)?;
        let source = if compression == Compression::None {
            RecordSource::Plain(SliceSource::new(batch.record_bytes()))
        } else {
            let expansion = Expansion::new(decompressor, compression, batch.record_bytes());
            RecordSource::Compressed(StreamSource::new(expansion))
        };
        Ok(Self {
            batch: *batch,
            checksum: ChecksumState::Unknown,
            walk: RecordWalk::new(*batch.header(), rules),
            source,
        })
    }

    /// Goes on: with the checksum, as much of it as a step has room for, and then, record by record, until about `bytes` more were
    /// looked at; `None` when there are more.
    ///
    /// # Errors
    /// The rules of the batch that come after its checksum; the first record that is malformed; at the end, all records that break a
    /// rule of the topic.
    pub fn advance(&mut self, bytes: u64) -> Result<Option<Validated>, BatchError> {
        if !self.checksum.advance(&self.batch)? {
            return Ok(None);
        }
        let is_at_end = match &mut self.source {
            RecordSource::Plain(source) => self.walk.advance(source, bytes)?,
            RecordSource::Compressed(source) => self.walk.advance(source, bytes)?,
        };
        if is_at_end {
            self.walk.finish().map(Some)
        } else {
            Ok(None)
        }
    }
}

/// How far the checksum of a batch is compared.
enum ChecksumState {
    Unknown,
    /// Of so many bytes.
    Begun(Box<Crc32c>, usize),
    /// And all rules that follow it hold.
    Right,
}

impl ChecksumState {
    /// Goes on; whether it is right. Once it is, the header can be believed, and is checked.
    fn advance(&mut self, batch: &BatchView<'_>) -> Result<bool, BatchError> {
        let checked = batch.bytes().get(CHECKED_FROM..).unwrap_or_default();
        let computed = match self {
            Self::Right => return Ok(true),
            Self::Unknown if checked.len() <= CHECKSUM_STEP_BYTES => crc32c(checked),
            Self::Unknown => {
                *self = Self::Begun(Box::default(), 0);
                return self.advance(batch);
            }
            Self::Begun(so_far, taken) => {
                let rest = checked.get(*taken..).unwrap_or_default();
                let piece = rest.get(..CHECKSUM_STEP_BYTES).unwrap_or(rest);
                so_far.update(piece);
                *taken += piece.len();
                if *taken < checked.len() {
                    return Ok(false);
                }
                so_far.value()
            }
        };
        let stored = batch.header().crc;
        if computed != stored {
            return Err(Corruption::Checksum { stored, computed }.into());
        }
        check_believed_header(batch.header())?;
        *self = Self::Right;
        Ok(true)
    }
}

/// The checks that come before the checksum.
fn check_header(batch: &BatchView<'_>, rules: &Rules) -> Result<Compression, BatchError> {
    let header = batch.header();
    let Some(compression) = header.attributes.compression() else {
        let bits = header.attributes.0 & 0x07;
        return Err(Invalidity::UnknownCompression { bits }.into());
    };
    if compression == Compression::Zstd && !rules.zstd_allowed {
        return Err(BatchError::UnsupportedCompression);
    }
    if header.base_offset != Offset::ZERO {
        let base_offset = header.base_offset;
        return Err(Invalidity::BaseOffset { base_offset }.into());
    }
    let bytes = batch.bytes().len();
    if bytes > rules.batch_bytes_max {
        let bytes_max = rules.batch_bytes_max;
        return Err(BatchError::TooLarge { bytes, bytes_max });
    }
    Ok(compression)
}

/// The checks that come after the checksum and do not look at records.
fn check_believed_header(header: &BatchHeader) -> Result<(), Invalidity> {
    if header.record_count <= 0 || header.last_offset_delta != header.record_count - 1 {
        return Err(Invalidity::Count {
            record_count: header.record_count,
            last_offset_delta: header.last_offset_delta,
        });
    }
    if header.attributes.is_control() {
        return Err(Invalidity::Control);
    }
    if header.has_producer_id() && header.base_sequence.0 < 0 {
        return Err(Invalidity::Sequence {
            producer_id: header.producer_id.0,
            base_sequence: header.base_sequence.0,
        });
    }
    Ok(())
}

/// The checks on records, one after another.
struct RecordWalk<'r> {
    header: BatchHeader,
    rules: &'r Rules,
    /// The batch's.
    timestamp_type: TimestampType,
    /// Number of the next record.
    index: i32,
    /// That record, when it is long and was begun.
    begun: Option<LongRecord>,
    /// Earliest and latest timestamp that the topic takes.
    earliest: i64,
    latest: i64,
    max_timestamp: i64,
    offset_delta_of_max_timestamp: i32,
    errors: RecordErrors,
    is_any_timestamp_refused: bool,
}

impl<'r> RecordWalk<'r> {
    fn new(header: BatchHeader, rules: &'r Rules) -> Self {
        Self {
            header,
            rules,
            timestamp_type: header.attributes.timestamp_type(),
            index: 0,
            begun: None,
            earliest: rules.now.0.saturating_sub(rules.timestamp_before_max_ms),
            latest: rules.now.0.saturating_add(rules.timestamp_after_max_ms),
            max_timestamp: TimestampMs::NONE.0,
            offset_delta_of_max_timestamp: 0,
            errors: RecordErrors::default(),
            is_any_timestamp_refused: false,
        }
    }

    /// Goes on until so much was done; whether all was.
    fn advance<S: Source>(&mut self, source: &mut S, bytes: u64) -> Result<bool, Invalidity> {
        let until = source.work().saturating_add(bytes);
        let record_count = self.header.record_count;
        while self.index < record_count {
            if source.work() >= until {
                return Ok(false);
            }
            let index = self.index;
            let is_whole = self
                .check_record(source, index, until)
                .map_err(|fault| Invalidity::Record { index, fault })?;
            self.index += i32::from(is_whole);
        }
        if source.is_at_end() {
            return Ok(true);
        }
        Err(Invalidity::Record {
            index: record_count - 1,
            fault: source.fault().unwrap_or(RecordFault::Trailing),
        })
    }

    /// Checks a record, or goes on with it; whether it was gone over to its end.
    #[inline]
    fn check_record<S: Source>(&mut self, source: &mut S, index: i32, until: u64) -> Result<bool, RecordFault> {
        let walk = match self.begun.take() {
            None => walk_record(source)?,
            Some(begun) => Walk::Begun(begun),
        };
        let record = match walk {
            Walk::Done(record) => record,
            Walk::Begun(mut begun) => match begun.advance(source, until)? {
                Some(record) => record,
                None => {
                    self.begun = Some(begun);
                    return Ok(false);
                }
            },
        };
        if record.offset_delta != index {
            return Err(RecordFault::OffsetDelta);
        }
        let timestamp = match self.timestamp_type {
            TimestampType::CreateTime => self.header.base_timestamp.0.wrapping_add(record.timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp.0,
        };
        if timestamp > self.max_timestamp {
            self.max_timestamp = timestamp;
            self.offset_delta_of_max_timestamp = index;
        }
        if self.rules.key_required && !record.has_key {
            let reason = RecordRefusal::KeyMissing;
            self.errors.push(RecordError { index, reason });
        } else if let Some(reason) = self.timestamp_refusal(timestamp) {
            self.is_any_timestamp_refused = true;
            self.errors.push(RecordError { index, reason });
        }
        Ok(true)
    }

    /// A producer may send no timestamp, but may not speak for the broker's clock.
    #[inline]
    fn timestamp_refusal(&self, timestamp: i64) -> Option<RecordRefusal> {
        if self.rules.timestamp_type == TimestampType::CreateTime && timestamp != TimestampMs::NONE.0 {
            let is_in_range = self.earliest <= timestamp && timestamp <= self.latest;
            return (!is_in_range).then_some(RecordRefusal::TimestampOutOfRange {
                timestamp,
                earliest: self.earliest,
                latest: self.latest,
            });
        }
        match self.timestamp_type {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(RecordRefusal::TimestampType),
        }
    }

    fn finish(&mut self) -> Result<Validated, BatchError> {
        if self.errors.count > 0 {
            let errors = std::mem::take(&mut self.errors);
            return Err(if self.is_any_timestamp_refused {
                BatchError::InvalidTimestamps(errors)
            } else {
                BatchError::InvalidRecords(errors)
            });
        }
        let (max_timestamp, offset_delta_of_max_timestamp) = match self.rules.timestamp_type {
            TimestampType::CreateTime => (TimestampMs(self.max_timestamp), self.offset_delta_of_max_timestamp),
            TimestampType::LogAppendTime => (self.rules.now, 0),
        };
        Ok(Validated {
            record_count: self.header.record_count,
            last_offset_delta: self.header.last_offset_delta,
            max_timestamp,
            offset_delta_of_max_timestamp,
            timestamp_type: self.rules.timestamp_type,
        })
    }
}

#[cfg(test)]
mod tests;
