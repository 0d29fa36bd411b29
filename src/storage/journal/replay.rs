//! What a crash left in the journals of a log directory goes back into the segments, before any log is opened.
//!
//! Runs on every start: after a crash it puts back what counts, and after any stop it makes what is there void. It can be interrupted at any
//! moment and begun anew: entries are put where they stand already, or where a crash took them from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{JournalError, file_name, parse_file_name};
use crate::base::ids::TopicId;
use crate::base::offset::{FilePosition, Offset};
use crate::log::journal::format::{Entry, FileHeader, Place};
use crate::log::journal::survey::Survey;
use crate::log::names::{self, FileKind};
use crate::rt::fs::{self, File, Open};
use crate::rt::random;
use crate::storage::checkpoint::own_recovery_point;

/// Segments that are synced one by one; of more, the whole file system is.
const SYNCED_SINGLY_MAX: usize = 16;

/// The journal files of a log directory, by core.
#[derive(Debug)]
pub(in crate::storage) struct JournalFiles {
    directory: PathBuf,
    /// Headers by core and slot.
    headers: BTreeMap<u32, BTreeMap<u32, FileHeader>>,
}

/// What was put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Overlay {
    pub entries: usize,
    pub bytes: u64,
    /// Entries of partitions that are not there any more, or that the log has left behind.
    pub void: usize,
}

impl JournalFiles {
    /// Looks at the headers; changes nothing.
    ///
    /// # Errors
    /// [`JournalError::Refused`] for files of another version or another directory, and for damaged ones.
    pub(in crate::storage) fn find(directory: &Path, directory_id: Option<[u8; 16]>) -> Result<Self, JournalError> {
        let entries = fs::list(directory).map_err(JournalError::failed("listed", directory))?;
        let mut headers: BTreeMap<u32, BTreeMap<u32, FileHeader>> = BTreeMap::new();
        for entry in entries {
            let Some((core, slot)) = entry.name.to_str().and_then(parse_file_name) else {
                continue;
            };
            let path = directory.join(&entry.name);
            let refused = |reason: String| JournalError::Refused {
                path: path.clone(),
                reason,
            };
            let header = read_header(&path).map_err(JournalError::failed("read", &path))?;
            let header = FileHeader::decode(&header).map_err(|bad| refused(bad.to_string()))?;
            if Some(header.directory_id) != directory_id {
                return Err(refused("it belongs to another log directory".to_owned()));
            }
            if (header.core, header.slot) != (core, slot) {
                return Err(refused("it has the name of another".to_owned()));
            }
            headers.entry(core).or_default().insert(slot, header);
        }
        Ok(Self {
            directory: directory.to_owned(),
            headers,
        })
    }

    /// Puts back what counts, and has it on the disk. `path_of` tells where a partition's files are.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(in crate::storage) fn replay(
        &self,
        path_of: &BTreeMap<(TopicId, i32), PathBuf>,
        recovery_point: impl Fn(&Path) -> Offset,
    ) -> Result<Overlay, JournalError> {
        let mut target = Target {
            path_of,
            partitions: BTreeMap::new(),
            touched: BTreeMap::new(),
            overlay: Overlay::default(),
        };
        for (core, slots) in &self.headers {
            let Some(first) = slots.get(&0) else { continue };
            let files: Vec<Vec<u8>> = slots
                .keys()
                .map(|slot| self.read_file(*core, *slot))
                .collect::<Result<_, _>>()?;
            let mut survey = Survey::new(first.epoch);
            files.iter().for_each(|file| survey.look_into(file));
            let entries = survey.entries().map_err(|gap| JournalError::Damaged {
                path: self.directory.join(file_name(*core, 0)),
                gap,
            })?;
            for entry in entries {
                target.put(&entry, &recovery_point)?;
            }
        }
        target.sync(&self.directory)?;
        Ok(target.overlay)
    }

    /// A new epoch for each core that has files.
    pub(in crate::storage) fn fresh_epochs(&self) -> BTreeMap<u32, u64> {
        let with_files = self.headers.iter().filter(|(_, slots)| slots.contains_key(&0));
        with_files.map(|(core, _)| (*core, random::u64())).collect()
    }

    /// Begins the epochs, which makes every group that is there void.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub(in crate::storage) fn begin_epochs(&self, epochs: &BTreeMap<u32, u64>) -> Result<(), JournalError> {
        for (core, epoch) in epochs {
            let Some(first) = self.headers.get(core).and_then(|slots| slots.get(&0)) else {
                continue;
            };
            let epoch = *epoch;
            let path = self.directory.join(file_name(*core, 0));
            let header = FileHeader { epoch, ..*first };
            let write = || {
                let file = File::open(&path, Open::ReadWrite)?;
                file.write_at(FilePosition::ZERO, &[&header.encode()])?;
                file.sync_data_now()
            };
            write().map_err(JournalError::failed("written", &path))?;
        }
        Ok(())
    }

    fn read_file(&self, core: u32, slot: u32) -> Result<Vec<u8>, JournalError> {
        let path = self.directory.join(file_name(core, slot));
        fs::read(&path).map_err(JournalError::failed("read", &path))
    }
}

fn read_header(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path, Open::Read)?;
    let mut block = vec![0; super::BLOCK_BYTES];
    let read = file.read_at(FilePosition::ZERO, &mut block)?;
    block.truncate(read);
    Ok(block)
}

/// Partitions on their way back.
struct Target<'a> {
    path_of: &'a BTreeMap<(TopicId, i32), PathBuf>,
    partitions: BTreeMap<(TopicId, i32), Known>,
    /// Segment files that were written to.
    touched: BTreeMap<PathBuf, File>,
    overlay: Overlay,
}

/// What of a partition's log does not change by a replay.
#[derive(Clone, Copy)]
struct Known {
    recovery_point: Offset,
    /// Base offset of its first segment; `None` without any.
    first_segment: Option<Offset>,
}

impl Target<'_> {
    fn put(&mut self, entry: &Entry<'_>, recovery_point: &impl Fn(&Path) -> Offset) -> Result<(), JournalError> {
        let place = entry.place;
        let key = (place.topic_id, place.partition);
        let Some(path) = self.path_of.get(&key) else {
            self.overlay.void += 1;
            return Ok(());
        };
        let known = match self.partitions.get(&key) {
            Some(known) => *known,
            None => {
                let known = Known::of(path, recovery_point)?;
                self.partitions.insert(key, known);
                known
            }
        };
        if !known.counts(&place) {
            self.overlay.void += 1;
            return Ok(());
        }
        let file = path.join(names::file_name(place.segment, FileKind::Log));
        let failed = JournalError::failed("put back into its segment", &file);
        let opened = match self.touched.get(&file) {
            Some(opened) => Ok(opened.clone()),
            None => File::open(&file, Open::Create),
        };
        let written = opened.and_then(|opened| {
            opened.write_at(place.position, &[entry.bytes])?;
            Ok(opened)
        });
        let opened = written.map_err(failed)?;
        self.touched.insert(file, opened);
        self.overlay.entries += 1;
        self.overlay.bytes += u64::try_from(entry.bytes.len()).unwrap_or(0);
        Ok(())
    }

    /// Waits until the segments, and the names of those that were not there, are on the disk.
    fn sync(&self, directory: &Path) -> Result<(), JournalError> {
        if self.touched.len() > SYNCED_SINGLY_MAX {
            return fs::sync_file_system(directory).map_err(JournalError::failed("put back", directory));
        }
        for (path, file) in &self.touched {
            let parent = path.parent().unwrap_or(directory);
            let synced = file.sync_data_now().and_then(|()| fs::sync_directory(parent));
            synced.map_err(JournalError::failed("put back into its segment", path))?;
        }
        Ok(())
    }
}

impl Known {
    fn of(path: &Path, recovery_point: &impl Fn(&Path) -> Offset) -> Result<Self, JournalError> {
        let entries = fs::list(path).map_err(JournalError::failed("put back: the partition cannot be listed", path))?;
        let segments = entries.iter().filter_map(|entry| {
            let (base_offset, kind) = names::parse_file_name(entry.name.to_str()?)?;
            (kind == FileKind::Log).then_some(base_offset)
        });
        Ok(Self {
            recovery_point: own_recovery_point(path).unwrap_or_else(|| recovery_point(path)),
            first_segment: segments.min(),
        })
    }

    /// Whether an entry may be missing in the segments. Below the recovery point nothing is, and segments may be compacted or
    /// deleted there.
    fn counts(self, place: &Place) -> bool {
        place.next_offset > self.recovery_point && self.first_segment.is_none_or(|first| place.segment >= first)
    }
}
