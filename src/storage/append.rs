//! Carries out the plans of appends.

use super::ahead::Ahead;
use super::error::StorageError;
use super::files::Files;
use super::log::Log;
use crate::base::ids::LeaderEpoch;
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::names::{FileKind, file_name};
use crate::log::room::Room;
use crate::log::{AppendContext, AppendError, AppendPlan, Appending, Batch, LogState, Origin, plan_append};
use crate::record::{Assignment, BATCH_HEADER_BYTES, BatchHeader, BatchView, TimestampType, Validated};
use crate::rt::task::Watch;

/// One batch to append: its header as it came, what a topic's rules make of its timestamps, and the bytes after the header.
#[derive(Clone, Copy, Debug)]
pub struct NewBatch<'a> {
    header: BatchHeader,
    timestamp_type: TimestampType,
    max_timestamp: TimestampMs,
    records: &'a [u8],
    ahead: Option<&'a Ahead>,
}

impl<'a> NewBatch<'a> {
    /// A producer's batch that passed validation.
    #[must_use]
    pub fn validated(view: &BatchView<'a>, validated: &Validated) -> Self {
        Self {
            timestamp_type: validated.timestamp_type,
            max_timestamp: validated.max_timestamp,
            ..Self::as_it_is(view)
        }
    }

    /// A batch made by this broker, or copied from a leader.
    #[must_use]
    pub fn as_it_is(view: &BatchView<'a>) -> Self {
        let header = *view.header();
        Self {
            header,
            timestamp_type: header.attributes.timestamp_type(),
            max_timestamp: header.max_timestamp,
            records: view.record_bytes(),
            ahead: None,
        }
    }

    /// The same batch, of which records were written already.
    #[must_use]
    pub fn behind(self, ahead: &'a Ahead) -> Self {
        Self {
            ahead: Some(ahead),
            ..self
        }
    }

    pub(super) fn records(&self) -> &'a [u8] {
        self.records
    }

    pub(super) fn facts(&self) -> Batch {
        Batch {
            max_timestamp: self.max_timestamp,
            ..Batch::from_header(&self.header)
        }
    }

    /// The first 61 bytes as they stand in the log.
    fn header_for(&self, appending: &Appending) -> [u8; BATCH_HEADER_BYTES] {
        let assignment = Assignment {
            base_offset: appending.base_offset,
            leader_epoch: appending.leader_epoch,
            timestamp_type: self.timestamp_type,
            max_timestamp: self.max_timestamp,
        };
        assignment.apply(&self.header, self.records).encode()
    }
}

/// Where a batch stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// Largest timestamp of the batch.
    pub max_timestamp: TimestampMs,
    /// Whether it stood there before this call: an idempotent producer sent it again.
    pub is_duplicate: bool,
}

/// Batches for one file that are written by one call.
struct Group<'a> {
    position: FilePosition,
    parts: Vec<([u8; BATCH_HEADER_BYTES], &'a [u8])>,
}

impl<'a> Group<'a> {
    fn push(&mut self, position: FilePosition, header: [u8; BATCH_HEADER_BYTES], records: &'a [u8]) {
        if self.parts.is_empty() {
            self.position = position;
        }
        self.parts.push((header, records));
    }
}

/// The log before an append that may find no room.
struct Before {
    state: LogState,
    offset_entries: u32,
    time_entries: u32,
}

impl Before {
    fn of(state: LogState, files: &Files) -> Self {
        Self {
            state,
            offset_entries: files.active.offset_index.entries(),
            time_entries: files.active.time_index.entries(),
        }
    }
}

impl Log {
    /// Appends batches in their order, with one write unless a segment ends among them; each has an outcome of its own.
    ///
    /// They are in the page cache then, and readable; [`Log::make_durable`] puts them on the disk.
    ///
    /// # Errors
    /// [`StorageError::Offline`] when the write fails or an earlier one did, [`StorageError::Full`] when there is no room for it: nothing of
    /// this call counts then.
    pub fn append(
        &self,
        batches: &[NewBatch<'_>],
        origin: Origin,
        leader_epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<Vec<Result<Appended, AppendError>>, StorageError> {
        self.inner.health.check()?;
        // It would be cut off.
        crate::check!(!self.inner.place.reserve.borrow().is_giving_back());
        let context = self.append_context(origin, leader_epoch, now);
        let mut state = self.inner.state.borrow_mut();
        let mut files = self.inner.files.borrow_mut();
        // Once a plan is applied there is no way back, but where the disk is nearly full: whatever may fail harmlessly comes first.
        files.active_log()?;
        self.finish_roll(&mut state, &mut files)?;
        if batches.iter().all(|batch| self.bytes_ahead(batch) == 0) {
            self.cut_off_ahead(&state)?;
        }
        let mut before = match self.inner.health.room() {
            Room::Enough => None,
            Room::Little | Room::None => Some(Before::of(state.clone(), &files)),
        };
        let appended = self.append_each(batches, &context, &mut state, &mut files, &mut before);
        match (appended, before) {
            (Err(StorageError::Full { .. }), Some(before)) => Err(self.take_back(before, &mut state, &mut files)),
            (Err(StorageError::Full { .. }), None) => {
                let error = std::io::ErrorKind::StorageFull.into();
                Err(self.inner.health.fail("write", &files.directory, &error))
            }
            (appended, _) => {
                self.look_ahead(&state, origin);
                appended
            }
        }
    }

    /// What appends at this moment depend on.
    pub(super) fn append_context(&self, origin: Origin, leader_epoch: LeaderEpoch, now: TimestampMs) -> AppendContext {
        AppendContext {
            settings: self.inner.settings.get(),
            origin,
            leader_epoch,
            now,
        }
    }

    fn append_each(
        &self,
        batches: &[NewBatch<'_>],
        context: &AppendContext,
        state: &mut LogState,
        files: &mut Files,
        before: &mut Option<Before>,
    ) -> Result<Vec<Result<Appended, AppendError>>, StorageError> {
        let mut outcomes = Vec::with_capacity(batches.len());
        let mut group = Group {
            position: FilePosition::ZERO,
            parts: Vec::with_capacity(batches.len()),
        };
        for batch in batches {
            let plan = plan_append(state, &batch.facts(), context);
            if let Ok(AppendPlan::Append(appending)) = &plan {
                if let Some(roll) = appending.roll {
                    self.write_group(files, &mut group)?;
                    self.roll(files, state, appending.base_offset)?;
                    if let Some(before) = before {
                        // From here on there is a way back to the beginning of the new segment.
                        let mut state = state.clone();
                        state.begin_segment(appending.base_offset, roll.now);
                        *before = Before::of(state, files);
                    }
                }
                let header = batch.header_for(appending);
                match self.bytes_ahead(batch) {
                    0 => group.push(appending.position, header, batch.records),
                    bytes_ahead => {
                        self.write_group(files, &mut group)?;
                        self.complete(files, appending.position, &header, batch.records, bytes_ahead)?;
                    }
                }
                state.apply(appending);
                self.inner.durability.note_appended(appending.batch.bytes);
                let (offset_entry, time_entry) = (appending.offset_entry, appending.time_entry);
                files
                    .active
                    .push_entries(offset_entry, time_entry, &self.inner.health)?;
                if appending.epoch_start.is_some() {
                    self.inner.durability.note_new_epoch();
                }
            }
            outcomes.push(plan.map(|plan| outcome_of(&plan, batch)));
        }
        self.write_group(files, &mut group)?;
        Ok(outcomes)
    }

    /// Makes the log what it was before an append that found no room.
    fn take_back(&self, before: Before, state: &mut LogState, files: &mut Files) -> StorageError {
        let health = &self.inner.health;
        self.inner.durability.kept.forget();
        *state = before.state;
        let length = u64::from(state.active_segment().bytes);
        let truncated = files.active_log().and_then(|log| {
            let truncated = log.truncate(length);
            self.inner.durability.note_cut(files.active.base_offset);
            self.inner.place.reserve.borrow_mut().note_cut();
            truncated.map_err(|error| health.fail("truncate", &files.directory, &error))?;
            files.active.offset_index.truncate_to(before.offset_entries, health)?;
            files.active.time_index.truncate_to(before.time_entries, health)
        });
        truncated.err().unwrap_or_else(|| StorageError::Full {
            directory: files.directory.to_path_buf(),
        })
    }

    /// Notes that a new leader will append from the end of the log on.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub fn begin_epoch(&self, epoch: LeaderEpoch) -> Result<(), StorageError> {
        self.inner.health.check()?;
        if self.inner.state.borrow_mut().begin_epoch(epoch) {
            self.inner.durability.note_new_epoch();
        }
        Ok(())
    }

    fn write_group(&self, files: &mut Files, group: &mut Group<'_>) -> Result<(), StorageError> {
        if group.parts.is_empty() {
            return Ok(());
        }
        let slices: Vec<&[u8]> = group
            .parts
            .iter()
            .flat_map(|(header, records)| [header.as_slice(), records])
            .collect();
        self.write(files, group.position, &slices)?;
        self.keep(files.active.base_offset, group.position, &slices);
        group.parts.clear();
        Ok(())
    }

    /// Bytes of the batch's records that stand behind the end of this log.
    fn bytes_ahead(&self, batch: &NewBatch<'_>) -> usize {
        batch.ahead.map_or(0, |ahead| ahead.bytes_in(self))
    }

    /// Writes what is missing of a batch at `position`, its header last.
    fn complete(
        &self,
        files: &mut Files,
        position: FilePosition,
        header: &[u8; BATCH_HEADER_BYTES],
        records: &[u8],
        bytes_ahead: usize,
    ) -> Result<(), StorageError> {
        let rest = records.get(bytes_ahead..).unwrap_or_default();
        let rest_position = position.plus((BATCH_HEADER_BYTES + bytes_ahead) as u64);
        self.write(files, rest_position, &[rest])?;
        self.write(files, position, &[header])?;
        self.note_ahead_appended();
        Ok(())
    }

    fn write(&self, files: &mut Files, position: FilePosition, parts: &[&[u8]]) -> Result<(), StorageError> {
        let watch = Watch::begin();
        let written = files.active_log()?.write_at(position, parts);
        self.note_written(parts.iter().map(|part| part.len()).sum(), &watch);
        written.map_err(|error| self.not_written(files, &error))
    }

    /// What it means that the active segment cannot be written.
    pub(super) fn not_written(&self, files: &Files, error: &std::io::Error) -> StorageError {
        let path = files.directory.join(file_name(files.active.base_offset, FileKind::Log));
        self.inner.health.fail_write("write", &path, error)
    }
}

fn outcome_of(plan: &AppendPlan, batch: &NewBatch<'_>) -> Appended {
    match plan {
        AppendPlan::Duplicate {
            base_offset,
            last_offset,
            timestamp,
        } => Appended {
            base_offset: *base_offset,
            last_offset: *last_offset,
            max_timestamp: *timestamp,
            is_duplicate: true,
        },
        AppendPlan::Append(appending) => Appended {
            base_offset: appending.base_offset,
            last_offset: appending.last_offset,
            max_timestamp: batch.max_timestamp,
            is_duplicate: false,
        },
    }
}
