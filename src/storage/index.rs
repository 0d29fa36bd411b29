//! One index file: entries gathered in memory and appended in groups, and the search over both.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;

use super::cold::{WhenCold, read_at};
use super::error::{Health, StorageError};
use super::files::create_empty;
use crate::base::offset::FilePosition;
use crate::rt::fs::{self, File, Open};

/// Bytes gathered before they are written: entries lost in a crash are found again in the batches.
const PENDING_BYTES_MAX: usize = 504;

/// Bytes of a file that a search reads at once: a page.
const BLOCK_BYTES: usize = 4096;

/// An index file with entries of `N` bytes.
#[derive(Debug)]
pub(super) struct IndexFile<const N: usize> {
    path: PathBuf,
    /// Open while it is read.
    file: Option<File>,
    /// Entries in the file, from its front.
    written: u32,
    pending: Vec<u8>,
}

/// Entries that were gathered in memory, and where they belong.
pub(super) struct Gathered {
    file: File,
    position: FilePosition,
    bytes: Bytes,
}

impl Gathered {
    /// Writes them through the ring.
    pub(super) async fn write(&self) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        self.file.write_through_ring(self.position, self.bytes.clone()).await
    }

    pub(super) fn into_file(self) -> File {
        self.file
    }
}

impl<const N: usize> IndexFile<N> {
    /// An index whose file holds `written` entries, or is missing and holds none.
    pub(super) fn new(path: PathBuf, written: u32) -> Self {
        Self {
            path,
            file: None,
            written,
            pending: Vec::new(),
        }
    }

    /// Makes the file, empty.
    pub(super) fn create(path: PathBuf, health: &Health) -> Result<Self, StorageError> {
        create_empty(&path).map_err(|error| health.fail_write("create", &path, &error))?;
        Ok(Self::new(path, 0))
    }

    /// Removes what stands behind the entries that are known.
    pub(super) fn cut(&mut self, health: &Health) -> Result<(), StorageError> {
        let length = u64::from(self.written) * N as u64;
        let cut = self.opened().and_then(|file| file.truncate(length));
        cut.map_err(|error| health.fail("truncate", &self.path, &error))
    }

    /// Whether nothing stands behind the entries that are known.
    pub(super) fn ends_at_its_entries(&self) -> bool {
        let length = u64::from(self.written) * N as u64;
        fs::size(&self.path).is_ok_and(|size| size.bytes == length)
    }

    /// An index that was written to an open file.
    pub(super) fn written(file: File, entries: u32) -> Self {
        Self {
            path: PathBuf::new(),
            file: Some(file),
            written: entries,
            pending: Vec::new(),
        }
    }

    /// The same under the name that its file gets.
    pub(super) fn named(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    /// Adds an entry; it may reach the file later.
    pub(super) fn push(&mut self, entry: [u8; N], health: &Health) -> Result<(), StorageError> {
        if self.pending.ends_with(&entry) {
            // A segment that could not be ended for want of room is ended again.
            return Ok(());
        }
        self.pending.extend_from_slice(&entry);
        if self.pending.len() + N <= PENDING_BYTES_MAX {
            return Ok(());
        }
        match self.flush(health) {
            // Entries wait in memory for room; there are only so many until producers are refused.
            Err(StorageError::Full { .. }) => Ok(()),
            flushed => flushed,
        }
    }

    /// Writes the entries gathered in memory.
    pub(super) fn flush(&mut self, health: &Health) -> Result<(), StorageError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let position = FilePosition(u64::from(self.written) * N as u64);
        let file = self.opened().map_err(|error| health.fail("open", &self.path, &error))?;
        file.write_at(position, &[&self.pending])
            .map_err(|error| health.fail_write("write", &self.path, &error))?;
        self.written += u32::try_from(self.pending.len() / N).unwrap_or(0);
        self.pending.clear();
        Ok(())
    }

    /// What is gathered in memory, to be written while others are added.
    pub(super) fn gathered(&self) -> io::Result<Gathered> {
        Ok(Gathered {
            file: self.opened()?,
            position: FilePosition(u64::from(self.written) * N as u64),
            bytes: Bytes::copy_from_slice(&self.pending),
        })
    }

    /// Those entries are in the file. They may have been written a second time meanwhile, by [`IndexFile::flush`] and to the same place; none
    /// of them was taken back.
    pub(super) fn note_written(&mut self, gathered: &Gathered) {
        let is_flushed = gathered.position.0 != u64::from(self.written) * N as u64;
        if is_flushed || !self.pending.starts_with(&gathered.bytes) {
            return;
        }
        self.written += u32::try_from(gathered.bytes.len() / N).unwrap_or(0);
        self.pending.drain(..gathered.bytes.len());
    }

    /// Takes back the last entries, so that `entries` are left.
    pub(super) fn truncate_to(&mut self, entries: u32, health: &Health) -> Result<(), StorageError> {
        let pending = entries.saturating_sub(self.written);
        self.pending
            .truncate(usize::try_from(pending).unwrap_or(usize::MAX).saturating_mul(N));
        if entries < self.written {
            let bytes = u64::from(entries) * N as u64;
            let truncated = self.opened().and_then(|file| file.truncate(bytes));
            truncated.map_err(|error| health.fail("truncate", &self.path, &error))?;
            self.written = entries;
        }
        Ok(())
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.path.capacity() + self.pending.capacity()
    }

    pub(super) fn entries(&self) -> u32 {
        self.written + u32::try_from(self.pending.len() / N).unwrap_or(0)
    }

    /// The last entry for which `is_before` holds; it must hold for a prefix of the entries.
    ///
    /// A binary search over blocks of entries, each read at once: a block costs no more than an entry, and ends the search within it.
    pub(super) fn last_where(
        &mut self,
        is_before: impl Fn(&[u8; N]) -> bool,
        when_cold: WhenCold,
    ) -> Result<Option<[u8; N]>, StorageError> {
        let last_pending = last_before(&self.pending, &is_before);
        if last_pending.is_some() {
            return Ok(last_pending);
        }
        let block_entries = u32::try_from(BLOCK_BYTES / N).unwrap_or(1);
        let mut block = [0; BLOCK_BYTES];
        let (mut low, mut high) = (0, self.written);
        let mut best = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let begin = (middle / block_entries * block_entries).max(low);
            let count = block_entries.min(high - begin);
            let entries = self.read_entries(begin, count, &mut block, when_cold)?;
            match last_before(entries, &is_before) {
                None => high = begin,
                Some(last) => {
                    let is_all = entries.last_chunk::<N>().is_some_and(&is_before);
                    best = Some(last);
                    if !is_all {
                        break;
                    }
                    low = begin + count;
                }
            }
        }
        Ok(best)
    }

    pub(super) fn last(&mut self, when_cold: WhenCold) -> Result<Option<[u8; N]>, StorageError> {
        if let Some(last) = self.pending.last_chunk::<N>() {
            return Ok(Some(*last));
        }
        let Some(last) = self.written.checked_sub(1) else {
            return Ok(None);
        };
        let mut entry = [0; N];
        self.read_entries(last, 1, &mut entry, when_cold)?;
        Ok(Some(entry))
    }

    /// Reads entries of the file to the front of `into`. What the file does not have is zero.
    fn read_entries<'a>(
        &mut self,
        begin: u32,
        count: u32,
        into: &'a mut [u8],
        when_cold: WhenCold,
    ) -> Result<&'a [u8], StorageError> {
        let bytes = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(N);
        let into = into.get_mut(..bytes).unwrap_or_default();
        into.fill(0);
        let position = FilePosition(u64::from(begin) * N as u64);
        let file = self.opened().map_err(StorageError::failed("open", &self.path))?;
        self.file = Some(file.clone());
        let read = read_at(&file, position, into, when_cold)?;
        read.map_err(StorageError::failed("read", &self.path))?;
        Ok(into)
    }

    /// The file, to be written or synced; it stays open only where it is read.
    pub(super) fn opened(&self) -> io::Result<File> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            // Who may have to make a file waits for all who make others beside it.
            None => match File::open(&self.path, Open::ReadWrite) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => File::open(&self.path, Open::Create),
                opened => opened,
            },
        }
    }

    /// Closes the file until it is needed again.
    pub(super) fn release(&mut self) {
        self.file = None;
    }
}

/// The last of some entries for which `is_before` holds; it must hold for a prefix of them.
fn last_before<const N: usize>(entries: &[u8], is_before: &impl Fn(&[u8; N]) -> bool) -> Option<[u8; N]> {
    let (entries, _) = entries.as_chunks::<N>();
    let count = entries.partition_point(is_before);
    count.checked_sub(1).and_then(|last| entries.get(last)).copied()
}
