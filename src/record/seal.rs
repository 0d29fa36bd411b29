//! The last of a new batch: the header, with the length and the checksum of what stands behind it.

use bytes::Bytes;

use crate::base::crc32c::Crc32c;

use super::error::BatchError;
use super::header::{BATCH_HEADER_BYTES, BatchHeader, CHECKED_FROM};

/// A batch whose records are in their place, on its way to its checksum.
#[derive(Clone, Debug)]
pub struct Sealing {
    header: BatchHeader,
    /// The header, without the checksum, and the records.
    bytes: Vec<u8>,
    checksum: Crc32c,
    /// Bytes that the checksum is of, and those before them.
    taken: usize,
}

impl Sealing {
    /// Writes the header into the room that `bytes` has for it before the records; its length is computed.
    ///
    /// # Errors
    /// `TooLarge` when the batch would be longer than the format can say.
    pub(super) fn new(header: BatchHeader, mut bytes: Vec<u8>) -> Result<Self, BatchError> {
        let Some(header) = header.with_record_bytes(bytes.len().saturating_sub(BATCH_HEADER_BYTES)) else {
            return Err(BatchError::TooLarge {
                bytes: bytes.len(),
                bytes_max: i32::MAX as usize,
            });
        };
        if let Some(front) = bytes.first_chunk_mut::<BATCH_HEADER_BYTES>() {
            *front = header.encode();
        }
        Ok(Self {
            header,
            bytes,
            checksum: Crc32c::default(),
            taken: CHECKED_FROM,
        })
    }

    /// Goes over so many more bytes; whether there are others.
    pub fn advance(&mut self, bytes: usize) -> bool {
        let end = self.taken.saturating_add(bytes).min(self.bytes.len());
        self.checksum
            .update(self.bytes.get(self.taken..end).unwrap_or_default());
        self.taken = end;
        end < self.bytes.len()
    }

    /// The batch.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.advance(usize::MAX);
        self.header.crc = self.checksum.value();
        if let Some(front) = self.bytes.first_chunk_mut::<BATCH_HEADER_BYTES>() {
            *front = self.header.encode();
        }
        self.bytes
    }
}

/// All of [`Sealing`] at once.
///
/// # Errors
/// As [`Sealing::new`].
pub(super) fn sealed(header: BatchHeader, bytes: Vec<u8>) -> Result<Bytes, BatchError> {
    Ok(Bytes::from(Sealing::new(header, bytes)?.finish()))
}
