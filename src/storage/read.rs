//! Carries out the plans of reads: from offsets to ranges of files.

use std::path::{Path, PathBuf};

use super::cold::{WhenCold, read_at};
use super::error::StorageError;
use super::files::SegmentFiles;
use super::log::Log;
use crate::base::offset::{FilePosition, Offset};
use crate::log::names::{FileKind, file_name};
use crate::log::read::{FirstBatch, Hint, Place, plan_next_segment};
use crate::log::scan::{Located, Search, find_boundary, find_offset};
use crate::log::{ReadError, ReadPlan, ReadRequest, plan_read};
use crate::record::BATCH_HEADER_BYTES;
use crate::rt::fs::File;

/// Bytes read at once where short batches are walked: an index interval and a header.
const PIECE_BYTES: usize = 8 * 1024;
/// A batch up to this size has neighbours worth reading with it. A longer one is stepped over by its header alone, so that records
/// are not copied out of the page cache; with the usual index interval it has an index entry of its own, and the walk is a step long.
const SHORT_BATCH_BYTES: u64 = 4 * 1024;

/// Whole batches in a file.
#[derive(Clone, Debug)]
pub struct FileRange {
    pub file: File,
    pub position: FilePosition,
    /// More than 0.
    pub length: u32,
    /// Offset that follows the range: where a sequential reader goes on.
    pub next_offset: Offset,
}

impl FileRange {
    /// The bytes themselves, read on the spot: for ranges that are small and likely cached.
    ///
    /// # Errors
    /// What the read says; `UnexpectedEof` when the file is shorter than the log knows.
    pub fn read(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.length).unwrap_or(usize::MAX)];
        let count = self.file.read_at(self.position, &mut bytes)?;
        if count < bytes.len() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

impl Log {
    /// Finds the batches from `request.offset` on: at least the one that holds it, no more than `bytes_max` unless the first alone
    /// is larger, none that reaches `upper`, all of one segment. `None` when there is nothing yet, or the first does not fit.
    ///
    /// # Errors
    /// The outer error is the disk's, the inner one the reader's.
    pub fn read(&self, request: &ReadRequest) -> Result<Result<Option<FileRange>, ReadError>, StorageError> {
        self.read_with(request, WhenCold::Wait)
    }

    /// As [`Log::read`], but it does not wait for the disk: what has to be searched may be cold.
    ///
    /// # Errors
    /// [`StorageError::Cold`], and as [`Log::read`].
    pub fn read_warm(&self, request: &ReadRequest) -> Result<Result<Option<FileRange>, ReadError>, StorageError> {
        self.read_with(request, WhenCold::Tell)
    }

    fn read_with(
        &self,
        request: &ReadRequest,
        when_cold: WhenCold,
    ) -> Result<Result<Option<FileRange>, ReadError>, StorageError> {
        self.inner.health.check()?;
        let plan = plan_read(&self.inner.state.borrow(), request);
        let mut plan = match plan {
            Ok(plan) => plan,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let ReadPlan::Segment {
                base_offset,
                start,
                end,
                end_offset,
                segment_bytes,
            } = plan
            else {
                return Ok(Ok(None));
            };
            let mut files = self.inner.files.borrow_mut();
            let directory = files.directory.clone();
            let segment = files.segment(base_offset)?;
            let file = segment.log(&directory)?;
            let mut scan = Scan {
                directory: &directory,
                segment,
                file: &file,
                end: FilePosition(u64::from(segment_bytes)),
                when_cold,
            };
            let Some(start) = scan.resolve(start)? else {
                // What was asked for lies behind the last batch of this segment.
                drop(files);
                plan = plan_next_segment(&self.inner.state.borrow(), base_offset, request.upper);
                continue;
            };
            let end = scan.resolve(end)?.unwrap_or(FilePosition(u64::from(segment_bytes)));
            let cut = scan.cut(start, end, end_offset, request)?;
            drop(files);
            return Ok(Ok(cut.map(|(end, next_offset)| {
                let hint = Hint {
                    offset: next_offset,
                    segment: base_offset,
                    position: end,
                };
                self.inner.state.borrow_mut().note_read(request.offset, hint);
                FileRange {
                    file,
                    position: start,
                    length: u32::try_from(end.0 - start.0).unwrap_or(u32::MAX),
                    next_offset,
                }
            })));
        }
    }
}

/// A search in the batches of one segment.
pub(super) struct Scan<'a> {
    pub(super) directory: &'a Path,
    pub(super) segment: &'a mut SegmentFiles,
    pub(super) file: &'a File,
    /// Position after its last batch.
    pub(super) end: FilePosition,
    pub(super) when_cold: WhenCold,
}

impl Scan<'_> {
    /// The position of a place; `None` when no batch of this segment reaches that offset.
    fn resolve(&mut self, place: Place) -> Result<Option<FilePosition>, StorageError> {
        match place {
            Place::Known(position) => Ok(Some(position)),
            Place::BatchOf(offset) => Ok(self.batch_of(offset)?.map(|batch| batch.position)),
        }
    }

    /// The first batch that ends at or after `offset`. An index that leads to no batch, or past the one, is not believed: bits rot
    /// in closed indexes too, and nobody looks at all of them at a start.
    pub(super) fn batch_of(&mut self, offset: Offset) -> Result<Option<Located>, StorageError> {
        let floor = self.segment.floor_of_offset(offset, self.when_cold)?;
        let found = self.search(floor, |piece, position| find_offset(piece, position, offset));
        let is_led_astray = match &found {
            Ok(Some(batch)) => batch.position == floor && batch.header.base_offset > offset,
            Ok(None) => floor >= self.end,
            Err(error) => matches!(error, StorageError::Damaged { .. }),
        };
        if floor == FilePosition::ZERO || !is_led_astray {
            return found;
        }
        self.search(FilePosition::ZERO, |piece, position| {
            find_offset(piece, position, offset)
        })
    }

    /// Where to end a range `[start, end)` so that it fits, and the offset that follows; `None` when the first batch does not fit.
    fn cut(
        &mut self,
        start: FilePosition,
        end: FilePosition,
        end_offset: Offset,
        request: &ReadRequest,
    ) -> Result<Option<(FilePosition, Offset)>, StorageError> {
        if end.0 - start.0 <= u64::from(request.bytes_max) {
            return Ok((end > start).then_some((end, end_offset)));
        }
        let limit = start.plus(u64::from(request.bytes_max));
        let floor = self.segment.floor_of_position(limit, self.when_cold)?.max(start);
        let find = |piece: &[u8], position| find_boundary(piece, position, limit);
        let is_in_range = |over: &Located| over.header.base_offset < end_offset;
        let found = match self.search(floor, find) {
            Err(StorageError::Damaged { .. }) if floor > start => self.search(start, find)?,
            Ok(Some(over)) if floor > start && !is_in_range(&over) => self.search(start, find)?,
            found => found?,
        };
        let Some(over) = found else {
            return Ok(Some((end, end_offset)));
        };
        if over.position > start {
            return Ok(Some((over.position, over.header.base_offset)));
        }
        Ok(match request.first_batch {
            FirstBatch::Whole => Some((over.end_position(), over.header.next_offset())),
            FirstBatch::IfItFits => None,
        })
    }

    /// Walks headers from `from`, which begins a batch, until one is found.
    pub(super) fn search(
        &mut self,
        from: FilePosition,
        find: impl Fn(&[u8], FilePosition) -> Search,
    ) -> Result<Option<Located>, StorageError> {
        let mut piece = [0; PIECE_BYTES];
        let mut position = from;
        let mut bytes_max = BATCH_HEADER_BYTES;
        while position < self.end {
            let left = usize::try_from(self.end.0 - position.0).unwrap_or(usize::MAX);
            let wanted = left.min(bytes_max);
            let read = read_at(self.file, position, &mut piece[..wanted], self.when_cold)?;
            let count = read.map_err(|source| self.failed(source))?;
            match find(&piece[..count], position) {
                Search::Found(batch) if batch.end_position() > self.end => return Err(self.damaged(batch.position)),
                Search::Found(batch) => return Ok(Some(batch)),
                Search::Continue(next) if next > position => {
                    let was_short = bytes_max == BATCH_HEADER_BYTES && next.0 - position.0 <= SHORT_BATCH_BYTES;
                    bytes_max = if was_short { PIECE_BYTES } else { BATCH_HEADER_BYTES };
                    position = next;
                }
                Search::Continue(at) | Search::Damaged(at) => return Err(self.damaged(at)),
            }
        }
        Ok(None)
    }

    fn failed(&self, source: std::io::Error) -> StorageError {
        StorageError::Failed {
            action: "read",
            path: self.path(),
            source,
        }
    }

    pub(super) fn damaged(&self, position: FilePosition) -> StorageError {
        StorageError::Damaged {
            path: self.path(),
            position,
            offset: self.segment.base_offset,
            what: "there is no batch where one should begin",
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(file_name(self.segment.base_offset, FileKind::Log))
    }
}
