//! Puts what is derived from a log on the disk, so that a start need not derive it again, and notes how far that goes.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::durability::Durability;
use super::error::StorageError;
use super::files::Closing;
use super::log::Log;
use crate::base::ids::TopicPartition;
use crate::base::offset::{FilePosition, Offset};
use crate::log::checkpoint::{decode_offsets, encode_epochs, encode_offsets};
use crate::log::names::{COMPACTED_OFFSETS, FileKind, LEADER_EPOCHS, LOG_START_OFFSETS, RECOVERY_POINTS, file_name};
use crate::rt::fs::{self, Directory, File, Open};
use crate::rt::task;

impl Log {
    /// Puts everything that is written, and everything derived from it (indexes, producers, leader epochs), on the disk; returns the recovery
    /// point, the end of the log at the call: recovery need not look at what lies below.
    ///
    /// # Errors
    /// [`StorageError::Offline`]; [`StorageError::Full`] when there is no room for what is derived.
    pub async fn checkpoint(&self) -> Result<Offset, StorageError> {
        let _turn = self.inner.durability.checkpointing.enter().await;
        let bytes = self.inner.durability.bytes_appended.get();
        // A segment that is rolled from here on may have more than lies below the recovery point, and stays on the list.
        let closing = self.inner.files.borrow().closing.clone();
        let (derived, recovery_point) = self.put_derived().await?;
        self.settle(recovery_point, closing, derived).await?;
        self.inner.durability.note_recovery_point(bytes);
        Ok(recovery_point)
    }

    /// Puts the segments that were rolled on the disk, with all that is derived of them: the recovery point is where the active one begins.
    ///
    /// # Errors
    /// [`StorageError::Offline`]; [`StorageError::Full`] when all that is on the disk, and there is no room to note so.
    pub(super) async fn checkpoint_rolled(&self) -> Result<(), StorageError> {
        let _turn = self.inner.durability.checkpointing.enter().await;
        let active = self.inner.files.borrow().active.base_offset;
        let closing = self.inner.files.borrow().closing.clone();
        // Another has done it, and may have gone further.
        if closing.is_empty() {
            return Ok(());
        }
        let active_bytes = u64::from(self.inner.state.borrow().active_segment().bytes);
        let durability = &self.inner.durability;
        let bytes_before = durability.bytes_appended.get().saturating_sub(active_bytes);
        self.settle(active, closing, Vec::new()).await?;
        durability.note_recovery_point(bytes_before);
        Ok(())
    }

    /// Syncs what lies below `recovery_point`, what is derived from that and the files in `derived`, and notes the recovery point.
    /// `closing` are the segments that were rolled when `recovery_point` was the end of the log.
    async fn settle(
        &self,
        recovery_point: Offset,
        closing: Vec<Closing>,
        derived: Vec<File>,
    ) -> Result<(), StorageError> {
        let durability = &self.inner.durability;
        self.give_back_rolled(&closing).await?;
        self.sync_through(recovery_point).await?;
        for base_offset in durability.cuts.take() {
            self.sync_cut(base_offset).await?;
        }
        for segment in &closing {
            for file in &segment.derived {
                self.sync(file, segment.base_offset).await?;
            }
        }
        for file in &derived {
            self.sync(file, recovery_point).await?;
        }
        let epoch_changes = durability.epoch_changes.get();
        if epoch_changes > durability.epoch_changes_written.get() {
            let text = encode_epochs(self.inner.state.borrow().epochs().entries());
            self.replace_own_file(LEADER_EPOCHS, &text).await?;
            durability.epoch_changes_written.set(epoch_changes);
        }
        self.sync_names().await?;
        let text = encode_offsets([(self.partition(), recovery_point)]);
        self.replace_own_file(RECOVERY_POINTS, &text).await?;
        let is_done = |base_offset| closing.iter().any(|done| done.base_offset == base_offset);
        let mut files = self.inner.files.borrow_mut();
        files.closing.retain(|segment| !is_done(segment.base_offset));
        Ok(())
    }

    /// Puts the end of a segment that was cut off on the disk.
    async fn sync_cut(&self, base_offset: Offset) -> Result<(), StorageError> {
        let path = self.path().join(file_name(base_offset, FileKind::Log));
        match File::open(&path, Open::ReadWrite) {
            Ok(file) => self.sync(&file, base_offset).await,
            // It is not of this log any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.inner.health.fail("open", &path, &error)),
        }
    }

    /// Bytes that a recovery would have to look at: those appended since the recovery point.
    #[must_use]
    pub fn bytes_to_recover(&self) -> u64 {
        self.inner.durability.bytes_to_recover()
    }

    /// Gives a file in the partition's directory new content, unless the partition is deleted meanwhile.
    pub(super) async fn replace_own_file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), StorageError> {
        let path = self.path().join(name);
        let replaced = replace_unless_retired(&self.inner.durability, &path, content.as_ref()).await;
        replaced.map_err(|error| self.inner.health.fail_write("write", &path, &error))
    }
}

async fn replace_unless_retired(durability: &Durability, path: &Path, content: &[u8]) -> io::Result<()> {
    if durability.is_retired() {
        return Ok(());
    }
    let new = Replacing::begin(path, content.to_vec()).await;
    // Its directory goes, with whatever is written there.
    let done = match new {
        Ok(_) if durability.is_retired() => Ok(()),
        Ok(new) => new.end().await,
        Err(error) => Err(error),
    };
    done.or_else(|error| if durability.is_retired() { Ok(()) } else { Err(error) })
}

/// Gives a file new content so that a crash leaves the old or the new.
pub(super) async fn replace_file(path: PathBuf, content: &[u8]) -> io::Result<()> {
    Replacing::begin(&path, content.to_vec()).await?.end().await
}

/// New content that is on the disk under another name, in a directory that stays the same when it is moved.
struct Replacing {
    directory: Directory,
    temporary: String,
    name: String,
}

impl Replacing {
    async fn begin(path: &Path, content: Vec<u8>) -> io::Result<Self> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let new = Self {
            directory: Directory::open(directory)?,
            temporary: format!("{name}.tmp"),
            name: name.to_owned(),
        };
        let file = new.directory.write_file(&new.temporary, content).await?;
        file.sync_data().await?;
        Ok(new)
    }

    async fn end(self) -> io::Result<()> {
        self.directory.rename(&self.temporary, &self.name).await?;
        self.directory.sync().await
    }
}

/// [`replace_file`] for content that is too long for one step.
pub(super) async fn replace_file_in_steps(path: &Path, content: &[u8]) -> io::Result<()> {
    const STEP_BYTES: usize = 64 * 1024;
    let new = write_beside(path, &[])?;
    let mut position = FilePosition::ZERO;
    for piece in content.chunks(STEP_BYTES) {
        new.file.write_at(position, &[piece])?;
        position = position.plus(piece.len() as u64);
        task::yield_if_needed().await;
    }
    new.file.sync_data().await?;
    fs::rename(&new.temporary, new.path)?;
    fs::sync_names(new.directory()).await
}

/// [`replace_file`] where nothing else runs: at the start and the stop.
pub(super) fn replace_file_now(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = write_beside(path, content)?;
    new.file.sync_data_now()?;
    fs::rename(&new.temporary, new.path)?;
    fs::sync_directory(new.directory())
}

/// [`replace_file`] for one who syncs the whole file system afterwards.
pub(super) fn replace_file_unsynced(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = write_beside(path, content)?;
    fs::rename(&new.temporary, new.path)
}

/// New content under another name.
struct Beside<'a> {
    file: File,
    temporary: PathBuf,
    path: &'a Path,
}

fn write_beside<'a>(path: &'a Path, content: &[u8]) -> io::Result<Beside<'a>> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let file = File::open(&temporary, Open::Create)?;
    file.truncate(0)?;
    file.write_at(FilePosition::ZERO, &[content])?;
    Ok(Beside {
        file,
        temporary: temporary.into(),
        path,
    })
}

impl Beside<'_> {
    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(self.path)
    }
}

/// Notes in a new partition's directory that recovery must look at everything: what the log directory's own checkpoint says of this
/// name may be of another partition, deleted since. The name is synced by the caller.
pub(super) async fn begin_recovery_point(directory: &Path, partition: &TopicPartition) -> io::Result<()> {
    begin_offset(directory, RECOVERY_POINTS, partition).await
}

/// The same for the log start offset: clients may read everything.
pub(super) async fn begin_log_start_offset(directory: &Path, partition: &TopicPartition) -> io::Result<()> {
    begin_offset(directory, LOG_START_OFFSETS, partition).await
}

/// The same for where compaction has come to: everything is dirty.
pub(super) async fn begin_compacted_offset(directory: &Path, partition: &TopicPartition) -> io::Result<()> {
    begin_offset(directory, COMPACTED_OFFSETS, partition).await
}

async fn begin_offset(directory: &Path, name: &str, partition: &TopicPartition) -> io::Result<()> {
    let text = encode_offsets([(partition, Offset::ZERO)]);
    let path = directory.join(name);
    let new = write_beside(&path, text.as_bytes())?;
    new.file.sync_data().await?;
    fs::rename(&new.temporary, &path)
}

/// The recovery point that a partition's directory itself tells. Apache Kafka writes none there.
pub(super) fn own_recovery_point(directory: &Path) -> Option<Offset> {
    own_offset(directory, RECOVERY_POINTS)
}

/// The log start offset that a partition's directory itself tells, likewise.
pub(super) fn own_log_start_offset(directory: &Path) -> Option<Offset> {
    own_offset(directory, LOG_START_OFFSETS)
}

/// Where compaction has come to by a partition's directory itself, likewise.
pub(super) fn own_compacted_offset(directory: &Path) -> Option<Offset> {
    own_offset(directory, COMPACTED_OFFSETS)
}

fn own_offset(directory: &Path, name: &str) -> Option<Offset> {
    let text = fs::read(directory.join(name)).ok()?;
    // Torn, it tells only that there was one: then everything is looked at.
    let entries = decode_offsets(&text).unwrap_or_default();
    Some(entries.first().map_or(Offset::ZERO, |(_, offset)| *offset))
}
