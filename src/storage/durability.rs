//! How a write becomes durable: the one door.
//!
//! A write is acknowledged to those who asked for durability when [`Log::make_durable`] has answered for its last offset. Here that is
//! a grouped fdatasync: one in flight for each log, covering everything that was written before it began; all who wait for
//! less share it, all who wait for more share the next. Then the names of new segments are synced, so that an acknowledged
//! record is never in a file without a name.
//!
//! A failed sync takes the log directory offline for good: after it, nobody knows what is on the disk.

use std::cell::Cell;

use super::error::StorageError;
use super::files::Closing;
use super::log::Log;
use crate::base::offset::Offset;
use crate::log::names::{FileKind, file_name};
use crate::rt::fs::{self, File};
use crate::rt::local::Event;

/// What of a log is on the disk.
#[derive(Debug)]
pub(super) struct Durability {
    /// Everything below is on the disk.
    durable: Cell<Offset>,
    syncing: Gate,
    pub(super) checkpointing: Gate,
    /// The front of the log is being removed.
    pub(super) trimming: Gate,
    /// How often files were made in the directory, and how many of these times their names were synced since.
    name_changes: Cell<u64>,
    name_changes_synced: Cell<u64>,
    /// How often the leader epochs changed, and how many of these changes are in their checkpoint.
    pub(super) epoch_changes: Cell<u64>,
    pub(super) epoch_changes_written: Cell<u64>,
    /// Nothing changed since a clean stop: the files are as another would leave them.
    settled: Cell<bool>,
    /// The partition is deleted: its directory has another name, or none.
    retired: Cell<bool>,
}

impl Durability {
    pub(super) fn new(durable: Offset) -> Self {
        Self {
            durable: Cell::new(durable),
            syncing: Gate::default(),
            checkpointing: Gate::default(),
            trimming: Gate::default(),
            name_changes: Cell::new(0),
            name_changes_synced: Cell::new(0),
            epoch_changes: Cell::new(0),
            epoch_changes_written: Cell::new(0),
            settled: Cell::new(false),
            retired: Cell::new(false),
        }
    }

    pub(super) fn note_new_names(&self) {
        self.name_changes.set(self.name_changes.get() + 1);
    }

    pub(super) fn note_new_epoch(&self) {
        self.note_change();
        self.epoch_changes.set(self.epoch_changes.get() + 1);
    }

    /// A batch was appended, or something else that a clean stop must write down.
    pub(super) fn note_change(&self) {
        self.settled.set(false);
    }

    pub(super) fn note_settled(&self) {
        self.settled.set(true);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled.get()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.get()
    }
}

/// What only one does at a time.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_taken: Cell<bool>,
    left: Event,
}

/// The right to pass. Given back when the one who has it ends, or is dropped before.
pub(super) struct Turn<'a>(&'a Gate);

impl Gate {
    /// `None` while another has it.
    fn try_enter(&self) -> Option<Turn<'_>> {
        (!self.is_taken.replace(true)).then(|| Turn(self))
    }

    pub(super) async fn enter(&self) -> Turn<'_> {
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

    /// The partition is deleted: nothing is written or synced for this log any more, and nobody needs it to be.
    pub fn retire(&self) {
        self.inner.durability.retired.set(true);
        self.release_files();
    }

    /// Waits until every record below `up_to` is on the disk. Of a retired log, nothing is waited for.
    ///
    /// # Errors
    /// [`StorageError::Offline`] when a write or a sync of this log directory failed, now or before.
    pub async fn make_durable(&self, up_to: Offset) -> Result<(), StorageError> {
        let durability = &self.inner.durability;
        loop {
            self.inner.health.check()?;
            if durability.durable.get() >= up_to || durability.is_retired() {
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
        let written = self.log_end_offset();
        let (closing, active, active_base) = {
            let mut files = self.inner.files.borrow_mut();
            (files.closing.clone(), files.active_log()?, files.active.base_offset)
        };
        for Closing { log, is_synced, .. } in &closing {
            if !is_synced.get() {
                self.sync(log, active_base).await?;
                is_synced.set(true);
            }
        }
        self.sync(&active, active_base).await?;
        self.sync_names().await?;
        let durable = &self.inner.durability.durable;
        durable.set(durable.get().max(written));
        Ok(())
    }

    /// Syncs a file of a segment.
    pub(super) async fn sync(&self, file: &File, base_offset: Offset) -> Result<(), StorageError> {
        let synced = file.sync_data().await;
        synced.map_err(|error| {
            let path = self.path().join(file_name(base_offset, FileKind::Log));
            self.inner.health.fail("sync", &path, &error)
        })?;
        self.inner.health.check()
    }

    pub(super) async fn sync_names(&self) -> Result<(), StorageError> {
        let durability = &self.inner.durability;
        let changes = durability.name_changes.get();
        if durability.is_retired() || changes == durability.name_changes_synced.get() {
            return Ok(());
        }
        let directory = self.path();
        match fs::sync_names(&directory).await {
            Ok(()) => {
                let synced = &durability.name_changes_synced;
                synced.set(synced.get().max(changes));
                self.inner.health.check()
            }
            // Its directory has another name by now.
            Err(_) if durability.is_retired() => Ok(()),
            Err(error) => Err(self.inner.health.fail("sync", &directory, &error)),
        }
    }
}
