//! Takes the end of a log back, as a replica does whose leader's log goes on otherwise.
//!
//! In this order, so that a crash at any moment leaves the log as it was, cut off at `to`, or with an end in between:
//! 1. everything is in the segments, so that the journal is not needed, and then nothing that it has of this log counts any more;
//! 2. what is noted of offsets beyond (recovery point, log start, how far it is compacted) is taken back;
//! 3. segments behind go, the last one first, then the segment is cut;
//! 4. the log is opened again, as after a crash: what is derived is made of what stays, by the code that does so then.

use std::rc::Rc;

use super::checkpoint::own_recovery_point;
use super::cold::WhenCold;
use super::durability::End;
use super::error::StorageError;
use super::log::Log;
use super::open::{OpenRequest, Shutdown};
use super::read::Scan;
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::checkpoint::encode_offsets;
use crate::log::names::{COMPACTED_OFFSETS, FileKind, JOURNAL_FLOOR, LOG_START_OFFSETS, RECOVERY_POINTS, file_name};
use crate::log::truncation::{Boundary, Truncation, plan_truncation, segment_to_search};
use crate::rt::fs::{Directory, File, Open};

impl Log {
    /// Takes every batch away that reaches `to` or beyond; returns where the log ends then. A batch stays
    /// that ends at or below the log start offset.
    ///
    /// Readers stop before `to` by then, and appends wait ([`Log::is_writing_ahead`]). Who still waits for
    /// durability of anything hears [`StorageError::Truncated`]. Once begun, this is driven to its end.
    ///
    /// # Errors
    /// [`StorageError::Offline`]; [`StorageError::Full`] and [`StorageError::Failed`] when nothing was changed.
    pub async fn truncate_to(&self, to: Offset, now: TimestampMs) -> Result<Offset, StorageError> {
        let durability = &self.inner.durability;
        self.inner.health.check()?;
        let place = self.take_place().await;
        let _compaction = self.pause_compaction().await;
        let _trimming = durability.trimming.enter().await;
        let _checkpointing = durability.checkpointing.enter().await;
        self.finish_roll(&mut self.inner.state.borrow_mut(), &mut self.inner.files.borrow_mut())?;
        let Some(truncation) = self.plan_truncation(to)? else {
            return Ok(self.log_end_offset());
        };
        let closing = self.inner.files.borrow().closing.clone();
        self.give_back_rolled(&closing).await?;
        self.give_back_at(&place).await?;
        self.sync_through(self.log_end_offset()).await?;
        self.left_journal().await;
        let _syncing = durability.enter_sync().await;
        self.inner.health.check()?;
        if durability.is_retired() {
            return Ok(self.log_end_offset());
        }
        self.void_journal().await?;
        self.take_notes_back(truncation.kept_end).await?;
        tracing::info!(partition = %self.partition(), %to, log_end_offset = %self.log_end_offset(), "the end of a log is taken back");
        let cut = match self.cut_off(&truncation).await {
            Ok(()) => self.open_again(now).await,
            Err(error) => Err(error),
        };
        // Half done it is another log than the one in memory: only a start can tell which.
        cut.map_err(|error| {
            let source = std::io::Error::other(error);
            self.inner.health.fail("truncate", &self.path(), &source)
        })
    }

    fn plan_truncation(&self, to: Offset) -> Result<Option<Truncation>, StorageError> {
        let state = self.inner.state.borrow();
        let to = to.max(state.log_start_offset());
        let Some(segment) = segment_to_search(&state, to) else {
            return Ok(None);
        };
        let bytes = state.segments().get(state.segment_index_of(segment));
        let end = bytes.map_or(FilePosition::ZERO, |segment| segment.end_position());
        let mut files = self.inner.files.borrow_mut();
        let directory = files.directory.clone();
        let files = files.segment(segment)?;
        let file = files.log(&directory)?;
        let mut scan = Scan {
            directory: &directory,
            segment: files,
            file: &file,
            end,
            when_cold: WhenCold::Wait,
        };
        let boundary = match scan.batch_of(to)? {
            Some(batch) => Boundary::Batch {
                position: batch.position,
                base_offset: batch.header.base_offset,
            },
            None => Boundary::Behind,
        };
        Ok(Some(plan_truncation(&state, to, segment, boundary)))
    }

    /// Notes that what the journal has of this log until now does not count.
    async fn void_journal(&self) -> Result<(), StorageError> {
        match self.journal_floor() {
            Some(floor) => self.replace_own_file(JOURNAL_FLOOR, floor.encode()).await,
            None => Ok(()),
        }
    }

    /// Takes back what is noted of offsets above.
    async fn take_notes_back(&self, kept_end: Offset) -> Result<(), StorageError> {
        // Where the partition's directory has no recovery point, nobody here knows the one that counts.
        let point = own_recovery_point(&self.path()).unwrap_or(Offset::ZERO);
        self.note_own(RECOVERY_POINTS, point.min(kept_end)).await?;
        // Clients may read from inside the batch that goes.
        if self.log_start_offset() > kept_end {
            self.note_own(LOG_START_OFFSETS, kept_end).await?;
        }
        if self.compacted_to().is_some_and(|compacted_to| compacted_to > kept_end) {
            self.note_own(COMPACTED_OFFSETS, kept_end).await?;
            self.inner.compaction.compacted_to.set(Some(kept_end));
        }
        Ok(())
    }

    async fn note_own(&self, name: &str, offset: Offset) -> Result<(), StorageError> {
        let text = encode_offsets([(self.partition(), offset)]);
        self.replace_own_file(name, text).await
    }

    async fn cut_off(&self, truncation: &Truncation) -> Result<(), StorageError> {
        // What goes is removed when the log is opened again.
        let mut renamed = Vec::new();
        self.inner.durability.kept.forget();
        let path = self.path();
        let directory = Directory::open(&path).map_err(|error| self.inner.health.fail("open", &path, &error))?;
        for base_offset in &truncation.removed {
            self.inner.files.borrow_mut().forget(*base_offset);
            self.rename_segment(&directory, *base_offset, &mut renamed).await?;
        }
        self.inner.durability.note_new_names();
        self.sync_names().await?;
        let Some(position) = truncation.cut else {
            return Ok(());
        };
        let path = self.path().join(file_name(truncation.segment, FileKind::Log));
        let failed = |error| self.inner.health.fail("truncate", &path, &error);
        let file = File::open(&path, Open::ReadWrite).map_err(failed)?;
        file.truncate(position.0).map_err(failed)?;
        self.sync(&file, truncation.segment).await
    }

    /// Makes the state of the log anew of its files; returns where it ends.
    async fn open_again(&self, now: TimestampMs) -> Result<Offset, StorageError> {
        let request = OpenRequest {
            partition: self.partition().clone(),
            path: self.path(),
            settings: self.inner.settings.get(),
            shutdown: Shutdown::Unclean,
            recovery_point: Offset::ZERO,
            log_start_offset: self.log_start_offset(),
            compacted_to: self.compacted_to(),
            is_on_disk: false,
            now,
        };
        let (opened, _) = Self::open(&self.inner.health, request).await?;
        let bytes_to_recover = opened.bytes_to_recover();
        let opened = Rc::into_inner(opened.inner);
        crate::check!(opened.is_some(), "nobody else has the log that was just opened");
        if let Some(opened) = opened {
            let before = self.inner.files.replace(opened.files.into_inner());
            if let Some(open_files) = before.counted_in() {
                drop(before);
                self.count_files(&open_files);
            }
            self.inner.state.replace(opened.state.into_inner());
            self.inner.place.reserve.borrow_mut().begin_anew();
        }
        let end = End::of(&self.inner.state.borrow());
        self.inner.durability.begin_at(end, bytes_to_recover);
        Ok(end.offset)
    }
}
