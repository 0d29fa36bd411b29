//! One index file: entries gathered in memory and appended in groups, and the search over both.

use std::path::PathBuf;

use super::error::{Health, StorageError};
use crate::base::offset::FilePosition;
use crate::rt::fs::{File, Open};

/// Bytes gathered before they are written: entries lost in a crash are found again in the batches.
const PENDING_BYTES_MAX: usize = 504;

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
        let made = File::open(&path, Open::Create).and_then(|file| file.truncate(0));
        made.map_err(|error| health.fail_write("create", &path, &error))?;
        Ok(Self::new(path, 0))
    }

    /// Removes what stands behind the entries that are known.
    pub(super) fn cut(&mut self, health: &Health) -> Result<(), StorageError> {
        let length = u64::from(self.written) * N as u64;
        let cut = self.opened().and_then(|file| file.truncate(length));
        cut.map_err(|error| health.fail("truncate", &self.path, &error))
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
    pub(super) fn last_where(&mut self, is_before: impl Fn(&[u8; N]) -> bool) -> Result<Option<[u8; N]>, StorageError> {
        let (mut low, mut high) = (0, self.entries());
        let mut best = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry(middle)?;
            if is_before(&entry) {
                best = Some(entry);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(best)
    }

    pub(super) fn last(&mut self) -> Result<Option<[u8; N]>, StorageError> {
        match self.entries().checked_sub(1) {
            Some(last) => self.entry(last).map(Some),
            None => Ok(None),
        }
    }

    fn entry(&mut self, number: u32) -> Result<[u8; N], StorageError> {
        let mut entry = [0; N];
        if let Some(pending) = number.checked_sub(self.written) {
            let begin = usize::try_from(pending).unwrap_or(usize::MAX).saturating_mul(N);
            if let Some(bytes) = self.pending.get(begin..begin + N) {
                entry.copy_from_slice(bytes);
            }
            return Ok(entry);
        }
        let position = FilePosition(u64::from(number) * N as u64);
        let read = self.opened().and_then(|file| {
            file.read_at(position, &mut entry)?;
            self.file = Some(file);
            Ok(())
        });
        read.map_err(StorageError::failed("read", &self.path))?;
        Ok(entry)
    }

    /// The file, to be written or synced; it stays open only where it is read.
    pub(super) fn opened(&self) -> std::io::Result<File> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => File::open(&self.path, Open::Create),
        }
    }

    /// Closes the file until it is needed again.
    pub(super) fn release(&mut self) {
        self.file = None;
    }
}
