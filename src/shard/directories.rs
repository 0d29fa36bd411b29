//! The log directories as one core uses them: where a partition's log is, and its way in and out.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::base::ids::{LeaderEpoch, ShardId, TopicId, TopicPartition};
use crate::base::limits::DESCRIPTORS_OF_LOGS;
use crate::base::offset::Offset;
use crate::log::Settings;
use crate::rt;
use crate::shard::trash::Removals;
use crate::storage::{DirectoryError, Journal, Log, LogDirectory, OpenFiles, Report, Shutdown, StorageError};

/// A log that was closed by a stop.
pub struct ClosedLog {
    /// Place of its directory among those of the configuration.
    pub directory: usize,
    pub partition: TopicPartition,
    pub recovery_point: Offset,
    /// Where it begins, if not with a segment.
    pub log_start_offset: Option<Offset>,
    /// How far it is compacted.
    pub compacted_to: Option<Offset>,
}

/// How large a log is.
#[derive(Clone, Debug)]
pub struct LogSize {
    /// Place of its directory among those of the configuration.
    pub directory: usize,
    pub partition: TopicPartition,
    /// Of its batches.
    pub bytes: u64,
}

/// What a core leaves behind when it stops.
#[derive(Default)]
pub struct ClosedShard {
    pub logs: Vec<ClosedLog>,
    /// Some logs are not on the disk yet: their file systems must be synced.
    pub needs_sync: bool,
    /// Under which this broker was registered, from the core that has the controller.
    pub broker_epoch: Option<i64>,
}

/// How a log is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// Its files are synced, one after the other.
    Synced,
    /// Its files are written, and the file system is synced once for all logs.
    WrittenOut,
}

/// The log directories, shared by all cores; which partition is where is known to the core that owns it.
pub struct Directories {
    all: Vec<LogDirectory>,
    core: ShardId,
    /// Of this core's journal on each of them; 0 is none.
    journal_bytes: Vec<u64>,
    /// This core's journal on each of them, where there is one; none before [`open_journals`](Self::open_journals).
    journals: OnceCell<Vec<Option<Journal>>>,
    placed: RefCell<Placed>,
    open_files: OpenFiles,
    removals: Rc<Removals>,
}

/// Partitions with files, by the place of their directory.
struct Placed {
    by_partition: BTreeMap<TopicPartition, usize>,
    /// How many partitions each directory has.
    counts: Vec<usize>,
}

impl Placed {
    fn new(directories: usize) -> Self {
        Self {
            by_partition: BTreeMap::new(),
            counts: vec![0; directories],
        }
    }

    fn get(&self, partition: &TopicPartition) -> Option<usize> {
        self.by_partition.get(partition).copied()
    }

    /// Gives a new partition a place: the directory with the fewest partitions, the first of several.
    fn place(&mut self, partition: &TopicPartition) -> usize {
        let counts = self.counts.iter().enumerate();
        let place = counts.min_by_key(|(_, count)| **count).map_or(0, |(place, _)| place);
        self.insert(partition.clone(), place);
        place
    }

    fn insert(&mut self, partition: TopicPartition, place: usize) {
        self.remove(&partition);
        self.by_partition.insert(partition, place);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
    }

    fn remove(&mut self, partition: &TopicPartition) -> Option<usize> {
        let place = self.by_partition.remove(partition)?;
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_sub(1);
        }
        Some(place)
    }

    fn iter(&self) -> impl Iterator<Item = (&TopicPartition, usize)> {
        self.by_partition.iter().map(|(partition, place)| (partition, *place))
    }

    fn len(&self) -> usize {
        self.by_partition.len()
    }
}

impl Directories {
    /// Looks at which partitions have files in which directory. The journals of the core are to have so many bytes.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn new(
        all: Vec<LogDirectory>,
        core: ShardId,
        cores: u16,
        journal_bytes: Vec<u64>,
    ) -> Result<Self, StorageError> {
        let mut placed = Placed::new(all.len());
        for (place, directory) in all.iter().enumerate() {
            for partition in directory.partitions()? {
                placed.insert(partition, place);
            }
        }
        Ok(Self {
            all,
            core,
            journal_bytes,
            journals: OnceCell::new(),
            placed: RefCell::new(placed),
            open_files: OpenFiles::new(files_max(cores)),
            removals: Rc::default(),
        })
    }

    /// The directories' ids, in the order of the configuration.
    #[must_use]
    pub fn ids(&self) -> Vec<[u8; 16]> {
        self.all
            .iter()
            .filter_map(|directory| directory.properties().directory_id)
            .collect()
    }

    /// Partitions that have files here.
    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.placed.borrow().len()
    }

    /// From here on partitions are written, in this leader epoch of the metadata log: a stop without a word is not clean any more.
    ///
    /// # Errors
    /// A directory cannot be written.
    pub fn begin(&self, controller_epoch: LeaderEpoch) -> Result<(), DirectoryError> {
        self.all
            .iter()
            .try_for_each(|directory| directory.begin(controller_epoch))
    }

    /// Every core has its partitions open: what was on the disk before says nothing any more.
    pub fn end_opening(&self) {
        self.all.iter().for_each(LogDirectory::end_opening);
    }

    /// Opens the journals of this core, unless they are. The directories have begun: what a crash left in the files is in the segments, and
    /// counts no more, for files that do not fit are removed.
    ///
    /// # Errors
    /// A journal's files cannot be opened.
    pub fn open_journals(&self) -> Result<(), StorageError> {
        if self.journals.get().is_some() {
            return Ok(());
        }
        let sized = self.all.iter().zip(&self.journal_bytes);
        let opened = sized.map(|(directory, bytes)| Journal::open(directory, self.core, *bytes));
        let opened = opened.collect::<Result<_, _>>()?;
        let is_first = self.journals.set(opened).is_ok();
        crate::check!(is_first, "journals are opened once");
        Ok(())
    }

    /// Has short appends of a log made durable in the journal of its directory, where there is one. Before its first append.
    pub fn use_journal(&self, log: &Log, topic_id: TopicId) {
        let journals = self.journals.get().map_or(&[][..], Vec::as_slice);
        let place = self.placed.borrow().get(log.partition());
        if let Some(Some(journal)) = place.and_then(|place| journals.get(place)) {
            log.use_journal(journal.clone(), topic_id);
        }
    }

    /// Whether one of them was left in this way by the process before.
    #[must_use]
    pub fn were_left(&self, shutdown: Shutdown) -> bool {
        self.all.iter().any(|directory| directory.shutdown() == shutdown)
    }

    /// Opens a partition's log, made new in the directory with the fewest partitions if it has none.
    ///
    /// # Errors
    /// The directory is offline, or the log is damaged.
    pub async fn open(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        settings: Settings,
    ) -> Result<Log, StorageError> {
        let known = self.placed.borrow().get(partition);
        let place = known.unwrap_or_else(|| self.placed.borrow_mut().place(partition));
        let Some(directory) = self.all.get(place) else {
            return Err(StorageError::Offline {
                directory: std::path::PathBuf::new(),
            });
        };
        let now = rt::time::wall();
        let (log, report) = match known {
            Some(_) => directory.open_log(partition, topic_id, settings, now).await?,
            None => directory.make_log(partition, topic_id, settings, now).await?,
        };
        report_recovery(partition, &report);
        self.use_journal(&log, topic_id);
        log.count_files(&self.open_files);
        Ok(log)
    }

    /// Takes a log's files away: their names before this returns, the bytes in the background.
    pub async fn delete(&self, log: &Log) {
        let partition = log.partition().clone();
        let place = self.placed.borrow_mut().remove(&partition);
        let Some(directory) = place.and_then(|place| self.all.get(place)).cloned() else {
            return;
        };
        log.retire();
        match directory.begin_deletion(&partition).await {
            Ok(path) => self.removals.add_log(directory, path, log.clone()),
            Err(error) => tracing::error!(%partition, %error, "the files of a deleted partition cannot be taken away"),
        }
    }

    /// Sets the files of partitions aside that the metadata does not know: their deletion was decided, and a crash came before it was done.
    /// Nobody reads them there, and a person may. To be called before somebody can create such a partition.
    pub async fn set_aside_strays(&self, is_known: impl Fn(&TopicPartition) -> bool) {
        let strays: Vec<(TopicPartition, usize)> = {
            let placed = self.placed.borrow();
            let unknown = placed.iter().filter(|(partition, _)| !is_known(partition));
            unknown.map(|(partition, place)| (partition.clone(), place)).collect()
        };
        for (partition, place) in strays {
            self.placed.borrow_mut().remove(&partition);
            let Some(directory) = self.all.get(place) else { continue };
            match directory.set_aside(&partition).await {
                Ok(path) => {
                    tracing::warn!(%partition, moved_to = %path.display(), "files of a partition that does not exist were here; they are set aside");
                }
                Err(error) => {
                    tracing::error!(%partition, %error, "files of a partition that does not exist cannot be set aside")
                }
            }
        }
    }

    /// Removes, in the background, what deletions before this start have left, and journals of cores from `cores` on.
    pub fn remove_leftovers(&self, cores: u16) {
        for directory in &self.all {
            if let Err(error) = directory.remove_journals_from(cores) {
                tracing::warn!(%error, "journal files of cores that are no more are left; the next start removes them");
            }
            for path in directory.deleted().unwrap_or_default() {
                self.removals.add(directory.clone(), path);
            }
        }
    }

    /// Where a log is, and how large; `None` for one that is deleted.
    #[must_use]
    pub fn size_of(&self, log: &Log) -> Option<LogSize> {
        let directory = self.placed.borrow().get(log.partition())?;
        Some(LogSize {
            directory,
            partition: log.partition().clone(),
            bytes: log.bytes(),
        })
    }

    /// The directories themselves, in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> &[LogDirectory] {
        &self.all
    }

    /// Closes a log; `None` for one whose directory is offline, which the next start recovers.
    pub async fn close(&self, log: &Log, how: Close) -> Option<ClosedLog> {
        let partition = log.partition().clone();
        let directory = self.placed.borrow().get(&partition)?;
        let closed = match how {
            Close::Synced => log.close().await,
            Close::WrittenOut => log.write_out().await,
        };
        match closed {
            Ok(recovery_point) => Some(ClosedLog {
                directory,
                partition,
                recovery_point,
                log_start_offset: log.noted_log_start(),
                compacted_to: log.compacted_to(),
            }),
            Err(error) => {
                tracing::error!(%partition, %error, "a log cannot be closed; the next start recovers it");
                None
            }
        }
    }
}

/// Files that the logs of one core may have open.
fn files_max(cores: u16) -> usize {
    let for_logs = rt::host::descriptors_max() / 16 * DESCRIPTORS_OF_LOGS;
    usize::try_from(for_logs / u64::from(cores.max(1))).unwrap_or(usize::MAX)
}

/// Says what recovery found, where it found anything but a log as it was left.
fn report_recovery(partition: &TopicPartition, report: &Report) {
    if let Some(path) = &report.set_aside {
        tracing::warn!(%partition, moved_to = %path.display(), "files of another topic with this name were here; they are set aside");
    }
    if let Some(cut) = &report.cut {
        tracing::warn!(
            %partition,
            file = %cut.file.display(),
            position = %cut.position,
            offset = %cut.offset,
            bytes = cut.bytes,
            reason = ?cut.end,
            segments_removed = report.segments_removed,
            "the end of a log was half written and has been cut off"
        );
    }
    if report.derived_torn > 0 {
        tracing::debug!(%partition, files = report.derived_torn, "derived files were missing or torn and have been made anew");
    }
}
