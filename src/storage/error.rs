//! What can go wrong with files, and the latch that a failure closes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

use crate::base::offset::{FilePosition, Offset};

/// What the caller of storage can meet.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The log directory failed and takes no more work until the next start: KAFKA_STORAGE_ERROR.
    #[error("the log directory {} is offline after a failure", .directory.display())]
    Offline { directory: PathBuf },
    /// Data that was on the disk is damaged. The partition stays offline and untouched; a person decides.
    #[error("{} is damaged at position {position}, offset {offset}: {what}", .path.display())]
    Damaged {
        path: PathBuf,
        position: FilePosition,
        offset: Offset,
        what: &'static str,
    },
    /// A file could not be read or opened; nothing was changed.
    #[error("cannot {action} {}: {source}", .path.display())]
    Failed {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
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
}

impl Health {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: Arc::from(directory),
            offline: Arc::new(AtomicBool::new(false)),
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
