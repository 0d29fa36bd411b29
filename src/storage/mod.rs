//! Acts on the files of logs: opens and recovers them, appends, reads, syncs; carries out the plans of `log`.
//!
//! Owns the files of a log directory. Decides nothing that `log` can decide, and speaks to nobody.
//!
//! Invariants:
//! * One core owns a [`Log`]; no borrow of its state lives across an await.
//! * What [`Log::make_durable`] answered for survives a crash. It is the one door to durability (`durability`).
//! * After a failed write or sync the log directory is offline until the process starts anew ([`Health`]): nothing is retried in place.
//! * Indexes, snapshots and epoch checkpoints are derived: missing or torn, they are made from the batches.
//!
//! | file | does |
//! |---|---|
//! | `directory` | a log directory: lock, partitions in it, checkpoints, clean stops, deletion; `identity`, whose it is; `create`, new partitions |
//! | `log` | one open log: what is known of it and its files; `files`, `index` the files themselves; `open_files`, how many are open |
//! | `append`, `read`, `retain`, `timestamp`, `truncate` | carry out the plans of these names; `ahead`, appends in steps; `pace`, whether the core may wait for a write |
//! | `durability` | how a write becomes durable; `waiting`, who is told; `gate`, one at a time; `checkpoint`, how what is derived becomes so |
//! | `journal` | one write for all logs of a core that wait; what a crash left in it goes back into the segments; `kept`, what it need not read |
//! | `open`, `recover`, `walk`, `indexes` | recovery |
//! | `reclaim` | how files go |
//! | `beside` | small files beside a log |
//! | `reserve` | blocks ahead of the end of a log; `reserves`, how many all logs of a directory may have |
//! | `roll`, `close` | ends of segments, and clean stops |
//! | `cleaner` | compaction |

mod ahead;
mod append;
mod beside;
mod checkpoint;
mod cleaner;
mod close;
mod cold;
mod create;
mod directory;
mod durability;
mod error;
mod files;
mod gate;
mod identity;
mod index;
mod indexes;
mod journal;
mod kept;
mod log;
mod open;
mod open_files;
mod pace;
mod read;
mod reclaim;
mod recover;
mod reserve;
mod reserves;
mod retain;
mod roll;
mod timestamp;
mod truncate;
mod waiting;
mod walk;

pub use ahead::Ahead;
pub use append::{Appended, NewBatch};
pub use cleaner::{Cleaner, CleanerSettings, Compacted, CompactionWork};
pub use cold::ColdRange;
pub use directory::{DirectoryError, LogDirectory};
pub use error::{Health, StorageError};
pub use identity::Claim;
pub use journal::{JOURNALED_BYTES_MAX, Journal, JournalError, is_journal_file};
pub use log::Log;
pub use open::{Cut, OpenRequest, Report, Shutdown};
pub use open_files::OpenFiles;
pub use read::FileRange;
pub use retain::Trimmed;
pub use timestamp::TimestampHit;
pub use waiting::{AwaitsDisk, WaitEnd};

#[cfg(test)]
#[cfg(not(feature = "sim"))]
mod tests;
