//! What a crash left in the journals of a log directory goes back into the segments, before any log is opened.
//!
//! Runs on every start: after a crash it puts back what counts, and after any stop it makes what is there void. It can be interrupted at any
//! moment and begun anew: entries are put where they stand already, or where a crash took them from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files::{JournalError, file_name, parse_file_name};
use crate::base::ids::{LeaderEpoch, TopicId, TopicPartition};
use crate::base::offset::{FilePosition, Offset};
use crate::log::journal::format::{Entry, FileHeader, Floor, GroupHeader, Place};
use crate::log::journal::survey::Survey;
use crate::log::names::{self, FileKind, JOURNAL_FLOOR};
use crate::rt::fs::{self, File, Open};
use crate::rt::random;
use crate::storage::checkpoint::own_recovery_point;
use crate::storage::directory::{DirectoryError, partitions_in, topic_id_in};
use crate::storage::open::Shutdown;

/// Segments that are synced one by one; of more, the whole file system is.
const SYNCED_SINGLY_MAX: usize = 16;

/// The journal files of a log directory, by core.
#[derive(Debug)]
pub(in crate::storage) struct JournalFiles {
    directory: PathBuf,
    /// Headers by core and slot.
    headers: BTreeMap<u32, BTreeMap<u32, FileHeader>>,
    /// Files that nobody can read, and that a clean stop needs not.
    useless: Vec<PathBuf>,
}

/// What was put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Overlay {
    entries: usize,
    bytes: u64,
    /// Entries of partitions that are not there any more, or that the log has left behind.
    void: usize,
    /// Entries that are not looked at, because another broker had the directory since.
    left: usize,
}

impl JournalFiles {
    /// Looks at the headers; changes nothing.
    ///
    /// # Errors
    /// [`JournalError::Refused`] for files of another directory; after a crash also for damaged ones and those of another version.
    pub(in crate::storage) fn find(
        directory: &Path,
        directory_id: Option<[u8; 16]>,
        shutdown: Shutdown,
    ) -> Result<Self, JournalError> {
        let entries = fs::list(directory).map_err(JournalError::failed("listed", directory))?;
        let mut found = Self {
            directory: directory.to_owned(),
            headers: BTreeMap::new(),
            useless: Vec::new(),
        };
        for entry in entries {
            let Some((core, slot)) = entry.name.to_str().and_then(parse_file_name) else {
                continue;
            };
            let path = directory.join(&entry.name);
            let block = read_header(&path).map_err(JournalError::failed("read", &path))?;
            let reason = match FileHeader::decode(&block) {
                Ok(header) if Some(header.directory_id) != directory_id => {
                    let reason = "it belongs to another log directory".to_owned();
                    return Err(JournalError::Refused { path, reason });
                }
                Ok(header) if (header.core, header.slot) == (core, slot) => {
                    found.headers.entry(core).or_default().insert(slot, header);
                    continue;
                }
                Ok(_) => "it has the name of another".to_owned(),
                Err(bad) => bad.to_string(),
            };
            match shutdown {
                Shutdown::Unclean => return Err(JournalError::Refused { path, reason }),
                Shutdown::Clean => {
                    tracing::warn!(path = %path.display(), reason, "a journal file cannot be read; the stop was clean, so it is made anew");
                    found.useless.push(path);
                }
            }
        }
        Ok(found)
    }

    /// Puts back what a crash left in the journals, before anybody looks into a log.
    ///
    /// What was written before another broker had the directory does not count: that one took the end of each segment for the end of its
    /// log, and has told clients so, gave the offsets again, and began a leader epoch there. `controller_epoch` is the latest that is known.
    ///
    /// # Errors
    /// As named by [`DirectoryError`].
    pub(in crate::storage) fn replay(
        &self,
        recovery_points: &BTreeMap<TopicPartition, Offset>,
        controller_epoch: Option<LeaderEpoch>,
    ) -> Result<(), DirectoryError> {
        let directory = &self.directory;
        let found = partitions_in(directory).map_err(|error| DirectoryError::Unusable {
            path: directory.clone(),
            source: std::io::Error::other(error),
        })?;
        let (mut paths, mut points) = (BTreeMap::new(), BTreeMap::new());
        for partition in found {
            let path = directory.join(partition.to_string());
            if let Some(point) = recovery_points.get(&partition) {
                points.insert(path.clone(), *point);
            }
            if let Some(topic_id) = topic_id_in(&path) {
                paths.insert((topic_id, partition.partition), path);
            }
        }
        let point_of = |path: &Path| points.get(path).copied().unwrap_or_default();
        let overlay = self.put_back(&paths, point_of, controller_epoch)?;
        if overlay.left > 0 {
            tracing::warn!(
                directory = %directory.display(),
                entries = overlay.left,
                "another broker had this directory after a crash of ours; what only the journal had is not put back, or it would stand over what that one has written"
            );
        } else if overlay != Overlay::default() {
            tracing::info!(
                directory = %directory.display(),
                entries = overlay.entries,
                bytes = overlay.bytes,
                void = overlay.void,
                "the journal was put back into the segments"
            );
        }
        Ok(())
    }

    /// Puts back what counts, and has it on the disk. `path_of` tells where a partition's files are.
    fn put_back(
        &self,
        path_of: &BTreeMap<(TopicId, i32), PathBuf>,
        recovery_point: impl Fn(&Path) -> Offset,
        controller_epoch: Option<LeaderEpoch>,
    ) -> Result<Overlay, JournalError> {
        let mut target = Target {
            path_of,
            partitions: BTreeMap::new(),
            touched: BTreeSet::new(),
            open: None,
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
            if controller_epoch.is_some_and(|latest| latest > first.controller_epoch) {
                target.overlay.left += survey.entries().map_or(1, Iterator::count);
                continue;
            }
            let entries = survey.entries().map_err(|gap| JournalError::Damaged {
                path: self.directory.join(file_name(*core, 0)),
                gap,
            })?;
            // One partition after the other, so that one file is open at a time.
            let mut entries: Vec<_> = entries.collect();
            entries.sort_by_key(|(_, entry)| (entry.place.topic_id, entry.place.partition));
            for (group, entry) in entries {
                target.put(&group, &entry, &recovery_point)?;
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

    /// Begins the epochs, which makes every group that is there void, and takes away what cannot be read.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub(in crate::storage) fn begin_epochs(
        &self,
        epochs: &BTreeMap<u32, u64>,
        controller_epoch: LeaderEpoch,
    ) -> Result<(), JournalError> {
        for path in &self.useless {
            let removed = fs::remove_file(path).and_then(|()| fs::sync_directory(&self.directory));
            removed.map_err(JournalError::failed("removed", path))?;
        }
        for (core, epoch) in epochs {
            let Some(first) = self.headers.get(core).and_then(|slots| slots.get(&0)) else {
                continue;
            };
            let epoch = *epoch;
            let path = self.directory.join(file_name(*core, 0));
            let header = FileHeader {
                epoch,
                controller_epoch,
                ..*first
            };
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
    touched: BTreeSet<PathBuf>,
    /// The one that was written to last.
    open: Option<(PathBuf, File)>,
    overlay: Overlay,
}

/// What of a partition's log does not change by a replay.
#[derive(Clone, Copy)]
struct Known {
    recovery_point: Offset,
    /// Base offset of its first segment; `None` without any.
    first_segment: Option<Offset>,
    /// Where it was cut off last, if it was.
    floor: Option<Floor>,
}

impl Target<'_> {
    fn put(
        &mut self,
        group: &GroupHeader,
        entry: &Entry<'_>,
        recovery_point: &impl Fn(&Path) -> Offset,
    ) -> Result<(), JournalError> {
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
        if !known.counts(group, &place) {
            self.overlay.void += 1;
            return Ok(());
        }
        let file = path.join(names::file_name(place.segment, FileKind::Log));
        let failed = JournalError::failed("put back into its segment", &file);
        let opened = match self.open.take() {
            Some((path, opened)) if path == file => Ok(opened),
            Some(_) | None => File::open(&file, Open::Create),
        };
        let written = opened.and_then(|opened| {
            opened.write_at(place.position, &[entry.bytes])?;
            Ok(opened)
        });
        let opened = written.map_err(failed)?;
        self.touched.insert(file.clone());
        self.open = Some((file, opened));
        self.overlay.entries += 1;
        self.overlay.bytes += u64::try_from(entry.bytes.len()).unwrap_or(0);
        Ok(())
    }

    /// Waits until the segments, and the names of those that were not there, are on the disk.
    fn sync(&self, directory: &Path) -> Result<(), JournalError> {
        if self.touched.len() > SYNCED_SINGLY_MAX {
            return fs::sync_file_system(directory).map_err(JournalError::failed("put back", directory));
        }
        for path in &self.touched {
            let parent = path.parent().unwrap_or(directory);
            let sync = || {
                File::open(path, Open::ReadWrite)?.sync_data_now()?;
                fs::sync_directory(parent)
            };
            sync().map_err(JournalError::failed("put back into its segment", path))?;
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
            floor: read_floor(&path.join(JOURNAL_FLOOR))?,
        })
    }

    /// Whether an entry may be missing in the segments. Below the recovery point nothing is, and segments may be compacted or
    /// deleted there; nor is what was there when the log was cut off.
    fn counts(self, group: &GroupHeader, place: &Place) -> bool {
        self.floor.is_none_or(|floor| !floor.is_above(group))
            && place.next_offset > self.recovery_point
            && self.first_segment.is_none_or(|first| place.segment >= first)
    }
}

/// Where a log was cut off last. Damaged, it would let come back what was cut off, so a person decides.
fn read_floor(path: &Path) -> Result<Option<Floor>, JournalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(JournalError::failed("read", path)(error)),
    };
    let floor = Floor::decode(&bytes).map_err(|bad| JournalError::Refused {
        path: path.to_owned(),
        reason: bad.to_string(),
    })?;
    Ok(Some(floor))
}
