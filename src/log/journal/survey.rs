//! What of a journal's files counts after a crash.

use thiserror::Error;

use super::format::{BLOCK_BYTES, Entries, Entry, GroupHeader, decode_group};

/// The groups of a journal whose files were all looked at.
#[derive(Debug, Default)]
pub struct Survey<'a> {
    epoch: u64,
    groups: Vec<(GroupHeader, Entries<'a>)>,
}

/// A group between others is not there: no crash does that, for one write is in flight at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("group {missing} is missing or damaged, and group {newest} is there")]
pub struct Gap {
    pub missing: u64,
    pub newest: u64,
}

impl<'a> Survey<'a> {
    /// Of a journal whose first file's header names this epoch.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            groups: Vec::new(),
        }
    }

    /// Looks at the blocks of one file, header included. Groups of earlier fillings may stand behind those of the present one, so every
    /// block is looked at.
    pub fn look_into(&mut self, file: &'a [u8]) {
        let mut at = BLOCK_BYTES;
        while let Some(rest) = file.get(at..).filter(|rest| !rest.is_empty()) {
            at += match decode_group(rest) {
                Some((header, entries)) => {
                    if header.epoch == self.epoch {
                        self.groups.push((header, entries));
                    }
                    header.padded()
                }
                None => BLOCK_BYTES,
            };
        }
    }

    /// The entries that count, each with the header of its group, in the order in which they were written.
    ///
    /// # Errors
    /// [`Gap`]: acknowledged records may be lost, so a person decides.
    pub fn entries(mut self) -> Result<impl Iterator<Item = (GroupHeader, Entry<'a>)>, Gap> {
        self.groups.sort_by_key(|(header, _)| header.sequence);
        let (newest, tail) = self
            .groups
            .last()
            .map_or((0, 0), |(header, _)| (header.sequence, header.tail));
        self.groups.retain(|(header, _)| header.sequence >= tail);
        for ((header, _), expected) in self.groups.iter().zip(tail..) {
            if header.sequence != expected {
                let missing = expected;
                return Err(Gap { missing, newest });
            }
        }
        let groups = self.groups.into_iter();
        Ok(groups.flat_map(|(header, entries)| entries.map(move |entry| (header, entry))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::{group, numbered, place};
    use super::*;

    fn file(groups: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK_BYTES];
        groups.iter().for_each(|group| bytes.extend_from_slice(group));
        bytes.resize(bytes.len() + 3 * BLOCK_BYTES, 0);
        bytes
    }

    fn one(epoch: u64, sequence: u64, tail: u64) -> Vec<u8> {
        group(
            numbered(epoch, sequence, tail),
            &[(place(0, i64::try_from(sequence).unwrap()), b"batch")],
        )
    }

    fn offsets(epoch: u64, files: &[Vec<u8>]) -> Result<Vec<i64>, Gap> {
        let mut survey = Survey::new(epoch);
        files.iter().for_each(|file| survey.look_into(file));
        Ok(survey.entries()?.map(|(_, entry)| entry.place.base_offset.0).collect())
    }

    #[test]
    fn what_counts_is_of_this_epoch_and_not_before_the_tail() {
        type Row = (&'static str, u64, Vec<Vec<u8>>, &'static [i64]);
        let none: &[Vec<u8>] = &[];
        let table: &[Row] = &[
            ("nothing", 1, vec![file(none)], &[]),
            ("in order", 1, vec![file(&[one(1, 0, 0), one(1, 1, 0)])], &[0, 1]),
            (
                "over two files, the later one first",
                1,
                vec![file(&[one(1, 2, 0)]), file(&[one(1, 0, 0), one(1, 1, 0)])],
                &[0, 1, 2],
            ),
            ("a void epoch", 2, vec![file(&[one(1, 0, 0), one(1, 1, 0)])], &[]),
            (
                "leftovers of an earlier filling",
                1,
                vec![file(&[one(1, 4, 3), one(1, 1, 0)]), file(&[one(1, 3, 1)])],
                &[3, 4],
            ),
            (
                "a void epoch behind",
                2,
                vec![file(&[one(2, 0, 0), one(1, 9, 9)])],
                &[0],
            ),
        ];
        for (what, epoch, files, expected) in table {
            assert_eq!(offsets(*epoch, files).as_deref(), Ok(*expected), "{what}");
        }
    }

    #[test]
    fn the_last_group_may_be_torn_and_no_other() {
        let mut torn = one(1, 2, 0);
        torn[100] ^= 1;
        let files = [file(&[one(1, 0, 0), one(1, 1, 0), torn.clone()])];
        assert_eq!(offsets(1, &files), Ok(vec![0, 1]));
        let mut damaged = one(1, 1, 0);
        damaged[70] ^= 1;
        let files = [file(&[one(1, 0, 0), damaged, one(1, 2, 0)])];
        assert_eq!(offsets(1, &files), Err(Gap { missing: 1, newest: 2 }));
        let files = [file(&[torn.clone(), torn])];
        assert_eq!(offsets(1, &files), Ok(Vec::new()));
    }
}
