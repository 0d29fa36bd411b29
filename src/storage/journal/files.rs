//! The files of a journal: their names, how they are made and taken up again.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;

use super::{FILES_MAX, Inner, JOURNALED_BYTES_MAX, Journal, OpenFile, Statistics};
use crate::base::ids::ShardId;
use crate::base::offset::FilePosition;
use crate::log::journal::format::FileHeader;
use crate::log::journal::ring::Ring;
use crate::log::journal::survey::Gap;
use crate::rt::fs::{self, DirectFile, File, Open};
use crate::rt::{task, time};
use crate::storage::directory::LogDirectory;
use crate::storage::error::StorageError;
use crate::storage::kept::Budget;

/// Names begin so. Plain files: Kafka takes each directory beside them for a partition's.
const PREFIX: &str = "duramen-journal-";

/// Bytes of a new file that are written before other tasks have their turn.
const PIECE_BYTES: usize = 16 * 1024;

/// Bytes of it that are synced before the disk rests: groups are written meanwhile, and stand behind them.
const SYNCED_BYTES: u64 = 512 * 1024;
const REST: Duration = Duration::from_millis(1);

/// Bytes of it that leave the page cache before other tasks have their turn.
const EVICTED_BYTES: u64 = 256 * 1024;

/// A journal that was left by a crash and cannot be used: what it holds may be acknowledged records, so a person decides.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("the journal file {} cannot be used: {reason}; start the version of Duramen that wrote it, or move it away, and with it what was acknowledged in the last moments before the crash", .path.display())]
    Refused { path: PathBuf, reason: String },
    #[error("the journal {} is damaged: {gap}; move its files away to start without them, and without what was acknowledged in the last moments before the crash", .path.display())]
    Damaged { path: PathBuf, gap: Gap },
    #[error("the journal file {} cannot be {action}: {source}", .path.display())]
    Failed {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
}

impl JournalError {
    pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Failed {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// The name of a journal's file.
pub(super) fn file_name(core: u32, slot: u32) -> String {
    format!("{PREFIX}{core:03}-{slot:02}")
}

/// The core and slot in a name.
pub(super) fn parse_file_name(name: &str) -> Option<(u32, u32)> {
    let (core, slot) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Some((core.parse().ok()?, slot.parse().ok()?))
}

/// Whether a name in a log directory is one of the journal's.
#[must_use]
pub fn is_journal_file(name: &str) -> bool {
    parse_file_name(name).is_some()
}

/// Removes the files of cores from `cores` on: they were replayed, and nobody fills them any more.
///
/// # Errors
/// [`StorageError::Failed`].
pub(in crate::storage) fn remove_of_cores_from(directory: &Path, cores: u16) -> Result<(), StorageError> {
    let entries = fs::list(directory).map_err(StorageError::failed("list", directory))?;
    for entry in entries {
        let parsed = entry.name.to_str().and_then(parse_file_name);
        if parsed.is_some_and(|(core, _)| core >= u32::from(cores)) {
            let path = directory.join(&entry.name);
            fs::remove_file(&path).map_err(StorageError::failed("remove", &path))?;
        }
    }
    Ok(())
}

impl Journal {
    /// The journal of a core, of `bytes` in all, on a directory that has begun: files that are there and fit are filled again, those that do not
    /// fit are removed, others are made when they are needed. `None` for a directory whose file system cannot write past the page cache,
    /// and for less than a file.
    ///
    /// # Errors
    /// [`StorageError`] as the disk says.
    pub fn open(directory: &LogDirectory, core: ShardId, bytes: u64) -> Result<Option<Self>, StorageError> {
        let file_bytes = bytes / u64::try_from(FILES_MAX).unwrap_or(1);
        let file_bytes = file_bytes - file_bytes % super::BLOCK_BYTES as u64;
        let Some(directory_id) = directory.properties().directory_id else {
            return Ok(None);
        };
        if file_bytes < 2 * super::BLOCK_BYTES as u64 || !directory.can_write_direct() {
            return Ok(None);
        }
        let epoch = directory.journal_epoch(core);
        let journal = Self {
            inner: Rc::new(Inner {
                directory: directory.path().to_owned(),
                directory_id,
                core,
                epoch,
                controller_epoch: directory.controller_epoch(),
                file_bytes,
                health: directory.health().clone(),
                ring: RefCell::new(Ring::new(file_bytes, FILES_MAX, 0)),
                files: RefCell::default(),
                journaled_bytes_max: Cell::new(JOURNALED_BYTES_MAX),
                kept: Budget::default(),
                joined: RefCell::default(),
                is_writing: Cell::new(false),
                is_making_file: Cell::new(false),
                is_full: Cell::new(false),
                buffer: RefCell::default(),
                fillings: Cell::new(0),
                filling_since: Cell::new(time::now()),
                filled_in: Cell::new(Duration::ZERO),
                is_freeing: Cell::new(false),
                freeings: Cell::new(0),
                statistics: Cell::new(Statistics::default()),
            }),
        };
        journal.take_up_files()?;
        Ok(Some(journal))
    }

    /// Opens the files that fit, up to the first that does not; others are removed.
    fn take_up_files(&self) -> Result<(), StorageError> {
        let mut slot = 0;
        while slot < FILES_MAX && self.is_usable(slot)? {
            self.add_file(slot)?;
            slot += 1;
        }
        for slot in slot..FILES_MAX.max(slot) {
            let path = self.path_of(slot);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(StorageError::failed("remove", &path))?,
            }
        }
        Ok(())
    }

    fn is_usable(&self, slot: usize) -> Result<bool, StorageError> {
        let path = self.path_of(slot);
        let file = match File::open(&path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(StorageError::failed("open", &path)(error)),
        };
        let mut block = [0; super::BLOCK_BYTES];
        let read = file.read_at(FilePosition::ZERO, &mut block);
        read.map_err(StorageError::failed("read", &path))?;
        let length = file.len().map_err(StorageError::failed("read", &path))?;
        let header = FileHeader::decode(&block).ok();
        // The epoch counts in the first file alone.
        let wanted = self.header(slot);
        let is_ours = header.is_some_and(|header| {
            let epoch = if slot == 0 { header.epoch } else { wanted.epoch };
            FileHeader {
                epoch,
                controller_epoch: wanted.controller_epoch,
                ..header
            } == wanted
        });
        Ok(is_ours && length == self.inner.file_bytes)
    }

    fn header(&self, slot: usize) -> FileHeader {
        FileHeader {
            directory_id: self.inner.directory_id,
            core: u32::from(self.inner.core.0),
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            file_bytes: self.inner.file_bytes,
            epoch: self.inner.epoch,
            controller_epoch: self.inner.controller_epoch,
        }
    }

    pub(super) fn path_of(&self, slot: usize) -> PathBuf {
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        self.inner.directory.join(file_name(u32::from(self.inner.core.0), slot))
    }

    fn add_file(&self, slot: usize) -> Result<(), StorageError> {
        let path = self.path_of(slot);
        let file = DirectFile::open(&path).map_err(StorageError::failed("open", &path))?;
        self.inner.files.borrow_mut().push(OpenFile { file, logs: Vec::new() });
        self.inner.ring.borrow_mut().add_file();
        self.inner.is_full.set(false);
        Ok(())
    }
}

/// Makes the file of a slot, with all its blocks on the disk, so that filling it changes nothing but its data.
pub(super) async fn make_file(journal: Journal, slot: usize) {
    let made = match write_file(&journal, slot).await {
        Ok(()) => journal.add_file(slot).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match made {
        Ok(()) => journal.inner.is_making_file.set(false),
        // It stays marked as being made: a disk that is full is not asked again and again.
        Err(error) => tracing::warn!(
            file = %journal.path_of(slot).display(),
            %error,
            "a journal file cannot be made; what finds no room in the journal is synced in its segment"
        ),
    }
}

async fn write_file(journal: &Journal, slot: usize) -> std::io::Result<()> {
    let path = journal.path_of(slot);
    let mut temporary = path.clone().into_os_string();
    temporary.push(".tmp");
    let file = File::make(&temporary).await?;
    let header = journal.header(slot).encode();
    // In one place, though it is written bit by bit.
    match file.reserve(FilePosition::ZERO, journal.inner.file_bytes).await {
        Err(error) if error.kind() != std::io::ErrorKind::Unsupported => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let zeroes = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < journal.inner.file_bytes {
        let left = usize::try_from(journal.inner.file_bytes - at).unwrap_or(usize::MAX);
        let piece = &zeroes[..left.min(PIECE_BYTES)];
        file.write_at(FilePosition(at), &[piece])?;
        at += u64::try_from(piece.len()).unwrap_or(0);
        task::yield_now().await;
        if at.is_multiple_of(SYNCED_BYTES) {
            file.sync_data().await?;
            time::sleep(REST).await;
        }
    }
    file.write_at(FilePosition::ZERO, &[&header])?;
    file.sync_data().await?;
    // Its zeroes are of no use in the page cache.
    let mut at = 0;
    while at < journal.inner.file_bytes {
        file.evict_range(FilePosition(at), EVICTED_BYTES)?;
        at += EVICTED_BYTES;
        task::yield_now().await;
    }
    fs::give_name(&temporary, &path).await?;
    fs::sync_names(&journal.inner.directory).await
}

/// Whether the file system of a directory takes writes past the page cache.
pub(in crate::storage) fn can_write_direct(directory: &Path) -> bool {
    let path = directory.join(format!("{PREFIX}probe.tmp"));
    let probe = || {
        File::open(&path, Open::Create)?;
        DirectFile::open(&path).map(drop)
    };
    let can = probe().is_ok();
    // One that cannot be removed harms nobody, and the next start makes it anew.
    let _ = fs::remove_file(&path);
    can
}
