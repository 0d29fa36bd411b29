//! What every layer speaks of: ids, offsets, epochs, time, limits, lengths of steps, checksums and the two assertions.
//!
//! Owns no state and does no I/O. Values of different spaces have different types; conversions are named functions.

pub mod assert;
pub mod crc32c;
pub mod ids;
pub mod limits;
pub mod offset;
pub mod step_bytes;
pub mod time;
