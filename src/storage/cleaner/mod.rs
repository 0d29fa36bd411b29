//! Compacts logs: carries out the decisions of `log::compaction`.
//!
//! A round reads the dirty part of a log into a map of its keys, then writes the log's segments anew, a group at a time, and puts each
//! new segment in the place of its group. Between two batches others have their turn; what a round reads and writes is counted against
//! a rate. Readers that have an old file open go on with it.
//!
//! Only segments that are on the disk, with everything derived from them, are compacted; the order of syncs and names is told in
//! `log::recovery::swap`. A round ends between two batches when its log is closed or deleted, and after a group at any time: what was
//! swapped in stays.
//!
//! | file | does |
//! |---|---|
//! | `batches` | finds the batches of a segment |
//! | `source` | reads them |
//! | `map` | fills the map |
//! | `sift` | passes batches on, in whole, in part, or not |
//! | `write` | writes a new segment |
//! | `swap` | puts it in the place of the old ones |
//! | `unfinished` | at a start, what a stop has interrupted |
//! | `workspace` | memory that a round works in |

mod batches;
mod map;
mod sift;
mod source;
mod swap;
pub(super) mod unfinished;
mod workspace;
mod write;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use super::error::StorageError;
use super::gate::{Gate, Turn};
use super::log::Log;
use super::walk::first_timestamp;
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::Segment;
use crate::log::aborted::{AbortedTransaction, decode_aborted};
use crate::log::checkpoint::encode_offsets;
use crate::log::compaction::dirt::{Assessment, Bounds, assess, dirty_segments};
use crate::log::compaction::group::group;
use crate::log::compaction::offset_map::MapSize;
use crate::log::compaction::pace::Pace;
use crate::log::compaction::transactions::Transactions;
use crate::log::compaction::{Dirt, Round, Rules};
use crate::log::names::{COMPACTED_OFFSETS, FileKind, file_name};
use crate::rt::fs::{File, Open};
use crate::rt::{self, task};

use batches::SegmentBatches;
use sift::Sieve;
use workspace::Workspace;
use write::SegmentWriter;

/// Bytes of an index of aborted transactions that is read: more than a million entries.
const ABORTED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How long a step of a round takes, about.
const STEP: Duration = Duration::from_micros(100);

/// Records between two looks at the clock.
const RECORDS_PER_LOOK: usize = 8;

/// How long a round sleeps before it sees that its log is closed.
const NAP_MAX: Duration = Duration::from_millis(50);

/// What is known of a log's compaction.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// Where the last round ended.
    pub(super) compacted_to: Cell<Option<Offset>>,
    /// One round at a time.
    running: Gate,
    /// How many want that no round goes on.
    halts: Cell<u32>,
}

/// Why a round ended early.
#[derive(Debug)]
enum Ended {
    /// The log is closed or deleted, or segments went meanwhile: all is as it should be.
    GivenUp,
    Failed(StorageError),
}

impl From<StorageError> for Ended {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

/// What a round may do with a log.
#[derive(Clone, Copy, Debug)]
pub struct CompactionWork<'a> {
    pub rules: &'a Rules,
    /// The last stable offset: nothing is decided from there on.
    pub stable_end: Offset,
    pub now: TimestampMs,
}

/// What a round did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compacted {
    /// Where the dirty part begins after it.
    pub end_offset: Offset,
    /// Bytes of the segments that were written anew, before and after.
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// The settings of a core's cleaner.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CleanerSettings {
    pub map: MapSize,
    /// `log.cleaner.io.max.bytes.per.second`, or this core's part of it.
    pub bytes_per_second: f64,
}

/// The cleaner of one core: it works on one log at a time.
#[derive(Debug)]
pub struct Cleaner {
    settings: CleanerSettings,
    pace: Pace,
}

impl Cleaner {
    #[must_use]
    pub fn new(settings: CleanerSettings) -> Self {
        Self {
            settings,
            pace: Pace::new(settings.bytes_per_second, rt::time::now()),
        }
    }

    /// Compacts a log, as far as the memory for the map reaches; `None` when there is nothing to do, or the log went away meanwhile.
    /// Files that are not of the log any more are added to `removed`: they have other names by now, and may go when nobody needs them.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] for batches that cannot be read: it will always be so. [`StorageError::Failed`] when there is no room;
    /// [`StorageError::Offline`].
    pub async fn compact(
        &mut self,
        log: &Log,
        work: &CompactionWork<'_>,
        removed: &mut Vec<PathBuf>,
    ) -> Result<Option<Compacted>, StorageError> {
        let _turn = log.inner.compaction.running.enter().await;
        match self.run(log, work, removed).await {
            Ok(compacted) => Ok(compacted),
            Err(Ended::GivenUp) => Ok(None),
            // Its directory has another name by now.
            Err(Ended::Failed(_)) if log.inner.durability.is_retired() => Ok(None),
            Err(Ended::Failed(error)) => Err(error),
        }
    }

    async fn run(
        &mut self,
        log: &Log,
        work: &CompactionWork<'_>,
        removed: &mut Vec<PathBuf>,
    ) -> Result<Option<Compacted>, Ended> {
        log.check_compactable()?;
        let synced_end = log.sync_closed_segments().await?;
        let work = CompactionWork {
            stable_end: work.stable_end.min(synced_end),
            ..*work
        };
        let dirt = log.dirt(&work).await?;
        if dirt.dirty_bytes == 0 {
            return Ok(None);
        }
        let aborted = log.aborted_transactions().await?;
        let mut workspace = Workspace::new();
        let round = self
            .fill_map(log, &dirt, &work, aborted.clone(), &mut workspace)
            .await?;
        let written = self
            .write_anew(
                log,
                &dirt,
                &round,
                Sieve::new(&round, Transactions::new(aborted), workspace),
                removed,
            )
            .await;
        let mut map = round.map;
        while map.release_piece() {
            breathe("compaction: release the map").await;
        }
        let compacted = written?;
        log.note_compacted_to(compacted.end_offset).await?;
        Ok(Some(compacted))
    }

    /// Writes all segments below the end of a round anew, group by group.
    async fn write_anew(
        &mut self,
        log: &Log,
        dirt: &Dirt,
        round: &Round,
        mut sieve: Sieve<'_>,
        removed: &mut Vec<PathBuf>,
    ) -> Result<Compacted, Ended> {
        let mut compacted = Compacted {
            end_offset: round.end_offset,
            bytes_before: 0,
            bytes_after: 0,
        };
        let segments = log.segments_below(round.end_offset);
        let settings = log.inner.settings.get();
        for range in group(&segments, dirt.end_offset, &settings) {
            let run = &segments[range];
            let new = self.compact_group(log, run, &mut sieve, removed).await?;
            compacted.bytes_before += run.iter().map(|segment| u64::from(segment.bytes)).sum::<u64>();
            compacted.bytes_after += u64::from(new.bytes);
        }
        Ok(compacted)
    }

    /// Makes one segment of a run of them.
    async fn compact_group(
        &mut self,
        log: &Log,
        run: &[Segment],
        sieve: &mut Sieve<'_>,
        removed: &mut Vec<PathBuf>,
    ) -> Result<Segment, Ended> {
        let Some(first) = run.first() else {
            return Err(Ended::GivenUp);
        };
        let mut writer = SegmentWriter::create(log, first.base_offset).await?;
        let written = match self.write_group(log, run, sieve, &mut writer).await {
            Ok(()) => writer.finish(log).await,
            Err(ended) => Err(ended),
        };
        let swapped = match written {
            Ok(cleaned) => log.swap_in(run, cleaned, removed).await,
            Err(ended) => Err(ended),
        };
        if swapped.is_err() {
            log.remove_cleaned(first.base_offset);
        }
        swapped
    }

    async fn write_group(
        &mut self,
        log: &Log,
        run: &[Segment],
        sieve: &mut Sieve<'_>,
        writer: &mut SegmentWriter,
    ) -> Result<(), Ended> {
        for (index, segment) in run.iter().enumerate() {
            let is_last = index + 1 == run.len();
            let buffer = std::mem::take(&mut sieve.workspace.read);
            let mut batches = SegmentBatches::open_at(log, segment, FilePosition::ZERO, buffer)?;
            while let Some(batch) = batches.next().await? {
                log.check_compactable()?;
                let ends_segment = is_last && batch.is_last;
                let before = writer.written();
                sieve.pass(log, &batch, ends_segment, writer).await?;
                let bytes = batch.view.bytes().len() as u64 + writer.written() - before;
                self.keep_pace(log, bytes).await?;
            }
            sieve.workspace.read = batches.into_buffer();
        }
        Ok(())
    }

    /// Counts bytes against the rate, and lets others have their turn.
    async fn keep_pace(&mut self, log: &Log, bytes: u64) -> Result<(), Ended> {
        let mut wait = self.pace.count(bytes, rt::time::now());
        if wait.is_zero() {
            breathe("").await;
        }
        while !wait.is_zero() {
            let nap = wait.min(NAP_MAX);
            rt::time::sleep(nap).await;
            wait -= nap;
            log.check_compactable()?;
        }
        Ok(())
    }
}

/// Lets others have their turn, early: a request waits for a step of ours at each of its own. What goes on after it is named.
async fn breathe(part: &'static str) {
    if task::end_step_after(STEP).await {
        task::begin_part(part);
    }
}

/// As [`breathe`], before what may take a step by itself: a block of a codec, a write.
async fn breathe_deeply(part: &'static str) {
    task::end_step_after(STEP / 4).await;
    task::begin_part(part);
}

impl Log {
    /// How dirty this log is, within what `work` allows.
    ///
    /// # Errors
    /// [`StorageError::Failed`] when an index or a segment cannot be read.
    pub async fn dirt(&self, work: &CompactionWork<'_>) -> Result<Dirt, StorageError> {
        let compacted_to = self.inner.compaction.compacted_to.get();
        let mut bounds = Bounds {
            compacted_to,
            stable_end: work.stable_end,
            earliest_dirty: None,
        };
        if work.rules.lag_max_ms < i64::MAX {
            bounds.earliest_dirty = self.earliest_dirty(compacted_to).await?;
        }
        loop {
            let assessment = self.with_state(|state| assess(state, &bounds, work.rules, work.now));
            match assessment {
                Assessment::Known(dirt) => return Ok(dirt),
                Assessment::NeedsLargest { segment } => self.read_largest_timestamp(segment)?,
            }
        }
    }

    /// The timestamp of the earliest of the first batches of dirty segments.
    async fn earliest_dirty(&self, compacted_to: Option<Offset>) -> Result<Option<TimestampMs>, StorageError> {
        let dirty: Vec<Segment> = self.with_state(|state| {
            let range = dirty_segments(state, compacted_to);
            state.segments().range(range).copied().collect()
        });
        let mut earliest: Option<TimestampMs> = None;
        for segment in dirty {
            let path = self.path().join(file_name(segment.base_offset, FileKind::Log));
            let file = match File::open(&path, Open::Read) {
                Ok(file) => file,
                // It went while others were looked at.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StorageError::failed("open", &path)(error)),
            };
            let first = first_timestamp(&file).await;
            let first = first.map_err(StorageError::failed("read", &path))?;
            earliest = earliest.into_iter().chain(first.filter(|first| first.0 > 0)).min();
        }
        Ok(earliest)
    }

    /// Where the last round ended, for the checkpoint; `None` before the first.
    #[must_use]
    pub fn compacted_to(&self) -> Option<Offset> {
        self.inner.compaction.compacted_to.get()
    }

    /// Ends a round of compaction, at its next batch, and lets no other begin.
    pub(super) async fn halt_compaction(&self) {
        self.count_halts(1);
        drop(self.inner.compaction.running.enter().await);
    }

    /// Ends a round of compaction, at its next batch; another may begin when this is dropped.
    pub(super) async fn pause_compaction(&self) -> Turn<'_> {
        self.count_halts(1);
        let turn = self.inner.compaction.running.enter().await;
        self.count_halts(-1);
        turn
    }

    fn count_halts(&self, change: i32) {
        let halts = &self.inner.compaction.halts;
        halts.set(halts.get().saturating_add_signed(change));
    }

    /// Whether a round may go on.
    fn check_compactable(&self) -> Result<(), Ended> {
        self.inner.health.check()?;
        if self.inner.compaction.halts.get() > 0 || self.inner.durability.is_retired() {
            return Err(Ended::GivenUp);
        }
        Ok(())
    }

    /// Puts all closed segments on the disk, with all that is derived from them; where what is there ends.
    async fn sync_closed_segments(&self) -> Result<Offset, Ended> {
        let recovery_point = self.checkpoint().await?;
        let files = self.inner.files.borrow();
        let closing = files.closing.iter().map(|closing| closing.base_offset).min();
        Ok(closing.unwrap_or(recovery_point).min(recovery_point))
    }

    fn segments_below(&self, end_offset: Offset) -> Vec<Segment> {
        self.with_state(|state| {
            let below = state.segments().iter().take_while(|one| one.base_offset < end_offset);
            below.copied().collect()
        })
    }

    /// All transactions of this log that were aborted, by the indexes of its segments.
    async fn aborted_transactions(&self) -> Result<Vec<AbortedTransaction>, Ended> {
        let mut aborted = Vec::new();
        for segment in self.segments_below(Offset(i64::MAX)) {
            let path = self
                .path()
                .join(file_name(segment.base_offset, FileKind::TransactionIndex));
            let file = match File::open(&path, Open::Read) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StorageError::failed("open", &path)(error).into()),
            };
            let bytes = match file.len() {
                Ok(bytes) => {
                    file.read_cold(
                        Default::default(),
                        usize::try_from(bytes.min(ABORTED_BYTES_MAX)).unwrap_or(0),
                    )
                    .await
                }
                Err(error) => Err(error),
            };
            let bytes = bytes.map_err(StorageError::failed("read", &path))?;
            let entries = decode_aborted(&bytes).ok_or_else(|| StorageError::Damaged {
                path,
                position: Default::default(),
                offset: segment.base_offset,
                what: "the index of aborted transactions is torn",
            })?;
            aborted.extend(entries);
            task::yield_if_needed().await;
        }
        Ok(aborted)
    }

    async fn note_compacted_to(&self, offset: Offset) -> Result<(), Ended> {
        let text = encode_offsets([(self.partition(), offset)]);
        self.replace_own_file(COMPACTED_OFFSETS, &text).await?;
        self.inner.compaction.compacted_to.set(Some(offset));
        Ok(())
    }
}
