//! Writes a new segment beside the old ones: batches, indexes, aborted transactions.

use std::path::{Path, PathBuf};

use super::{Ended, breathe_deeply};
use crate::base::offset::{FilePosition, Offset};
use crate::base::step_bytes::StepBytes;
use crate::log::aborted::AbortedTransaction;
use crate::log::names::{FileKind, FileMark, marked_file_name};
use crate::log::recovery::rebuild::Rebuild;
use crate::log::{Batch, Segment};
use crate::record::BatchHeader;
use crate::rt::fs::{self, Directory, File};
use crate::rt::time;
use crate::storage::Log;
use crate::storage::error::{StorageError, is_full};
use crate::storage::files::SwappingFiles;
use crate::storage::index::IndexFile;

/// Fewest and most bytes gathered for one write: new pages of the page cache are slow to come by.
const WRITE_BYTES_MIN: usize = 16 * 1024;
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// Bytes written between two syncs, so that the disk never has many to write at once.
const SYNC_BYTES: u64 = 1024 * 1024;

/// The kinds of files that compaction replaces. Producer snapshots stay: they are of offsets, not of segments.
pub(super) const KINDS: [FileKind; 4] = [
    FileKind::OffsetIndex,
    FileKind::TimeIndex,
    FileKind::TransactionIndex,
    FileKind::Log,
];

/// A segment that is being written.
pub(super) struct SegmentWriter {
    path: PathBuf,
    file: File,
    rebuild: Rebuild,
    aborted: Vec<u8>,
    gathered: Vec<u8>,
    step_bytes: StepBytes,
    written: u64,
    synced: u64,
}

/// A segment that was written, and is on the disk under its first names.
pub(super) struct Cleaned {
    pub(super) segment: Segment,
    pub(super) files: SwappingFiles,
    /// Kinds of files that it has.
    pub(super) kinds: Vec<FileKind>,
}

impl SegmentWriter {
    pub(super) async fn create(log: &Log, base_offset: Offset) -> Result<Self, Ended> {
        let file = log.write_cleaned(base_offset, FileKind::Log, Vec::new()).await?;
        let path = log.cleaned_path(base_offset, FileKind::Log);
        let interval = log.inner.settings.get().index_interval_bytes;
        Ok(Self {
            path,
            file,
            rebuild: Rebuild::new(base_offset, crate::rt::time::wall(), interval),
            aborted: Vec::new(),
            gathered: Vec::with_capacity(WRITE_BYTES_MAX),
            step_bytes: StepBytes::new(WRITE_BYTES_MIN, WRITE_BYTES_MAX),
            written: 0,
            synced: 0,
        })
    }

    /// Adds a batch; what is enough for a write is written.
    pub(super) async fn put(&mut self, log: &Log, bytes: &[u8]) -> Result<(), Ended> {
        let batch = BatchHeader::decode(bytes).map(|header| Batch::from_header(&header));
        let batch = batch.ok().filter(|batch| self.rebuild.accepts(batch));
        let Some(batch) = batch else {
            return Err(Ended::Failed(StorageError::Damaged {
                path: log.path(),
                position: self.rebuild.position(),
                offset: self.rebuild.next_offset(),
                what: "a batch does not fit a segment after the batches before it",
            }));
        };
        self.rebuild.take(&batch);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.step_bytes.at(FilePosition(self.written)) - self.gathered.len();
            let (piece, after) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.gathered.extend_from_slice(piece);
            rest = after;
            if piece.len() == room {
                self.write(log).await?;
            }
        }
        Ok(())
    }

    /// Adds an aborted transaction whose marker is in this segment.
    pub(super) fn put_aborted(&mut self, aborted: &AbortedTransaction) {
        self.aborted.extend_from_slice(&aborted.encode());
    }

    /// Bytes that were written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Writes what was gathered.
    async fn write(&mut self, log: &Log) -> Result<(), Ended> {
        breathe_deeply("compaction: write").await;
        let began = time::now();
        let written = self.file.write_at(FilePosition(self.written), &[&self.gathered]);
        written.map_err(|error| log.write_failed("write", &self.path, error))?;
        self.step_bytes.note(time::now().since(began));
        self.written += self.gathered.len() as u64;
        self.gathered.clear();
        if self.written - self.synced >= SYNC_BYTES {
            self.sync(log).await?;
        }
        Ok(())
    }

    async fn sync(&mut self, log: &Log) -> Result<(), Ended> {
        let written = self.written;
        let synced = self.file.sync_data().await;
        synced.map_err(|error| log.inner.health.fail("sync", &self.path, &error))?;
        self.synced = written;
        Ok(())
    }

    /// Writes what is left, and the indexes; all of it is on the disk then.
    pub(super) async fn finish(mut self, log: &Log) -> Result<Cleaned, Ended> {
        self.write(log).await?;
        self.sync(log).await?;
        self.rebuild.close();
        let (offset_index, time_index) = self.rebuild.index_files();
        let base_offset = self.rebuild.segment().base_offset;
        let mut kinds = vec![FileKind::OffsetIndex, FileKind::TimeIndex];
        let offset_file = write_whole(log, base_offset, FileKind::OffsetIndex, offset_index).await?;
        let time_file = write_whole(log, base_offset, FileKind::TimeIndex, time_index).await?;
        if !self.aborted.is_empty() {
            write_whole(log, base_offset, FileKind::TransactionIndex, &self.aborted).await?;
            kinds.push(FileKind::TransactionIndex);
        }
        kinds.push(FileKind::Log);
        let active = self.rebuild.active();
        Ok(Cleaned {
            segment: self.rebuild.segment(),
            files: SwappingFiles {
                log: self.file,
                offset_index: IndexFile::written(offset_file, active.offset_index_entries),
                time_index: IndexFile::written(time_file, active.time_index_entries),
            },
            kinds,
        })
    }
}

/// Writes a file of a new segment, and waits until it is on the disk.
async fn write_whole(log: &Log, base_offset: Offset, kind: FileKind, bytes: &[u8]) -> Result<File, Ended> {
    let file = log.write_cleaned(base_offset, kind, bytes.to_vec()).await?;
    let path = log.cleaned_path(base_offset, kind);
    let synced = file.sync_data().await;
    synced.map_err(|error| log.inner.health.fail("sync", &path, &error))?;
    Ok(file)
}

impl Log {
    /// Makes a file of a new segment.
    async fn write_cleaned(&self, base_offset: Offset, kind: FileKind, content: Vec<u8>) -> Result<File, Ended> {
        self.check_compactable()?;
        let path = self.path();
        let name = marked_file_name(base_offset, kind, FileMark::Cleaned);
        let written = match Directory::open(&path) {
            Ok(directory) => directory.write_file(&name, content).await,
            Err(error) => Err(error),
        };
        written.map_err(|error| self.write_failed("create", &path.join(name), error))
    }

    pub(super) fn cleaned_path(&self, base_offset: Offset, kind: FileKind) -> PathBuf {
        self.path().join(marked_file_name(base_offset, kind, FileMark::Cleaned))
    }

    /// A new segment cannot be written. For want of room the log stays as it is: nobody was told anything of what is written here.
    pub(super) fn write_failed(&self, action: &'static str, path: &Path, error: std::io::Error) -> Ended {
        if self.inner.durability.is_retired() {
            return Ended::GivenUp;
        }
        Ended::Failed(if is_full(&error) {
            StorageError::failed(action, path)(error)
        } else {
            self.inner.health.fail(action, path, &error)
        })
    }

    /// Removes a new segment that was given up; what cannot be removed, the next round writes over.
    pub(super) fn remove_cleaned(&self, base_offset: Offset) {
        if self.inner.durability.is_retired() {
            return;
        }
        for kind in KINDS {
            let _ = fs::remove_file(self.cleaned_path(base_offset, kind));
        }
    }
}
