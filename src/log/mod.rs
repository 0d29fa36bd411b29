//! What the log of a partition is, as values: segments, indexes, leader epochs, producers, and the plans of what to do next.
//!
//! Owns [`LogState`] and every file format of a partition's directory, as codecs over bytes.
//! Does no I/O and reads no clock: `storage` executes the plans made here.
//!
//! Invariants:
//! * `log_start_offset <= log_end_offset`; offsets inside a segment only grow.
//! * There is always an active segment, the last one; only it is appended to.
//! * State changes through [`LogState::apply`] and the functions named in `state.rs`, live and in recovery alike, so a log that
//!   was replayed equals the log that was written.

pub mod aborted;
pub mod append;
pub mod batch;
pub mod checkpoint;
pub mod compaction;
pub mod epochs;
pub mod index;
pub mod journal;
pub mod names;
pub mod producers;
pub mod properties;
pub mod read;
pub mod reclaim;
pub mod recovery;
pub mod reserve;
pub mod retention;
pub mod room;
pub mod scan;
pub mod segment;
pub mod state;
pub mod timestamp;
pub mod truncation;

pub use append::{AppendContext, AppendError, AppendPlan, Appending, Origin, plan_append};
pub use batch::Batch;
pub use epochs::{EpochEnd, LeaderEpochs};
pub use read::{ReadError, ReadPlan, ReadRequest, plan_read};
pub use retention::{Removal, Retention, RetentionContext, RetentionPlan, plan_retention};
pub use segment::{Segment, Settings};
pub use state::LogState;
