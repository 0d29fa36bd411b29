//! The records of a batch under another codec: for topics whose `compression.type` is not `producer`.

use bytes::Bytes;

use super::batch::BatchView;
use super::codec::{CompressionLevel, Decompressor, Encoder, Expansion};
use super::error::{BatchError, Invalidity};
use super::header::{BATCH_HEADER_BYTES, BatchHeader, Compression};
use super::seal::sealed;

/// Bytes of records that are handed to the codec at once.
const PIECE_BYTES: usize = 2 * 1024;

/// What a topic wants of the records of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    pub compression: Compression,
    pub level: CompressionLevel,
    /// Bytes of the whole batch.
    pub batch_bytes_max: usize,
}

/// The batch with its records compressed anew; every other field of the header stays. Kafka writes the same
/// (`LogValidator.buildRecordsAndAssignOffsets`): it takes the records one by one, and their offsets and times come out as they were.
///
/// # Errors
/// `Invalid` when the batch cannot be expanded, `Compressor` when the codec fails, `TooLarge` when the result is larger than allowed.
pub fn recompress(batch: &BatchView<'_>, target: Target, decompressor: &mut Decompressor) -> Result<Bytes, BatchError> {
    let mut recompression = Recompression::begin(batch, target, decompressor)?;
    loop {
        if let Some(batch) = recompression.advance(usize::MAX, usize::MAX)? {
            return Ok(batch);
        }
    }
}

/// The work of [`recompress`] in steps.
pub struct Recompression<'a, 'd> {
    header: BatchHeader,
    target: Target,
    source: Source<'a, 'd>,
    /// `None` once it has finished.
    encoder: Option<Encoder>,
    /// Bytes that the codec was handed since its block began.
    block_bytes: usize,
    /// Whether a block ended in the last step.
    has_ended_block: bool,
}

/// Where the records come from.
enum Source<'a, 'd> {
    Plain(&'a [u8]),
    /// So many bytes of the chunk were taken.
    Compressed(Expansion<'a, 'd>, usize),
}

impl<'a, 'd> Recompression<'a, 'd> {
    /// Nothing is done yet.
    ///
    /// # Errors
    /// `Invalid` for a batch of an unknown codec, `Compressor` when the codec has no such level.
    pub fn begin(
        batch: &BatchView<'a>,
        target: Target,
        decompressor: &'d mut Decompressor,
    ) -> Result<Self, BatchError> {
        let mut header = *batch.header();
        let from = header.attributes.compression().ok_or(Invalidity::UnknownCompression {
            bits: header.attributes.0 & 0x07,
        })?;
        let source = if from == Compression::None {
            Source::Plain(batch.record_bytes())
        } else {
            Source::Compressed(Expansion::new(decompressor, from, batch.record_bytes()), 0)
        };
        header.attributes = header.attributes.with_compression(target.compression);
        let encoder = Encoder::new(target.compression, target.level, vec![0; BATCH_HEADER_BYTES]);
        Ok(Self {
            header,
            target,
            source,
            encoder: Some(encoder.map_err(|_| BatchError::Compressor)?),
            block_bytes: 0,
            has_ended_block: false,
        })
    }

    /// Whether the last [`Recompression::advance`] has compressed a block.
    #[must_use]
    pub fn has_ended_block(&self) -> bool {
        self.has_ended_block
    }

    /// Compresses about `bytes` more bytes of records, in blocks of at most `block_bytes`, where the codec has blocks; the batch, when there are
    /// no more.
    ///
    /// # Errors
    /// As [`recompress`].
    pub fn advance(&mut self, bytes: usize, block_bytes: usize) -> Result<Option<Bytes>, BatchError> {
        self.has_ended_block = false;
        let mut left = bytes;
        while left > 0 {
            let Some(encoder) = &mut self.encoder else {
                return Err(BatchError::Compressor);
            };
            let piece = self.source.next_piece()?;
            if piece.is_empty() {
                let encoder = self.encoder.take().ok_or(BatchError::Compressor)?;
                let bytes = encoder.finish().map_err(|_| BatchError::Compressor)?;
                check_size(bytes.len(), self.target)?;
                return sealed(self.header, bytes).map(Some);
            }
            encoder.write(piece).map_err(|_| BatchError::Compressor)?;
            self.block_bytes += piece.len();
            let block_bytes_max = encoder.block_bytes_max(self.target.level);
            if block_bytes_max.is_some_and(|max| self.block_bytes >= max.min(block_bytes)) {
                encoder.end_block().map_err(|_| BatchError::Compressor)?;
                self.block_bytes = 0;
                self.has_ended_block = true;
            }
            check_size(encoder.written(), self.target)?;
            left = left.saturating_sub(piece.len());
        }
        Ok(None)
    }
}

impl Source<'_, '_> {
    /// The next bytes of records; none at the end.
    fn next_piece(&mut self) -> Result<&[u8], BatchError> {
        match self {
            Self::Plain(rest) => {
                let (piece, after) = rest.split_at_checked(PIECE_BYTES).unwrap_or((*rest, &[]));
                *rest = after;
                Ok(piece)
            }
            Self::Compressed(expansion, taken) => {
                if *taken == expansion.chunk().len() {
                    *taken = 0;
                    let more = expansion
                        .next_chunk()
                        .map_err(|fault| Invalidity::Record { index: 0, fault })?;
                    if !more {
                        return Ok(&[]);
                    }
                }
                let rest = expansion.chunk().get(*taken..).unwrap_or_default();
                let piece = rest.get(..PIECE_BYTES).unwrap_or(rest);
                *taken += piece.len();
                Ok(piece)
            }
        }
    }
}

fn check_size(bytes: usize, target: Target) -> Result<(), BatchError> {
    let bytes_max = target.batch_bytes_max;
    if bytes > bytes_max {
        return Err(BatchError::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::TimestampMs;
    use crate::record::{BatchBuilder, BatchHeader, Record};

    fn target(compression: Compression) -> Target {
        Target {
            compression,
            level: CompressionLevel::Default,
            batch_bytes_max: 1 << 20,
        }
    }

    const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    #[test]
    fn only_the_codec_changes() {
        let mut decompressor = Decompressor::new(1 << 20);
        for from in ALL {
            let mut builder = BatchBuilder::new()
                .compression(from, CompressionLevel::Default)
                .transactional();
            for i in 0..100 {
                let value = format!("value {i}").repeat(10);
                builder
                    .append(&Record::new(TimestampMs(i), None, Some(value.as_bytes())))
                    .unwrap();
            }
            let before = builder.build().unwrap();
            let before = BatchView::parse_only(&before).unwrap();
            for to in ALL {
                let after = recompress(&before, target(to), &mut decompressor).unwrap();
                let after = BatchView::parse_only(&after).unwrap();
                after.check_crc().unwrap();
                let expected = BatchHeader {
                    attributes: before.header().attributes.with_compression(to),
                    length: after.header().length,
                    crc: after.header().crc,
                    ..*before.header()
                };
                assert_eq!(*after.header(), expected);
                let mut other = Decompressor::new(1 << 20);
                let first = before.records(&mut decompressor).unwrap().map(Result::unwrap);
                let second = after.records(&mut other).unwrap().map(Result::unwrap);
                assert!(first.eq(second), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn what_does_not_expand_is_refused() {
        let mut builder = BatchBuilder::new().compression(Compression::Zstd, CompressionLevel::Default);
        builder
            .append(&Record::new(TimestampMs(0), None, Some(&[7; 5000])))
            .unwrap();
        let batch = builder.build().unwrap();
        let batch = BatchView::parse_only(&batch).unwrap();
        let refused = recompress(&batch, target(Compression::Lz4), &mut Decompressor::new(4999));
        assert!(matches!(refused, Err(BatchError::Invalid(_))));
    }

    #[test]
    fn steps_give_what_one_go_gives() {
        let value: Vec<u8> = (0..200_000_u32).flat_map(|i| i.wrapping_mul(i).to_be_bytes()).collect();
        for from in ALL {
            let mut builder = BatchBuilder::new().compression(from, CompressionLevel::Default);
            builder
                .append(&Record::new(TimestampMs(7), None, Some(&value)))
                .unwrap();
            let batch = builder.build().unwrap();
            let batch = BatchView::parse_only(&batch).unwrap();
            for to in ALL {
                let target = target(to);
                let whole = recompress(&batch, target, &mut Decompressor::new(1 << 20)).unwrap();
                let mut decompressor = Decompressor::new(1 << 20);
                let mut recompression = Recompression::begin(&batch, target, &mut decompressor).unwrap();
                let mut steps = 1;
                let in_steps = loop {
                    match recompression.advance(16 * 1024, usize::MAX).unwrap() {
                        Some(batch) => break batch,
                        None => steps += 1,
                    }
                };
                assert!(steps > 40, "{from:?} to {to:?}: {steps}");
                assert!(in_steps == whole, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn blocks_may_be_of_any_length() {
        let value: Vec<u8> = (0..100_000_u32).flat_map(|i| (i / 3).to_be_bytes()).collect();
        let mut builder = BatchBuilder::new();
        builder
            .append(&Record::new(TimestampMs(7), None, Some(&value)))
            .unwrap();
        let batch = builder.build().unwrap();
        let batch = BatchView::parse_only(&batch).unwrap();
        for (to, has_blocks) in ALL.into_iter().zip([false, false, true, true, true]) {
            for block_bytes in [1, 4096, 10_000, 64 * 1024] {
                let mut decompressor = Decompressor::new(1 << 20);
                let mut recompression = Recompression::begin(&batch, target(to), &mut decompressor).unwrap();
                let mut blocks = 0;
                let after = loop {
                    let done = recompression.advance(2 * 1024, block_bytes).unwrap();
                    blocks += usize::from(recompression.has_ended_block());
                    if let Some(after) = done {
                        break after;
                    }
                };
                drop(recompression);
                assert_eq!(blocks >= value.len() / (64 * 1024), has_blocks, "{to:?} {block_bytes}");
                let after = BatchView::parse_only(&after).unwrap();
                let mut records = after.records(&mut decompressor).unwrap();
                assert_eq!(
                    records.next().unwrap().unwrap().value,
                    Some(value.as_slice()),
                    "{to:?} {block_bytes}"
                );
            }
        }
    }

    #[test]
    fn what_becomes_too_large_is_refused() {
        let mut builder = BatchBuilder::new().compression(Compression::Zstd, CompressionLevel::Default);
        builder
            .append(&Record::new(TimestampMs(0), None, Some(&vec![7; 1 << 20])))
            .unwrap();
        let batch = builder.build().unwrap();
        let batch = BatchView::parse_only(&batch).unwrap();
        let mut decompressor = Decompressor::new(2 << 20);
        let mut recompression = Recompression::begin(&batch, target(Compression::None), &mut decompressor).unwrap();
        let refused = recompression.advance(usize::MAX, usize::MAX);
        assert!(matches!(
            refused,
            Err(BatchError::TooLarge {
                bytes_max: 1_048_576,
                ..
            })
        ));
        drop(recompression);
        let roomy = Target {
            batch_bytes_max: (1 << 20) + 100,
            ..target(Compression::None)
        };
        assert!(recompress(&batch, roomy, &mut decompressor).is_ok());
    }
}
