//! The content of a simulated file: what programs see of it, what is on the disk, and the changes in between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::random::Random;

const SECTOR_BYTES: usize = 512;

/// One change of a file since its last sync.
#[derive(Clone, Debug)]
enum Change {
    Write { position: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

/// The content of a file, under any number of names and handles.
#[derive(Debug, Default)]
pub(super) struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// In the order they were made; the first has the number `first_change`.
    changes: Vec<Change>,
    first_change: u64,
    /// Its blocks are reserved up to here, if that is behind its end.
    reserved_to: usize,
}

/// Handles of files may cross cores, as the machine's may.
pub(super) type SharedInode = Arc<Mutex<Inode>>;

/// The content, whoever panicked with it before.
pub(super) fn look_into(inode: &SharedInode) -> MutexGuard<'_, Inode> {
    inode.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inode {
    /// A file that is on the disk.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self {
            live: bytes.to_vec(),
            durable: bytes.to_vec(),
            ..Self::default()
        }
    }

    pub(super) fn share(self) -> SharedInode {
        Arc::new(Mutex::new(self))
    }

    pub(super) fn len(&self) -> u64 {
        self.live.len() as u64
    }

    pub(super) fn read(&self, position: usize, into: &mut [u8]) -> usize {
        let rest = self.live.get(position..).unwrap_or(&[]);
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        count
    }

    /// Bytes of its blocks.
    pub(super) fn allocated_bytes(&self) -> u64 {
        self.live.len().max(self.reserved_to) as u64
    }

    pub(super) fn reserve_more(&mut self, bytes: u64) {
        self.reserved_to = self.live.len().max(self.reserved_to) + usize::try_from(bytes).unwrap_or(0);
    }

    /// Bytes of a write that need room.
    pub(super) fn bytes_not_reserved(&self, position: usize, length: usize) -> u64 {
        let reserved_from = position.max(self.live.len());
        let reserved = (position + length).min(self.reserved_to).saturating_sub(reserved_from);
        (length - reserved) as u64
    }

    /// Bytes that a truncation gives back.
    pub(super) fn bytes_reserved_behind(&self, length: usize) -> u64 {
        self.reserved_to.saturating_sub(length.max(self.live.len())) as u64
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.reserved_to = 0;
        self.make(Change::Truncate { length });
    }

    pub(super) fn write(&mut self, position: usize, bytes: Vec<u8>) {
        self.make(Change::Write { position, bytes });
    }

    /// The number that the next change will have: a sync that begins now covers all below.
    pub(super) fn next_change(&self) -> u64 {
        self.first_change + self.changes.len() as u64
    }

    fn make(&mut self, change: Change) {
        apply_change(&mut self.live, &change);
        self.changes.push(change);
    }

    /// A sync of the changes with numbers below `covered` has ended.
    pub(super) fn synced(&mut self, covered: u64) {
        for change in self.take_changes(covered) {
            apply_change(&mut self.durable, &change);
        }
    }

    /// A sync of the changes with numbers below `covered` has failed.
    pub(super) fn lost(&mut self, covered: u64, random: &mut Random) {
        let changes = self.take_changes(covered);
        self.durable = after_crash(&self.durable, &changes, random);
    }

    fn take_changes(&mut self, covered: u64) -> Vec<Change> {
        let count = usize::try_from(covered.saturating_sub(self.first_change)).unwrap_or(0);
        let count = count.min(self.changes.len());
        self.first_change += count as u64;
        self.changes.drain(..count).collect()
    }

    pub(super) fn after_crash(&self, random: &mut Random) -> Vec<u8> {
        after_crash(&self.durable, &self.changes, random)
    }
}

fn apply_change(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Truncate { length } => content.resize(*length, 0),
        Change::Write { position, bytes } => put(content, *position, bytes),
    }
}

fn put(content: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[position..end].copy_from_slice(bytes);
}

/// What of some changes survives on top of what was durable.
fn after_crash(durable: &[u8], changes: &[Change], random: &mut Random) -> Vec<u8> {
    let mut content = durable.to_vec();
    let mut length_live = content.len();
    // All, nothing, or anything between: crashes differ.
    let survival_percent = [0, 100, 50, 90][random.index(4)];
    for change in changes {
        match change {
            Change::Truncate { length } => {
                length_live = *length;
                if random.percent(50) {
                    content.resize(*length, 0);
                }
            }
            Change::Write { position, bytes } => {
                length_live = length_live.max(position + bytes.len());
                for (sector_position, sector) in sectors(*position, bytes) {
                    if random.percent(survival_percent) {
                        put(&mut content, sector_position, sector);
                    }
                }
            }
        }
    }
    if content.len() < length_live && random.percent(30) {
        content.resize(length_live, 0);
    }
    content
}

/// The parts of a write that lie in one sector each.
fn sectors(position: usize, bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut parts = Vec::new();
    let (mut at, mut rest) = (position, bytes);
    while !rest.is_empty() {
        let room = SECTOR_BYTES - at % SECTOR_BYTES;
        let (sector, after) = rest.split_at(room.min(rest.len()));
        parts.push((at, sector));
        at += sector.len();
        rest = after;
    }
    parts
}
