//! Carries out the plans of appends.

use super::error::StorageError;
use super::files::Files;
use super::log::Log;
use crate::base::ids::LeaderEpoch;
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::names::{FileKind, file_name};
use crate::log::{AppendContext, AppendError, AppendPlan, Appending, Batch, Origin, plan_append};
use crate::record::{Assignment, BATCH_HEADER_BYTES, BatchHeader, BatchView, TimestampType, Validated};

/// One batch to append: its header as it came, what a topic's rules make of its timestamps, and the bytes after the header.
#[derive(Clone, Copy, Debug)]
pub struct NewBatch<'a> {
    header: BatchHeader,
    timestamp_type: TimestampType,
    max_timestamp: TimestampMs,
    records: &'a [u8],
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
        }
    }

    fn facts(&self) -> Batch {
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

impl Log {
    /// Appends batches in their order, with one write unless a segment ends among them; each has an outcome of its own.
    ///
    /// They are in the page cache then, and readable; [`Log::make_durable`] puts them on the disk.
    ///
    /// # Errors
    /// [`StorageError::Offline`] when the write fails or an earlier one did: nothing of this call counts then.
    pub fn append(
        &self,
        batches: &[NewBatch<'_>],
        origin: Origin,
        leader_epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<Vec<Result<Appended, AppendError>>, StorageError> {
        self.inner.health.check()?;
        let settings = self.inner.settings.get();
        let context = AppendContext {
            settings: &settings,
            origin,
            leader_epoch,
            now,
        };
        let mut state = self.inner.state.borrow_mut();
        let mut files = self.inner.files.borrow_mut();
        // Once a plan is applied there is no way back: whatever may fail harmlessly comes first.
        files.active_log()?;
        let mut outcomes = Vec::with_capacity(batches.len());
        let mut group = Group {
            position: FilePosition::ZERO,
            parts: Vec::with_capacity(batches.len()),
        };
        for batch in batches {
            let plan = plan_append(&state, &batch.facts(), &context);
            if let Ok(AppendPlan::Append(appending)) = &plan {
                if appending.roll.is_some() {
                    self.write_group(&mut files, &mut group)?;
                    self.roll(&mut files, &state, appending.base_offset)?;
                }
                if group.parts.is_empty() {
                    group.position = appending.position;
                }
                group.parts.push((batch.header_for(appending), batch.records));
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
        self.write_group(&mut files, &mut group)?;
        Ok(outcomes)
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
        let written = files.active_log()?.write_at(group.position, &slices);
        written.map_err(|error| {
            let name = file_name(files.active.base_offset, FileKind::Log);
            self.inner.health.fail("write", &files.directory.join(name), &error)
        })?;
        group.parts.clear();
        Ok(())
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
