//! The first record of a stored batch that is old and far enough, in steps: a batch may expand to much more than a step has room for.

use crate::base::offset::Offset;
use crate::base::time::TimestampMs;

use super::batch::BatchView;
use super::codec::{Decompressor, Expansion};
use super::error::Invalidity;
use super::header::{BatchHeader, Compression, TimestampType};
use super::source::{SliceSource, Source, StreamSource};
use super::walk::{LongRecord, Walk, Walked, walk_record};

/// Which record is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sought {
    /// At least.
    pub offset: Offset,
    /// At least.
    pub timestamp: TimestampMs,
}

/// Offset and time of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordPlace {
    pub offset: Offset,
    pub timestamp: TimestampMs,
}

/// How far a search came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SearchStep {
    Found(RecordPlace),
    /// No record of the batch is one.
    NotFound,
    /// There are more records.
    More,
}

/// See the module.
pub struct RecordSearch<'a, 'd> {
    header: BatchHeader,
    sought: Sought,
    source: RecordSource<'a, 'd>,
    /// Number of the next record.
    index: i32,
    /// That record, when it is long and was begun.
    begun: Option<LongRecord>,
}

enum RecordSource<'a, 'd> {
    Plain(SliceSource<'a>),
    Compressed(StreamSource<'a, 'd>),
}

impl<'a, 'd> RecordSearch<'a, 'd> {
    /// # Errors
    /// The codec is unknown.
    pub fn begin(
        batch: &BatchView<'a>,
        sought: Sought,
        decompressor: &'d mut Decompressor,
    ) -> Result<Self, Invalidity> {
        let header = *batch.header();
        let compression = header.attributes.compression().ok_or(Invalidity::UnknownCompression {
            bits: header.attributes.0 & 0x07,
        })?;
        let source = if compression == Compression::None {
            RecordSource::Plain(SliceSource::new(batch.record_bytes()))
        } else {
            let expansion = Expansion::new(decompressor, compression, batch.record_bytes());
            RecordSource::Compressed(StreamSource::new(expansion))
        };
        Ok(Self {
            header,
            sought,
            source,
            index: 0,
            begun: None,
        })
    }

    /// Goes on until about `bytes` more were looked at.
    ///
    /// # Errors
    /// A record is malformed.
    pub fn advance(&mut self, bytes: u64) -> Result<SearchStep, Invalidity> {
        let Self {
            header,
            sought,
            source,
            index,
            begun,
        } = self;
        let mut records = Remaining {
            header,
            sought: *sought,
            index,
            begun,
        };
        match source {
            RecordSource::Plain(source) => records.advance(source, bytes),
            RecordSource::Compressed(source) => records.advance(source, bytes),
        }
    }
}

/// The records that were not looked at.
struct Remaining<'s> {
    header: &'s BatchHeader,
    sought: Sought,
    index: &'s mut i32,
    begun: &'s mut Option<LongRecord>,
}

impl Remaining<'_> {
    fn advance<S: Source>(&mut self, source: &mut S, bytes: u64) -> Result<SearchStep, Invalidity> {
        let until = source.work().saturating_add(bytes);
        while *self.index < self.header.record_count {
            if source.work() >= until {
                return Ok(SearchStep::More);
            }
            let index = *self.index;
            let invalid = |fault| Invalidity::Record { index, fault };
            let walk = match self.begun.take() {
                None => walk_record(source).map_err(invalid)?,
                Some(begun) => Walk::Begun(begun),
            };
            let record = match walk {
                Walk::Done(record) => record,
                Walk::Begun(mut begun) => match begun.advance(source, until).map_err(invalid)? {
                    Some(record) => record,
                    None => {
                        *self.begun = Some(begun);
                        return Ok(SearchStep::More);
                    }
                },
            };
            let place = self.place(&record);
            if place.offset >= self.sought.offset && place.timestamp >= self.sought.timestamp {
                return Ok(SearchStep::Found(place));
            }
            *self.index += 1;
        }
        Ok(SearchStep::NotFound)
    }

    fn place(&self, record: &Walked) -> RecordPlace {
        let timestamp = match self.header.attributes.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp.0.wrapping_add(record.timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp.0,
        };
        RecordPlace {
            offset: Offset(self.header.base_offset.0.wrapping_add(i64::from(record.offset_delta))),
            timestamp: TimestampMs(timestamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, CompressionLevel, Record};

    #[test]
    fn the_first_record_that_is_old_and_far_enough() {
        let large = vec![7; 300_000];
        for compression in [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Zstd,
        ] {
            let mut builder = BatchBuilder::new()
                .base_offset(Offset(100))
                .compression(compression, CompressionLevel::Default);
            for (index, timestamp) in [10, 30, 20, 40].into_iter().enumerate() {
                let value: &[u8] = if index == 2 { &large } else { b"v" };
                builder
                    .append(&Record::new(TimestampMs(timestamp), None, Some(value)))
                    .unwrap();
            }
            let bytes = builder.build().unwrap();
            let batch = BatchView::parse_only(&bytes).unwrap();
            for (offset, timestamp, expected) in [
                (0, 0, Some((100, 10))),
                (0, 11, Some((101, 30))),
                (102, 11, Some((102, 20))),
                (102, 21, Some((103, 40))),
                (0, 41, None),
                (104, 0, None),
            ] {
                let sought = Sought {
                    offset: Offset(offset),
                    timestamp: TimestampMs(timestamp),
                };
                for step in [1, 64 * 1024, u64::MAX] {
                    let mut decompressor = Decompressor::new(1 << 20);
                    let mut search = RecordSearch::begin(&batch, sought, &mut decompressor).unwrap();
                    let found = loop {
                        match search.advance(step).unwrap() {
                            SearchStep::Found(place) => break Some((place.offset.0, place.timestamp.0)),
                            SearchStep::NotFound => break None,
                            SearchStep::More => {}
                        }
                    };
                    assert_eq!(found, expected, "{compression:?} {offset} {timestamp} {step}");
                }
            }
        }
    }
}
