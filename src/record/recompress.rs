//! The records of a batch under another codec: for topics whose `compression.type` is not `producer`.

use bytes::Bytes;

use super::batch::BatchView;
use super::build::sealed;
use super::codec::{CompressionLevel, Decompressor, compress};
use super::error::{BatchError, Invalidity};
use super::header::{BATCH_HEADER_BYTES, Compression};

/// The batch with its records compressed anew; every other field of the header stays.
///
/// # Errors
/// `Invalid` when the batch cannot be expanded, `Compressor` when the codec fails, `TooLarge` when the result has no place in a batch.
pub fn recompress(
    batch: &BatchView<'_>,
    compression: Compression,
    level: CompressionLevel,
    decompressor: &mut Decompressor,
) -> Result<Bytes, BatchError> {
    let mut header = *batch.header();
    let from = header.attributes.compression().ok_or(Invalidity::UnknownCompression {
        bits: header.attributes.0 & 0x07,
    })?;
    let records = if from == Compression::None {
        batch.record_bytes()
    } else {
        decompressor
            .expand(from, batch.record_bytes())
            .map_err(|fault| Invalidity::Record { index: 0, fault })?
    };
    let mut bytes = vec![0; BATCH_HEADER_BYTES];
    compress(compression, level, records, &mut bytes).map_err(|_| BatchError::Compressor)?;
    header.attributes = header.attributes.with_compression(compression);
    sealed(header, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::TimestampMs;
    use crate::record::{BatchBuilder, BatchHeader, Record};

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
                let after = recompress(&before, to, CompressionLevel::Default, &mut decompressor).unwrap();
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
        let refused = recompress(
            &batch,
            Compression::Lz4,
            CompressionLevel::Default,
            &mut Decompressor::new(4999),
        );
        assert!(matches!(refused, Err(BatchError::Invalid(_))));
    }
}
