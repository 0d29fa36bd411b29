//! Record batches, format v2: what a batch is, whether it is valid, what is in it.
//!
//! Owns the layout of a batch, the checks a producer's batch must pass, the codecs, and the building of batches. Does no I/O, reads
//! no clock, and knows neither logs nor requests: everything is a function of bytes and values that are passed in.
//!
//! Invariants:
//! - Bytes are hostile. No function panics on any input, and none allocates by a length it has not checked: what a compressed batch
//!   may expand to is bounded by the [`Decompressor`] that is passed in.
//! - A batch is looked at in place; its records are copied only by decompression. A batch that passed [`validate`] is stored as
//!   it came, its first 61 bytes apart ([`Assignment`]).
//!
//! | file | holds |
//! |---|---|
//! | `header` | the 61 bytes before the records, and what the broker writes into them |
//! | `batch` | one batch in a buffer, several batches in a buffer |
//! | `validate` | the checks on a producer's batch; `walk` the pass over its records, `source` where their bytes come from |
//! | `iterate` | records, lazily; `search` the one with some timestamp, in steps |
//! | `build` | new batches, `seal` their last step; `control` the markers in control batches |
//! | `codec` | gzip, snappy, lz4, zstd; `recompress` from one to another |
//! | `unpack` | records, expanded step by step |
//! | `rewrite` | a batch with some of its records: what compaction leaves |
//! | `varint` | variable-length integers |

#![deny(clippy::indexing_slicing)]

pub mod batch;
pub mod build;
pub mod codec;
pub mod control;
pub mod error;
pub mod header;
pub mod iterate;
pub mod recompress;
pub mod rewrite;
pub mod seal;
pub mod search;
mod source;
pub mod unpack;
pub mod validate;
pub mod varint;
mod walk;

pub use batch::{BatchView, Batches};
pub use build::{BatchBuilder, ProducerStamp, Record};
pub use codec::{BlockBytes, CompressionLevel, Decompressor};
pub use control::{ControlType, EndTxnMarker, MarkerPlace, TxnOutcome};
pub use error::{BatchError, Corruption, Invalidity, RecordFault};
pub use header::{Assignment, Attributes, BATCH_HEADER_BYTES, BatchHeader, Compression, TimestampType};
pub use iterate::{RecordHeader, RecordHeaders, RecordView, Records};
pub use recompress::{Recompression, Target, recompress};
pub use rewrite::emptied;
pub use search::{RecordPlace, RecordSearch, SearchStep, Sought};
pub use unpack::Unpacked;
pub use validate::{Rules, Validated, Validation, validate};

#[cfg(test)]
mod tests;
