//! The pass over the records of a batch: reads the numbers, skips keys and values.
//!
//! A record, its length counting the bytes after it:
//!
//! ```text
//!  varint  length
//!  i8      attributes (unused)
//!  varlong timestamp, less the base timestamp of the batch
//!  varint  offset, less the base offset of the batch
//!  varint  key length, or less than 0 for null;   key
//!  varint  value length, or less than 0 for null; value
//!  varint  number of headers; for each:
//!          varint key length;                     key
//!          varint value length, or less than 0 for null; value
//! ```

use super::error::RecordFault;
use super::source::Source;

/// What the checks need to know of one record.
pub(super) struct Walked {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) has_key: bool,
}

/// Goes over one record.
#[inline]
pub(super) fn walk_record<S: Source>(source: &mut S) -> Result<Walked, RecordFault> {
    let length = i64::from(source.varint());
    let end = source.taken().saturating_add_signed(length);
    source.skip(1);
    let walked = Walked {
        timestamp_delta: source.varlong(),
        offset_delta: source.varint(),
        has_key: skip_nullable(source),
    };
    skip_nullable(source);
    let header_count = source.varint();
    if header_count != 0 {
        skip_headers(source, header_count);
    }
    match source.fault() {
        None if source.taken() == end => Ok(walked),
        None => Err(RecordFault::Length),
        Some(fault) => Err(fault),
    }
}

/// Skips a length and so many bytes; whether there was a value, if empty.
#[inline]
fn skip_nullable<S: Source>(source: &mut S) -> bool {
    match u64::try_from(source.varint()) {
        Ok(length) => {
            source.skip(length);
            true
        }
        Err(_) => false,
    }
}

fn skip_headers<S: Source>(source: &mut S, header_count: i32) {
    if header_count < 0 {
        return source.fail(RecordFault::HeaderCount);
    }
    for _ in 0..header_count {
        if !skip_nullable(source) {
            source.fail(RecordFault::HeaderKey);
        }
        skip_nullable(source);
        if source.fault().is_some() {
            return;
        }
    }
}
