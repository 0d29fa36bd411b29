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

/// Bytes of a record that is gone over at once; what is longer is a [`LongRecord`].
const RECORD_BYTES_AT_ONCE_MAX: i64 = 64 * 1024;

/// What the checks need to know of one record.
#[derive(Clone, Copy)]
pub(super) struct Walked {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) has_key: bool,
}

/// How far the walk over a record came.
pub(super) enum Walk {
    Done(Walked),
    /// It is long: go on with it.
    Begun(LongRecord),
}

/// Goes over one record, or begins with it.
#[inline]
pub(super) fn walk_record<S: Source>(source: &mut S) -> Result<Walk, RecordFault> {
    let length = i64::from(source.varint());
    let end = source.taken().saturating_add_signed(length);
    source.skip(1);
    let mut walked = Walked {
        timestamp_delta: source.varlong(),
        offset_delta: source.varint(),
        has_key: false,
    };
    if length > RECORD_BYTES_AT_ONCE_MAX {
        return Ok(Walk::Begun(LongRecord::new(walked, end)));
    }
    walked.has_key = skip_nullable(source);
    skip_nullable(source);
    let header_count = source.varint();
    if header_count != 0 {
        skip_headers(source, header_count);
    }
    end_record(source, end)?;
    Ok(Walk::Done(walked))
}

/// A record must end where it said.
#[inline]
fn end_record<S: Source>(source: &S, end: u64) -> Result<(), RecordFault> {
    match source.fault() {
        None if source.taken() == end => Ok(()),
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

/// A record with values of megabytes or a million headers, gone over piece by piece.
pub(super) struct LongRecord {
    walked: Walked,
    end: u64,
    /// What comes next, once so many bytes are skipped.
    next: Field,
    skip_left: u64,
    headers_left: i32,
}

/// A field of a record, by its length or number.
#[derive(Clone, Copy)]
enum Field {
    Key,
    Value,
    HeaderCount,
    HeaderKey,
    HeaderValue,
}

impl LongRecord {
    fn new(walked: Walked, end: u64) -> Self {
        Self {
            walked,
            end,
            next: Field::Key,
            skip_left: 0,
            headers_left: 0,
        }
    }

    /// Goes on until the record ends, or the work of the source has reached `until`; what is known of the record at its end.
    pub(super) fn advance<S: Source>(&mut self, source: &mut S, until: u64) -> Result<Option<Walked>, RecordFault> {
        loop {
            if let Some(fault) = source.fault() {
                return Err(fault);
            }
            if self.skip_left > 0 {
                self.skip_left -= source.skip_some(self.skip_left);
            } else if !self.take_next(source) {
                end_record(source, self.end)?;
                return Ok(Some(self.walked));
            }
            if source.work() >= until {
                return Ok(None);
            }
        }
    }

    /// Takes the next length or number; false when there is none.
    fn take_next<S: Source>(&mut self, source: &mut S) -> bool {
        match self.next {
            Field::Key => {
                self.walked.has_key = self.take_nullable(source);
                self.next = Field::Value;
            }
            Field::Value => {
                self.take_nullable(source);
                self.next = Field::HeaderCount;
            }
            Field::HeaderCount => {
                self.headers_left = source.varint();
                if self.headers_left < 0 {
                    source.fail(RecordFault::HeaderCount);
                }
                self.next = Field::HeaderKey;
            }
            Field::HeaderKey if self.headers_left <= 0 => return false,
            Field::HeaderKey => {
                if !self.take_nullable(source) {
                    source.fail(RecordFault::HeaderKey);
                }
                self.next = Field::HeaderValue;
            }
            Field::HeaderValue => {
                self.take_nullable(source);
                self.headers_left -= 1;
                self.next = Field::HeaderKey;
            }
        }
        true
    }

    /// Takes the length of a value, whose bytes are skipped next; whether there is a value.
    fn take_nullable<S: Source>(&mut self, source: &mut S) -> bool {
        let length = u64::try_from(source.varint());
        self.skip_left = length.unwrap_or(0);
        length.is_ok()
    }
}
