//! Removes segments at the front of a log: by retention, and because clients asked for it.
//!
//! In this order, so that a crash at any moment leaves a log without gaps: what stays is on the disk, then where the log begins, then
//! the log forgets the segments, then their files get other names. They are removed later, by who gets their names here: until then, and
//! after for as long as it has them open, a reader goes on.

use std::path::PathBuf;

use super::cold::WhenCold;
use super::error::StorageError;
use super::log::Log;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::checkpoint::encode_offsets;
use crate::log::index::TimeEntry;
use crate::log::names::{DELETED_FILE_SUFFIX, FileKind, LOG_START_OFFSETS, file_name};
use crate::log::{Removal, Retention, RetentionContext, RetentionPlan, plan_retention};
use crate::rt::fs::Directory;

/// What was taken from the front of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trimmed {
    pub log_start_offset: Offset,
    /// Files that are not of the log any more: to be removed after `file.delete.delay.ms`.
    pub files: Vec<PathBuf>,
}

impl Log {
    /// Removes the segments that have had their time; `None` when all stay.
    ///
    /// # Errors
    /// [`StorageError::Offline`]; [`StorageError::Failed`] when an index cannot be read.
    pub async fn retain(
        &self,
        retention: &Retention,
        high_watermark: Offset,
        now: TimestampMs,
    ) -> Result<Option<Trimmed>, StorageError> {
        self.inner.health.check()?;
        let mut place = None;
        let (_turn, removal) = loop {
            let turn = self.inner.durability.trimming.enter().await;
            self.inner.health.check()?;
            let Some(removal) = self.plan_removal(retention, high_watermark, now)? else {
                return Ok(None);
            };
            if !removal.rolls || place.is_some() {
                break (turn, removal);
            }
            // A segment does not end in the midst of a batch. Appends may have come until this one's turn.
            drop(turn);
            place = Some(self.take_place().await);
        };
        if removal.rolls {
            self.roll_at(self.log_end_offset(), now).await?;
        }
        drop(place);
        tracing::info!(
            partition = %self.partition(),
            segments = removal.segments,
            bytes = removal.bytes,
            log_start_offset = %removal.start_offset,
            reason = ?removal.reason,
            "segments have had their time"
        );
        let files = self.trim_to(removal.start_offset).await?;
        Ok(Some(Trimmed {
            log_start_offset: removal.start_offset,
            files,
        }))
    }

    /// Makes `offset` the first one that clients may read, if it is not below already; on the disk when this returns.
    ///
    /// # Errors
    /// [`StorageError::Offline`]; [`StorageError::Full`] when there is no room to note an offset inside a segment.
    pub async fn advance_log_start_to(&self, offset: Offset) -> Result<Trimmed, StorageError> {
        self.inner.health.check()?;
        let _turn = self.inner.durability.trimming.enter().await;
        // Whoever had the turn may have failed: what is known of the log is not what stands on the disk then.
        self.inner.health.check()?;
        let offset = offset.min(self.log_end_offset());
        let files = if offset > self.log_start_offset() {
            self.trim_to(offset).await?
        } else {
            Vec::new()
        };
        Ok(Trimmed {
            log_start_offset: self.log_start_offset(),
            files,
        })
    }

    /// Plans until nothing is missing that stands in files.
    fn plan_removal(
        &self,
        retention: &Retention,
        high_watermark: Offset,
        now: TimestampMs,
    ) -> Result<Option<Removal>, StorageError> {
        let mut modified = Vec::new();
        loop {
            let context = RetentionContext {
                retention,
                high_watermark,
                now,
                modified: &modified,
            };
            let plan = self.with_state(|state| plan_retention(state, &context));
            match plan {
                RetentionPlan::Keep => return Ok(None),
                RetentionPlan::Remove(removal) => return Ok(Some(removal)),
                RetentionPlan::NeedsLargest { segment } => self.read_largest_timestamp(segment)?,
                RetentionPlan::NeedsModified { segment } => {
                    let mut files = self.inner.files.borrow_mut();
                    let directory = files.directory.clone();
                    let asked = files.segment(segment)?.log(&directory)?.modified();
                    let when = asked.map_err(StorageError::failed("look at", &directory))?;
                    modified.push((segment, when));
                }
            }
        }
    }

    /// Notes the largest timestamp of a closed segment, from its time index.
    pub(super) fn read_largest_timestamp(&self, segment: Offset) -> Result<(), StorageError> {
        self.find_largest_timestamp(segment, WhenCold::Wait)
    }

    /// The same for a lookup.
    pub(super) fn find_largest_timestamp(&self, segment: Offset, when_cold: WhenCold) -> Result<(), StorageError> {
        let last = self
            .inner
            .files
            .borrow_mut()
            .segment(segment)?
            .time_index
            .last(when_cold)?;
        let largest = last.map_or(TimeEntry::none(segment), |bytes| TimeEntry::decode(&bytes, segment));
        self.inner.state.borrow_mut().note_largest_timestamp(segment, largest);
        Ok(())
    }

    /// Moves the start of the log; returns the files that are not of the log any more.
    async fn trim_to(&self, offset: Offset) -> Result<Vec<PathBuf>, StorageError> {
        // Records from `offset` on, and what is known of producers from records before, must not depend on what goes.
        match self.checkpoint_rolled().await {
            Ok(()) | Err(StorageError::Full { .. }) => {}
            Err(error) => return Err(error),
        }
        self.sync_through(offset).await?;
        self.sync_names().await?;
        let text = encode_offsets([(self.partition(), offset)]);
        let noted = self.replace_own_file(LOG_START_OFFSETS, &text).await;
        let begins_a_segment = self.with_state(|state| {
            let mut bases = state.segments().iter().map(|segment| segment.base_offset);
            bases.any(|base_offset| base_offset == offset)
        });
        let is_noted = match noted {
            // On a full disk room is made without a note: the names say where the log begins, as long as they go in order.
            Err(StorageError::Full { .. }) if begins_a_segment => false,
            noted => noted.map(|()| true)?,
        };
        if self.inner.durability.is_retired() {
            return Ok(Vec::new());
        }
        let forgotten = self.inner.state.borrow_mut().advance_log_start_to(offset);
        self.inner.durability.note_new_epoch();
        let path = self.path();
        let directory = Directory::open(&path).map_err(|error| self.inner.health.fail("open", &path, &error))?;
        for segment in &forgotten {
            self.inner.files.borrow_mut().forget(segment.base_offset);
        }
        let mut renamed = Vec::with_capacity(forgotten.len() * FileKind::ALL.len());
        for segment in forgotten {
            self.rename_segment(&directory, segment.base_offset, &mut renamed)
                .await?;
            if self.inner.durability.is_retired() {
                return Ok(Vec::new());
            }
            if !is_noted {
                self.inner.durability.note_new_names();
                self.sync_names().await?;
            }
        }
        if !renamed.is_empty() {
            self.inner.durability.note_new_names();
        }
        Ok(renamed)
    }

    pub(super) async fn rename_segment(
        &self,
        directory: &Directory,
        base_offset: Offset,
        renamed: &mut Vec<PathBuf>,
    ) -> Result<(), StorageError> {
        let path = self.path();
        for kind in FileKind::ALL {
            let name = file_name(base_offset, kind);
            let new_name = format!("{name}{DELETED_FILE_SUFFIX}");
            match self.inner.health.put_away(directory, &name, &new_name).await {
                Ok(true) => renamed.push(path.join(new_name)),
                Ok(false) => {}
                // Not every segment has a file of every kind.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.inner.health.fail("rename", &path.join(name), &error)),
            }
        }
        Ok(())
    }
}
