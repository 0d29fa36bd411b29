//! New partitions: their directories and empty logs, made through the ring, so that no core waits while the disk finds room for them.
//!
//! A partition is announced when all of it is on the disk. One that a crash left half made is made to its end when it is opened again: a
//! directory without segments is an empty log, and one without a topic's id gets it.

use std::io;
use std::path::Path;

use super::checkpoint::{begin_compacted_offset, begin_log_start_offset, begin_recovery_point, replace_file};
use super::directory::LogDirectory;
use super::error::StorageError;
use super::files::{Files, SegmentFiles};
use super::log::Log;
use super::open::Report;
use crate::base::ids::{TopicId, TopicPartition};
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::names::PARTITION_METADATA;
use crate::log::properties::encode_partition_metadata;
use crate::log::{LogState, Settings};
use crate::rt::fs::{self, File};

/// What was there of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    Nothing,
    Something,
}

impl LogDirectory {
    /// Opens the log of a partition: makes it where there is none, recovers it where that is needed. Files of another topic with this name are
    /// set aside.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub async fn open_log(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        settings: Settings,
        now: TimestampMs,
    ) -> Result<(Log, Report), StorageError> {
        self.health().check()?;
        let mut report = Report::default();
        let before = match self.topic_id_of(partition) {
            Some(found) if found == topic_id => Before::Something,
            Some(_) => {
                report.set_aside = Some(self.set_aside(partition).await?);
                self.make_partition(partition, topic_id).await?
            }
            None => self.make_partition(partition, topic_id).await?,
        };
        match before {
            Before::Nothing => {
                let log = self.make_log(partition, settings, now).await?;
                self.sync_new(partition).await?;
                Ok((log, report))
            }
            Before::Something => Log::open(self.health(), self.open_request(partition, settings, now)).await,
        }
    }

    /// Makes the directory of a partition and notes its topic's id in it. One that exists gets the id if it has none.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub async fn create_partition(&self, partition: &TopicPartition, topic_id: TopicId) -> Result<(), StorageError> {
        self.health().check()?;
        if self.topic_id_of(partition) == Some(topic_id) {
            return Ok(());
        }
        match self.make_partition(partition, topic_id).await? {
            Before::Nothing => self.sync_new(partition).await,
            Before::Something => Ok(()),
        }
    }

    /// Makes the directory and the file that names the topic. The names of what is new are not synced.
    async fn make_partition(&self, partition: &TopicPartition, topic_id: TopicId) -> Result<Before, StorageError> {
        let path = self.partition_path(partition);
        let text = encode_partition_metadata(topic_id);
        let metadata = path.join(PARTITION_METADATA);
        let make = async {
            match fs::make_directory(&path).await {
                Ok(()) => {
                    self.hide_offsets(&path, partition).await?;
                    // Half of it names no topic.
                    let file = File::make(&metadata).await?;
                    file.write_at(FilePosition::ZERO, &[text.as_bytes()])?;
                    file.sync_data().await?;
                    Ok(Before::Nothing)
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    replace_file(metadata, text.as_bytes()).await?;
                    fs::sync_names(self.path()).await?;
                    Ok(Before::Something)
                }
                Err(error) => Err(error),
            }
        };
        make.await
            .map_err(|error| self.health().fail_write("create", &path, &error))
    }

    /// What the checkpoints of this directory say of the name is of another partition, deleted since: what stands in the partition's own
    /// directory counts instead.
    async fn hide_offsets(&self, path: &Path, partition: &TopicPartition) -> io::Result<()> {
        if self.inner.recovery_points.contains_key(partition) {
            begin_recovery_point(path, partition).await?;
        }
        if self.inner.log_start_offsets.contains_key(partition) {
            begin_log_start_offset(path, partition).await?;
        }
        if self.inner.compacted_offsets.contains_key(partition) {
            begin_compacted_offset(path, partition).await?;
        }
        Ok(())
    }

    /// The empty log of a directory that was just made.
    async fn make_log(
        &self,
        partition: &TopicPartition,
        settings: Settings,
        now: TimestampMs,
    ) -> Result<Log, StorageError> {
        let path = self.partition_path(partition);
        let active = SegmentFiles::make(&path, Offset::ZERO, self.health()).await?;
        let state = LogState::new(Offset::ZERO, now);
        let files = Files::new(path, active);
        let log = Log::new(partition.clone(), self.health().clone(), settings, state, files);
        log.inner.durability.note_new_epoch();
        Ok(log)
    }

    /// Waits until the names of a new partition are on the disk: what is in it first, so that whoever finds it finds that too.
    async fn sync_new(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        let path = self.partition_path(partition);
        let sync = async {
            fs::sync_names(&path).await?;
            fs::sync_names(self.path()).await
        };
        sync.await.map_err(|error| self.health().fail("sync", &path, &error))
    }
}
