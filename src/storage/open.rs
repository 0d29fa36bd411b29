//! Opens a log: looks at what is there, decides by the tables of `log::recovery`, and makes the state of it.
//! What is done to single segments is in `recover`.

use std::path::{Path, PathBuf};

use super::checkpoint::{
    begin_recovery_point, own_compacted_offset, own_log_start_offset, own_recovery_point, replace_file,
};
use super::cleaner::unfinished::settle_compactions;
use super::error::{Health, StorageError};
use super::files::{Files, SegmentFiles, names_in};
use super::log::Log;
use crate::base::ids::TopicPartition;
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::checkpoint::{decode_epochs, encode_epochs, encode_offsets};
use crate::log::epochs::LeaderEpochs;
use crate::log::names::{
    COMPACTED_OFFSETS, FileKind, LEADER_EPOCHS, LOG_START_OFFSETS, RECOVERY_POINTS, file_name, parse_file_name,
    parse_marked_file_name,
};
use crate::log::producers::{Producers, snapshot};
use crate::log::recovery::rebuild::IndexCounts;
use crate::log::recovery::{Epochs, WalkEnd};
use crate::log::segment::ActiveSegment;
use crate::log::state::Recovered;
use crate::log::{LogState, Segment, Settings};
use crate::rt::fs::{self, File, Open};

/// The blocks of a file may take more than its bytes: the last one is not full, and the file system keeps its own books in some.
const ROUNDING_BYTES_MAX: u64 = 64 * 1024;

/// How the broker stopped the last time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// Everything is on the disk.
    Clean,
    /// What lies above the recovery point may be lost, torn or half there.
    Unclean,
}

/// Which log to open, and what is known of it.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    pub partition: TopicPartition,
    /// The partition's directory; made when missing.
    pub path: PathBuf,
    pub settings: Settings,
    pub shutdown: Shutdown,
    /// From the log directory's checkpoint of recovery points; 0 when it is not there. One in the partition's own directory counts
    /// instead.
    pub recovery_point: Offset,
    /// From the checkpoint of log start offsets; 0 when it is not there. One in the partition's own directory counts instead.
    pub log_start_offset: Offset,
    /// How far it is compacted, from the log directory's checkpoint. One in the partition's own directory counts instead.
    pub compacted_to: Option<Offset>,
    /// Whatever the last stop was like, all that its files and names are now is on the disk: only what recovery changes has to be synced.
    pub is_on_disk: bool,
    pub now: TimestampMs,
}

/// What opening a log found and did, for people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Segments whose batches were all checked.
    pub segments_walked: usize,
    /// What was cut off.
    pub cut: Option<Cut>,
    /// Closed segments with more in their files than their batches, which was cut off.
    pub surplus_cut: usize,
    /// Where the files of another topic with the same name are now.
    pub set_aside: Option<PathBuf>,
    /// Compactions that were interrupted, and are finished.
    pub compactions_finished: usize,
    /// Segments behind a cut, removed.
    pub segments_removed: usize,
    /// Derived files that could not be used: snapshots and epoch checkpoints.
    pub derived_torn: usize,
}

/// The end of a segment that a crash left half written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    pub file: PathBuf,
    pub position: FilePosition,
    /// The first offset that is not in the log.
    pub offset: Offset,
    /// Bytes that were cut off this file.
    pub bytes: u64,
    pub end: WalkEnd,
}

impl Log {
    /// Opens a log, after recovering it where that is needed.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] for a log that only a person should touch; [`StorageError::Offline`] and
    /// [`StorageError::Failed`] by the disk.
    pub async fn open(health: &Health, request: OpenRequest) -> Result<(Self, Report), StorageError> {
        health.check()?;
        let path = &request.path;
        let names = || names_in(path).map_err(StorageError::failed("list", path));
        let mut found = names()?;
        let has_marks = found.iter().any(|name| parse_marked_file_name(name).is_some());
        let compactions_finished = settle_compactions(health, path, &found).await?;
        if compactions_finished > 0 {
            found = names()?;
        }
        let mut opening = Opening::begin(health, request, found)?;
        opening.report.compactions_finished = compactions_finished;
        opening.names_changed = has_marks || !opening.leftovers.is_empty();
        opening.remove_leftovers().await;
        if opening.segments.is_empty() {
            return opening.create().await;
        }
        opening.recover().await?;
        opening.give_back().await?;
        opening.finish().await
    }
}

/// A log on its way from files to a state.
pub(super) struct Opening<'a> {
    pub(super) health: &'a Health,
    pub(super) request: OpenRequest,
    pub(super) report: Report,
    /// Base offsets and bytes of the files of batches, in order.
    pub(super) segments: Vec<(Offset, u64)>,
    /// Those with blocks behind their ends.
    exceeding: Vec<Offset>,
    /// Offsets of the producer snapshots.
    snapshots: Vec<Offset>,
    /// Files that are of no use to anybody.
    leftovers: Vec<PathBuf>,
    /// Files were removed or renamed, and that may not be on the disk.
    names_changed: bool,
    pub(super) epochs: LeaderEpochs,
    pub(super) epochs_known: Epochs,
    pub(super) producers: Producers,
    /// Batches from here on are not in `producers` yet.
    pub(super) replay_from: Offset,
    pub(super) recovered: Vec<Segment>,
    pub(super) active: ActiveSegment,
    pub(super) active_counts: IndexCounts,
    pub(super) log_end_offset: Offset,
    /// Bytes of batches that were walked over.
    pub(super) bytes_walked: u64,
}

impl<'a> Opening<'a> {
    /// Looks at small files; changes nothing. `names` are those of all files.
    fn begin(health: &'a Health, request: OpenRequest, names: Vec<String>) -> Result<Self, StorageError> {
        let path = &request.path;
        let own = |name: &str, offset: fn(&Path) -> Option<Offset>| {
            let is_there = names.iter().any(|there| there == name);
            is_there.then(|| offset(path)).flatten()
        };
        let recovery_point = own(RECOVERY_POINTS, own_recovery_point).unwrap_or(request.recovery_point);
        let log_start_offset = own(LOG_START_OFFSETS, own_log_start_offset).unwrap_or(request.log_start_offset);
        let compacted_to = own(COMPACTED_OFFSETS, own_compacted_offset).or(request.compacted_to);
        let mut found = Found::of(path, names)?;
        found.drop_below(path, log_start_offset);
        let Found {
            segments,
            exceeding,
            snapshots,
            leftovers,
        } = found;
        let mut opening = Self {
            health,
            report: Report::default(),
            segments,
            exceeding,
            snapshots,
            leftovers,
            names_changed: false,
            epochs: LeaderEpochs::default(),
            epochs_known: Epochs::Known,
            producers: Producers::default(),
            replay_from: Offset::ZERO,
            recovered: Vec::new(),
            active: ActiveSegment::new(request.now),
            active_counts: IndexCounts::default(),
            log_end_offset: Offset::ZERO,
            bytes_walked: 0,
            request: OpenRequest {
                recovery_point,
                log_start_offset,
                compacted_to,
                ..request
            },
        };
        if !opening.segments.is_empty() {
            opening.read_epochs();
            opening.load_producers();
        }
        Ok(opening)
    }

    /// Gives back what was reserved behind the ends of segments when the broker stopped.
    async fn give_back(&self) -> Result<(), StorageError> {
        for base_offset in &self.exceeding {
            if self.recovered.iter().all(|segment| segment.base_offset != *base_offset) {
                continue;
            }
            let path = self.request.path.join(file_name(*base_offset, FileKind::Log));
            let give_back = async {
                let file = File::open(&path, Open::ReadWrite)?;
                file.give_back_behind(file.len()?).await
            };
            let given = give_back.await;
            given.map_err(|error| self.health.fail("truncate", &path, &error))?;
        }
        Ok(())
    }

    /// One that cannot be removed harms nobody.
    async fn remove_leftovers(&mut self) {
        for path in std::mem::take(&mut self.leftovers) {
            let _ = fs::unlink(path).await;
        }
    }

    fn read_epochs(&mut self) {
        let read = fs::read(self.request.path.join(LEADER_EPOCHS));
        match read.ok().and_then(|text| decode_epochs(&text).ok()) {
            Some(entries) => {
                self.epochs = LeaderEpochs::from_entries(&entries);
                if self.request.shutdown == Shutdown::Unclean {
                    // Epochs of records that a crash may have taken; those that it left are walked, and tell theirs again.
                    self.epochs.truncate_from_end(self.request.recovery_point);
                }
            }
            None => {
                self.epochs_known = Epochs::Lost;
                self.report.derived_torn += 1;
            }
        }
    }

    /// Takes the newest producer snapshot that is whole and lies in the part of the log that needs no check.
    fn load_producers(&mut self) {
        let first = self
            .segments
            .first()
            .map_or(Offset::ZERO, |(base_offset, _)| *base_offset);
        let limit = match self.request.shutdown {
            Shutdown::Clean => Offset(i64::MAX),
            Shutdown::Unclean => self.request.recovery_point.max(first),
        };
        self.replay_from = first;
        let usable = self.snapshots.iter().filter(|offset| (first..=limit).contains(*offset));
        for offset in usable.copied().collect::<Vec<_>>().into_iter().rev() {
            let path = self.request.path.join(file_name(offset, FileKind::ProducerSnapshot));
            match fs::read(&path).ok().and_then(|bytes| snapshot::decode(&bytes).ok()) {
                Some(producers) => {
                    self.producers = producers;
                    self.replay_from = offset;
                    return;
                }
                None => self.report.derived_torn += 1,
            }
        }
    }

    /// Makes the files of a log that has none.
    async fn create(self) -> Result<(Log, Report), StorageError> {
        let path = &self.request.path;
        let parent = path.parent().unwrap_or(path);
        let make = async {
            fs::create_directory_all(path)?;
            if self.request.recovery_point != Offset::ZERO && own_recovery_point(path).is_none() {
                // It is another's, of the same name.
                begin_recovery_point(path, &self.request.partition).await?;
            }
            fs::sync_names(parent).await
        };
        make.await
            .map_err(|error| self.health.fail_write("create", path, &error))?;
        let base_offset = self.request.log_start_offset;
        let active = SegmentFiles::create(path, base_offset, self.health)?;
        let state = LogState::new(base_offset, self.request.now);
        Ok(self.into_log(state, active))
    }

    fn into_log(self, state: LogState, active: SegmentFiles) -> (Log, Report) {
        let files = Files::new(self.request.path.clone(), active);
        let health = self.health.clone();
        let was_clean = self.request.shutdown == Shutdown::Clean && self.report == Report::default();
        let log = Log::new(self.request.partition, health, self.request.settings, state, files);
        // A clean stop may leave the recovery point where it was: the next crash would find all this to look at.
        let bytes_to_recover = match self.request.shutdown {
            Shutdown::Unclean => self.bytes_walked,
            Shutdown::Clean => log.with_state(|state| bytes_from(state, self.request.recovery_point)),
        };
        log.inner.durability.bytes_appended.set(bytes_to_recover);
        log.inner.compaction.compacted_to.set(self.request.compacted_to);
        if was_clean && !self.segments.is_empty() {
            log.inner.durability.note_settled();
        } else {
            log.inner.durability.note_new_names();
            log.inner.durability.note_new_epoch();
        }
        (log, self.report)
    }

    /// Makes the state and the log of what was recovered.
    async fn finish(mut self) -> Result<(Log, Report), StorageError> {
        let end = self.log_end_offset;
        self.epochs.truncate_from_end(end);
        let recovered = Recovered {
            segments: std::mem::take(&mut self.recovered),
            active: self.active,
            log_start_offset: self.request.log_start_offset,
            log_end_offset: end,
            epochs: std::mem::take(&mut self.epochs),
            producers: std::mem::take(&mut self.producers),
        };
        let Some(state) = LogState::from_recovered(recovered) else {
            return self.create().await;
        };
        let base_offset = state.active_segment().base_offset;
        let counts = self.active_counts;
        let active = SegmentFiles::existing(&self.request.path, base_offset, counts.offset, counts.time);
        self.remove_snapshots_after(end).await?;
        if self.request.shutdown == Shutdown::Unclean && state.segments().len() > 1 {
            // All closed segments are on the disk, with their indexes: the next recovery need not walk them again.
            self.write_checkpoint(LEADER_EPOCHS, &encode_epochs(state.epochs().entries()))
                .await?;
            self.write_checkpoint(RECOVERY_POINTS, &encode_offsets([(&self.request.partition, end)]))
                .await?;
        }
        Ok(self.into_log(state, active))
    }

    async fn write_checkpoint(&self, name: &str, text: &str) -> Result<(), StorageError> {
        let path = self.request.path.join(name);
        let written = replace_file(path.clone(), text.as_bytes()).await;
        written.map_err(|error| self.health.fail_write("write", &path, &error))
    }

    /// A snapshot of a part of the log that is gone would be taken for one of what will stand there.
    async fn remove_snapshots_after(&mut self, end: Offset) -> Result<(), StorageError> {
        let directory = &self.request.path;
        for offset in self.snapshots.iter().filter(|offset| **offset > end) {
            match fs::remove_file(directory.join(file_name(*offset, FileKind::ProducerSnapshot))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(self.health.fail("remove", directory, &error));
                }
                Ok(()) | Err(_) => self.names_changed = true,
            }
        }
        if self.request.is_on_disk && !self.names_changed {
            return Ok(());
        }
        // Names of files that survived a crash may not be on the disk.
        let synced = fs::sync_names(directory).await;
        synced.map_err(|error| self.health.fail("sync", directory, &error))
    }
}

/// What the files of a log are.
#[derive(Default)]
struct Found {
    segments: Vec<(Offset, u64)>,
    exceeding: Vec<Offset>,
    snapshots: Vec<Offset>,
    leftovers: Vec<PathBuf>,
}

impl Found {
    fn of(path: &Path, names: Vec<String>) -> Result<Self, StorageError> {
        let mut found = Self::default();
        for name in names {
            let file = path.join(&name);
            match parse_file_name(&name) {
                Some((base_offset, FileKind::Log)) => {
                    let size = fs::size(&file).map_err(StorageError::failed("look at", &file))?;
                    found.segments.push((base_offset, size.bytes));
                    if size.allocated_bytes > size.bytes.saturating_add(ROUNDING_BYTES_MAX) {
                        found.exceeding.push(base_offset);
                    }
                }
                Some((offset, FileKind::ProducerSnapshot)) => found.snapshots.push(offset),
                Some((_, FileKind::OffsetIndex | FileKind::TimeIndex | FileKind::TransactionIndex)) => {}
                None if is_leftover(&name) => found.leftovers.push(file),
                None => {}
            }
        }
        found.segments.sort_unstable();
        found.snapshots.sort_unstable();
        Ok(found)
    }

    /// Segments that end before the log does begin: their removal was begun when its start was noted.
    fn drop_below(&mut self, path: &Path, log_start_offset: Offset) {
        let next_bases = self.segments.iter().skip(1);
        let below_start = next_bases.take_while(|(next, _)| *next <= log_start_offset).count();
        for (base_offset, _) in self.segments.drain(..below_start) {
            let files = FileKind::ALL.map(|kind| path.join(file_name(base_offset, kind)));
            self.leftovers.extend(files);
        }
    }
}

/// Bytes of the segments that reach beyond `offset`.
fn bytes_from(state: &LogState, offset: Offset) -> u64 {
    if offset >= state.log_end_offset() {
        return 0;
    }
    let first = state.segment_index_of(offset);
    let segments = state.segments().iter().skip(first);
    segments.map(|segment| u64::from(segment.bytes)).sum()
}

/// Files that a crash left half made, of ours or of Kafka's: new content that never got its name, a compaction that was not done, files
/// that were to be removed.
fn is_leftover(name: &str) -> bool {
    [".tmp", ".cleaned", ".deleted"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}
