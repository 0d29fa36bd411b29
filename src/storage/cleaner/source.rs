//! The bytes of a segment, from front to back.
//!
//! What the page cache has is read there. The rest is read past it, a piece at a time and the next one ahead: old records that nobody asks for
//! push nothing out, no thread copies them beside the core, and what the journal writes waits behind two pieces at most. (The kernel would read
//! 16 MiB ahead on a device that it thinks is fast, and a write stood behind that for 15 ms.)

use std::io;
use std::path::Path;
use std::pin::Pin;

use crate::base::offset::FilePosition;
use crate::rt::fs::{AlignedBuffer, BLOCK_BYTES, DirectFile, File, Open};

/// Bytes given at once, and read at once of the page cache: copying them takes long enough.
pub(super) const SLICE_BYTES: usize = 128 * 1024;

/// Bytes read at once past it: pieces begin at multiples of this.
const PIECE_BYTES: usize = 256 * 1024;

const _: () = assert!(PIECE_BYTES.is_multiple_of(BLOCK_BYTES));

/// See the module.
pub(super) struct SegmentSource {
    file: File,
    /// `None` where the file system cannot go past the page cache.
    direct: Option<DirectFile>,
    end: FilePosition,
    /// The last piece that was read past the page cache.
    piece: Option<Piece>,
    /// The one after it, on its way.
    ahead: Option<Coming>,
    /// Memory for another.
    spare: AlignedBuffer,
}

struct Piece {
    begin: FilePosition,
    bytes: usize,
    buffer: AlignedBuffer,
}

struct Coming {
    begin: FilePosition,
    reading: Pin<Box<dyn Future<Output = (io::Result<usize>, AlignedBuffer)>>>,
}

impl SegmentSource {
    /// Opens a segment that ends at `end`; its file may be longer.
    pub(super) fn open(path: &Path, end: FilePosition) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path, Open::Read)?,
            direct: DirectFile::open_to_read(path).ok(),
            end,
            piece: None,
            ahead: None,
            spare: AlignedBuffer::default(),
        })
    }

    /// Reads some of the bytes from `position` on, below the end, behind what `bytes` has; none where the file ends before the segment.
    ///
    /// # Errors
    /// What the disk says; `bytes` is lost then.
    pub(super) async fn read_onto(&mut self, position: FilePosition, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let begin = FilePosition(position.0 / PIECE_BYTES as u64 * PIECE_BYTES as u64);
        let skipped = usize::try_from(position.0 - begin.0).unwrap_or(usize::MAX);
        if self.rest_of_piece(begin, skipped).is_empty() {
            self.bring_in(begin).await?;
        }
        let rest = self.rest_of_piece(begin, skipped);
        if self.piece.is_some() {
            bytes.extend_from_slice(&rest[..rest.len().min(SLICE_BYTES)]);
            return Ok(bytes);
        }
        // Not beyond the piece: what follows may not be there.
        let slice = SLICE_BYTES.min(self.piece_length(begin).saturating_sub(skipped));
        self.file.read_cold_onto(position, bytes, slice).await
    }

    /// What is there of a piece behind its first bytes.
    fn rest_of_piece(&self, begin: FilePosition, skipped: usize) -> &[u8] {
        let piece = self.piece.as_ref().filter(|piece| piece.begin == begin);
        piece.map_or(&[], |piece| {
            piece.buffer[..piece.bytes].get(skipped..).unwrap_or_default()
        })
    }

    /// Reads a piece past the page cache, unless that has it; the one after it is on its way then.
    async fn bring_in(&mut self, begin: FilePosition) -> io::Result<()> {
        if let Some(piece) = self.piece.take() {
            self.spare = piece.buffer;
        }
        let coming = match self.ahead.take() {
            Some(coming) if coming.begin == begin => Some(coming),
            Some(_) | None => self.begin_piece(begin),
        };
        let Some(coming) = coming else { return Ok(()) };
        self.ahead = self.begin_piece(begin.plus(PIECE_BYTES as u64));
        let (read, buffer) = coming.reading.await;
        match read {
            Ok(bytes) => {
                let bytes = bytes.min(self.piece_length(begin));
                self.piece = Some(Piece { begin, bytes, buffer });
                Ok(())
            }
            // A device with blocks longer than ours.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.direct = None;
                self.ahead = None;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Bytes of the segment that are in a piece.
    fn piece_length(&self, begin: FilePosition) -> usize {
        let left = usize::try_from(self.end.0.saturating_sub(begin.0));
        left.unwrap_or(usize::MAX).min(PIECE_BYTES)
    }

    /// Has a piece read past the page cache, unless it is there.
    fn begin_piece(&mut self, begin: FilePosition) -> Option<Coming> {
        let direct = self.direct.as_ref()?;
        let length = self.piece_length(begin) as u64;
        if length == 0 || self.file.is_resident(begin, length) {
            return None;
        }
        let mut buffer = std::mem::take(&mut self.spare);
        if buffer.is_empty() {
            buffer = AlignedBuffer::new(PIECE_BYTES);
        }
        Some(Coming {
            begin,
            reading: Box::pin(direct.begin_read(begin, buffer)),
        })
    }
}

#[cfg(all(test, not(feature = "sim")))]
mod tests {
    use super::*;
    use crate::rt::task::block_on;

    const END: usize = 3 * PIECE_BYTES + 1000;

    fn at(position: usize) -> FilePosition {
        FilePosition(position as u64)
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..251u8).cycle().take(length).collect()
    }

    /// All from `begin` to the end, if it gets there.
    async fn read_from(source: &mut SegmentSource, begin: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while begin + bytes.len() < END {
            let there = bytes.len();
            bytes = source.read_onto(at(begin + there), bytes).await?;
            assert!(bytes.len() > there, "it goes on");
        }
        Ok(bytes)
    }

    #[test]
    fn a_segment_is_read_as_it_is_wherever_its_pages_are_and_cold_ones_stay_cold() {
        // Past the page cache one can only go on a disk.
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = directory.path().join("segment");
        block_on(move || async move {
            let file = File::open(&path, Open::CreateNew).unwrap();
            let written = pattern(END + 70_000);
            file.write_at(at(0), &[&written]).unwrap();
            file.sync_data().await.unwrap();
            let piece = PIECE_BYTES;
            for (begin, warm) in [
                (0, None),
                (1, None),
                (777, Some((piece, piece))),
                (piece - 1, Some((0, piece))),
                (piece + 5000, Some((2 * piece, 10))),
                (END - 1, None),
                (0, Some((0, END))),
            ] {
                file.evict().unwrap();
                if let Some((position, length)) = warm {
                    file.bring_in(at(position), length as u64).await.unwrap();
                }
                let was_warm = file.is_resident(at(0), END as u64);
                let mut source = SegmentSource::open(&path, at(END)).unwrap();
                let read = read_from(&mut source, begin).await.unwrap();
                let case = format!("from {begin}, warm {warm:?}");
                assert!(read == written[begin..END], "{case}");
                if source.direct.is_some() {
                    assert_eq!(file.is_resident(at(0), END as u64), was_warm, "{case}");
                }
            }
        });
    }

    #[test]
    fn of_a_file_that_is_shorter_nothing_comes_after_its_end() {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = directory.path().join("segment");
        block_on(move || async move {
            let file = File::open(&path, Open::CreateNew).unwrap();
            file.write_at(at(0), &[&pattern(5000)]).unwrap();
            for is_cold in [false, true] {
                if is_cold {
                    file.sync_data().await.unwrap();
                    file.evict().unwrap();
                }
                let mut source = SegmentSource::open(&path, at(9000)).unwrap();
                let read = source.read_onto(at(100), vec![7]).await.unwrap();
                assert_eq!(read.len(), 4901, "cold: {is_cold}");
                let read = source.read_onto(at(5000), vec![7]).await.unwrap();
                assert_eq!(read, [7], "cold: {is_cold}");
            }
        });
    }
}
