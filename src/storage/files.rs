//! The files of one log that are open, and what of them is not on the disk yet.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::cold::WhenCold;
use super::error::{Health, StorageError};
use super::index::{Gathered, IndexFile};
use super::open_files::{OpenFiles, Share};
use super::reserve::Leftover;
use crate::base::offset::{FilePosition, Offset};
use crate::log::index::{OffsetEntry, TimeEntry};
use crate::log::names::{FileKind, file_name, parse_file_name};
use crate::rt::fs::{self, File, Open};

/// Files of one segment that may be open: the batches and two indexes.
const FILES_PER_SEGMENT: usize = 3;

/// Closed segments whose files stay open for readers, of one log.
const READERS_MAX: usize = 2;

/// A segment's batches and its two indexes.
#[derive(Debug)]
pub(super) struct SegmentFiles {
    pub(super) base_offset: Offset,
    /// Opened when it is needed.
    log: Option<File>,
    pub(super) offset_index: IndexFile<8>,
    pub(super) time_index: IndexFile<12>,
}

impl SegmentFiles {
    /// Files that exist, with so many entries in the indexes.
    pub(super) fn existing(directory: &Path, base_offset: Offset, offset_entries: u32, time_entries: u32) -> Self {
        let path = |kind| directory.join(file_name(base_offset, kind));
        Self {
            base_offset,
            log: None,
            offset_index: IndexFile::new(path(FileKind::OffsetIndex), offset_entries),
            time_index: IndexFile::new(path(FileKind::TimeIndex), time_entries),
        }
    }

    /// Files that exist, the number of index entries being told by their sizes.
    pub(super) fn closed(directory: &Path, base_offset: Offset) -> Result<Self, StorageError> {
        let entries = |kind, bytes: u64| {
            let path = directory.join(file_name(base_offset, kind));
            let length = File::open(&path, Open::Read).and_then(|file| file.len());
            let length = length.map_err(StorageError::failed("open", &path))?;
            Ok(u32::try_from(length / bytes).unwrap_or(u32::MAX))
        };
        let offset_entries = entries(FileKind::OffsetIndex, 8)?;
        let time_entries = entries(FileKind::TimeIndex, 12)?;
        Ok(Self::existing(directory, base_offset, offset_entries, time_entries))
    }

    /// Files that were just written, and have no names yet that could be opened.
    pub(super) fn swapping(directory: &Path, base_offset: Offset, files: SwappingFiles) -> Self {
        let path = |kind| directory.join(file_name(base_offset, kind));
        Self {
            base_offset,
            log: Some(files.log),
            offset_index: files.offset_index.named(path(FileKind::OffsetIndex)),
            time_index: files.time_index.named(path(FileKind::TimeIndex)),
        }
    }

    /// Makes the files of a new segment, all empty.
    pub(super) fn create(directory: &Path, base_offset: Offset, health: &Health) -> Result<Self, StorageError> {
        let path = |kind| directory.join(file_name(base_offset, kind));
        let log_path = path(FileKind::Log);
        let made = create_empty(&log_path);
        made.map_err(|error| health.fail_write("create", &log_path, &error))?;
        Ok(Self {
            base_offset,
            log: None,
            offset_index: IndexFile::create(path(FileKind::OffsetIndex), health)?,
            time_index: IndexFile::create(path(FileKind::TimeIndex), health)?,
        })
    }

    /// [`SegmentFiles::create`] through the ring.
    pub(super) async fn make(directory: &Path, base_offset: Offset, health: &Health) -> Result<Self, StorageError> {
        for kind in [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex] {
            let path = directory.join(file_name(base_offset, kind));
            let made = File::make(&path).await;
            made.map_err(|error| health.fail_write("create", &path, &error))?;
        }
        Ok(Self::existing(directory, base_offset, 0, 0))
    }

    /// The file of the batches.
    pub(super) fn log(&mut self, directory: &Path) -> Result<File, StorageError> {
        if let Some(log) = &self.log {
            return Ok(log.clone());
        }
        let path = directory.join(file_name(self.base_offset, FileKind::Log));
        let log = File::open(&path, Open::ReadWrite).map_err(StorageError::failed("open", &path))?;
        self.log = Some(log.clone());
        Ok(log)
    }

    pub(super) fn push_entries(
        &mut self,
        offset: Option<OffsetEntry>,
        time: Option<TimeEntry>,
        health: &Health,
    ) -> Result<(), StorageError> {
        if let Some(bytes) = offset.and_then(|entry| entry.encode(self.base_offset)) {
            self.offset_index.push(bytes, health)?;
        }
        if let Some(bytes) = time.and_then(|entry| entry.encode(self.base_offset)) {
            self.time_index.push(bytes, health)?;
        }
        Ok(())
    }

    /// What both indexes have gathered in memory.
    pub(super) fn gathered(&self) -> io::Result<GatheredIndexes> {
        Ok(GatheredIndexes {
            base_offset: self.base_offset,
            offset: self.offset_index.gathered()?,
            time: self.time_index.gathered()?,
        })
    }

    /// That is in the files, of this segment or of one before it.
    pub(super) fn note_written(&mut self, indexes: &GatheredIndexes) {
        if self.base_offset == indexes.base_offset {
            self.offset_index.note_written(&indexes.offset);
            self.time_index.note_written(&indexes.time);
        }
    }

    /// Where a search for `offset` begins: the last batch in the index that ends at or before it, else the front.
    pub(super) fn floor_of_offset(
        &mut self,
        offset: Offset,
        when_cold: WhenCold,
    ) -> Result<FilePosition, StorageError> {
        let base_offset = self.base_offset;
        let entry = self.offset_index.last_where(
            |bytes| OffsetEntry::decode(bytes, base_offset).last_offset <= offset,
            when_cold,
        )?;
        Ok(entry.map_or(FilePosition::ZERO, |bytes| {
            OffsetEntry::decode(&bytes, base_offset).position
        }))
    }

    /// The last batch in the index that begins at or before `position`, else the front.
    pub(super) fn floor_of_position(
        &mut self,
        position: FilePosition,
        when_cold: WhenCold,
    ) -> Result<FilePosition, StorageError> {
        let base_offset = self.base_offset;
        let entry = self.offset_index.last_where(
            |bytes| OffsetEntry::decode(bytes, base_offset).position <= position,
            when_cold,
        )?;
        Ok(entry.map_or(FilePosition::ZERO, |bytes| {
            OffsetEntry::decode(&bytes, base_offset).position
        }))
    }

    /// Closes all three until they are needed again.
    pub(super) fn release(&mut self) {
        self.log = None;
        self.offset_index.release();
        self.time_index.release();
    }
}

/// What the indexes of a segment had gathered in memory at some moment.
pub(super) struct GatheredIndexes {
    base_offset: Offset,
    offset: Gathered,
    time: Gathered,
}

impl GatheredIndexes {
    /// Writes it to the files, through the ring.
    pub(super) async fn write(&self) -> io::Result<()> {
        self.offset.write().await?;
        self.time.write().await
    }

    pub(super) fn into_files(self) -> [File; 2] {
        [self.offset.into_file(), self.time.into_file()]
    }
}

/// The open files of a segment that compaction has written.
#[derive(Debug)]
pub(super) struct SwappingFiles {
    pub(super) log: File,
    pub(super) offset_index: IndexFile<8>,
    pub(super) time_index: IndexFile<12>,
}

/// Makes a file, or empties the one that is there.
pub(super) fn create_empty(path: &Path) -> io::Result<File> {
    let file = File::open(path, Open::Create)?;
    if !file.is_empty()? {
        file.truncate(0)?;
    }
    Ok(file)
}

/// The names of what is in a partition's directory, in order; none where it does not exist.
pub(super) fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.into_iter().map(|entry| entry.name.into_string());
    Ok(names.filter_map(Result::ok).collect())
}

/// Whether a partition's directory exists and has files of batches.
pub(super) fn has_segments(path: &Path) -> io::Result<bool> {
    let names = names_in(path)?;
    let mut kinds = names.iter().filter_map(|name| parse_file_name(name));
    Ok(kinds.any(|(_, kind)| kind == FileKind::Log))
}

/// All files of one log.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) directory: Rc<Path>,
    pub(super) active: SegmentFiles,
    /// Closed segments that were read last, the most recent first.
    readers: Vec<SegmentFiles>,
    /// A compacted segment whose files have no names of their own yet: open, for nobody could open them.
    pub(super) swapping: Option<SegmentFiles>,
    /// Closed segments that are not wholly on the disk, oldest first.
    pub(super) closing: Vec<Closing>,
    /// A file was needed since the last look.
    is_used: bool,
    /// Of the files that the logs of a core may have open.
    share: Option<Share>,
}

/// A segment that was rolled, until all its files are on the disk.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    pub(super) base_offset: Offset,
    pub(super) log: File,
    /// Whether `log` is on the disk.
    pub(super) is_synced: Rc<Cell<bool>>,
    /// Indexes and producer snapshot: they must be on the disk before the recovery point may pass.
    pub(super) derived: Vec<File>,
    /// Blocks behind its end, until they are given back.
    pub(super) leftover: Rc<RefCell<Option<Leftover>>>,
}

impl Files {
    pub(super) fn new(directory: PathBuf, active: SegmentFiles) -> Self {
        Self {
            directory: Rc::from(directory),
            active,
            readers: Vec::new(),
            swapping: None,
            closing: Vec::new(),
            is_used: false,
            share: None,
        }
    }

    /// Among which files these count, if they do.
    pub(super) fn counted_in(&self) -> Option<OpenFiles> {
        self.share.as_ref().map(Share::open_files)
    }

    /// From now on the files count among those that the logs of a core may have open.
    pub(super) fn count_in(&mut self, share: Share) {
        self.share = Some(share);
        self.release();
    }

    /// Up to so many files are about to be open.
    fn may_open(&mut self, files: usize) {
        if let Some(share) = &mut self.share {
            share.raise_to(files);
        }
    }

    /// The active segment's file of batches.
    pub(super) fn active_log(&mut self) -> Result<File, StorageError> {
        self.is_used = true;
        if self.active.log.is_none() {
            self.may_open(1);
        }
        self.active.log(&self.directory)
    }

    /// The files of a segment, to be read.
    pub(super) fn segment(&mut self, base_offset: Offset) -> Result<&mut SegmentFiles, StorageError> {
        self.is_used = true;
        // The active segment's, and those of readers: the one that is looked for may come to them.
        self.may_open(FILES_PER_SEGMENT * (1 + READERS_MAX.min(self.readers.len() + 1)));
        if self.active.base_offset == base_offset {
            return Ok(&mut self.active);
        }
        if let Some(swapping) = self.swapping.as_mut().filter(|files| files.base_offset == base_offset) {
            return Ok(swapping);
        }
        let known = self.readers.iter().position(|files| files.base_offset == base_offset);
        let files = match known {
            Some(index) => self.readers.remove(index),
            None => SegmentFiles::closed(&self.directory, base_offset)?,
        };
        self.readers.truncate(READERS_MAX - 1);
        self.readers.insert(0, files);
        Ok(&mut self.readers[0])
    }

    /// Lets go of a closed segment that is not of this log any more; those who read it keep its file.
    pub(super) fn forget(&mut self, base_offset: Offset) {
        self.readers.retain(|files| files.base_offset != base_offset);
        self.closing.retain(|files| files.base_offset != base_offset);
    }

    /// Bytes on the heap, closely estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_segment = |files: &SegmentFiles| files.offset_index.heap_bytes() + files.time_index.heap_bytes();
        let readers: usize = self.readers.iter().map(of_segment).sum();
        self.directory.as_os_str().len()
            + of_segment(&self.active)
            + readers
            + self.readers.capacity() * size_of::<SegmentFiles>()
            + self.closing.capacity() * size_of::<Closing>()
    }

    /// Whether no file is open.
    #[cfg(all(test, not(feature = "sim")))]
    pub(super) fn are_closed(&self) -> bool {
        self.active.log.is_none() && self.readers.is_empty() && self.closing.is_empty()
    }

    /// Closes all files when none was needed since the last call.
    pub(super) fn release_idle(&mut self) {
        if !self.take_used_mark() {
            self.release();
        }
    }

    /// Whether a file was needed since the last call.
    pub(super) fn take_used_mark(&mut self) -> bool {
        std::mem::take(&mut self.is_used)
    }

    /// Closes the files of a log that others want to open files for; says whether any was open.
    pub(super) fn leave_ring(&mut self) -> bool {
        let had_files = self.share.as_mut().is_some_and(Share::leave_ring);
        self.release();
        had_files
    }

    /// Closes what nobody reads just now.
    pub(super) fn release(&mut self) {
        self.readers.clear();
        self.active.release();
        if let Some(share) = &mut self.share {
            share.closed();
        }
    }
}
