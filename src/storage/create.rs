//! New partitions: their directories and empty logs, made through the ring, so that no core waits while the disk finds room for them.
//!
//! A partition is announced when all of it is on the disk. One that a crash left half made is made to its end when it is opened again: a
//! directory without segments is an empty log, and one without a topic's id gets it.

use std::io;
use std::path::Path;

use super::checkpoint::{begin_compacted_offset, begin_log_start_offset, begin_recovery_point, replace_file};
use super::directory::LogDirectory;
use super::error::StorageError;
use super::files::{Files, SegmentFiles, has_segments};
use super::log::Log;
use super::open::Report;
use crate::base::ids::{TopicId, TopicPartition};
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::names::PARTITION_METADATA;
use crate::log::properties::encode_partition_metadata;
use crate::log::{LogState, Settings};
use crate::rt::fs::{self, File};

impl LogDirectory {
    /// Opens the log of a partition that may have files here: recovers it where that is needed, makes it where there is none. Files of another
    /// topic with this name are set aside.
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
        match self.topic_id_of(partition) {
            Some(found) if found == topic_id => return self.open_known(partition, settings, now).await,
            Some(_) => report.set_aside = Some(self.set_aside(partition).await?),
            None => {}
        }
        match self.try_make(partition, topic_id, settings, now).await? {
            Some(log) => Ok((log, report)),
            None => {
                self.note_topic_id(partition, topic_id).await?;
                self.open_known(partition, settings, now).await
            }
        }
    }

    /// [`LogDirectory::open_log`] for a partition that has no files here, as far as anybody knows.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub async fn make_log(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        settings: Settings,
        now: TimestampMs,
    ) -> Result<(Log, Report), StorageError> {
        self.health().check()?;
        match self.try_make(partition, topic_id, settings, now).await? {
            Some(log) => Ok((log, Report::default())),
            None => self.open_log(partition, topic_id, settings, now).await,
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
        match self.try_make_directory(partition, topic_id).await? {
            Some(()) => self.sync_new(partition).await,
            None => self.note_topic_id(partition, topic_id).await,
        }
    }

    async fn open_known(
        &self,
        partition: &TopicPartition,
        settings: Settings,
        now: TimestampMs,
    ) -> Result<(Log, Report), StorageError> {
        Log::open(self.health(), self.open_request(partition, settings, now)).await
    }

    /// Makes a partition with an empty log; `None` when there is a directory of this name.
    async fn try_make(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        settings: Settings,
        now: TimestampMs,
    ) -> Result<Option<Log>, StorageError> {
        let made = self.try_make_directory(partition, topic_id).await?;
        if made.is_none() {
            return Ok(None);
        }
        let path = self.partition_path(partition);
        let active = SegmentFiles::make(&path, Offset::ZERO, self.health()).await?;
        self.sync_new(partition).await?;
        let state = LogState::new(Offset::ZERO, now);
        let files = Files::new(path, active);
        let log = Log::new(partition.clone(), self.health().clone(), settings, state, files);
        log.inner.durability.note_new_epoch();
        Ok(Some(log))
    }

    /// Makes the directory and the file that names the topic; `None` when there is one. Their names are not synced.
    async fn try_make_directory(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
    ) -> Result<Option<()>, StorageError> {
        let path = self.partition_path(partition);
        let make = async {
            match fs::make_directory(&path).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
                Err(error) => return Err(error),
            }
            self.hide_offsets(&path, partition).await?;
            // Half of it names no topic.
            let file = File::make(path.join(PARTITION_METADATA)).await?;
            file.write_at(FilePosition::ZERO, &[encode_partition_metadata(topic_id).as_bytes()])?;
            file.sync_data().await?;
            Ok(Some(()))
        };
        make.await
            .map_err(|error| self.health().fail_write("create", &path, &error))
    }

    /// Notes the id of its topic in a directory that has none.
    async fn note_topic_id(&self, partition: &TopicPartition, topic_id: TopicId) -> Result<(), StorageError> {
        let path = self.partition_path(partition);
        let note = async {
            if !has_segments(&path)? {
                // It was begun before a crash, and what is noted in it may not be all.
                self.hide_offsets(&path, partition).await?;
            }
            let text = encode_partition_metadata(topic_id);
            replace_file(path.join(PARTITION_METADATA), text.as_bytes()).await?;
            fs::sync_names(self.path()).await
        };
        note.await
            .map_err(|error| self.health().fail_write("create", &path, &error))
    }

    /// What the checkpoints of this directory say of the name is of another partition, deleted since: what stands in the partition's own
    /// directory counts instead. The names of that are on the disk before the topic's id is.
    async fn hide_offsets(&self, path: &Path, partition: &TopicPartition) -> io::Result<()> {
        let inner = &self.inner;
        let known = [
            &inner.recovery_points,
            &inner.log_start_offsets,
            &inner.compacted_offsets,
        ];
        let [recovery_point, log_start, compacted] = known.map(|offsets| offsets.contains_key(partition));
        if recovery_point {
            begin_recovery_point(path, partition).await?;
        }
        if log_start {
            begin_log_start_offset(path, partition).await?;
        }
        if compacted {
            begin_compacted_offset(path, partition).await?;
        }
        if recovery_point || log_start || compacted {
            fs::sync_names(path).await?;
        }
        Ok(())
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
