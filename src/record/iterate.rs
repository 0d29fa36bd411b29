//! The records of a batch, one at a time, as views into its bytes.
//!
//! A record is read when it is asked for; after the first that is malformed the iteration ends. The number of records is the
//! header's, offsets may have gaps (compaction leaves them).

use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::batch::BatchView;
use super::codec::Decompressor;
use super::error::{BatchError, Invalidity, RecordFault};
use super::header::{BatchHeader, Compression, TimestampType};
use super::source::missing_number;
use super::varint::{VARINT_BYTES_MAX, VARLONG_BYTES_MAX, take_varint, take_varlong};

/// One record of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordView<'a> {
    pub offset_delta: i32,
    pub offset: Offset,
    /// The record's own, or the time of the append where the batch says so.
    pub timestamp: TimestampMs,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub(super) header_count: i32,
    /// The headers, checked to be well formed.
    pub(super) headers: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// The headers in their order; keys may repeat (KIP-82).
    #[must_use]
    pub fn headers(&self) -> RecordHeaders<'a> {
        RecordHeaders {
            left: self.header_count,
            rest: self.headers,
        }
    }
}

/// One header of a record: a key, UTF-8 by convention, and a value that may be null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHeader<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// The headers of one record.
#[derive(Clone, Debug)]
pub struct RecordHeaders<'a> {
    left: i32,
    rest: &'a [u8],
}

impl<'a> Iterator for RecordHeaders<'a> {
    type Item = RecordHeader<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        take_header(&mut self.rest).ok()
    }
}

/// The records of one batch.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    header: BatchHeader,
    index: i32,
    rest: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// The records. A compressed batch is expanded as a whole into the workspace first.
    ///
    /// # Errors
    /// `Invalid` when the codec is unknown, the data malformed, or more than the workspace allows.
    pub fn records<'r>(&self, decompressor: &'r mut Decompressor) -> Result<Records<'r>, BatchError>
    where
        'a: 'r,
    {
        let header = *self.header();
        let compression = header.attributes.compression().ok_or(Invalidity::UnknownCompression {
            bits: header.attributes.0 & 0x07,
        })?;
        let rest = if compression == Compression::None || header.record_count == 0 {
            self.record_bytes()
        } else {
            decompressor
                .expand(compression, self.record_bytes())
                .map_err(|fault| Invalidity::Record { index: 0, fault })?
        };
        Ok(Records::new(header, rest))
    }
}

impl<'a> Records<'a> {
    /// The records of a batch with this header, expanded.
    pub(super) fn new(header: BatchHeader, rest: &'a [u8]) -> Self {
        Self { header, index: 0, rest }
    }

    fn take_record(&mut self) -> Result<RecordView<'a>, RecordFault> {
        let length = length_of(take_number(&mut self.rest)?).ok_or(RecordFault::Length)?;
        let (mut body, rest) = self.rest.split_at_checked(length).ok_or(RecordFault::Short)?;
        self.rest = rest;
        let (_attributes, after) = body.split_first().ok_or(RecordFault::Short)?;
        body = after;
        let timestamp_delta = take_varlong(&mut body).ok_or_else(|| missing_number(body.len(), VARLONG_BYTES_MAX))?;
        let offset_delta = take_number(&mut body)?;
        let key = take_nullable(&mut body)?;
        let value = take_nullable(&mut body)?;
        let header_count = take_number(&mut body)?;
        if header_count < 0 {
            return Err(RecordFault::HeaderCount);
        }
        let headers = body;
        for _ in 0..header_count {
            take_header(&mut body)?;
        }
        if !body.is_empty() {
            return Err(RecordFault::Length);
        }
        let timestamp = match self.header.attributes.timestamp_type() {
            TimestampType::CreateTime => TimestampMs(self.header.base_timestamp.0.wrapping_add(timestamp_delta)),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        Ok(RecordView {
            offset_delta,
            offset: Offset(self.header.base_offset.0.wrapping_add(i64::from(offset_delta))),
            timestamp,
            key,
            value,
            header_count,
            headers,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        if index >= self.header.record_count {
            return None;
        }
        self.index += 1;
        let is_last = self.index == self.header.record_count;
        let taken = self.take_record().and_then(|record| {
            if is_last && !self.rest.is_empty() {
                Err(RecordFault::Trailing)
            } else {
                Ok(record)
            }
        });
        Some(taken.map_err(|fault| {
            self.index = i32::MAX;
            Invalidity::Record { index, fault }.into()
        }))
    }
}

fn take_header<'a>(input: &mut &'a [u8]) -> Result<RecordHeader<'a>, RecordFault> {
    let key = take_nullable(input)?.ok_or(RecordFault::HeaderKey)?;
    let value = take_nullable(input)?;
    Ok(RecordHeader { key, value })
}

fn take_nullable<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFault> {
    let Some(length) = length_of(take_number(input)?) else {
        return Ok(None);
    };
    let (value, rest) = input.split_at_checked(length).ok_or(RecordFault::Short)?;
    *input = rest;
    Ok(Some(value))
}

fn take_number(input: &mut &[u8]) -> Result<i32, RecordFault> {
    take_varint(input).ok_or_else(|| missing_number(input.len(), VARINT_BYTES_MAX))
}

/// A length, or nothing when it is below 0.
fn length_of(length: i32) -> Option<usize> {
    usize::try_from(length).ok()
}
