//! The walk of recovery over the batches of one segment: checks each, and stops at the first that is not right.

use std::io;

use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::Batch;
use crate::log::recovery::WalkEnd;
use crate::log::recovery::rebuild::Rebuild;
use crate::record::{BATCH_HEADER_BYTES, BatchError, BatchHeader, BatchView};
use crate::rt::fs::File;
use crate::rt::task;

/// Bytes read at once; a batch that is larger is read alone.
const PIECE_BYTES: usize = 1024 * 1024;

/// A segment to walk over.
pub(super) struct Walk<'a> {
    pub(super) file: &'a File,
    /// Bytes of the file.
    pub(super) length: u64,
    /// Base offset of the next segment: no batch reaches it,
    pub(super) next_base: Option<Offset>,
    /// unless that segment is empty. A roll that found no room may have left it.
    pub(super) is_next_empty: bool,
}

impl Walk<'_> {
    /// Feeds `rebuild`, and `take`, every batch from its position on, up to the first that is not right.
    pub(super) async fn run(&self, rebuild: &mut Rebuild, mut take: impl FnMut(&Batch)) -> io::Result<WalkEnd> {
        let mut wanted = PIECE_BYTES;
        loop {
            let begin = rebuild.position();
            if begin.0 >= self.length {
                return Ok(self.at_end(rebuild));
            }
            let piece = self.file.read_cold(begin, wanted).await?;
            let mut rest = piece.as_slice();
            let stop = loop {
                match self.next_batch(rest, rebuild) {
                    Next::Batch(batch, bytes) => {
                        rebuild.take(&batch);
                        take(&batch);
                        rest = rest.get(bytes..).unwrap_or_default();
                    }
                    stop @ (Next::NeedsBytes(_) | Next::Wrong) => break stop,
                }
            };
            let position = rebuild.position();
            wanted = match stop {
                Next::Wrong => return self.stopped(WalkEnd::Corrupt, rebuild).await,
                // The batch began inside of this piece: the next piece begins with it.
                Next::Batch(..) | Next::NeedsBytes(_) if position > begin => PIECE_BYTES,
                Next::NeedsBytes(bytes) if position.0 + bytes as u64 <= self.length => bytes.max(PIECE_BYTES),
                Next::Batch(..) | Next::NeedsBytes(_) => return self.stopped(WalkEnd::Torn, rebuild).await,
            };
            task::yield_if_needed().await;
        }
    }

    fn next_batch(&self, rest: &[u8], rebuild: &Rebuild) -> Next {
        match BatchView::parse(rest) {
            Ok(view) => {
                let batch = Batch::from_header(view.header());
                let reaches_next = self.next_base.is_some_and(|next| batch.last_offset() >= next);
                let is_before_next = self.is_next_empty || !reaches_next;
                let is_right = view.header().last_offset_delta >= 0
                    && rebuild.accepts(&batch)
                    && is_before_next
                    && view.check_crc().is_ok();
                if is_right {
                    Next::Batch(batch, view.bytes().len())
                } else {
                    Next::Wrong
                }
            }
            Err(error) => {
                if let BatchError::Truncated { bytes_expected, .. } = error {
                    Next::NeedsBytes(bytes_expected)
                } else {
                    Next::Wrong
                }
            }
        }
    }

    /// The file ends with a whole batch; but does the next segment begin where this one ends?
    fn at_end(&self, rebuild: &Rebuild) -> WalkEnd {
        match self.next_base {
            Some(next) if rebuild.next_offset() < next => WalkEnd::Short,
            Some(_) | None => WalkEnd::Complete,
        }
    }

    /// `end`, unless all batches of the segment were there, or nothing but zeroes is left.
    async fn stopped(&self, end: WalkEnd, rebuild: &Rebuild) -> io::Result<WalkEnd> {
        if !self.is_next_empty && self.next_base.is_some_and(|next| rebuild.next_offset() == next) {
            return Ok(WalkEnd::Surplus);
        }
        let mut at = rebuild.position();
        while at.0 < self.length {
            let piece = self.file.read_cold(at, PIECE_BYTES).await?;
            if piece.is_empty() || piece.iter().any(|byte| *byte != 0) {
                return Ok(end);
            }
            at = at.plus(piece.len() as u64);
            task::yield_if_needed().await;
        }
        Ok(WalkEnd::Zeroes)
    }
}

/// What stands at the front of some bytes.
enum Next {
    Batch(Batch, usize),
    /// A batch that needs so many bytes.
    NeedsBytes(usize),
    Wrong,
}

/// The timestamp of the first batch of a file, read through the ring.
pub(super) async fn first_timestamp(file: &File) -> io::Result<Option<TimestampMs>> {
    let bytes = file.read_cold(FilePosition::ZERO, BATCH_HEADER_BYTES).await?;
    Ok(BatchHeader::decode(&bytes).ok().map(|header| header.max_timestamp))
}

/// The first batch of a file.
pub(super) fn first_batch(file: &File) -> io::Result<Option<Batch>> {
    let mut bytes = [0; BATCH_HEADER_BYTES];
    file.read_at(FilePosition::ZERO, &mut bytes)?;
    Ok(BatchHeader::decode(&bytes)
        .ok()
        .map(|header| Batch::from_header(&header)))
}
