//! What is derived of a log, and its end: a clean stop.

use std::io;
use std::path::Path;
use std::rc::Rc;

use super::checkpoint::replace_file_unsynced;
use super::error::StorageError;
use super::files::{Files, create_empty};
use super::log::Log;
use crate::base::offset::{FilePosition, Offset};
use crate::log::LogState;
use crate::log::checkpoint::encode_epochs;
use crate::log::names::{FileKind, LEADER_EPOCHS, file_name, parse_file_name};
use crate::log::producers::snapshot;
use crate::rt::fs::{self, Directory, File};

/// Producer snapshots kept: the newest ones, so that a torn one has another before it.
const SNAPSHOTS_KEPT: usize = 3;

impl Log {
    /// Writes what is derived of the active segment so far: both indexes, and the producers at the end of the log; returns the files. Nothing
    /// is written for a log whose directory has another name by now.
    pub(super) fn write_derived(&self, files: &mut Files, state: &LogState) -> Result<Vec<File>, StorageError> {
        let durability = &self.inner.durability;
        if durability.is_retired() {
            return Ok(Vec::new());
        }
        let mut derived = self.write_indexes(files)?;
        derived.push(self.write_snapshot(&files.directory, state, state.log_end_offset())?);
        durability.note_new_names();
        Ok(derived)
    }

    /// As [`Log::write_derived`], without a wait on the core; also says where the log ended.
    pub(super) async fn put_derived(&self) -> Result<(Vec<File>, Offset), StorageError> {
        let (durability, health) = (&self.inner.durability, &self.inner.health);
        let end = self.log_end_offset();
        if durability.is_retired() {
            return Ok((Vec::new(), end));
        }
        let (path, indexes, snapshot) = {
            let (state, files) = (self.inner.state.borrow(), self.inner.files.borrow());
            let path = Rc::clone(&files.directory);
            let indexes = files.active.gathered();
            let indexes = indexes.map_err(|error| health.fail("open", &path, &error))?;
            (path, indexes, snapshot::encode(state.producers()))
        };
        let name = file_name(end, FileKind::ProducerSnapshot);
        let write = async {
            let directory = Directory::open(&path)?;
            indexes.write().await?;
            directory.write_file(&name, snapshot).await
        };
        let written: io::Result<File> = write.await;
        let mut derived = Vec::new();
        match written {
            Ok(snapshot) => derived.push(snapshot),
            Err(_) if durability.is_retired() => {}
            Err(error) => return Err(health.fail_write("write", &path, &error)),
        }
        self.inner.files.borrow_mut().active.note_written(&indexes);
        derived.extend(indexes.into_files());
        durability.note_new_names();
        Ok((derived, end))
    }

    /// Gives the active segment's time index its closing entry and writes both indexes; returns their files.
    pub(super) fn finish_indexes(&self, files: &mut Files, state: &LogState) -> Result<Vec<File>, StorageError> {
        files
            .active
            .push_entries(None, state.closing_time_entry(), &self.inner.health)?;
        self.write_indexes(files)
    }

    /// Writes what both indexes of the active segment have gathered; returns their files.
    fn write_indexes(&self, files: &mut Files) -> Result<Vec<File>, StorageError> {
        let health = &self.inner.health;
        let directory = files.directory.clone();
        let active = &mut files.active;
        active.offset_index.flush(health)?;
        active.time_index.flush(health)?;
        let opened = [active.offset_index.opened(), active.time_index.opened()];
        opened
            .into_iter()
            .map(|file| file.map_err(|error| health.fail("open", &directory, &error)))
            .collect()
    }

    /// Writes what is known of producers before `offset`.
    pub(super) fn write_snapshot(
        &self,
        directory: &Path,
        state: &LogState,
        offset: Offset,
    ) -> Result<File, StorageError> {
        let path = directory.join(file_name(offset, FileKind::ProducerSnapshot));
        let bytes = snapshot::encode(state.producers());
        let write = || {
            let file = create_empty(&path)?;
            file.write_at(FilePosition::ZERO, &[&bytes])?;
            Ok(file)
        };
        write().map_err(|error| self.inner.health.fail_write("write", &path, &error))
    }

    /// Removes producer snapshots but the newest; one that cannot be removed stays, and harms nobody.
    pub async fn remove_old_snapshots(&self) {
        let path = self.path();
        if self.inner.durability.is_retired() {
            return;
        }
        let Ok(directory) = Directory::open(&path) else { return };
        let Ok(entries) = fs::list_aside(&path).await else {
            return;
        };
        let names = entries.into_iter().filter_map(|entry| entry.name.into_string().ok());
        let snapshots: Vec<_> = names
            .filter(|name| parse_file_name(name).is_some_and(|(_, kind)| kind == FileKind::ProducerSnapshot))
            .collect();
        let old = snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
        for name in &snapshots[..old] {
            let _ = directory.unlink(name).await;
        }
    }

    /// Puts everything on the disk, as a start after a clean stop wants to find it; returns the recovery point, the end of the log.
    ///
    /// # Errors
    /// [`StorageError::Offline`], also where there is no room for it: the next start recovers then.
    pub async fn close(&self) -> Result<Offset, StorageError> {
        let closed = self.close_files().await;
        closed.map_err(|error| match error {
            StorageError::Full { .. } => {
                let full = std::io::ErrorKind::StorageFull.into();
                self.inner.health.fail("write", &self.path(), &full)
            }
            StorageError::Offline { .. }
            | StorageError::Damaged { .. }
            | StorageError::Cold(_)
            | StorageError::Truncated
            | StorageError::Failed { .. } => error,
        })
    }

    async fn close_files(&self) -> Result<Offset, StorageError> {
        self.inner.health.check()?;
        self.halt_compaction().await;
        self.landed().await;
        self.finish_roll(&mut self.inner.state.borrow_mut(), &mut self.inner.files.borrow_mut())?;
        self.cut_off_ahead(&self.inner.state.borrow())?;
        self.give_back().await?;
        let end = self.log_end_offset();
        if self.inner.durability.is_settled() {
            return Ok(end);
        }
        self.finish_indexes(&mut self.inner.files.borrow_mut(), &self.inner.state.borrow())?;
        self.inner.durability.note_new_epoch();
        let recovery_point = self.checkpoint().await?;
        self.release_files();
        if recovery_point == self.log_end_offset() {
            self.inner.durability.note_settled();
        }
        Ok(recovery_point)
    }

    /// What [`Log::close`] does, for one of thousands of logs: nothing is synced here. The file system must be
    /// ([`LogDirectory::sync_all`](super::LogDirectory::sync_all)) before a clean stop is noted; without that note, the next start recovers.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub async fn write_out(&self) -> Result<Offset, StorageError> {
        self.inner.health.check()?;
        self.halt_compaction().await;
        self.landed().await;
        self.finish_roll(&mut self.inner.state.borrow_mut(), &mut self.inner.files.borrow_mut())?;
        self.cut_off_ahead(&self.inner.state.borrow())?;
        self.give_back().await?;
        let end = self.log_end_offset();
        if self.inner.durability.is_settled() || self.inner.durability.is_retired() {
            return Ok(end);
        }
        {
            let (state, mut files) = (self.inner.state.borrow(), self.inner.files.borrow_mut());
            self.finish_indexes(&mut files, &state)?;
            self.write_derived(&mut files, &state)?;
            let path = files.directory.join(LEADER_EPOCHS);
            let written = replace_file_unsynced(&path, encode_epochs(state.epochs().entries()).as_bytes());
            written.map_err(|error| self.inner.health.fail("write", &path, &error))?;
        }
        let closing = self.inner.files.borrow().closing.clone();
        if !closing.is_empty() {
            let _turn = self.inner.durability.checkpointing.enter().await;
            self.give_back_rolled(&closing).await?;
        }
        self.release_files();
        Ok(end)
    }

    /// Closes the files of a log that is [retired](Self::retire), once nobody syncs or compacts them: whoever closed one later, when it has no
    /// name any more, would give all its bytes back, for tens of milliseconds.
    pub async fn let_go(&self) {
        self.halt_compaction().await;
        let _checkpointing = self.inner.durability.checkpointing.enter().await;
        let _syncing = self.inner.durability.enter_sync().await;
        let mut files = self.inner.files.borrow_mut();
        files.closing.clear();
        files.release();
    }

    /// Whether nothing changed since a clean stop.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.inner.durability.is_settled()
    }
}
