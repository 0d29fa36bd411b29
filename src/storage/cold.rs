//! Reads that must not hold a core: what is not in the page cache is told, read in through the ring, and the work begun again.
//!
//! A lookup is a chain of small reads under a borrow of the log's files, which no wait may cross. So a lookup that meets a cold page gives
//! up ([`StorageError::Cold`]), and [`Log::when_warm`] waits for that page alone before it tries again.

use std::io;

use super::error::StorageError;
use super::log::Log;
use crate::base::offset::FilePosition;
use crate::rt::fs::File;

/// Pages brought in for one lookup, before it is let to wait for the disk where it stands: the cache loses them as fast.
const PAGES_PER_LOOKUP_MAX: u32 = 64;

/// Bytes brought in around a cold place: the neighbours of an index entry are looked at next.
const WARMED_BYTES: u64 = 64 * 1024;

/// What to do about bytes that are not in the page cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WhenCold {
    /// Wait for the disk, and the core with it: at a start, in tests, or when nothing else helps.
    Wait,
    /// Give up with [`StorageError::Cold`].
    Tell,
}

/// A part of a file that is not in the page cache.
#[derive(Clone, Debug)]
pub struct ColdRange {
    file: File,
    position: FilePosition,
}

impl ColdRange {
    /// Brings it in.
    ///
    /// # Errors
    /// What the read says.
    pub async fn warm(&self) -> io::Result<()> {
        let begin = FilePosition(self.position.0 / WARMED_BYTES * WARMED_BYTES);
        self.file.bring_in(begin, WARMED_BYTES).await
    }
}

/// Reads at `position`; short only at the end of the file. The outer error says that the bytes are cold.
pub(super) fn read_at(
    file: &File,
    position: FilePosition,
    into: &mut [u8],
    when_cold: WhenCold,
) -> Result<io::Result<usize>, StorageError> {
    match when_cold {
        WhenCold::Wait => Ok(file.read_at(position, into)),
        WhenCold::Tell => match file.read_warm_at(position, into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(StorageError::Cold(ColdRange {
                file: file.clone(),
                position,
            })),
            other => Ok(other),
        },
    }
}

impl Log {
    /// Tries a lookup until it meets no cold page.
    ///
    /// # Errors
    /// Those of the lookup, and what the reads of cold pages say.
    pub(super) async fn when_warm<T>(
        &self,
        mut lookup: impl FnMut(WhenCold) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        for _ in 0..PAGES_PER_LOOKUP_MAX {
            match lookup(WhenCold::Tell) {
                Err(StorageError::Cold(range)) => {
                    let warmed = range.warm().await;
                    warmed.map_err(StorageError::failed("read", &self.path()))?;
                }
                other => return other,
            }
        }
        lookup(WhenCold::Wait)
    }
}
