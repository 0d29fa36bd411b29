//! The batches of one segment, one after another, read through the ring in slices.

use std::path::PathBuf;

use super::Ended;
use crate::base::offset::{FilePosition, Offset};
use crate::log::Segment;
use crate::log::names::{FileKind, file_name};
use crate::record::{BatchError, BatchView};
use crate::rt::fs::{File, Open};
use crate::rt::task;
use crate::storage::Log;
use crate::storage::error::StorageError;

/// Bytes read at once; a batch that is larger is read alone.
const SLICE_BYTES: usize = 128 * 1024;

/// A segment that is read from some batch on.
pub(super) struct SegmentBatches {
    path: PathBuf,
    file: File,
    base_offset: Offset,
    /// Bytes of the segment.
    end: u64,
    /// What was read, and where in the file it begins.
    slice: Vec<u8>,
    slice_position: FilePosition,
    /// Bytes of the slice that were passed.
    passed: usize,
}

/// One batch, whole and with the right checksum.
pub(super) struct Located<'a> {
    pub(super) view: BatchView<'a>,
    /// No other follows in this segment.
    pub(super) is_last: bool,
    /// Where it stands, to say what is wrong with it.
    path: &'a PathBuf,
    position: FilePosition,
}

impl SegmentBatches {
    /// Reads a segment from its front.
    pub(super) fn open(log: &Log, segment: &Segment) -> Result<Self, Ended> {
        Self::open_at(log, segment, FilePosition::ZERO)
    }

    /// Reads a segment from the position of a batch on.
    pub(super) fn open_at(log: &Log, segment: &Segment, position: FilePosition) -> Result<Self, Ended> {
        log.check_compactable()?;
        let path = log.path().join(file_name(segment.base_offset, FileKind::Log));
        let file = match File::open(&path, Open::Read) {
            Ok(file) => file,
            // Its time had come.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !log.holds(segment) => {
                return Err(Ended::GivenUp);
            }
            Err(error) => return Err(StorageError::failed("open", &path)(error).into()),
        };
        Ok(Self {
            path,
            file,
            base_offset: segment.base_offset,
            end: u64::from(segment.bytes),
            slice: Vec::new(),
            slice_position: position,
            passed: 0,
        })
    }

    /// The next batch; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Located<'_>>, Ended> {
        let position = self.slice_position.plus(self.passed as u64);
        if position.0 >= self.end {
            return Ok(None);
        }
        task::begin_part("compaction: read");
        // Twice at most: for a slice that begins with the batch, and for a batch that is longer.
        while let Some(bytes_expected) = missing(self.slice.get(self.passed..).unwrap_or_default()) {
            let left = usize::try_from(self.end - position.0).unwrap_or(usize::MAX);
            if bytes_expected > left {
                return Err(self.damaged(position, "the segment ends inside a batch"));
            }
            let wanted = bytes_expected.max(SLICE_BYTES).min(left);
            let read = self.file.read_cold(position, wanted).await;
            self.slice = read.map_err(StorageError::failed("read", &self.path))?;
            (self.slice_position, self.passed) = (position, 0);
            if self.slice.len() < wanted {
                return Err(self.damaged(position, "the file is shorter than the segment"));
            }
        }
        let rest = self.slice.get(self.passed..).unwrap_or_default();
        let view = BatchView::parse(rest).ok().filter(|view| view.check_crc().is_ok());
        let Some(view) = view else {
            return Err(self.damaged(position, "the batch is not as it was written"));
        };
        let bytes = view.bytes().len();
        self.passed += bytes;
        Ok(Some(Located {
            view,
            is_last: position.0 + bytes as u64 >= self.end,
            path: &self.path,
            position,
        }))
    }

    fn damaged(&self, position: FilePosition, what: &'static str) -> Ended {
        Ended::Failed(StorageError::Damaged {
            path: self.path.clone(),
            position,
            offset: self.base_offset,
            what,
        })
    }
}

/// Bytes that must be there, where fewer are, to see the batch at the front.
fn missing(bytes: &[u8]) -> Option<usize> {
    match BatchView::parse(bytes) {
        Err(BatchError::Truncated { bytes_expected, .. }) => Some(bytes_expected),
        Ok(_) | Err(_) => None,
    }
}

impl Located<'_> {
    /// That its records cannot be read.
    pub(super) fn unreadable(&self) -> Ended {
        Ended::Failed(StorageError::Damaged {
            path: self.path.clone(),
            position: self.position,
            offset: self.view.header().base_offset,
            what: "the records of the batch cannot be read",
        })
    }
}

impl Log {
    /// Whether this is a segment of the log as it is.
    fn holds(&self, segment: &Segment) -> bool {
        self.with_state(|state| {
            state
                .segments()
                .iter()
                .any(|held| held.base_offset == segment.base_offset)
        })
    }
}
