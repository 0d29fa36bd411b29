//! The batches of one segment, one after another.

use std::path::PathBuf;

use super::source::{SLICE_BYTES, SegmentSource};
use super::{Ended, breathe};
use crate::base::limits::CHECKSUM_STEP_BYTES;
use crate::base::offset::{FilePosition, Offset};
use crate::log::Segment;
use crate::log::names::{FileKind, file_name};
use crate::record::{BatchError, BatchView};
use crate::rt::task;
use crate::storage::Log;
use crate::storage::error::StorageError;

/// A segment that is read from some batch on.
pub(super) struct SegmentBatches {
    path: PathBuf,
    source: SegmentSource,
    base_offset: Offset,
    /// Bytes of the segment.
    end: u64,
    /// What was read, and where in the file it begins.
    read: Vec<u8>,
    read_position: FilePosition,
    /// Bytes of it that were passed.
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
    /// Reads a segment from the position of a batch on, into `buffer`; what it holds is thrown away.
    pub(super) fn open_at(
        log: &Log,
        segment: &Segment,
        position: FilePosition,
        mut buffer: Vec<u8>,
    ) -> Result<Self, Ended> {
        buffer.clear();
        log.check_compactable()?;
        let path = log.path().join(file_name(segment.base_offset, FileKind::Log));
        let end = u64::from(segment.bytes);
        let source = match SegmentSource::open(&path, FilePosition(end)) {
            Ok(source) => source,
            // Its time had come.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !log.holds(segment) => {
                return Err(Ended::GivenUp);
            }
            Err(error) => return Err(StorageError::failed("open", &path)(error).into()),
        };
        Ok(Self {
            path,
            source,
            base_offset: segment.base_offset,
            end,
            read: buffer,
            read_position: position,
            passed: 0,
        })
    }

    /// The next batch; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Located<'_>>, Ended> {
        let position = self.read_position.plus(self.passed as u64);
        if position.0 >= self.end {
            return Ok(None);
        }
        self.bring_in_batch().await?;
        let rest = self.read.get(self.passed..).unwrap_or_default();
        let Some(view) = checked(rest).await else {
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

    /// Reads until the next batch is there as a whole, if it has a header that says how long it is.
    async fn bring_in_batch(&mut self) -> Result<(), Ended> {
        while let Some(bytes_expected) = missing(self.read.get(self.passed..).unwrap_or_default()) {
            task::begin_part("compaction: read");
            let passed = std::mem::take(&mut self.passed);
            self.read.drain(..passed);
            self.read_position = self.read_position.plus(passed as u64);
            let (begin, there) = (self.read_position, self.read.len());
            let left = usize::try_from(self.end - begin.0).unwrap_or(usize::MAX);
            if bytes_expected > left {
                return Err(self.damaged(begin, "the segment ends inside a batch"));
            }
            let mut read = std::mem::take(&mut self.read);
            // At once for all of a long batch, so that it need not move later.
            read.reserve_exact(bytes_expected.max(SLICE_BYTES).saturating_sub(there));
            let outcome = self.source.read_onto(begin.plus(there as u64), read).await;
            self.read = outcome.map_err(StorageError::failed("read", &self.path))?;
            if self.read.len() == there {
                return Err(self.damaged(begin, "the file is shorter than the segment"));
            }
            breathe("compaction: read").await;
        }
        Ok(())
    }

    /// The buffer, for the next segment.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.read
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

/// The batch at the front, if it is whole and its checksum is right.
async fn checked(bytes: &[u8]) -> Option<BatchView<'_>> {
    let view = BatchView::parse(bytes).ok()?;
    let mut checking = view.checking();
    while checking.advance(CHECKSUM_STEP_BYTES).ok()? {
        breathe("compaction: checksum").await;
    }
    Some(view)
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
