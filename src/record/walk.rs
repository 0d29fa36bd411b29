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

use super::codec::Expansion;
use super::error::RecordFault;
use super::varint::{
    Decoded, VARINT_BYTES_MAX, VARLONG_BYTES_MAX, decode_at, low_half, take_varint, take_varlong, unzigzag,
    unzigzag_long,
};

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

impl<S: Source> Source for &mut S {
    fn varint(&mut self) -> Result<i32, RecordFault> {
        (**self).varint()
    }

    fn varlong(&mut self) -> Result<i64, RecordFault> {
        (**self).varlong()
    }

    fn skip(&mut self, bytes: u64) -> Result<(), RecordFault> {
        (**self).skip(bytes)
    }

    fn taken(&self) -> u64 {
        (**self).taken()
    }

    fn is_at_end(&mut self) -> Result<bool, RecordFault> {
        (**self).is_at_end()
    }
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

/// Records that are not compressed. A copy goes on by itself.
#[derive(Clone, Copy)]
pub(super) struct SliceSource<'a> {
    bytes: &'a [u8],
    /// Never beyond the end.
    position: usize,
}

impl<'a> SliceSource<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    #[inline]
    fn number(&mut self, bytes_max: usize) -> Result<u64, RecordFault> {
        let Decoded { value, bytes } = decode_at(self.bytes, self.position, bytes_max);
        if bytes == 0 {
            return Err(number_fault(
                self.bytes.get(self.position..).unwrap_or_default(),
                bytes_max,
            ));
        }
        self.position += bytes;
        Ok(value)
    }
}

impl Source for SliceSource<'_> {
    #[inline]
    fn varint(&mut self) -> Result<i32, RecordFault> {
        self.number(VARINT_BYTES_MAX).map(|value| unzigzag(low_half(value)))
    }

    #[inline]
    fn varlong(&mut self) -> Result<i64, RecordFault> {
        self.number(VARLONG_BYTES_MAX).map(unzigzag_long)
    }

    #[inline]
    fn skip(&mut self, bytes: u64) -> Result<(), RecordFault> {
        let left = self.bytes.len() - self.position;
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= left => {
                self.position += bytes;
                Ok(())
            }
            Ok(_) | Err(_) => Err(RecordFault::Short),
        }
    }

    #[inline]
    fn taken(&self) -> u64 {
        self.position as u64
    }

    #[inline]
    fn is_at_end(&mut self) -> Result<bool, RecordFault> {
        Ok(self.position == self.bytes.len())
    }
}

/// Records that are being expanded, chunk by chunk.
pub(super) struct StreamSource<'a, 'd> {
    expansion: Expansion<'a, 'd>,
    /// Bytes taken of the chunk.
    position: usize,
    /// Bytes of the chunks before.
    passed: u64,
}

impl<'a, 'd> StreamSource<'a, 'd> {
    pub(super) fn new(expansion: Expansion<'a, 'd>) -> Self {
        Self {
            expansion,
            position: 0,
            passed: 0,
        }
    }

    /// What is left of the chunk.
    fn rest(&self) -> &[u8] {
        self.expansion.chunk().get(self.position..).unwrap_or_default()
    }

    /// Goes on to the next chunk; false at the end.
    fn next_chunk(&mut self) -> Result<bool, RecordFault> {
        let bytes = self.expansion.chunk().len();
        let more = self.expansion.next_chunk()?;
        self.passed += bytes as u64;
        self.position = 0;
        Ok(more)
    }

    /// A number that the end of the chunk may cut in two.
    fn number<T>(&mut self, bytes_max: usize, take: fn(&mut &[u8]) -> Option<T>) -> Result<T, RecordFault> {
        let chunk = self.rest();
        let mut rest = chunk;
        if let Some(value) = take(&mut rest) {
            self.position += chunk.len() - rest.len();
            return Ok(value);
        }
        if chunk.len() >= bytes_max {
            return Err(RecordFault::Varint);
        }
        self.cut_number(bytes_max, take)
    }

    #[cold]
    fn cut_number<T>(&mut self, bytes_max: usize, take: fn(&mut &[u8]) -> Option<T>) -> Result<T, RecordFault> {
        let mut joined = Vec::with_capacity(bytes_max);
        while joined.len() < bytes_max {
            let Some(&byte) = self.rest().first() else {
                if self.next_chunk()? {
                    continue;
                }
                return Err(RecordFault::Short);
            };
            self.position += 1;
            joined.push(byte);
            if byte < 0x80 {
                break;
            }
        }
        take(&mut joined.as_slice()).ok_or(RecordFault::Varint)
    }
}

impl Source for StreamSource<'_, '_> {
    #[inline]
    fn varint(&mut self) -> Result<i32, RecordFault> {
        self.number(VARINT_BYTES_MAX, take_varint)
    }

    #[inline]
    fn varlong(&mut self) -> Result<i64, RecordFault> {
        self.number(VARLONG_BYTES_MAX, take_varlong)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), RecordFault> {
        let mut left = bytes;
        loop {
            let rest = self.rest().len();
            match usize::try_from(left) {
                Ok(left) if left <= rest => {
                    self.position += left;
                    return Ok(());
                }
                Ok(_) | Err(_) => {
                    left -= rest as u64;
                    self.position += rest;
                }
            }
            if !self.next_chunk()? {
                return Err(RecordFault::Short);
            }
        }
    }

    fn taken(&self) -> u64 {
        self.passed + self.position as u64
    }

    fn is_at_end(&mut self) -> Result<bool, RecordFault> {
        Ok(self.rest().is_empty() && !self.next_chunk()?)
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
