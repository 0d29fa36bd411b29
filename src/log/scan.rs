//! Going over the headers of batches that lie one after another in a piece of a segment's file.

use crate::base::offset::{FilePosition, Offset};
use crate::record::{BATCH_HEADER_BYTES, BatchHeader};

/// A batch in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Located {
    pub header: BatchHeader,
    pub position: FilePosition,
}

impl Located {
    #[must_use]
    pub fn end_position(&self) -> FilePosition {
        self.position.plus(self.bytes())
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.header.batch_bytes() as u64
    }
}

/// What one piece of a file says about a batch that is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Search {
    Found(Located),
    /// It lies further on: the next piece begins here.
    Continue(FilePosition),
    /// These are not batches.
    Damaged(FilePosition),
}

/// Bytes of a piece that at least must be there for [`find_offset`] and [`find_boundary`] to make progress.
pub const PIECE_BYTES_MIN: usize = BATCH_HEADER_BYTES;

/// Looks for the first batch that ends at or after `offset` in a piece that begins at `position`, with a batch.
#[must_use]
pub fn find_offset(piece: &[u8], position: FilePosition, offset: Offset) -> Search {
    find(piece, position, |batch| batch.header.last_offset() >= offset)
}

/// Looks for the batch that reaches beyond `limit` in a piece that begins at `position`, with a batch.
#[must_use]
pub fn find_boundary(piece: &[u8], position: FilePosition, limit: FilePosition) -> Search {
    find(piece, position, |batch| batch.end_position() > limit)
}

/// Looks for the first batch that is wanted in a piece that begins at `position`, with a batch.
#[must_use]
pub fn find(piece: &[u8], position: FilePosition, is_wanted: impl Fn(&Located) -> bool) -> Search {
    let mut at = position;
    while let Some(rest) = rest_of(piece, position, at).filter(|rest| rest.len() >= BATCH_HEADER_BYTES) {
        let Ok(header) = BatchHeader::decode(rest) else {
            return Search::Damaged(at);
        };
        let batch = Located { header, position: at };
        if is_wanted(&batch) {
            return Search::Found(batch);
        }
        at = batch.end_position();
    }
    Search::Continue(at)
}

/// The part of a piece from a position in its file on.
fn rest_of(piece: &[u8], begin: FilePosition, at: FilePosition) -> Option<&[u8]> {
    let skip = usize::try_from(at.0.checked_sub(begin.0)?).ok()?;
    piece.get(skip..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::TimestampMs;
    use crate::record::{BatchBuilder, Record};

    fn piece(bases: &[i64]) -> Vec<u8> {
        bases
            .iter()
            .flat_map(|&base| {
                let mut builder = BatchBuilder::new().base_offset(Offset(base));
                for _ in 0..10 {
                    builder
                        .append(&Record::new(TimestampMs(1), None, Some(b"value")))
                        .unwrap();
                }
                builder.build().unwrap().to_vec()
            })
            .collect()
    }

    #[test]
    fn offsets_and_boundaries_are_found() {
        let bytes = piece(&[0, 10, 20]);
        let one = bytes.len() / 3;
        let begin = FilePosition(1000);
        let at = |batch: usize| begin.plus((batch * one) as u64);
        let found = |search| match search {
            Search::Found(found) => Some(found.position),
            Search::Continue(_) | Search::Damaged(_) => None,
        };
        for (offset, batch) in [(0, 0), (9, 0), (10, 1), (15, 1), (29, 2)] {
            assert_eq!(found(find_offset(&bytes, begin, Offset(offset))), Some(at(batch)));
        }
        assert_eq!(find_offset(&bytes, begin, Offset(30)), Search::Continue(at(3)));
        assert_eq!(
            find_offset(&bytes[..one + 60], begin, Offset(15)),
            Search::Continue(at(1))
        );
        for (limit, batch) in [(begin, 0), (at(1), 1), (at(2).plus(5), 2)] {
            assert_eq!(found(find_boundary(&bytes, begin, limit)), Some(at(batch)));
        }
        assert_eq!(find_offset(&[0; 100], begin, Offset(0)), Search::Damaged(begin));
    }
}
