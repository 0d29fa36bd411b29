//! The records of a batch, expanded step by step: for those who go over them with pauses, and more than once.

use super::batch::BatchView;
use super::codec::{Decompressor, Expansion};
use super::error::{BatchError, Invalidity};
use super::header::{BatchHeader, Compression};
use super::iterate::Records;

/// A batch being expanded.
pub struct Unpacking<'a, 'd> {
    header: BatchHeader,
    plain: &'a [u8],
    /// Of a batch that is compressed.
    expansion: Option<Expansion<'a, 'd>>,
    expanded: Vec<u8>,
}

/// A batch with its records at hand.
pub struct Unpacked<'a> {
    header: BatchHeader,
    plain: &'a [u8],
    /// In use where the batch was compressed.
    expanded: Vec<u8>,
    is_expanded: bool,
}

impl<'a> BatchView<'a> {
    /// Begins to expand the records, into `buffer` if they are compressed; what it holds is thrown away.
    ///
    /// # Errors
    /// `Invalid` when the codec is unknown.
    pub fn unpack<'d>(
        &self,
        decompressor: &'d mut Decompressor,
        mut buffer: Vec<u8>,
    ) -> Result<Unpacking<'a, 'd>, BatchError> {
        let header = *self.header();
        let compression = header.attributes.compression().ok_or(Invalidity::UnknownCompression {
            bits: header.attributes.0 & 0x07,
        })?;
        buffer.clear();
        let is_compressed = compression != Compression::None && header.record_count > 0;
        Ok(Unpacking {
            header,
            plain: self.record_bytes(),
            expansion: is_compressed.then(|| Expansion::new(decompressor, compression, self.record_bytes())),
            expanded: buffer,
        })
    }
}

impl<'a> Unpacking<'a, '_> {
    /// Expands one more chunk; false when there is no other.
    ///
    /// # Errors
    /// `Invalid` when the data is malformed, or more than the workspace allows.
    pub fn advance(&mut self) -> Result<bool, BatchError> {
        let Some(expansion) = &mut self.expansion else {
            return Ok(false);
        };
        let more = expansion
            .next_chunk()
            .map_err(|fault| Invalidity::Record { index: 0, fault })?;
        if more {
            self.expanded.extend_from_slice(expansion.chunk());
        }
        Ok(more)
    }

    /// The batch, when nothing is left to expand.
    #[must_use]
    pub fn finish(self) -> Unpacked<'a> {
        Unpacked {
            header: self.header,
            plain: self.plain,
            is_expanded: self.expansion.is_some(),
            expanded: self.expanded,
        }
    }
}

impl Unpacked<'_> {
    /// The records, from the first on.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::new(self.header, self.record_bytes())
    }

    /// The records as they stand in a batch that is not compressed.
    #[must_use]
    pub fn record_bytes(&self) -> &[u8] {
        if self.is_expanded { &self.expanded } else { self.plain }
    }

    /// The buffer, for the next batch.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.expanded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::TimestampMs;
    use crate::record::{BatchBuilder, CompressionLevel, Record};

    #[test]
    fn records_are_the_same_in_steps() {
        let mut buffer = Vec::new();
        for compression in [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ] {
            let mut builder = BatchBuilder::new().compression(compression, CompressionLevel::Default);
            for number in 0..2000 {
                let value = format!("{number}").repeat(50);
                builder
                    .append(&Record::new(TimestampMs(number), None, Some(value.as_bytes())))
                    .unwrap();
            }
            let bytes = builder.build().unwrap();
            let batch = BatchView::parse_only(&bytes).unwrap();
            let mut workspace = Decompressor::new(1 << 20);
            let mut unpacking = batch.unpack(&mut workspace, buffer).unwrap();
            let mut steps = 0;
            while unpacking.advance().unwrap() {
                steps += 1;
            }
            let unpacked = unpacking.finish();
            assert_eq!(compression != Compression::None, steps > 3, "{compression:?}: {steps}");
            for _ in 0..2 {
                let mut other = Decompressor::new(1 << 20);
                let at_once = batch.records(&mut other).unwrap().map(Result::unwrap);
                assert!(at_once.eq(unpacked.records().map(Result::unwrap)), "{compression:?}");
            }
            buffer = unpacked.into_buffer();
        }
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let mut builder = BatchBuilder::new().compression(Compression::Zstd, CompressionLevel::Default);
        builder
            .append(&Record::new(TimestampMs(0), None, Some(&[7; 200_000])))
            .unwrap();
        let bytes = builder.build().unwrap();
        let batch = BatchView::parse_only(&bytes).unwrap();
        let mut workspace = Decompressor::new(100_000);
        let mut unpacking = batch.unpack(&mut workspace, Vec::new()).unwrap();
        while unpacking.advance() == Ok(true) {}
        assert!(matches!(unpacking.advance(), Err(BatchError::Invalid(_))));
    }
}
