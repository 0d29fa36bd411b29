//! The log directories as one core uses them: where a partition's log is, and its way in and out.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::base::ids::{LeaderEpoch, ShardId, TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::log::Settings;
use crate::rt;
use crate::shard::trash::Removals;
use crate::storage::{DirectoryError, Journal, Log, LogDirectory, Report, Shutdown, StorageError};

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
    /// Partitions with files, by the place of their directory.
    placed: RefCell<BTreeMap<TopicPartition, usize>>,
    removals: Rc<Removals>,
}

impl Directories {
    /// Looks at which partitions have files in which directory. The journals of the core are to have so many bytes.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn new(all: Vec<LogDirectory>, core: ShardId, journal_bytes: Vec<u64>) -> Result<Self, StorageError> {
        let mut placed = BTreeMap::new();
        for (place, directory) in all.iter().enumerate() {
            for found in directory.partitions()? {
                placed.insert(found.partition, place);
            }
        }
        Ok(Self {
            all,
            core,
            journal_bytes,
            journals: OnceCell::new(),
            placed: RefCell::new(placed),
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
        if let Some(Some(journal)) = journals.get(self.place(log.partition())) {
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
        let place = self.place(partition);
        let Some(directory) = self.all.get(place) else {
            return Err(StorageError::Offline {
                directory: std::path::PathBuf::new(),
            });
        };
        if directory.topic_id_of(partition).is_some_and(|found| found != topic_id) {
            let path = directory.set_aside(partition)?;
            tracing::warn!(%partition, moved_to = %path.display(), "files of another topic with this name were here; they are set aside");
        }
        directory.create_partition(partition, topic_id).await?;
        let request = directory.open_request(partition, settings, rt::time::wall());
        let (log, report) = Log::open(directory.health(), request).await?;
        report_recovery(partition, &report);
        self.use_journal(&log, topic_id);
        Ok(log)
    }

    fn place(&self, partition: &TopicPartition) -> usize {
        let mut placed = self.placed.borrow_mut();
        if let Some(place) = placed.get(partition) {
            return *place;
        }
        let load = |place: &usize| placed.values().filter(|used| *used == place).count();
        let place = if self.all.len() == 1 {
            0
        } else {
            (0..self.all.len()).min_by_key(load).unwrap_or(0)
        };
        placed.insert(partition.clone(), place);
        place
    }

    /// Takes a log's files away: their names at once, the bytes in the background.
    pub fn delete(&self, log: &Log) {
        let partition = log.partition().clone();
        let place = self.placed.borrow_mut().remove(&partition);
        let Some(directory) = place.and_then(|place| self.all.get(place)).cloned() else {
            return;
        };
        log.retire();
        match directory.begin_deletion(&partition) {
            Ok(path) => self.removals.add(directory, path),
            Err(error) => tracing::error!(%partition, %error, "the files of a deleted partition cannot be taken away"),
        }
    }

    /// Sets the files of partitions aside that the metadata does not know: their deletion was decided, and a crash came before it was done.
    /// Nobody reads them there, and a person may.
    pub fn set_aside_strays(&self, is_known: impl Fn(&TopicPartition) -> bool) {
        self.placed.borrow_mut().retain(|partition, place| {
            let directory = self.all.get(*place).filter(|_| !is_known(partition));
            let Some(directory) = directory else { return true };
            match directory.set_aside(partition) {
                Ok(path) => {
                    tracing::warn!(%partition, moved_to = %path.display(), "files of a partition that does not exist were here; they are set aside");
                }
                Err(error) => tracing::error!(%partition, %error, "files of a partition that does not exist cannot be set aside"),
            }
            false
        });
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
        let directory = self.placed.borrow().get(log.partition()).copied()?;
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
        let directory = self.placed.borrow().get(&partition).copied()?;
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

/// Says what recovery found, where it found anything but a log as it was left.
fn report_recovery(partition: &TopicPartition, report: &Report) {
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
