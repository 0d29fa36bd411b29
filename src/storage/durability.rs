//! How a write becomes durable: the one door.
//!
//! A write is acknowledged to those who asked for durability when [`Log::make_durable`] has answered for its last offset. There are two ways:
//! * the journal of the core, where the log has one and what waits is short: one device write for all logs of the core that wait;
//! * a grouped fdatasync of the segment: one in flight for each log, covering everything that was written before it began; all who
//!   wait for less share it, all who wait for more share the next. Then the names of new segments are synced, so that an
//!   acknowledged record is never in a file without a name.
//!
//! What is durable is not synced yet where the journal has it: [`Log::sync_through`] is for those who need the segment itself on the disk.
//!
//! A failed write or sync takes the log directory offline for good: after it, nobody knows what is on the disk.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};

use super::error::StorageError;
use super::files::Closing;
use super::gate::{Gate, Turn};
use super::journal::Journal;
use super::kept::{Kept, Run};
use super::log::{Inner, Log};
use super::waiting::Waiting;
use crate::base::ids::TopicId;
use crate::base::offset::{FilePosition, Offset};
use crate::log::journal::format::Floor;
use crate::log::names::{FileKind, file_name};
use crate::log::{LogState, Segment};
use crate::rt::fs::{self, File};
use crate::rt::local::Event;
use crate::rt::task;

/// An end of the log: the offset and the place of the record that comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct End {
    pub offset: Offset,
    /// Base offset of the segment.
    pub segment: Offset,
    pub position: FilePosition,
}

impl End {
    pub(super) fn of(state: &LogState) -> Self {
        let segment: &Segment = state.active_segment();
        Self {
            offset: state.log_end_offset(),
            segment: segment.base_offset,
            position: segment.end_position(),
        }
    }
}

/// What was appended and is not durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unsynced {
    pub from: End,
    pub to: End,
    /// Of batches; `u64::MAX` when they stand in more than one segment.
    pub bytes: u64,
}

/// What of a log is on the disk.
#[derive(Debug)]
pub(super) struct Durability {
    /// Everything below is on the disk: in the segments, or in the journal.
    durable: Cell<End>,
    /// Everything below is on the disk in the segments.
    synced: Cell<Offset>,
    /// `durable` has moved, or never will.
    moved: Event,
    /// Where short appends become durable, and the topic whose they are.
    journal: OnceCell<(Journal, TopicId)>,
    /// Who is to be told.
    pub(super) waiting: Waiting,
    pub(super) kept: Kept,
    /// It waits for the journal's next group.
    has_joined: Cell<bool>,
    /// How often the end of the log was taken back.
    truncations: Cell<u64>,
    /// The last filling of a journal file that has entries of this log, and the last freeing of such files that synced it.
    filling: Cell<u64>,
    freeing: Cell<u64>,
    syncing: Gate,
    /// The active segment's file is on its way to the disk.
    pub(super) syncing_active: Gate,
    pub(super) checkpointing: Gate,
    /// Bytes of batches that were appended, and that a walk of recovery has met.
    pub(super) bytes_appended: Cell<u64>,
    /// `bytes_appended` at the recovery point.
    bytes_at_recovery_point: Cell<u64>,
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
    /// Segments whose ends were cut off since the last checkpoint, which a power cut may undo: those who believe a recovery point look
    /// at nothing below it.
    pub(super) cuts: RefCell<BTreeSet<Offset>>,
    /// The partition is deleted: its directory has another name, or none.
    retired: Cell<bool>,
}

impl Durability {
    /// Of a log whose files are on the disk up to its end.
    pub(super) fn new(end: End) -> Self {
        Self {
            durable: Cell::new(end),
            synced: Cell::new(end.offset),
            moved: Event::new(),
            journal: OnceCell::new(),
            waiting: Waiting::default(),
            kept: Kept::default(),
            has_joined: Cell::new(false),
            truncations: Cell::new(0),
            filling: Cell::new(0),
            freeing: Cell::new(0),
            syncing: Gate::default(),
            syncing_active: Gate::default(),
            bytes_appended: Cell::new(0),
            bytes_at_recovery_point: Cell::new(0),
            checkpointing: Gate::default(),
            trimming: Gate::default(),
            name_changes: Cell::new(0),
            name_changes_synced: Cell::new(0),
            epoch_changes: Cell::new(0),
            epoch_changes_written: Cell::new(0),
            settled: Cell::new(false),
            cuts: RefCell::default(),
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

    /// Batches were appended.
    pub(super) fn note_appended(&self, bytes: u32) {
        self.settled.set(false);
        self.bytes_appended.set(self.bytes_appended.get() + u64::from(bytes));
    }

    /// The recovery point is where so many bytes were appended. It never moves back.
    pub(super) fn note_recovery_point(&self, bytes_appended: u64) {
        let known = self.bytes_at_recovery_point.get();
        self.bytes_at_recovery_point.set(known.max(bytes_appended));
    }

    /// A batch was appended, or something else that a clean stop must write down.
    pub(super) fn note_change(&self) {
        self.settled.set(false);
    }

    /// The end of a segment was cut off.
    pub(super) fn note_cut(&self, base_offset: Offset) {
        self.cuts.borrow_mut().insert(base_offset);
    }

    pub(super) fn note_settled(&self) {
        self.settled.set(true);
    }

    /// Bytes that were appended since the recovery point.
    pub(super) fn bytes_to_recover(&self) -> u64 {
        self.bytes_appended
            .get()
            .saturating_sub(self.bytes_at_recovery_point.get())
    }

    pub(super) async fn enter_sync(&self) -> Turn<'_> {
        self.syncing.enter().await
    }

    /// The end of the log was taken back to here, and is on the disk.
    pub(super) fn begin_at(&self, end: End, bytes_to_recover: u64) {
        self.truncations.set(self.truncations.get() + 1);
        self.durable.set(end);
        self.synced.set(end.offset);
        self.bytes_appended.set(bytes_to_recover);
        self.bytes_at_recovery_point.set(0);
        self.note_new_names();
        self.note_new_epoch();
        self.kept.forget();
        self.waiting.fail();
        self.moved.notify();
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled.get()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.get()
    }
}

impl Log {
    /// Offset below which everything is on the disk.
    #[must_use]
    pub fn durable_end_offset(&self) -> Offset {
        self.inner.durability.durable.get().offset
    }

    /// From now on, short appends become durable in the journal. At most once, before the first append.
    pub fn use_journal(&self, journal: Journal, topic_id: TopicId) {
        let is_first = self.inner.durability.journal.set((journal, topic_id)).is_ok();
        crate::check!(is_first, "a log has one journal");
    }

    /// The partition is deleted: nothing is written or synced for this log any more, and nobody needs it to be.
    pub fn retire(&self) {
        self.inner.durability.retired.set(true);
        self.inner.durability.kept.forget();
        self.durability_moved();
        self.release_files();
    }

    /// Waits until every record below `up_to` is on the disk. Of a retired log, nothing is waited for.
    ///
    /// # Errors
    /// [`StorageError::Offline`] when a write or a sync of this log directory failed, now or before; [`StorageError::Truncated`] when the
    /// end of the log was taken back meanwhile.
    pub async fn make_durable(&self, up_to: Offset) -> Result<(), StorageError> {
        let durability = &self.inner.durability;
        let truncations = durability.truncations.get();
        loop {
            self.inner.health.check()?;
            if durability.truncations.get() != truncations {
                return Err(StorageError::Truncated);
            }
            if self.needs_no_disk(up_to) {
                return Ok(());
            }
            let (moved, left) = (durability.moved.listen(), durability.syncing.left.listen());
            if self.join_journal() {
                moved.await;
                continue;
            }
            match durability.syncing.try_enter() {
                Some(_turn) => self.sync_written().await?,
                None => left.await,
            }
        }
    }

    /// Whether nothing has to reach the disk for the records below `up_to`.
    pub(super) fn needs_no_disk(&self, up_to: Offset) -> bool {
        let durability = &self.inner.durability;
        durability.durable.get().offset >= up_to || durability.is_retired()
    }

    /// Waits until the segments have every record below `up_to` on the disk. Of a retired log, nothing is waited for.
    ///
    /// # Errors
    /// As [`Log::make_durable`].
    pub(super) async fn sync_through(&self, up_to: Offset) -> Result<(), StorageError> {
        let durability = &self.inner.durability;
        let truncations = durability.truncations.get();
        loop {
            self.inner.health.check()?;
            // A truncation has left nothing to sync.
            let is_truncated = durability.truncations.get() != truncations;
            if durability.synced.get() >= up_to || is_truncated || durability.is_retired() {
                return Ok(());
            }
            let left = durability.syncing.left.listen();
            match durability.syncing.try_enter() {
                Some(_turn) => self.sync_written().await?,
                None => left.await,
            }
        }
    }

    /// Has the journal make durable what is not, with its next group. False when it does not take that.
    pub(super) fn join_journal(&self) -> bool {
        let durability = &self.inner.durability;
        let Some((journal, _)) = durability.journal.get() else {
            return false;
        };
        if durability.has_joined.get() {
            return true;
        }
        let takes = journal.takes(&self.unsynced());
        if takes {
            durability.has_joined.set(true);
            durability.kept.want();
            journal.join(self);
        }
        takes
    }

    /// Syncs all that is written at this moment.
    async fn sync_written(&self) -> Result<(), StorageError> {
        let durability = &self.inner.durability;
        let synced = self.sync_files().await;
        if let Ok(end) = synced {
            durability.synced.set(durability.synced.get().max(end.offset));
            self.note_durable(end);
        }
        self.durability_moved();
        synced.map(drop)
    }

    async fn sync_files(&self) -> Result<End, StorageError> {
        let durability = &self.inner.durability;
        let written = End::of(&self.inner.state.borrow());
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
        {
            let _turn = durability.syncing_active.enter().await;
            self.sync(&active, active_base).await?;
        }
        self.sync_names().await?;
        Ok(written)
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

/// What the journal asks of a log.
impl Log {
    /// What is written and not durable.
    pub(super) fn unsynced(&self) -> Unsynced {
        let from = self.inner.durability.durable.get();
        let to = End::of(&self.inner.state.borrow());
        let bytes = if from.segment == to.segment {
            to.position.0 - from.position.0
        } else {
            u64::MAX
        };
        Unsynced { from, to, bytes }
    }

    /// The topic whose log this is, as the journal knows it.
    pub(super) fn topic_id(&self) -> TopicId {
        let journal = self.inner.durability.journal.get();
        journal.map_or(TopicId::ZERO, |(_, topic_id)| *topic_id)
    }

    /// What was appended and not made durable, if it was kept. At most once.
    pub(super) fn take_kept(&self, unsynced: &Unsynced) -> Option<Run> {
        self.inner.durability.kept.take(unsynced)
    }

    /// Keeps what was appended to the active segment for the journal.
    pub(super) fn keep(&self, segment: Offset, position: FilePosition, parts: &[&[u8]]) {
        let durability = &self.inner.durability;
        if let Some((journal, _)) = durability.journal.get() {
            durability.kept.keep(journal.kept_budget(), segment, position, parts);
        }
    }

    /// Reads what was appended to the active segment.
    pub(super) fn read_active(&self, position: FilePosition, into: &mut [u8]) -> std::io::Result<usize> {
        let file = self.inner.files.borrow_mut().active_log();
        file.map_err(std::io::Error::other)?.read_at(position, into)
    }

    /// Waits until no group of the journal is on its way with something of this log.
    pub(super) async fn left_journal(&self) {
        loop {
            let moved = self.inner.durability.moved.listen();
            if !self.inner.durability.has_joined.get() {
                return;
            }
            moved.await;
        }
    }

    /// Where the journal's next group comes; `None` without a journal.
    pub(super) fn journal_floor(&self) -> Option<Floor> {
        let (journal, _) = self.inner.durability.journal.get()?;
        Some(journal.floor())
    }

    /// It does not wait for the journal any more.
    pub(super) fn leave_journal(&self) {
        self.inner.durability.has_joined.set(false);
    }

    /// Everything below `end` is on the disk.
    pub(super) fn note_durable(&self, end: End) {
        let durability = &self.inner.durability;
        if end.offset > durability.durable.get().offset {
            durability.durable.set(end);
            durability.kept.forget_below(&end);
        }
        self.durability_moved();
    }

    /// Those who wait look again.
    pub(super) fn durability_moved(&self) {
        self.inner.durability.moved.notify();
        self.answer_waiting();
    }

    /// Notes that a filling of a journal file has entries of this log; false when that was known.
    pub(super) fn note_filling(&self, filling: u64) -> bool {
        self.inner.durability.filling.replace(filling) != filling
    }

    /// Notes that a freeing of journal files is about to sync this log; false when that was known.
    pub(super) fn note_freeing(&self, freeing: u64) -> bool {
        self.inner.durability.freeing.replace(freeing) != freeing
    }

    /// Waits until what is durable is in the segments, so that the journal need not have it.
    pub(super) async fn sync_durable(&self) -> Result<(), StorageError> {
        self.sync_through(self.durable_end_offset()).await
    }

    /// Has the segment synced, whatever the journal does; those who wait hear of it.
    pub(super) fn sync_in_background(&self) {
        let log = self.clone();
        task::spawn(async move {
            // An error has taken the directory offline, and those who wait look there.
            drop(log.sync_through(log.log_end_offset()).await);
            log.durability_moved();
        });
    }

    pub(super) fn downgrade(&self) -> Weak<Inner> {
        Rc::downgrade(&self.inner)
    }

    pub(super) fn upgrade(weak: &Weak<Inner>) -> Option<Self> {
        weak.upgrade().map(|inner| Self { inner })
    }
}
