//! One open log: its state, its files, and what of it is durable.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use super::ahead::Place;
use super::cleaner::Compaction;
use super::durability::{Durability, End};
use super::error::Health;
use super::files::Files;
use super::open_files::{OpenFiles, Share};
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::{LogState, Settings};

/// A log, held by the core that owns the partition. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Log {
    pub(super) inner: Rc<Inner>,
}

/// What the clones of a [`Log`] share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) partition: TopicPartition,
    pub(super) health: Health,
    pub(super) settings: Cell<Settings>,
    pub(super) state: RefCell<LogState>,
    pub(super) files: RefCell<Files>,
    pub(super) durability: Durability,
    pub(super) compaction: Compaction,
    pub(super) place: Place,
}

impl Log {
    pub(super) fn new(
        partition: TopicPartition,
        health: Health,
        settings: Settings,
        state: LogState,
        files: Files,
    ) -> Self {
        let durability = Durability::new(End::of(&state));
        let place = Place::new(&health);
        Self {
            inner: Rc::new(Inner {
                partition,
                health,
                settings: Cell::new(settings),
                state: RefCell::new(state),
                files: RefCell::new(files),
                durability,
                compaction: Compaction::default(),
                place,
            }),
        }
    }

    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.inner.partition
    }

    /// The partition's directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.inner.files.borrow().directory.to_path_buf()
    }

    /// First offset that clients may read.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.inner.state.borrow().log_start_offset()
    }

    /// The log start offset, where it must be noted: when it is not the beginning of the first segment.
    #[must_use]
    pub fn noted_log_start(&self) -> Option<Offset> {
        let state = self.inner.state.borrow();
        let start = state.log_start_offset();
        let first = state.segments().front();
        first.is_some_and(|first| first.base_offset < start).then_some(start)
    }

    /// Offset of the next record.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.inner.state.borrow().log_end_offset()
    }

    /// Bytes of all batches.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.inner.state.borrow().bytes()
    }

    /// Whether the log directory works.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// Looks at the state: epochs, producers, segments. The closure must not call back into this log.
    pub fn with_state<T>(&self, look: impl FnOnce(&LogState) -> T) -> T {
        look(&self.inner.state.borrow())
    }

    /// Settings for appends from now on.
    pub fn set_settings(&self, settings: Settings) {
        self.inner.settings.set(settings);
    }

    /// Forgets producers whose last batch is older than `expiration_ms`.
    pub fn expire_producers(&self, now: TimestampMs, expiration_ms: i64) {
        self.inner.state.borrow_mut().expire_producers(now, expiration_ms);
    }

    /// Bytes of memory that this log takes, closely estimated.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Inner>() + self.inner.state.borrow().heap_bytes() + self.inner.files.borrow().heap_bytes()
    }

    /// From now on its files count among those that the logs of a core may have open. At most once.
    pub fn count_files(&self, open_files: &OpenFiles) {
        let share = Share::new(open_files.clone(), Rc::downgrade(&self.inner));
        self.inner.files.borrow_mut().count_in(share);
    }

    /// Closes the files of a log that nobody has used since the last call; they are opened again when needed.
    pub fn release_idle_files(&self) {
        self.inner.files.borrow_mut().release_idle();
    }

    /// Closes the files of a log that nobody uses just now; they are opened again when needed.
    pub fn release_files(&self) {
        self.inner.files.borrow_mut().release();
    }
}
