//! Record data inside of a message.

use bytes::Bytes;

/// Record batches as they stand in the log, carried through a message without being looked at.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Records {
    #[default]
    Null,
    /// In memory. Decoding gives a slice of the frame; encoding makes it a part of its own.
    Bytes(Bytes),
    /// `length` bytes that the caller sends itself when it comes to [`crate::Part::External`] with this `index`.
    External { index: u32, length: u32 },
}

impl Records {
    /// Bytes of record data; null counts as none.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::External { length, .. } => usize::try_from(*length).unwrap_or(usize::MAX),
        }
    }
}
