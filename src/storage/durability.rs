//! How a write becomes durable: the one door.
//!
//! A write is acknowledged to those who asked for durability when [`Log::make_durable`] has answered for its last offset. Here that is
//! a grouped fdatasync: one in flight for each log, covering everything that was written before it began; all who wait for
//! less share it, all who wait for more share the next. Then the names of new segments are synced, so that an acknowledged
//! record is never in a file without a name.
//!
//! A failed sync takes the log directory offline for good: after it, nobody knows what is on the disk.
//!
//! [`Log::checkpoint`] is the other half: it puts what is derived (indexes of closed segments, producer snapshots, leader epochs) on
//! the disk, and returns the offset below which recovery need not look any more.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;

use super::error::StorageError;
use super::files::Closing;
use super::log::Log;
use crate::base::offset::{FilePosition, Offset};
use crate::log::checkpoint::encode_epochs;
use crate::log::names::{FileKind, LEADER_EPOCHS, file_name};
use crate::rt::fs::{self, File, Open};
use crate::rt::local::Event;

/// What of a log is on the disk.
#[derive(Debug)]
pub(super) struct Durability {
    /// Everything below is on the disk.
    durable: Cell<Offset>,
    syncing: Gate,
    checkpointing: Gate,
    /// The directory has names that are not on the disk.
    new_names: Cell<bool>,
    /// How often the leader epochs changed, and how many of these changes are in their checkpoint.
    epoch_changes: Cell<u64>,
    epoch_changes_written: Cell<u64>,
}

impl Durability {
    pub(super) fn new(durable: Offset) -> Self {
        Self {
            durable: Cell::new(durable),
            syncing: Gate::default(),
            checkpointing: Gate::default(),
            new_names: Cell::new(false),
            epoch_changes: Cell::new(0),
            epoch_changes_written: Cell::new(0),
        }
    }

    pub(super) fn note_new_names(&self) {
        self.new_names.set(true);
    }

    pub(super) fn note_new_epoch(&self) {
        self.epoch_changes.set(self.epoch_changes.get() + 1);
    }
}

/// What only one does at a time.
#[derive(Debug, Default)]
struct Gate {
    is_taken: Cell<bool>,
    left: Event,
}

/// The right to pass. Given back when the one who has it ends, or is dropped before.
struct Turn<'a>(&'a Gate);

impl Gate {
    /// `None` while another has it.
    fn try_enter(&self) -> Option<Turn<'_>> {
        (!self.is_taken.replace(true)).then(|| Turn(self))
    }

    async fn enter(&self) -> Turn<'_> {
        loop {
            let left = self.left.listen();
            match self.try_enter() {
                Some(turn) => return turn,
                None => left.await,
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.is_taken.set(false);
        self.0.left.notify();
    }
}

impl Log {
    /// Offset below which everything is on the disk.
    #[must_use]
    pub fn durable_end_offset(&self) -> Offset {
        self.inner.durability.durable.get()
    }

    /// Waits until every record below `up_to` is on the disk.
    ///
    /// # Errors
    /// [`StorageError::Offline`] when a write or a sync of this log directory failed, now or before.
    pub async fn make_durable(&self, up_to: Offset) -> Result<(), StorageError> {
        let durability = &self.inner.durability;
        loop {
            self.inner.health.check()?;
            if durability.durable.get() >= up_to {
                return Ok(());
            }
            let left = durability.syncing.left.listen();
            match durability.syncing.try_enter() {
                Some(_turn) => self.sync_written().await?,
                None => left.await,
            }
        }
    }

    /// Syncs all that is written at this moment.
    async fn sync_written(&self) -> Result<(), StorageError> {
        let durability = &self.inner.durability;
        let written = self.log_end_offset();
        let (closing, active, active_path) = {
            let mut files = self.inner.files.borrow_mut();
            let active = files.active_log()?;
            let path = files.directory.join(file_name(files.active.base_offset, FileKind::Log));
            (files.closing.clone(), active, path)
        };
        for Closing { log, is_synced, .. } in closing {
            if !is_synced.get() {
                self.sync(&log, &active_path).await?;
                is_synced.set(true);
            }
        }
        self.sync(&active, &active_path).await?;
        self.sync_names()?;
        // A truncation may have come in between: it counts.
        let end = written.min(self.log_end_offset());
        durability.durable.set(durability.durable.get().max(end));
        Ok(())
    }

    async fn sync(&self, file: &File, path: &std::path::Path) -> Result<(), StorageError> {
        let synced = file.sync_data().await;
        synced.map_err(|error| self.inner.health.fail("sync", path, &error))?;
        self.inner.health.check()
    }

    fn sync_names(&self) -> Result<(), StorageError> {
        if self.inner.durability.new_names.replace(false) {
            let directory = self.path();
            fs::sync_directory(&directory).map_err(|error| self.inner.health.fail("sync", &directory, &error))?;
        }
        Ok(())
    }

    /// Puts everything that is written, and everything derived from it, on the disk; returns the recovery point: recovery need not
    /// look at what lies below.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub async fn checkpoint(&self) -> Result<Offset, StorageError> {
        let _turn = self.inner.durability.checkpointing.enter().await;
        // Segments that are rolled from here on are not covered by this sync, and stay on the list.
        let closing = self.inner.files.borrow().closing.clone();
        let recovery_point = self.log_end_offset();
        self.make_durable(recovery_point).await?;
        for segment in &closing {
            let path = self.path().join(file_name(segment.base_offset, FileKind::OffsetIndex));
            for file in &segment.derived {
                self.sync(file, &path).await?;
            }
        }
        self.inner
            .files
            .borrow_mut()
            .closing
            .retain(|segment| !closing.iter().any(|done| done.base_offset == segment.base_offset));
        let durability = &self.inner.durability;
        let epoch_changes = durability.epoch_changes.get();
        if epoch_changes > durability.epoch_changes_written.get() {
            self.write_epochs().await?;
            durability.epoch_changes_written.set(epoch_changes);
        }
        self.sync_names()?;
        Ok(recovery_point.min(self.durable_end_offset()))
    }

    /// Writes the checkpoint of the leader epochs anew.
    async fn write_epochs(&self) -> Result<(), StorageError> {
        let text = encode_epochs(self.inner.state.borrow().epochs().entries());
        let path = self.path().join(LEADER_EPOCHS);
        let written = replace_file(path.clone(), text.as_bytes()).await;
        written.map_err(|error| self.inner.health.fail("write", &path, &error))
    }
}

/// Gives a file new content so that a crash leaves the old or the new; its name is durable once its directory is synced.
pub(super) async fn replace_file(path: PathBuf, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.clone().into_os_string();
    temporary.push(".tmp");
    let file = File::open(&temporary, Open::Create)?;
    file.truncate(0)?;
    file.write_at(FilePosition::ZERO, &[content])?;
    file.sync_data().await?;
    fs::rename(&temporary, &path)?;
    let directory = path.parent().unwrap_or(&path);
    fs::sync_directory(directory)
}

/// [`replace_file`] where nothing else runs: at the start and the stop.
pub(super) fn replace_file_now(path: PathBuf, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.clone().into_os_string();
    temporary.push(".tmp");
    let file = File::open(&temporary, Open::Create)?;
    file.truncate(0)?;
    file.write_at(FilePosition::ZERO, &[content])?;
    file.sync_data_now()?;
    fs::rename(&temporary, &path)?;
    let directory = path.parent().unwrap_or(&path);
    fs::sync_directory(directory)
}
