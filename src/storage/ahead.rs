//! Long batches: most of their records are written before the append itself, in steps, so that the append takes one step of any batch.
//!
//! They stand behind the end of the log, where nobody looks: readers, syncs and the journal go by the end of the log, which moves with the
//! append. Their header comes last, so that a batch that is not whole has none, and recovery ends the log before it.
//!
//! Invariants:
//! * One batch of a log at a time is written ahead; others wait for it before they are appended.
//! * Nothing stands behind the end of a log but that: what is given up is cut off at once, and what changes the end of the log
//!   without it cuts it off first, once the ring writes nothing there.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;

use super::append::NewBatch;
use super::error::{Health, StorageError};
use super::log::Log;
use super::reserve::Reserve;
use super::roll::Rolling;
use crate::base::ids::LeaderEpoch;
use crate::base::limits::APPEND_STEP_BYTES;
use crate::base::offset::FilePosition;
use crate::base::step_bytes::{STEP, StepBytes};
use crate::base::time::TimestampMs;
use crate::log::names::{FileKind, file_name};
use crate::log::room::Room;
use crate::log::{AppendContext, AppendPlan, LogState, Origin, plan_append};
use crate::record::BATCH_HEADER_BYTES;
use crate::rt::fs::File;
use crate::rt::local::Event;
use crate::rt::task::{self, Watch};
use crate::rt::time;

/// Fewest and most bytes of one step; the batches of simulated logs are short.
const STEP_BYTES_MIN: usize = if cfg!(feature = "sim") {
    64
} else {
    APPEND_STEP_BYTES / 8
};
const STEP_BYTES_MAX: usize = if cfg!(feature = "sim") {
    64
} else {
    APPEND_STEP_BYTES / 2
};

/// Steps of a write that are taken at once: those of a batch up to [`APPEND_STEP_BYTES`] where memory is there.
const STEPS_AT_ONCE_MAX: usize = if cfg!(feature = "sim") { 1 << 20 } else { 2 };

/// Most bytes of one write through the ring.
const RING_BYTES_MAX: usize = if cfg!(feature = "sim") { 256 } else { 256 * 1024 };

/// Of a file system: where its blocks are smaller, a batch goes through the ring that need not.
const BLOCK_BYTES: u64 = 4096;

/// The end of a log while a batch is written ahead.
#[derive(Debug)]
pub(super) struct Place {
    is_taken: Cell<bool>,
    left: Event,
    /// The ring is writing, or the file system finds or frees blocks.
    is_in_flight: Cell<bool>,
    pub(super) landed: Event,
    pub(super) step_bytes: StepBytes,
    written: RefCell<Option<Written>>,
    /// A segment whose files are being made.
    pub(super) rolling: Cell<Option<Rolling>>,
    pub(super) reserve: RefCell<Reserve>,
}

/// The active segment, while records stand in it behind the end of the log.
#[derive(Debug)]
struct Written {
    file: File,
    directory: Rc<Path>,
}

impl Place {
    pub(super) fn new(health: &Health) -> Self {
        Self {
            is_taken: Cell::new(false),
            left: Event::new(),
            is_in_flight: Cell::new(false),
            landed: Event::new(),
            step_bytes: StepBytes::new(STEP_BYTES_MIN, STEP_BYTES_MAX),
            written: RefCell::new(None),
            rolling: Cell::new(None),
            reserve: RefCell::new(Reserve::new(health)),
        }
    }
}

/// The right of one batch to be the next one of its log, and how many bytes of its records stand there. Others wait until this is dropped.
#[derive(Debug)]
pub struct Ahead {
    log: Log,
    bytes: usize,
}

impl Ahead {
    /// Bytes of records of the batch that stand in this log, where they belong if the batch is the next one.
    pub(super) fn bytes_in(&self, log: &Log) -> usize {
        let is_of = Rc::ptr_eq(&self.log.inner, &log.inner);
        let is_there = log.inner.place.written.borrow().is_some();
        if is_of && is_there { self.bytes } else { 0 }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let inner = &self.log.inner;
        if inner.place.is_in_flight.get() {
            // The core ends in the midst of a write. What it leaves has no header, and the next start cuts it off.
            return;
        }
        // A failure has taken the directory offline.
        drop(self.log.cut_off_ahead(&inner.state.borrow()));
        inner.place.is_taken.set(false);
        inner.place.left.notify();
    }
}

impl Log {
    /// Whether a batch is being written ahead: all others have to wait for their turn ([`Log::write_ahead`]).
    #[must_use]
    pub fn is_writing_ahead(&self) -> bool {
        self.inner.place.is_taken.get()
    }

    /// Waits until `batch` may be the next one, begins the segment that it needs, and writes of its records what takes longer than a step. The
    /// [`append`](Log::append) of the batch comes while the outcome lives. A batch that will not be appended is not written either; the
    /// append says why. Where the disk makes those wait who write, all of the records are written, through the ring.
    ///
    /// `bytes` is what the batch is a view of.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub async fn write_ahead(
        &self,
        batch: &NewBatch<'_>,
        bytes: &Bytes,
        origin: Origin,
        leader_epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<Ahead, StorageError> {
        let mut ahead = self.take_place().await;
        self.inner.health.check()?;
        let context = self.append_context(origin, leader_epoch, now);
        if self.inner.health.room() != Room::Enough {
            return Ok(ahead);
        }
        self.roll_ahead(batch, &context).await?;
        let records = batch.records();
        if records.len() <= STEP_BYTES_MIN && !self.makes_wait(BATCH_HEADER_BYTES + records.len()) {
            return Ok(ahead);
        }
        let Some((file, begin)) = self.begin_ahead(batch, &context)? else {
            return Ok(ahead);
        };
        loop {
            let at = begin.plus(ahead.bytes as u64);
            let rest = records.get(ahead.bytes..).unwrap_or_default();
            let is_slow = match ahead.bytes {
                0 => self.makes_wait(BATCH_HEADER_BYTES + rest.len()),
                _ => self.is_slow_disk(),
            };
            let length = match is_slow {
                true => rest.len().min(RING_BYTES_MAX),
                false => self.inner.place.step_bytes.at(at),
            };
            let Some(slice) = rest.get(..length).filter(|slice| !slice.is_empty()) else {
                break;
            };
            let written = match is_slow {
                true => self.write_aside(&file, at, bytes.slice_ref(slice)).await,
                false => self.write_step(&file, at, slice),
            };
            if let Err(error) = written {
                return Err(self.not_written(&self.inner.files.borrow(), &error));
            }
            ahead.bytes += length;
            task::yield_after(STEP).await;
            self.inner.health.check()?;
            if ahead.bytes_in(self) == 0 {
                // Something else was appended, or the log was closed.
                break;
            }
        }
        Ok(ahead)
    }

    /// Whether to write a batch of so many bytes may take longer than a step: then [`Log::write_ahead`] does not hold the core.
    #[must_use]
    pub fn takes_steps(&self, bytes: usize) -> bool {
        let at_once_max = self.inner.place.step_bytes.next() * STEPS_AT_ONCE_MAX;
        bytes > at_once_max + at_once_max / 16 || self.makes_wait(bytes)
    }

    /// Whether who writes a batch of so many bytes may have to wait for the disk.
    fn makes_wait(&self, bytes: usize) -> bool {
        self.is_slow_disk() || (self.inner.durability.syncing_active.is_taken() && self.may_wait_for_sync(bytes))
    }

    fn is_slow_disk(&self) -> bool {
        self.inner.health.pace().is_slow(time::now())
    }

    /// Whether a batch of so many bytes may wait for the sync that is under way: the file system locks the map of a file's blocks while it
    /// notes which were written, and who writes on in the last of them, or beyond those that are reserved, changes that map too.
    fn may_wait_for_sync(&self, bytes: usize) -> bool {
        let (_, end) = self.active_end();
        let new_end = end + bytes as u64;
        end.div_ceil(BLOCK_BYTES) == new_end.div_ceil(BLOCK_BYTES) || new_end > self.inner.place.reserve.borrow().to()
    }

    /// Notes what a write on the spot took, of any length.
    pub(super) fn note_written(&self, bytes: usize, watch: &Watch) {
        self.inner.place.step_bytes.note_other(bytes, watch.took());
        self.inner.health.pace().note_on_the_spot(watch);
    }

    fn write_step(&self, file: &File, at: FilePosition, slice: &[u8]) -> std::io::Result<()> {
        task::begin_part("write a batch ahead");
        let watch = Watch::begin();
        file.write_at(at, &[slice])?;
        self.inner.place.step_bytes.note(watch.took());
        self.inner.health.pace().note_on_the_spot(&watch);
        Ok(())
    }

    async fn write_aside(&self, file: &File, at: FilePosition, bytes: Bytes) -> std::io::Result<()> {
        let began = time::now();
        let written = self.in_flight(file.write_through_ring(at, bytes)).await;
        self.inner.health.pace().note_through_ring(time::now().since(began));
        written
    }

    /// Does something with the active segment that goes on when the one who waits for it does not.
    pub(super) async fn in_flight(&self, doing: impl Future<Output = io::Result<()>>) -> io::Result<()> {
        let place = &self.inner.place;
        place.is_in_flight.set(true);
        let done = doing.await;
        place.is_in_flight.set(false);
        place.landed.notify();
        done
    }

    /// Waits until the ring writes nothing behind the end of this log, so that it can be cut off.
    pub(super) async fn landed(&self) {
        let place = &self.inner.place;
        while place.is_in_flight.get() {
            place.landed.wait().await;
        }
    }

    pub(super) async fn take_place(&self) -> Ahead {
        let place = &self.inner.place;
        loop {
            let left = place.left.listen();
            if !place.is_taken.replace(true) {
                return Ahead {
                    log: self.clone(),
                    bytes: 0,
                };
            }
            left.await;
        }
    }

    /// The file and the place of the batch's records there, in the segment where it will stand; `None` when it will not be appended.
    fn begin_ahead(
        &self,
        batch: &NewBatch<'_>,
        context: &AppendContext,
    ) -> Result<Option<(File, FilePosition)>, StorageError> {
        let mut state = self.inner.state.borrow_mut();
        let mut files = self.inner.files.borrow_mut();
        let Ok(AppendPlan::Append(appending)) = plan_append(&state, &batch.facts(), context) else {
            return Ok(None);
        };
        files.active_log()?;
        if let Some(roll) = appending.roll {
            self.roll(&mut files, &state, appending.base_offset)?;
            state.begin_segment(appending.base_offset, roll.now);
        }
        let file = files.active_log()?;
        self.inner.durability.note_change();
        let written = Written {
            file: file.clone(),
            directory: Rc::clone(&files.directory),
        };
        self.inner.place.written.replace(Some(written));
        Ok(Some((file, appending.position.plus(BATCH_HEADER_BYTES as u64))))
    }

    /// What was written ahead is in the log now.
    pub(super) fn note_ahead_appended(&self) {
        self.inner.place.written.take();
    }

    /// Ends the active segment's file where the log ends.
    pub(super) fn cut_off_ahead(&self, state: &LogState) -> Result<(), StorageError> {
        let Some(Written { file, directory }) = self.inner.place.written.take() else {
            return Ok(());
        };
        // It would land where others append by then.
        crate::check!(!self.inner.place.is_in_flight.get());
        self.inner.health.check()?;
        let segment = state.active_segment();
        self.inner.durability.note_cut(segment.base_offset);
        self.inner.place.reserve.borrow_mut().note_cut();
        file.truncate(u64::from(segment.bytes)).map_err(|error| {
            let path = directory.join(file_name(segment.base_offset, FileKind::Log));
            self.inner.health.fail("truncate", &path, &error)
        })
    }
}
