//! A log directory: whose it is, which partitions are in it, and the files that speak of all of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use thiserror::Error;

use super::checkpoint::replace_file_now;
use super::error::{Health, StorageError, is_full};
use super::identity::{Claim, identify};
use super::journal::{self, JournalError, JournalFiles};
use super::open::{OpenRequest, Shutdown};
use crate::base::ids::{LeaderEpoch, ShardId, TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::Settings;
use crate::log::checkpoint::{decode_offsets, encode_offsets};
use crate::log::names::{
    CLEAN_SHUTDOWN, COMPACTED_OFFSETS, DELETED_DIRECTORY_SUFFIX, HIGH_WATERMARKS, LOG_START_OFFSETS,
    PARTITION_METADATA, RECOVERY_POINTS, deleted_directory_name, parse_directory_name, parse_file_name,
    stray_directory_name,
};
use crate::log::properties::{MetaProperties, decode_partition_metadata, encode_clean_shutdown};
use crate::log::recovery::is_sooner_synced_at_once;
use crate::rt::{fs, random, time};

/// Why a log directory cannot be used; each says what a person can do.
#[derive(Debug, Error)]
pub enum DirectoryError {
    #[error("the log directory {} cannot be used: {source}; check that it exists and may be written", .path.display())]
    Unusable { path: PathBuf, source: std::io::Error },
    #[error("the log directory {} is in use by another process; stop it, or set another log.dirs", .path.display())]
    InUse { path: PathBuf },
    #[error("{} cannot be read: {reason}", .path.display())]
    BadIdentity { path: PathBuf, reason: String },
    #[error("the log directory {} belongs to {found}, this is {expected}; set another log.dirs", .path.display())]
    NotOurs {
        path: PathBuf,
        found: String,
        expected: String,
    },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A log directory that this process holds. Clones are the same; any core may use one.
#[derive(Clone, Debug)]
pub struct LogDirectory {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    path: PathBuf,
    health: Health,
    properties: MetaProperties,
    shutdown: Shutdown,
    /// All that a crash left in it is on the disk, and nothing was changed since.
    is_on_disk: AtomicBool,
    /// Epochs of the journals that are there, by core.
    journal_epochs: BTreeMap<u32, u64>,
    /// In which journals are written from this start on.
    controller_epoch: OnceLock<LeaderEpoch>,
    can_write_direct: bool,
    journal: JournalFiles,
    pub(super) recovery_points: BTreeMap<TopicPartition, Offset>,
    pub(super) log_start_offsets: BTreeMap<TopicPartition, Offset>,
    pub(super) compacted_offsets: BTreeMap<TopicPartition, Offset>,
    _lock: fs::DirectoryLock,
}

impl LogDirectory {
    /// Locks a log directory, made when missing, and learns whose it is and how it was left. One without an identity gets that of the claim.
    /// The mark of a clean stop stays until [`begin`](Self::begin).
    ///
    /// # Errors
    /// As named by [`DirectoryError`].
    pub fn open(path: &Path, claim: Claim<'_>) -> Result<Self, DirectoryError> {
        let unusable = |source| DirectoryError::Unusable {
            path: path.to_owned(),
            source,
        };
        create_durably(path).map_err(unusable)?;
        let lock = fs::lock_directory(path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::WouldBlock {
                DirectoryError::InUse { path: path.to_owned() }
            } else {
                unusable(source)
            }
        })?;
        let properties = identify(path, claim.node_id, claim.cluster_id)?;
        let recovery_points = read_offsets(&path.join(RECOVERY_POINTS));
        let shutdown = last_shutdown(path).map_err(unusable)?;
        let journal = JournalFiles::find(path, properties.directory_id, shutdown)?;
        if shutdown == Shutdown::Unclean {
            journal.replay(&recovery_points, claim.controller_epoch)?;
        }
        let directory = Self {
            inner: Arc::new(Inner {
                health: Health::new(path),
                properties,
                shutdown,
                is_on_disk: AtomicBool::new(false),
                journal_epochs: journal.fresh_epochs(),
                controller_epoch: OnceLock::new(),
                journal,
                can_write_direct: journal::can_write_direct(path),
                recovery_points,
                log_start_offsets: read_offsets(&path.join(LOG_START_OFFSETS)),
                compacted_offsets: read_offsets(&path.join(COMPACTED_OFFSETS)),
                path: path.to_owned(),
                _lock: lock,
            }),
        };
        if shutdown == Shutdown::Unclean {
            directory.sync_at_once_if_sooner();
        }
        Ok(directory)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    #[must_use]
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    #[must_use]
    pub fn properties(&self) -> &MetaProperties {
        &self.inner.properties
    }

    /// How the process before this one stopped.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.inner.shutdown
    }

    /// Whether its file system takes writes past the page cache: without them there is no journal.
    #[must_use]
    pub fn can_write_direct(&self) -> bool {
        self.inner.can_write_direct
    }

    /// The epoch in which a core's journal is written from this start on.
    pub(super) fn journal_epoch(&self, core: ShardId) -> u64 {
        let known = self.inner.journal_epochs.get(&u32::from(core.0));
        known.copied().unwrap_or_else(random::u64)
    }

    /// In which its journals are written; before [`begin`](Self::begin), the first there is.
    pub(super) fn controller_epoch(&self) -> LeaderEpoch {
        self.inner.controller_epoch.get().copied().unwrap_or(LeaderEpoch(0))
    }

    /// Removes the journal files of cores from `cores` on, which nobody fills any more.
    ///
    /// # Errors
    /// [`StorageError::Failed`].
    pub fn remove_journals_from(&self, cores: u16) -> Result<(), StorageError> {
        journal::remove_of_cores_from(&self.inner.path, cores)
    }

    /// From here on partitions may be written: what the journals hold counts no more, and the mark of a clean stop goes, for good, until
    /// another clean stop makes one. In this order, or a crash between the two would put back what a clean stop has left behind.
    ///
    /// `controller_epoch` is the leader epoch that the metadata log begins right after.
    ///
    /// # Errors
    /// As named by [`DirectoryError`].
    pub fn begin(&self, controller_epoch: LeaderEpoch) -> Result<(), DirectoryError> {
        let epochs = &self.inner.journal_epochs;
        self.inner.journal.begin_epochs(epochs, controller_epoch)?;
        let is_first = self.inner.controller_epoch.set(controller_epoch).is_ok();
        crate::check!(is_first, "a log directory begins once");
        if self.inner.shutdown == Shutdown::Clean {
            let mark = self.inner.path.join(CLEAN_SHUTDOWN);
            let taken = fs::remove_file(&mark).and_then(|()| fs::sync_directory(&self.inner.path));
            taken.map_err(|source| DirectoryError::Unusable { path: mark, source })?;
        }
        Ok(())
    }

    /// The partitions that have a directory here.
    ///
    /// # Errors
    /// What the disk says.
    pub fn partitions(&self) -> Result<Vec<TopicPartition>, StorageError> {
        partitions_in(&self.inner.path)
    }

    /// Directories of partitions whose deletion was not finished.
    ///
    /// # Errors
    /// What the disk says.
    pub fn deleted(&self) -> Result<Vec<PathBuf>, StorageError> {
        let names = directory_names(&self.inner.path)?;
        let deleted = names.iter().filter(|name| name.ends_with(DELETED_DIRECTORY_SUFFIX));
        Ok(deleted.map(|name| self.inner.path.join(name)).collect())
    }

    /// Where a partition's files are.
    #[must_use]
    pub fn partition_path(&self, partition: &TopicPartition) -> PathBuf {
        self.inner.path.join(partition.to_string())
    }

    /// What [`Log::open`](super::Log::open) needs to know of a partition.
    #[must_use]
    pub fn open_request(&self, partition: &TopicPartition, settings: Settings, now: TimestampMs) -> OpenRequest {
        let offset_in = |offsets: &BTreeMap<TopicPartition, Offset>| offsets.get(partition).copied();
        OpenRequest {
            partition: partition.clone(),
            path: self.partition_path(partition),
            settings,
            shutdown: self.inner.shutdown,
            recovery_point: offset_in(&self.inner.recovery_points).unwrap_or_default(),
            log_start_offset: offset_in(&self.inner.log_start_offsets).unwrap_or_default(),
            compacted_to: offset_in(&self.inner.compacted_offsets),
            is_on_disk: self.inner.is_on_disk.load(Ordering::Relaxed),
            now,
        }
    }

    /// Sets the files of a partition aside, for a person to look at: they are of another topic with the same name. Returns where they
    /// are now.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub async fn set_aside(&self, partition: &TopicPartition) -> Result<PathBuf, StorageError> {
        self.health().check()?;
        let path = self.partition_path(partition);
        let renamed = self.rename_partition(partition, stray_directory_name).await;
        let renamed = renamed.map_err(|error| self.inner.health.fail("rename", &path, &error))?;
        let synced = fs::sync_names(&self.inner.path).await;
        synced.map_err(|error| self.inner.health.fail("sync", &self.inner.path, &error))?;
        Ok(renamed)
    }

    /// The topic whose records a partition's directory holds; `None` when it does not say, or does not exist.
    #[must_use]
    pub fn topic_id_of(&self, partition: &TopicPartition) -> Option<TopicId> {
        topic_id_in(&self.partition_path(partition))
    }

    /// Begins the deletion of a partition: under its new name nobody finds it any more. Returns what [`LogDirectory::remove`] takes.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub async fn begin_deletion(&self, partition: &TopicPartition) -> Result<PathBuf, StorageError> {
        self.health().check()?;
        let path = self.partition_path(partition);
        let mut renamed = self.rename_partition(partition, deleted_directory_name).await;
        if renamed.as_ref().is_err_and(is_full) {
            // A new name may need room, and what goes gives it. What is left names its topic still: no start takes it for another's.
            let emptied = remove_segments(&path).await;
            emptied.map_err(|error| self.inner.health.fail("remove", &path, &error))?;
            renamed = self.rename_partition(partition, deleted_directory_name).await;
        }
        renamed.map_err(|error| self.inner.health.fail("rename", &path, &error))
    }

    async fn rename_partition(
        &self,
        partition: &TopicPartition,
        new_name: fn(&TopicPartition, u128) -> String,
    ) -> std::io::Result<PathBuf> {
        let mut unique = [0; 16];
        random::fill(&mut unique);
        let renamed = self.inner.path.join(new_name(partition, u128::from_be_bytes(unique)));
        fs::give_name(&self.partition_path(partition), &renamed).await?;
        Ok(renamed)
    }

    /// Removes the files of partitions whose deletion has begun, one after another. Their new names are on the disk before, or after a crash
    /// half of a partition would be there under its old one.
    ///
    /// # Errors
    /// [`StorageError::Failed`], [`StorageError::Offline`]; the next start finds the rest.
    pub async fn remove(&self, deleted: &[PathBuf]) -> Result<(), StorageError> {
        let synced = fs::sync_names(&self.inner.path).await;
        synced.map_err(|error| self.inner.health.fail("sync", &self.inner.path, &error))?;
        let due = time::now();
        for path in deleted {
            let remove = async |file: &Path| self.health().remove_file(file, due).await;
            match fs::remove_directory(path, remove).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StorageError::failed("remove", path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Writes down below which offsets recovery need not look: the answers of [`Log::checkpoint`](super::Log::checkpoint) of all
    /// partitions of this directory.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub fn write_recovery_points<'a>(
        &self,
        points: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
    ) -> Result<(), StorageError> {
        self.write(RECOVERY_POINTS, &encode_offsets(points))
    }

    /// Writes down from where on clients may read, where Kafka looks for it: the answers of
    /// [`Log::noted_log_start`](super::Log::noted_log_start) of all logs that were closed. What was known of others stays.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub fn write_log_start_offsets<'a>(
        &self,
        closed: impl IntoIterator<Item = (&'a TopicPartition, Option<Offset>)>,
    ) -> Result<(), StorageError> {
        self.write_closed(LOG_START_OFFSETS, &self.inner.log_start_offsets, closed)
    }

    /// Writes down how far logs are compacted, likewise: the answers of [`Log::compacted_to`](super::Log::compacted_to).
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub fn write_compacted_offsets<'a>(
        &self,
        closed: impl IntoIterator<Item = (&'a TopicPartition, Option<Offset>)>,
    ) -> Result<(), StorageError> {
        self.write_closed(COMPACTED_OFFSETS, &self.inner.compacted_offsets, closed)
    }

    fn write_closed<'a>(
        &self,
        name: &str,
        known: &BTreeMap<TopicPartition, Offset>,
        closed: impl IntoIterator<Item = (&'a TopicPartition, Option<Offset>)>,
    ) -> Result<(), StorageError> {
        let closed: BTreeMap<_, _> = closed.into_iter().collect();
        let is_other = |partition: &TopicPartition| {
            !closed.contains_key(partition) && fs::exists(self.partition_path(partition)).unwrap_or(true)
        };
        let others = known.iter().filter(|(partition, _)| is_other(partition));
        let noted = closed
            .iter()
            .filter_map(|(partition, offset)| offset.map(|offset| (*partition, offset)));
        let offsets = noted.chain(others.map(|(partition, offset)| (partition, *offset)));
        self.write(name, &encode_offsets(offsets))?;
        for partition in closed.keys() {
            // What stands in the partition's own directory would hide what Kafka notes later; one that stays tells the same for now.
            let _ = fs::remove_file(self.partition_path(partition).join(name));
        }
        Ok(())
    }

    /// Writes down up to where all replicas have the records: where Apache Kafka begins when it takes the directory over.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub fn write_high_watermarks<'a>(
        &self,
        offsets: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
    ) -> Result<(), StorageError> {
        self.write(HIGH_WATERMARKS, &encode_offsets(offsets))
    }

    /// Puts what a crash left on the disk before anybody looks into a log, where that saves syncs. A failure takes the directory offline.
    fn sync_at_once_if_sooner(&self) {
        let logs = self.partitions().map_or(0, |partitions| partitions.len());
        let is_sooner = fs::dirty_bytes().is_some_and(|dirty| is_sooner_synced_at_once(logs, dirty));
        let is_on_disk = is_sooner && self.sync_all().is_ok();
        self.inner.is_on_disk.store(is_on_disk, Ordering::Relaxed);
    }

    /// The logs that were there are open: from here on their files change.
    pub fn end_opening(&self) {
        self.inner.is_on_disk.store(false, Ordering::Relaxed);
    }

    /// Waits until everything that was written is on the disk, by a sync of the whole file system; holds the thread.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub fn sync_all(&self) -> Result<(), StorageError> {
        self.inner.health.check()?;
        let path = &self.inner.path;
        fs::sync_file_system(path).map_err(|error| self.inner.health.fail("sync", path, &error))
    }

    /// Marks a clean stop: every log of this directory was closed, and the recovery points are written.
    ///
    /// # Errors
    /// [`StorageError::Offline`]: the next start will recover.
    pub fn mark_clean_shutdown(&self, broker_epoch: i64) -> Result<(), StorageError> {
        self.write(CLEAN_SHUTDOWN, &encode_clean_shutdown(broker_epoch))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), StorageError> {
        self.inner.health.check()?;
        let path = self.inner.path.join(name);
        let written = replace_file_now(&path, text.as_bytes());
        written.map_err(|error| self.inner.health.fail("write", &path, &error))
    }
}

/// Removes the files of the segments of a partition; what names its topic stays.
async fn remove_segments(path: &Path) -> std::io::Result<()> {
    for entry in fs::list(path)? {
        if entry.name.to_str().is_some_and(|name| parse_file_name(name).is_some()) {
            fs::unlink(path.join(&entry.name)).await?;
        }
    }
    fs::sync_names(path).await
}

pub(super) fn partitions_in(path: &Path) -> Result<Vec<TopicPartition>, StorageError> {
    let names = directory_names(path)?;
    let partitions = names.iter().filter_map(|name| parse_directory_name(name));
    Ok(partitions.collect())
}

fn directory_names(path: &Path) -> Result<Vec<String>, StorageError> {
    let entries = fs::list(path).map_err(StorageError::failed("list", path))?;
    let names = entries.into_iter().filter(|entry| entry.is_directory);
    Ok(names.filter_map(|entry| entry.name.into_string().ok()).collect())
}

/// The topic id that a partition's directory names.
pub(super) fn topic_id_in(path: &Path) -> Option<TopicId> {
    let text = fs::read(path.join(PARTITION_METADATA)).ok()?;
    decode_partition_metadata(&text).ok()
}

/// Makes a directory and those above it, with names that are on the disk.
fn create_durably(path: &Path) -> std::io::Result<()> {
    let mut made = Vec::new();
    for above in path.ancestors().take_while(|above| !above.as_os_str().is_empty()) {
        if fs::exists(above)? {
            break;
        }
        made.push(above);
    }
    fs::create_directory_all(path)?;
    for directory in made {
        let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::sync_directory(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Whether the last stop was clean.
fn last_shutdown(path: &Path) -> std::io::Result<Shutdown> {
    match fs::exists(path.join(CLEAN_SHUTDOWN))? {
        true => Ok(Shutdown::Clean),
        false => Ok(Shutdown::Unclean),
    }
}

/// The offsets of a checkpoint; none when it is missing or torn, and then recovery looks at everything.
fn read_offsets(path: &Path) -> BTreeMap<TopicPartition, Offset> {
    let text = fs::read(path).unwrap_or_default();
    decode_offsets(&text).unwrap_or_default().into_iter().collect()
}
