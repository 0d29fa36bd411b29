//! What can go wrong with files, and the latch that a failure closes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;

use super::cold::ColdRange;
use super::pace::Pace;
use super::reclaim::Reclaim;
use super::reserves::Reserves;
use crate::base::offset::{FilePosition, Offset};
use crate::log::room::{self, Room};
use crate::rt::fs;

/// After the disk refused a write, or tells nothing of itself.
const LOOK_AFTER_REFUSAL: Duration = Duration::from_secs(5);

/// What the caller of storage can meet.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The log directory failed and takes no more work until the next start: KAFKA_STORAGE_ERROR.
    #[error("the log directory {} is offline after a failure", .directory.display())]
    Offline { directory: PathBuf },
    /// The disk has no room: KAFKA_STORAGE_ERROR until it has. Nothing was changed.
    #[error("the disk of the log directory {} is full", .directory.display())]
    Full { directory: PathBuf },
    /// Data that was on the disk is damaged. The partition stays offline and untouched; a person decides.
    #[error("{} is damaged at position {position}, offset {offset}: {what}", .path.display())]
    Damaged {
        path: PathBuf,
        position: FilePosition,
        offset: Offset,
        what: &'static str,
    },
    /// What the lookup needs is not in the page cache: wait for it, and look again.
    #[error("not in the page cache")]
    Cold(ColdRange),
    /// What was waited for is not in the log any more: its end was taken back.
    #[error("the records were taken back")]
    Truncated,
    /// A file could not be read or opened; nothing was changed.
    #[error("cannot {action} {}: {source}", .path.display())]
    Failed {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// The disk has no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl StorageError {
    pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Failed {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Whether a log directory works; shared by all cores. Once offline, always offline.
#[derive(Clone, Debug)]
pub struct Health {
    directory: Arc<Path>,
    offline: Arc<AtomicBool>,
    space: Arc<Space>,
    pace: Arc<Pace>,
    reserves: Arc<Reserves>,
    reclaim: Arc<Reclaim>,
}

/// What is known of the room on the disk.
#[derive(Debug, Default)]
struct Space {
    /// Below the floor, or a write was refused.
    is_full: AtomicBool,
    /// Full, or near the floor.
    is_little: AtomicBool,
    /// The disk refused a write since somebody looked last.
    refused: AtomicBool,
}

impl Health {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: Arc::from(directory),
            offline: Arc::new(AtomicBool::new(false)),
            space: Arc::default(),
            pace: Arc::default(),
            reserves: Reserves::of(directory),
            reclaim: Reclaim::of(directory),
        }
    }

    /// Whether those who write into the page cache have to wait.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// What may be reserved of the disk.
    pub(super) fn reserves(&self) -> &Arc<Reserves> {
        &self.reserves
    }

    /// Whose turn it is to free a piece of a file.
    pub(super) fn reclaim(&self) -> &Reclaim {
        &self.reclaim
    }

    /// The room on the disk, as it was when somebody looked last.
    #[must_use]
    pub fn room(&self) -> Room {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        match (is(&self.space.is_full), is(&self.space.is_little)) {
            (true, _) => Room::None,
            (false, true) => Room::Little,
            (false, false) => Room::Enough,
        }
    }

    /// Looks at the room on the disk and says when to look again. Below `floor_bytes` producers are refused from now on; both ends of
    /// that are told, once.
    pub fn look_at_room(&self, floor_bytes: u64) -> Duration {
        let Ok(fs::Space { free_bytes, .. }) = fs::space(&self.directory) else {
            return LOOK_AFTER_REFUSAL;
        };
        if self.space.refused.swap(false, Ordering::Relaxed) {
            // Whatever it says of itself, it is full: a quota, or no inodes.
            return LOOK_AFTER_REFUSAL;
        }
        self.reserves.note_spare(room::spare(free_bytes, floor_bytes));
        let before = self.room();
        let after = before.judge(free_bytes, floor_bytes);
        self.space.is_full.store(after == Room::None, Ordering::Relaxed);
        self.space.is_little.store(after != Room::Enough, Ordering::Relaxed);
        let directory = self.directory.display();
        match (before, after) {
            (Room::Enough | Room::Little, Room::None) => tracing::error!(
                %directory,
                free_bytes,
                log_dirs_free_bytes_min = floor_bytes,
                "the disk is full: producers are refused until there is more room; reads and deletes go on"
            ),
            (Room::None, Room::Enough | Room::Little) => {
                tracing::info!(%directory, free_bytes, "there is room again: producers are served");
            }
            (Room::None, Room::None) | (Room::Enough | Room::Little, Room::Enough | Room::Little) => {}
        }
        room::look_after(free_bytes, floor_bytes)
    }

    /// What a failed write means: a disk without room has some again one day, after anything else the directory is offline.
    pub(super) fn fail_write(&self, action: &'static str, path: &Path, error: &io::Error) -> StorageError {
        if !is_full(error) {
            return self.fail(action, path, error);
        }
        self.space.refused.store(true, Ordering::Relaxed);
        self.space.is_little.store(true, Ordering::Relaxed);
        if !self.space.is_full.swap(true, Ordering::Relaxed) {
            tracing::error!(
                directory = %self.directory.display(),
                path = %path.display(),
                %error,
                "cannot {action}: producers are refused until there is more room; reads and deletes go on"
            );
        }
        StorageError::Full {
            directory: self.directory.to_path_buf(),
        }
    }

    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`StorageError::Offline`] once a write or sync has failed.
    pub fn check(&self) -> Result<(), StorageError> {
        if self.is_offline() { Err(self.offline()) } else { Ok(()) }
    }

    /// Takes the directory offline because `action` on `path` failed.
    pub(super) fn fail(&self, action: &'static str, path: &Path, error: &io::Error) -> StorageError {
        if !self.offline.swap(true, Ordering::Relaxed) {
            tracing::error!(
                directory = %self.directory.display(),
                path = %path.display(),
                %error,
                "cannot {action}: the log directory is offline until the next start"
            );
        }
        self.offline()
    }

    fn offline(&self) -> StorageError {
        StorageError::Offline {
            directory: self.directory.to_path_buf(),
        }
    }
}
