//! The journal of one core on one log directory: makes appends of any number of partitions durable by one write.
//!
//! Who waits for durability joins ([`Journal::join`]); the writer task takes all that have joined, copies what each log has appended and not
//! made durable out of the page cache into one group, writes the group past the page cache, and tells them. When some
//! of its files are full they are freed, by syncing the segments of the logs that are in them, in the background.
//!
//! The journal never has to have room: what it cannot take, because it is being made, full, or the append is long, is made durable by
//! syncing the segment.

mod files;
mod replay;
mod writer;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::durability::Unsynced;
use super::error::Health;
use super::kept::Budget;
use super::log::{Inner as LogInner, Log};
use crate::base::ids::{LeaderEpoch, ShardId};
use crate::base::time::Monotonic;
use crate::log::journal::format::{BLOCK_BYTES, Floor, GROUP_HEADER_BYTES, entry_bytes};
use crate::log::journal::ring::Ring;
use crate::rt::fs::{AlignedBuffer, DirectFile};
use crate::rt::task;

pub use files::{JournalError, is_journal_file};
pub(super) use files::{can_write_direct, remove_of_cores_from};
pub(super) use replay::JournalFiles;

/// Files of one journal: one is filled while others are freed.
pub(super) const FILES_MAX: usize = 8;

/// Bytes of one group.
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// More than this from one log at once is synced where it is: written twice, it would cost more than a sync.
pub const JOURNALED_BYTES_MAX: u64 = 64 * 1024;

/// Every append that may be journaled fits a group.
const _: () = assert!(JOURNALED_BYTES_MAX + 3 * BLOCK_BYTES as u64 <= GROUP_BYTES_MAX as u64);

/// A journal. Clones are the same.
#[derive(Clone)]
pub struct Journal {
    inner: Rc<Inner>,
}

struct Inner {
    directory: PathBuf,
    directory_id: [u8; 16],
    core: ShardId,
    epoch: u64,
    controller_epoch: LeaderEpoch,
    file_bytes: u64,
    health: Health,
    ring: RefCell<Ring>,
    files: RefCell<Vec<OpenFile>>,
    journaled_bytes_max: Cell<u64>,
    /// What its logs keep for it.
    kept: Budget,
    /// Logs with something to make durable.
    joined: RefCell<Vec<Log>>,
    is_writing: Cell<bool>,
    is_making_file: Cell<bool>,
    /// The last group had no room, and no file was freed or made since.
    is_full: Cell<bool>,
    buffer: RefCell<AlignedBuffer>,
    /// How often a file was begun.
    fillings: Cell<u64>,
    /// When the last one was begun, and how long the one before was filled.
    filling_since: Cell<Monotonic>,
    filled_in: Cell<Duration>,
    is_freeing: Cell<bool>,
    /// How often full files were freed.
    freeings: Cell<u64>,
    statistics: Cell<Statistics>,
}

struct OpenFile {
    file: DirectFile,
    /// Logs with entries in it.
    logs: Vec<Weak<LogInner>>,
}

/// What a journal has done since the start.
#[derive(Clone, Copy, Default, Debug)]
pub struct Statistics {
    pub groups: u64,
    pub entries: u64,
    /// With padding, as the device saw them.
    pub bytes_written: u64,
    /// Groups that found no room and were synced where they are.
    pub overflows: u64,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("directory", &self.inner.directory)
            .field("core", &self.inner.core)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Whether what this log has to make durable may go through the journal now.
    pub(super) fn takes(&self, unsynced: &Unsynced) -> bool {
        let inner = &self.inner;
        if !inner.ring.borrow().has_room() {
            self.make_file_if_wanted();
            return false;
        }
        let is_short = unsynced.bytes <= inner.journaled_bytes_max.get()
            && GROUP_HEADER_BYTES + room_for(unsynced) <= self.group_bytes_max();
        is_short && !inner.is_full.get()
    }

    /// From now on it takes up to so many bytes of one log at once, or what a group has room for: to measure what is best.
    pub fn set_journaled_bytes_max(&self, bytes: u64) {
        self.inner.journaled_bytes_max.set(bytes);
    }

    pub(super) fn kept_budget(&self) -> &Budget {
        &self.inner.kept
    }

    fn group_bytes_max(&self) -> usize {
        self.inner.ring.borrow().group_bytes_max().min(GROUP_BYTES_MAX)
    }

    /// Has a log's unsynced end made durable with the next group.
    pub(super) fn join(&self, log: &Log) {
        self.inner.joined.borrow_mut().push(log.clone());
        if !self.inner.is_writing.replace(true) {
            // Runs after the tasks that are ready now: their appends join the same group.
            task::spawn(writer::write_groups(self.clone()));
        }
    }

    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.inner.statistics.get()
    }

    /// Where the next group comes.
    pub(super) fn floor(&self) -> Floor {
        Floor {
            epoch: self.inner.epoch,
            sequence: self.inner.ring.borrow().next_sequence(),
        }
    }

    fn count(&self, change: impl FnOnce(&mut Statistics)) {
        let mut statistics = self.inner.statistics.get();
        change(&mut statistics);
        self.inner.statistics.set(statistics);
    }

    fn make_file_if_wanted(&self) {
        let wanted = self.inner.ring.borrow().wants_file();
        if let Some(slot) = wanted
            && !self.inner.is_making_file.replace(true)
        {
            task::spawn_background(files::make_file(self.clone(), slot));
        }
    }
}

/// Bytes that an entry takes of a group.
fn room_for(unsynced: &Unsynced) -> usize {
    entry_bytes(usize::try_from(unsynced.bytes).unwrap_or(usize::MAX / 2))
}

const _: () = assert!(BLOCK_BYTES == crate::rt::fs::BLOCK_BYTES);
