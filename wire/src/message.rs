//! What all messages have in common.

use crate::{ApiKey, DecodeError, EncodeError, Reader, Writer};

/// A message, or a structure inside of one.
pub trait Message: Sized {
    /// The fewest bytes that an encoding takes in any version, at least 1. Bounds how many can be in the bytes left.
    const BYTES_MIN: usize;

    /// Reads one value. Bytes behind it are left in `r`: the caller decides whether there may be any.
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError>;

    /// Appends the value. After an error, what `w` holds is of no use.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// The request of an API.
pub trait Request: Message {
    const KEY: ApiKey;
    type Response: Message;
}
