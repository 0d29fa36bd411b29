//! What the index files of a segment look like at a start, before anything is read of its batches.

use std::path::Path;

use super::error::StorageError;
use crate::base::offset::{FilePosition, Offset};
use crate::log::index::{
    IndexState, OFFSET_ENTRY_BYTES, OffsetEntry, TIME_ENTRY_BYTES, TimeEntry, judge_offset_index, judge_time_index,
    last_offset_entry_below, last_time_entry_below,
};
use crate::log::names::{FileKind, file_name};
use crate::log::recovery::rebuild::IndexCounts;
use crate::rt::fs::{self, File, Open};

/// What the index files of a segment tell.
pub(super) struct Indexes {
    pub(super) offset_state: IndexState,
    pub(super) time_state: IndexState,
    pub(super) last_offset_entry: Option<OffsetEntry>,
    pub(super) last_time_entry: Option<TimeEntry>,
    pub(super) counts: IndexCounts,
}

impl Indexes {
    pub(super) fn read(directory: &Path, base_offset: Offset, log_bytes: u64) -> Result<Self, StorageError> {
        let offset_index = LastEntry::<8>::read(&directory.join(file_name(base_offset, FileKind::OffsetIndex)))?;
        let time_index = LastEntry::<12>::read(&directory.join(file_name(base_offset, FileKind::TimeIndex)))?;
        let last_offset_entry = offset_index
            .as_ref()
            .and_then(|index| index.last)
            .map(|bytes| OffsetEntry::decode(&bytes, base_offset));
        let last_time_entry = time_index
            .as_ref()
            .and_then(|index| index.last)
            .map(|bytes| TimeEntry::decode(&bytes, base_offset));
        Ok(Self {
            offset_state: offset_index.as_ref().map_or(IndexState::Missing, |index| {
                judge_offset_index(index.bytes, last_offset_entry, base_offset, log_bytes)
            }),
            time_state: time_index.as_ref().map_or(IndexState::Missing, |index| {
                judge_time_index(index.bytes, last_time_entry, base_offset, log_bytes)
            }),
            last_offset_entry,
            last_time_entry,
            counts: IndexCounts {
                offset: offset_index.as_ref().map_or(0, LastEntry::count),
                time: time_index.as_ref().map_or(0, LastEntry::count),
            },
        })
    }
}

impl Indexes {
    /// What the indexes tell of the part of a segment below `limit`, which was synced with them.
    pub(super) fn read_below(directory: &Path, base_offset: Offset, limit: Offset) -> Result<Self, StorageError> {
        let read = |kind| {
            let path = directory.join(file_name(base_offset, kind));
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(StorageError::failed("read", &path)(error)),
            }
        };
        let (offset_index, time_index) = (read(FileKind::OffsetIndex)?, read(FileKind::TimeIndex)?);
        let state = |index: &Option<Vec<u8>>, entry_bytes: u32| match index {
            None => IndexState::Missing,
            Some(bytes) if u32::try_from(bytes.len()).is_ok_and(|length| length.is_multiple_of(entry_bytes)) => {
                IndexState::Sound
            }
            Some(_) => IndexState::Torn,
        };
        let offset_state = state(&offset_index, OFFSET_ENTRY_BYTES);
        let time_state = state(&time_index, TIME_ENTRY_BYTES);
        let (offset_bytes, time_bytes) = (offset_index.unwrap_or_default(), time_index.unwrap_or_default());
        let (last_offset_entry, offset) = last_offset_entry_below(&offset_bytes, base_offset, limit);
        // A timestamp of a batch that the walk will meet again is told by the walk.
        let told = last_offset_entry.map_or(base_offset, |entry| entry.last_offset.next());
        let (last_time_entry, time) = last_time_entry_below(&time_bytes, base_offset, told);
        Ok(Self {
            offset_state,
            time_state,
            last_offset_entry,
            last_time_entry,
            counts: IndexCounts { offset, time },
        })
    }
}

/// The size and the last entry of an index file.
struct LastEntry<const N: usize> {
    bytes: u64,
    last: Option<[u8; N]>,
}

impl<const N: usize> LastEntry<N> {
    /// `None` when there is no such file.
    fn read(path: &Path) -> Result<Option<Self>, StorageError> {
        let failed = |source| StorageError::Failed {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let bytes = file.len().map_err(failed)?;
        let mut last = [0; N];
        let position = bytes.checked_sub(N as u64).map(FilePosition);
        let count = match position {
            Some(position) => file.read_at(position, &mut last).map_err(failed)?,
            None => 0,
        };
        Ok(Some(Self {
            bytes,
            last: (count == N).then_some(last),
        }))
    }

    fn count(&self) -> u32 {
        u32::try_from(self.bytes / N as u64).unwrap_or(0)
    }
}
