//! A metadata record as the value of a record in the log. Kafka: `AbstractApiMessageSerde`.
//!
//! ```text
//! frame version (varint, 1) | api key (varint) | version (varint) | the record, always flexible
//! ```

use bytes::Bytes;
use duramen_wire::messages::metadata::MetadataRecord;
use duramen_wire::{DecodeError, EncodeError, Reader, Writer};

/// How often its own length a decoded record may take in memory.
const BUDGET_FACTOR: usize = 64;

/// Why the value of a record is not a metadata record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("frame version {0} is not known")]
    FrameVersion(u32),
    #[error("record type {0} is not known")]
    Type(u32),
    #[error("record type {key} version {version}: {error}")]
    Malformed { key: i16, version: u32, error: DecodeError },
    #[error("the header of the record: {0}")]
    Header(DecodeError),
    #[error("{0} bytes behind the record")]
    TrailingBytes(usize),
}

const FRAME_VERSION: u32 = 1;

/// The value in the log, in the version that Kafka 4.3 writes.
///
/// # Errors
///
/// A string or an array is longer than the format can say.
pub fn encode_record(record: &MetadataRecord) -> Result<Bytes, EncodeError> {
    let version = version_written(record);
    let mut w = Writer::new();
    w.unsigned_varint(FRAME_VERSION);
    w.unsigned_varint(u32::from(record.key().cast_unsigned()));
    w.unsigned_varint(u32::from(version.cast_unsigned()));
    record.encode(&mut w, version)?;
    w.into_bytes()
}

/// Reads the value of a record of the log.
///
/// # Errors
///
/// The bytes are no metadata record, or one that is newer than this broker.
pub fn decode_record(value: &Bytes) -> Result<MetadataRecord, RecordError> {
    let mut r = Reader::new(value, value.len().saturating_mul(BUDGET_FACTOR));
    let frame_version = r.unsigned_varint().map_err(RecordError::Header)?;
    if frame_version != FRAME_VERSION {
        return Err(RecordError::FrameVersion(frame_version));
    }
    let number = r.unsigned_varint().map_err(RecordError::Header)?;
    let version = r.unsigned_varint().map_err(RecordError::Header)?;
    let key = i16::try_from(number).map_err(|_| RecordError::Type(number))?;
    // A version beyond i16 is one that no record has.
    let version_known = i16::try_from(version).unwrap_or(i16::MAX);
    let record = MetadataRecord::decode(key, &mut r, version_known).ok_or(RecordError::Type(number))?;
    let record = record.map_err(|error| RecordError::Malformed { key, version, error })?;
    match r.remaining() {
        0 => Ok(record),
        bytes => Err(RecordError::TrailingBytes(bytes)),
    }
}

/// The newest version, but of changes of a broker's registration the oldest that can carry the change, as Kafka chooses it.
fn version_written(record: &MetadataRecord) -> i16 {
    if let MetadataRecord::BrokerRegistrationChange(change) = record {
        return match change {
            change if change.cordoned_log_dirs.is_some() => 3,
            change if !change.log_dirs.is_empty() => 2,
            change if change.in_controlled_shutdown != 0 => 1,
            _ => 0,
        };
    }
    *record.versions().end()
}
