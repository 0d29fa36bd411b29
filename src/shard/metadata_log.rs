//! The log of metadata records, `__cluster_metadata-0`: Kafka's records in Kafka's file format.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_wire::messages::metadata::MetadataRecord;
use duramen_wire::messages::voters_record::Voter;

use crate::base::ids::{LeaderEpoch, NodeId};
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::read::FirstBatch;
use crate::log::{Origin, ReadError, ReadRequest};
use crate::metadata::quorum::{QUORUM_STATE, Quorum, SnapshotId, encode_quorum_state, quorum_epoch};
use crate::metadata::{
    LoadError, METADATA_TOPIC, MetadataImage, abort_transaction, apply_batch, encode_record, encode_snapshot,
    read_snapshot,
};
use crate::record::{BatchBuilder, BatchView, Batches, Decompressor, Record};
use crate::rt;
use crate::storage::{Log, NewBatch, StorageError};

/// Bytes of the log that are read at a time.
const READ_BYTES: u32 = 1024 * 1024;

/// Bytes that one batch of records may expand to; Kafka's metadata batches are never compressed, and small.
const EXPANDED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The first records of a cluster that `kafka-storage format` made and that nobody has started yet.
const BOOTSTRAP: &str = "bootstrap.checkpoint";

/// The leader epoch of the metadata log that was begun last in these log directories, as their quorum's state tells: each start of a broker
/// begins one, of ours and of Apache Kafka. `None` where there is no state, or it cannot be read.
#[must_use]
pub fn last_controller_epoch<'a>(log_directories: impl IntoIterator<Item = &'a Path>) -> Option<LeaderEpoch> {
    let states = log_directories.into_iter().filter_map(|directory| {
        let partition = directory.join(format!("{METADATA_TOPIC}-0"));
        quorum_epoch(&rt::fs::read(partition.join(QUORUM_STATE)).ok()?)
    });
    states.max()
}

/// Why metadata cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{}: {error}", .directory.display())]
    Load { directory: PathBuf, error: LoadError },
    #[error("a change is too large for one batch: {0}")]
    TooLarge(String),
    #[error("{}: it begins at offset {begin}, and no whole snapshot reaches there", .directory.display())]
    NoBegin { directory: PathBuf, begin: Offset },
    #[error("{}: it ends at offset {end}, before its snapshot {snapshot}", .directory.display())]
    NoEnd {
        directory: PathBuf,
        end: Offset,
        snapshot: SnapshotId,
    },
    #[error("the log cannot be read at offset {0}")]
    Gap(Offset),
}

/// The open log.
pub struct MetadataLog {
    log: Log,
    pub(super) leader_epoch: Cell<LeaderEpoch>,
    /// Bytes of batches behind the newest snapshot.
    pub(super) bytes_since_snapshot: Cell<u64>,
    workspace: RefCell<Decompressor>,
}

impl MetadataLog {
    /// Takes over an open log, to read it; [`begin`](Self::begin) comes before the first append.
    #[must_use]
    pub fn new(log: Log) -> Self {
        Self {
            log,
            leader_epoch: Cell::new(LeaderEpoch(0)),
            bytes_since_snapshot: Cell::new(0),
            workspace: RefCell::new(Decompressor::new(EXPANDED_BYTES_MAX)),
        }
    }

    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The state of the cluster `cluster_id`: the newest snapshot that is whole, and the records of the log after it.
    ///
    /// # Errors
    /// The log is damaged, or says what this broker does not understand.
    pub fn load(&self, cluster_id: &Arc<str>) -> Result<MetadataImage, MetadataLogError> {
        let mut image = self.load_snapshot(cluster_id)?;
        let upper = self.log.log_end_offset();
        let mut offset = image.end_offset;
        while offset < upper {
            let request = ReadRequest {
                offset,
                upper,
                bytes_max: READ_BYTES,
                first_batch: FirstBatch::Whole,
            };
            let range = self
                .log
                .read(&request)?
                .map_err(|ReadError::OutOfRange { offset, .. }| MetadataLogError::Gap(offset))?;
            let range = range.ok_or(MetadataLogError::Gap(offset))?;
            let bytes = range.read().map_err(|source| StorageError::Failed {
                action: "read",
                path: self.log.path(),
                source,
            })?;
            for batch in Batches::new(&bytes) {
                let batch = batch.map_err(|error| self.damaged(LoadError::Batch { offset, error }))?;
                let applied = apply_batch(&batch, &mut image, &mut self.workspace.borrow_mut());
                applied.map_err(|error| self.damaged(error))?;
                self.note_batch(batch.bytes().len());
                offset = batch.header().next_offset();
            }
            crate::check!(offset >= range.next_offset, "a read of the metadata log moves on");
        }
        Ok(image)
    }

    /// Takes back, in the image, what a metadata transaction has done that nobody ended; says whether there is one, for the log.
    ///
    /// # Errors
    /// [`MetadataLogError::Load`].
    pub fn end_transaction_of(&self, image: &mut MetadataImage) -> Result<bool, MetadataLogError> {
        if !image.is_in_transaction() {
            return Ok(false);
        }
        let offset = image.end_offset;
        let ended = image.replay(&abort_transaction());
        ended.map_err(|error| self.damaged(LoadError::Replay { offset, error }))?;
        image.end_offset = offset;
        Ok(true)
    }

    fn load_snapshot(&self, cluster_id: &Arc<str>) -> Result<MetadataImage, MetadataLogError> {
        let (begin, end) = (self.log.log_start_offset(), self.log.log_end_offset());
        let directory = || self.log.path();
        for id in self.snapshots()? {
            let name = id.to_string();
            let bytes = self.log.read_beside(&name)?.unwrap_or_default();
            match read_snapshot(&bytes, id, cluster_id, &mut self.workspace.borrow_mut()) {
                Ok(image) if id.end_offset >= begin => {
                    if id.end_offset > end {
                        return Err(MetadataLogError::NoEnd {
                            directory: directory(),
                            end,
                            snapshot: id,
                        });
                    }
                    return Ok(image);
                }
                Ok(_) => break,
                Err(error) => {
                    let path = directory().join(name);
                    tracing::warn!(path = %path.display(), %error, "a metadata snapshot is not whole; an older one or the log is read instead");
                }
            }
        }
        if begin > Offset::ZERO {
            return Err(MetadataLogError::NoBegin {
                directory: directory(),
                begin,
            });
        }
        Ok(MetadataImage::new(cluster_id))
    }

    /// The snapshots beside the log, the newest first.
    pub(super) fn snapshots(&self) -> Result<Vec<SnapshotId>, StorageError> {
        let names = self.log.files_beside()?;
        let mut ids: Vec<SnapshotId> = names.iter().filter_map(|name| SnapshotId::parse(name)).collect();
        ids.sort_unstable_by(|left, right| right.cmp(left));
        Ok(ids)
    }

    /// What `kafka-storage format` wants a new cluster to begin with; `None`, where it was not run.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bootstrap_image(&self, cluster_id: &Arc<str>) -> Result<Option<MetadataImage>, MetadataLogError> {
        let Some(bytes) = self.log.read_above(BOOTSTRAP)? else {
            return Ok(None);
        };
        let image = read_snapshot(&bytes, SnapshotId::BEGIN, cluster_id, &mut self.workspace.borrow_mut());
        image.map(Some).map_err(|error| MetadataLogError::Load {
            directory: self.log.path().with_file_name(BOOTSTRAP),
            error,
        })
    }

    /// A leader epoch that is new in this log and in the quorum.
    ///
    /// # Errors
    /// The state of the quorum cannot be read.
    pub fn next_epoch(&self) -> Result<LeaderEpoch, MetadataLogError> {
        let last = self.log.with_state(|state| state.epochs().latest());
        let voted = self.log.read_beside(QUORUM_STATE)?.and_then(|text| quorum_epoch(&text));
        let last = last.into_iter().chain(voted).max().unwrap_or(LeaderEpoch(0));
        Ok(LeaderEpoch(last.0.saturating_add(1)))
    }

    /// Begins to append, in the [`next_epoch`](Self::next_epoch). A log without a record tells who votes, so that Apache Kafka can take it
    /// over.
    ///
    /// # Errors
    /// The epoch cannot be noted.
    pub async fn begin(
        &self,
        epoch: LeaderEpoch,
        image: &mut MetadataImage,
        voter: Voter,
    ) -> Result<(), MetadataLogError> {
        let node = NodeId(voter.voter_id);
        if self.log.log_end_offset() == Offset::ZERO && self.snapshots()?.is_empty() {
            let quorum = Quorum {
                kraft_version: Quorum::KRAFT_VERSION_MAX,
                voters: vec![voter],
                ..Quorum::default()
            };
            image.quorum = Arc::new(quorum);
            let bytes = encode_snapshot(image, SnapshotId::BEGIN, rt::time::wall());
            let bytes = bytes.map_err(|error| MetadataLogError::TooLarge(error.to_string()))?;
            self.log.write_beside(&SnapshotId::BEGIN.to_string(), &bytes).await?;
        }
        Arc::make_mut(&mut image.quorum).leader_epoch = Some(epoch);
        self.leader_epoch.set(epoch);
        self.log.begin_epoch(epoch)?;
        let state = encode_quorum_state(node, epoch);
        self.log.write_beside(QUORUM_STATE, state.as_bytes()).await?;
        Ok(())
    }

    fn note_batch(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = self.bytes_since_snapshot.get();
        self.bytes_since_snapshot.set(before.saturating_add(bytes));
    }

    fn damaged(&self, error: LoadError) -> MetadataLogError {
        MetadataLogError::Load {
            directory: self.log.path(),
            error,
        }
    }

    /// Appends records as one batch and waits until they are on the disk; the end of the log after them.
    ///
    /// # Errors
    /// The log is offline, or the records are too large for a batch; none of them counts then.
    pub async fn append(&self, records: &[MetadataRecord], now: TimestampMs) -> Result<Offset, MetadataLogError> {
        let too_large = |error: &dyn std::fmt::Display| MetadataLogError::TooLarge(error.to_string());
        let mut builder = BatchBuilder::new();
        for record in records {
            rt::task::begin_part("encode metadata");
            let value = encode_record(record).map_err(|error| too_large(&error))?;
            let added = builder.append(&Record::new(now, None, Some(&value)));
            added.map_err(|error| too_large(&error))?;
            rt::task::yield_if_needed().await;
        }
        let bytes = builder.build().map_err(|error| too_large(&error))?;
        let end_offset = {
            let view = BatchView::parse_only(&bytes).map_err(|error| too_large(&error))?;
            let batch = NewBatch::as_it_is(&view);
            let (origin, leader_epoch) = (Origin::Coordinator, self.leader_epoch.get());
            let ahead = self.log.write_ahead(&batch, &bytes, origin, leader_epoch, now).await?;
            let outcomes = self.log.append(&[batch.behind(&ahead)], origin, leader_epoch, now)?;
            for outcome in outcomes {
                outcome.map_err(|error| too_large(&error))?;
            }
            self.log.log_end_offset()
        };
        self.log.make_durable(end_offset).await?;
        self.note_batch(bytes.len());
        Ok(end_offset)
    }
}
