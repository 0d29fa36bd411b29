//! Batches where they lie: one at the front of a buffer, or several one after another.

use crate::base::crc32c::{Crc32c, crc32c};

use super::error::{BatchError, Corruption, Invalidity};
use super::header::{BATCH_HEADER_BYTES, BatchHeader, CHECKED_FROM};

/// One whole batch in a buffer. The header is well formed; checksum and records are unchecked until asked for.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// The batch at the front of `bytes`, which may go on behind it.
    ///
    /// # Errors
    /// `Truncated` when the batch goes on behind `bytes`; else as [`BatchHeader::decode`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let header = BatchHeader::decode(bytes)?;
        let bytes_expected = header.batch_bytes();
        match bytes.get(..bytes_expected) {
            Some(bytes) => Ok(Self { header, bytes }),
            None => Err(BatchError::Truncated {
                bytes: bytes.len(),
                bytes_expected,
            }),
        }
    }

    /// The batch that `bytes` is, from the first to the last: what a producer sends for one partition.
    ///
    /// # Errors
    /// `Invalidity::Empty` and `Invalidity::Trailing` for less or more than one batch; else as [`BatchView::parse`].
    pub fn parse_only(bytes: &'a [u8]) -> Result<Self, BatchError> {
        if bytes.is_empty() {
            return Err(Invalidity::Empty.into());
        }
        let batch = Self::parse(bytes)?;
        let trailing = bytes.len() - batch.bytes.len();
        if trailing > 0 {
            return Err(Invalidity::Trailing { bytes: trailing }.into());
        }
        Ok(batch)
    }

    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header: the records, compressed as the attributes say.
    #[must_use]
    pub fn record_bytes(&self) -> &'a [u8] {
        self.bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default()
    }

    /// Compares the checksum with the bytes.
    ///
    /// # Errors
    /// `Corruption::Checksum` when they differ.
    pub fn check_crc(&self) -> Result<(), Corruption> {
        let computed = crc32c(self.bytes.get(CHECKED_FROM..).unwrap_or_default());
        let stored = self.header.crc;
        if computed == stored {
            Ok(())
        } else {
            Err(Corruption::Checksum { stored, computed })
        }
    }

    /// Begins the work of [`BatchView::check_crc`] in steps.
    #[must_use]
    pub fn checking(&self) -> Checking<'a> {
        Checking {
            stored: self.header.crc,
            rest: self.bytes.get(CHECKED_FROM..).unwrap_or_default(),
            checksum: Crc32c::default(),
        }
    }
}

/// A batch whose checksum is being compared with its bytes.
#[derive(Clone, Debug)]
pub struct Checking<'a> {
    stored: u32,
    rest: &'a [u8],
    checksum: Crc32c,
}

impl Checking<'_> {
    /// Goes over so many more bytes; whether there are others.
    ///
    /// # Errors
    /// As [`BatchView::check_crc`], once there are no others.
    pub fn advance(&mut self, bytes: usize) -> Result<bool, Corruption> {
        let (piece, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, &[]));
        self.checksum.update(piece);
        self.rest = rest;
        if !rest.is_empty() {
            return Ok(true);
        }
        let (stored, computed) = (self.stored, self.checksum.value());
        if computed == stored {
            Ok(false)
        } else {
            Err(Corruption::Checksum { stored, computed })
        }
    }
}

/// The batches of a buffer, one after another. Ends at the end of the buffer, or after the first error.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = BatchView::parse(self.rest);
        self.rest = match &parsed {
            Ok(batch) => self.rest.get(batch.bytes.len()..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(parsed)
    }
}

#[cfg(test)]
mod tests;
