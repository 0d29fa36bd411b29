//! Ends segments: ahead of the append that finds no room, through the ring, since a file system may take its time to make files; or, where
//! that was not done, in the step of the append.
//!
//! Invariant: from when files of a segment are being made ahead, nothing is appended to the one before it. Whoever appends first begins
//! the segment, and whoever makes the files finds it begun.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;

use super::append::NewBatch;
use super::error::StorageError;
use super::files::{Closing, Files, SegmentFiles};
use super::log::Log;
use crate::base::ids::LeaderEpoch;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::names::{FileKind, file_name};
use crate::log::room::Room;
use crate::log::{AppendContext, AppendPlan, Appending, LogState, Origin, plan_append};
use crate::rt::fs::{self, Directory, File};
use crate::rt::task;

/// Files that a roll makes beside that of the batches: of the new segment, and what is known of producers before it.
const NEW_FILES: [FileKind; 3] = [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::ProducerSnapshot];

/// A segment that begins with the next append.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rolling {
    base_offset: Offset,
    now: TimestampMs,
}

impl Log {
    /// Whether the append of `batch` begins a segment: then it takes less of the core after [`Log::write_ahead`].
    #[must_use]
    pub fn begins_segment(
        &self,
        batch: &NewBatch<'_>,
        origin: Origin,
        leader_epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> bool {
        let context = self.append_context(origin, leader_epoch, now);
        self.inner.health.room() == Room::Enough && self.plan_roll(batch, &context).is_some()
    }

    /// The append of `batch`, if it begins a segment.
    fn plan_roll(&self, batch: &NewBatch<'_>, context: &AppendContext) -> Option<Appending> {
        match plan_append(&self.inner.state.borrow(), &batch.facts(), context) {
            Ok(AppendPlan::Append(appending)) => appending.roll.map(|_| appending),
            Ok(AppendPlan::Duplicate { .. }) | Err(_) => None,
        }
    }

    /// Begins the segment that `batch` wants, if it wants one.
    pub(super) async fn roll_ahead(&self, batch: &NewBatch<'_>, context: &AppendContext) -> Result<(), StorageError> {
        let begun = self.inner.place.rolling.get().map(|rolling| rolling.base_offset);
        let wanted = || self.plan_roll(batch, context).map(|appending| appending.base_offset);
        match begun.or_else(wanted) {
            Some(base_offset) => self.roll_at(base_offset, context.now).await,
            None => Ok(()),
        }
    }

    /// Begins a segment at `base_offset`, where the log ends or will go on.
    pub(super) async fn roll_at(&self, base_offset: Offset, now: TimestampMs) -> Result<(), StorageError> {
        self.inner.place.rolling.set(Some(Rolling { base_offset, now }));
        self.inner.durability.note_change();
        let path = self.path();
        let make = async {
            let directory = Directory::open(&path)?;
            let log = directory.make_file(&file_name(base_offset, FileKind::Log)).await?;
            for kind in NEW_FILES {
                directory.make_file(&file_name(base_offset, kind)).await?;
            }
            Ok(log)
        };
        let made: std::io::Result<File> = make.await;
        if self.inner.durability.is_retired() {
            // Its directory has another name by now.
            return Err(StorageError::Truncated);
        }
        let file = made.map_err(|error| self.inner.health.fail_write("create", &path, &error))?;
        self.inner.health.check()?;
        self.reserve_next(base_offset, &file).await?;
        if self.inner.durability.is_retired() {
            return Err(StorageError::Truncated);
        }
        self.inner.health.check()?;
        self.finish_roll(&mut self.inner.state.borrow_mut(), &mut self.inner.files.borrow_mut())
    }

    /// Begins the segment whose files are being made ahead, if there is one.
    pub(super) fn finish_roll(&self, state: &mut LogState, files: &mut Files) -> Result<(), StorageError> {
        let Some(Rolling { base_offset, now }) = self.inner.place.rolling.get() else {
            return Ok(());
        };
        // Once the roll has begun there is no way back: whatever may fail harmlessly comes first.
        files.active_log()?;
        self.roll(files, state, base_offset)?;
        state.begin_segment(base_offset, now);
        self.inner.durability.note_change();
        Ok(())
    }

    /// Ends the active segment and begins the files of one at `base_offset`. The old one is synced in the background.
    ///
    /// # Errors
    /// [`StorageError::Offline`], [`StorageError::Full`]: then the log is as before.
    pub(super) fn roll(&self, files: &mut Files, state: &LogState, base_offset: Offset) -> Result<(), StorageError> {
        self.cut_off_ahead(state)?;
        // Also by one that fails: the snapshot of producers that it would have written may be there, of a clean stop, and goes then.
        self.inner.durability.note_change();
        let log = files.active_log()?;
        let made = self.make_segment(files, state, base_offset);
        let (new, derived) = made.inspect_err(|_| remove_segment(&files.directory, base_offset))?;
        let bytes = u64::from(state.active_segment().bytes);
        let leftover = self.inner.place.reserve.borrow_mut().begin_segment(bytes, base_offset);
        files.closing.push(Closing {
            base_offset: files.active.base_offset,
            log,
            is_synced: Rc::new(Cell::new(false)),
            derived,
            leftover: Rc::new(RefCell::new(leftover)),
        });
        files.active = new;
        self.inner.place.rolling.set(None);
        self.inner.durability.note_new_names();
        let log = self.clone();
        task::spawn_background(async move {
            // An error has taken the directory offline; those who append will hear of it.
            if log.checkpoint_rolled().await.is_ok() {
                log.remove_old_snapshots().await;
            }
        });
        Ok(())
    }

    /// The files of the segment at `base_offset`, and what was made of those before.
    fn make_segment(
        &self,
        files: &mut Files,
        state: &LogState,
        base_offset: Offset,
    ) -> Result<(SegmentFiles, Vec<File>), StorageError> {
        let new = SegmentFiles::create(&files.directory, base_offset, &self.inner.health)?;
        let mut derived = self.finish_indexes(files, state)?;
        derived.push(self.write_snapshot(&files.directory, state, base_offset)?);
        Ok((new, derived))
    }
}

/// Takes away the files of a segment that could not be begun: empty, or of use to nobody.
fn remove_segment(directory: &Path, base_offset: Offset) {
    for kind in FileKind::ALL {
        let _ = fs::remove_file(directory.join(file_name(base_offset, kind)));
    }
}
