//! Which file of the journal takes the next group, and which files may be filled again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::offset::FilePosition;

use super::format::BLOCK_BYTES;

/// The files of a journal and what they are used for. Slots count from 0, in the order in which files were made.
#[derive(Clone, Debug)]
pub struct Ring {
    file_bytes: u64,
    files_max: usize,
    /// The first sequence in each file, where it has any that count.
    first_sequences: Vec<u64>,
    filling: Option<Filling>,
    /// Full ones that are still needed, the oldest first.
    full: VecDeque<usize>,
    free: VecDeque<usize>,
    next_sequence: u64,
}

#[derive(Clone, Copy, Debug)]
struct Filling {
    slot: usize,
    at: u64,
}

/// Where a group goes, and its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    pub slot: usize,
    pub position: FilePosition,
    pub sequence: u64,
    pub tail: u64,
    /// The file that was filled until now.
    pub full: Option<usize>,
}

/// Every file is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom {
    /// As in [`Placed`].
    pub full: Option<usize>,
}

impl Ring {
    /// A ring of at most `files_max` files of `file_bytes` each, of which `files` exist and are free.
    #[must_use]
    pub fn new(file_bytes: u64, files_max: usize, files: usize) -> Self {
        Self {
            file_bytes,
            files_max,
            first_sequences: vec![0; files],
            filling: None,
            full: VecDeque::new(),
            free: (0..files).collect(),
            next_sequence: 0,
        }
    }

    /// Takes the room for a group of `bytes`, whole blocks, that fits a file.
    ///
    /// # Errors
    /// [`NoRoom`] when no file is free.
    pub fn place(&mut self, bytes: usize) -> Result<Placed, NoRoom> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let fits = |filling: &Filling| filling.at.checked_add(bytes).is_some_and(|end| end <= self.file_bytes);
        let (filling, full) = match self.filling.filter(fits) {
            Some(filling) => (filling, None),
            None => {
                let full = self.filling.take().map(|filling| filling.slot);
                self.full.extend(full);
                let Some(slot) = self.free.pop_front() else {
                    return Err(NoRoom { full });
                };
                self.first_sequences[slot] = self.next_sequence;
                let at = BLOCK_BYTES as u64;
                (Filling { slot, at }, full)
            }
        };
        self.filling = Some(Filling {
            at: filling.at + bytes,
            ..filling
        });
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Ok(Placed {
            slot: filling.slot,
            position: FilePosition(filling.at),
            sequence,
            tail: self.tail(),
            full,
        })
    }

    /// Everything in this full file is on the disk elsewhere: it may be filled again.
    pub fn free(&mut self, slot: usize) {
        if let Some(index) = self.full.iter().position(|full| *full == slot) {
            self.full.remove(index);
            self.free.push_back(slot);
        }
    }

    /// The slot of a file that should be made now, so that the next group after the present file has room.
    #[must_use]
    pub fn wants_file(&self) -> Option<usize> {
        let slot = self.first_sequences.len();
        (self.free.is_empty() && slot < self.files_max).then_some(slot)
    }

    /// The file of [`wants_file`](Self::wants_file) is made.
    pub fn add_file(&mut self) {
        self.free.push_back(self.first_sequences.len());
        self.first_sequences.push(0);
    }

    /// Whether a file is free, or being filled.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.filling.is_some() || !self.free.is_empty()
    }

    /// The file that became full last, of those that are not free.
    #[must_use]
    pub fn last_full(&self) -> Option<usize> {
        self.full.back().copied()
    }

    /// The files that should be freed now, the oldest first, when the last that became full holds batches of so many logs. Few are synced at once,
    /// so that a crash leaves little to put back; with many, none before three eighths of all files are full: a log has batches in all of
    /// them, and one sync of it serves them all. Where there is no room, because no more files could be made, they do not wait.
    #[must_use]
    pub fn wants_freed(&self, logs: usize) -> Vec<usize> {
        let may_wait = logs > LOGS_FREED_AT_ONCE_MAX && self.has_room();
        match may_wait && self.full.len() * 8 < self.files_max * 3 {
            true => Vec::new(),
            false => self.full.iter().copied().collect(),
        }
    }

    /// Whether files that may be filled are running out: full ones are freed as fast as can be then.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let spare = self.free.len() + (self.files_max - self.first_sequences.len());
        spare * 8 <= self.files_max
    }

    /// The number of the next group.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Bytes of the largest group that a file takes.
    #[must_use]
    pub fn group_bytes_max(&self) -> usize {
        usize::try_from(self.file_bytes)
            .unwrap_or(usize::MAX)
            .saturating_sub(BLOCK_BYTES)
    }

    /// The oldest group that is still needed.
    fn tail(&self) -> u64 {
        let needed = self
            .full
            .iter()
            .copied()
            .chain(self.filling.map(|filling| filling.slot));
        let oldest = needed.map(|slot| self.first_sequences[slot]).min();
        oldest.unwrap_or(self.next_sequence)
    }
}

/// Logs whose syncs are few.
const LOGS_FREED_AT_ONCE_MAX: usize = if cfg!(feature = "sim") { 1 } else { 128 };

/// The shortest and the longest rest between two syncs of logs whose batches stand in full files.
const REST_MIN: Duration = Duration::from_micros(100);
const REST_MAX: Duration = Duration::from_millis(20);

/// The rest from one sync of a log to the next, when a file is filled in this time and so many logs are to be synced: they are done before two more
/// files are full, and a group that is written meanwhile stands behind one sync at most.
#[must_use]
pub fn rest_between_syncs(filled_in: Duration, logs: usize) -> Duration {
    let syncs = u32::try_from(logs).unwrap_or(u32::MAX).max(1);
    (filled_in * 3 / 2 / syncs).clamp(REST_MIN, REST_MAX)
}

/// Bytes of a journal where nobody says: of each core on each log directory, by the free bytes of its disk.
#[must_use]
pub fn bytes_for(free_bytes: u64, cores: u16) -> u64 {
    const SHARE: u64 = 64;
    const BYTES_MIN: u64 = 1024 * 1024;
    const BYTES_MAX: u64 = 128 * 1024 * 1024;
    let share = (free_bytes / SHARE / u64::from(cores.max(1))).clamp(BYTES_MIN, BYTES_MAX);
    // A power of two, so that a little more or less free space is no reason to make the files anew.
    1 << share.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = BLOCK_BYTES;

    #[test]
    fn files_are_filled_in_turn_and_again() {
        // Room for three blocks of groups in each file.
        let mut ring = Ring::new(4 * BLOCK as u64, 3, 0);
        assert_eq!(ring.wants_file(), Some(0));
        assert!(!ring.has_room());
        assert_eq!(ring.place(BLOCK), Err(NoRoom { full: None }));
        ring.add_file();
        assert_eq!(ring.wants_file(), None);
        let first = ring.place(2 * BLOCK).unwrap();
        assert_eq!(
            (first.slot, first.position.0, first.sequence, first.full),
            (0, BLOCK as u64, 0, None)
        );
        assert_eq!(ring.wants_file(), Some(1), "the next one is made ahead");
        ring.add_file();
        let second = ring.place(2 * BLOCK).unwrap();
        assert_eq!(
            (second.slot, second.sequence, second.tail, second.full),
            (1, 1, 0, Some(0))
        );
        let third = ring.place(BLOCK).unwrap();
        assert_eq!((third.slot, third.position.0), (1, 3 * BLOCK as u64));
        assert_eq!(
            ring.place(BLOCK),
            Err(NoRoom { full: Some(1) }),
            "file 0 is still needed"
        );
        assert_eq!(
            ring.place(BLOCK),
            Err(NoRoom { full: None }),
            "file 1 was given to be freed once"
        );
        assert!(!ring.has_room());
        ring.free(0);
        let fourth = ring.place(3 * BLOCK).unwrap();
        assert_eq!(
            (fourth.slot, fourth.sequence, fourth.tail, fourth.full),
            (0, 3, 1, None)
        );
        assert_eq!(ring.wants_file(), Some(2));
        ring.add_file();
        assert_eq!(ring.wants_file(), None, "there are as many as may be");
    }

    #[test]
    fn the_tail_is_the_oldest_group_of_the_oldest_file_in_use() {
        let mut ring = Ring::new(2 * BLOCK as u64, 4, 4);
        assert_eq!(ring.group_bytes_max(), BLOCK);
        for sequence in 0..4 {
            assert_eq!(ring.place(BLOCK).unwrap().sequence, sequence);
        }
        // Freed out of order: the oldest one still holds the tail.
        ring.free(1);
        assert_eq!(ring.place(BLOCK).unwrap().tail, 0);
        ring.free(0);
        assert_eq!(ring.place(BLOCK).unwrap().tail, 2);
        assert!(ring.place(BLOCK).is_err());
    }

    #[test]
    fn the_size_follows_the_disk() {
        const MIB: u64 = 1024 * 1024;
        let table = [
            (0, 1, 1),
            (200 * MIB, 2, 1),
            (1024 * MIB, 1, 16),
            (1500 * MIB, 2, 8),
            (44 * 1024 * MIB, 2, 128),
            (u64::MAX, 1, 128),
        ];
        for (free, cores, expected) in table {
            assert_eq!(bytes_for(free, cores), expected * MIB, "{free} bytes, {cores} cores");
        }
    }

    #[test]
    fn files_are_freed_together() {
        let mut ring = Ring::new(2 * BLOCK as u64, 8, 0);
        let fill = |ring: &mut Ring| {
            if ring.wants_file().is_some() {
                ring.add_file();
            }
            let _placed = ring.place(BLOCK).unwrap();
            (ring.wants_freed(1000), ring.is_short())
        };
        for _ in 0..3 {
            assert_eq!(fill(&mut ring), (vec![], false));
        }
        assert_eq!(fill(&mut ring), (vec![0, 1, 2], false));
        for spare in [3, 2, 1] {
            assert_eq!(fill(&mut ring).1, spare == 1, "nothing is freed, {spare} are left");
        }
        (0..3).for_each(|slot| ring.free(slot));
        assert_eq!((ring.wants_freed(1000), ring.is_short()), (vec![3, 4, 5], false));
        ring.free(3);
        assert_eq!(ring.wants_freed(1000), []);
        assert_eq!(ring.wants_freed(1), [4, 5], "there are few logs");
    }

    #[test]
    fn files_are_freed_when_no_more_can_be_made() {
        let mut ring = Ring::new(2 * BLOCK as u64, 8, 1);
        assert_eq!(ring.place(BLOCK).unwrap().full, None);
        assert_eq!(ring.wants_freed(1000), []);
        assert_eq!(ring.place(BLOCK), Err(NoRoom { full: Some(0) }));
        assert_eq!(ring.wants_freed(1000), [0]);
    }

    #[test]
    fn syncs_are_spread_over_the_time_that_files_take() {
        let table = [
            (2_000, 1000, 3_000),
            (2_000, 1, 20_000),
            (100, 1000, 150),
            (600_000, 1000, 20_000),
            (0, 1000, 100),
            (100, 0, 20_000),
        ];
        for (filled_in_ms, logs, expected_us) in table {
            let rest = rest_between_syncs(Duration::from_millis(filled_in_ms), logs);
            assert_eq!(rest.as_micros(), expected_us, "{logs} logs in {filled_in_ms} ms");
        }
    }
}
