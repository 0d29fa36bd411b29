//! What compaction does to a log, as decisions (`LogCleanerManager`, `Cleaner`; KIP-534).
//!
//! A compacted log keeps at least the last record of each key, at its offset. It has a compacted part and a dirty one; a round makes
//! a map of the keys of the dirty part, then writes all segments up to its end anew, leaving out each record whose key has a later one
//! in the map. Offsets, sequences, epochs and timestamps of what stays never change.
//!
//! Invariants:
//! * Neither the active segment nor anything at or after the last stable offset is touched.
//! * A round ends further than it began, however small the map.
//! * The last batch of each segment that is written stays, be it empty: a segment that ends short of the next one was torn by a crash.
//! * The last batch of a producer stays too, be it empty: its sequence would be forgotten.
//!
//! | file | decides |
//! |---|---|
//! | `dirt` | how dirty a log is, and how far it may be compacted; which log is the dirtiest |
//! | `group` | which segments become one |
//! | `offset_map`, `key_hash` | the last offset of each key, in bounded memory |
//! | `retain` | which records and batches stay |
//! | `transactions` | which records were aborted, and which markers are needed |
//! | `pace` | how long to wait so as not to exceed a rate |

pub mod dirt;
pub mod group;
mod key_hash;
pub mod offset_map;
pub mod pace;
pub mod retain;
pub mod transactions;

pub use dirt::{Dirt, Rules};
pub use offset_map::OffsetMap;
pub use retain::Round;
