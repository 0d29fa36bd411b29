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
use super::varint::{VARINT_BYTES_MAX, VARLONG_BYTES_MAX, take_varint, take_varlong};

/// Where the bytes of records come from: a slice, or a stream that is being decompressed.
pub(super) trait Source {
    fn varint(&mut self) -> Result<i32, RecordFault>;
    fn varlong(&mut self) -> Result<i64, RecordFault>;
    fn skip(&mut self, bytes: u64) -> Result<(), RecordFault>;
    /// Bytes taken and skipped since the beginning.
    fn taken(&self) -> u64;
    /// Whether every byte was taken.
    fn is_at_end(&mut self) -> Result<bool, RecordFault>;
}

/// What the checks need to know of one record.
pub(super) struct Walked {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) has_key: bool,
}

/// Goes over one record.
#[inline]
pub(super) fn walk_record<S: Source>(source: &mut S) -> Result<Walked, RecordFault> {
    let length = source.varint()?;
    let end = source.taken() + u64::try_from(length).map_err(|_| RecordFault::Length)?;
    source.skip(1)?;
    let timestamp_delta = source.varlong()?;
    let offset_delta = source.varint()?;
    let has_key = skip_nullable(source)?;
    skip_nullable(source)?;
    let header_count = source.varint()?;
    if header_count != 0 {
        skip_headers(source, header_count)?;
    }
    if source.taken() != end {
        return Err(RecordFault::Length);
    }
    Ok(Walked {
        timestamp_delta,
        offset_delta,
        has_key,
    })
}

/// Skips a length and so many bytes; whether there was a value, if empty.
#[inline]
fn skip_nullable<S: Source>(source: &mut S) -> Result<bool, RecordFault> {
    match u64::try_from(source.varint()?) {
        Ok(length) => source.skip(length).map(|()| true),
        Err(_) => Ok(false),
    }
}

fn skip_headers<S: Source>(source: &mut S, header_count: i32) -> Result<(), RecordFault> {
    if header_count < 0 {
        return Err(RecordFault::HeaderCount);
    }
    for _ in 0..header_count {
        if !skip_nullable(source)? {
            return Err(RecordFault::HeaderKey);
        }
        skip_nullable(source)?;
    }
    Ok(())
}

/// Records that are not compressed.
pub(super) struct SliceSource<'a> {
    rest: &'a [u8],
    bytes: usize,
}

impl<'a> SliceSource<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            bytes: bytes.len(),
        }
    }
}

impl Source for SliceSource<'_> {
    #[inline]
    fn varint(&mut self) -> Result<i32, RecordFault> {
        match take_varint(&mut self.rest) {
            Some(value) => Ok(value),
            None => Err(number_fault(self.rest, VARINT_BYTES_MAX)),
        }
    }

    #[inline]
    fn varlong(&mut self) -> Result<i64, RecordFault> {
        match take_varlong(&mut self.rest) {
            Some(value) => Ok(value),
            None => Err(number_fault(self.rest, VARLONG_BYTES_MAX)),
        }
    }

    #[inline]
    fn skip(&mut self, bytes: u64) -> Result<(), RecordFault> {
        let rest = usize::try_from(bytes).ok().and_then(|bytes| self.rest.get(bytes..));
        self.rest = rest.ok_or(RecordFault::Short)?;
        Ok(())
    }

    #[inline]
    fn taken(&self) -> u64 {
        (self.bytes - self.rest.len()) as u64
    }

    #[inline]
    fn is_at_end(&mut self) -> Result<bool, RecordFault> {
        Ok(self.rest.is_empty())
    }
}

/// Why no number could be taken.
#[cold]
pub(super) fn number_fault(rest: &[u8], bytes_max: usize) -> RecordFault {
    if rest.len() < bytes_max {
        RecordFault::Short
    } else {
        RecordFault::Varint
    }
}
