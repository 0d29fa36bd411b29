//! Directories, names, locks and space.

#![expect(clippy::disallowed_methods, reason = "this is where rt::fs reaches std::fs")]
#![expect(unsafe_code, reason = "entries name paths that the kernel reads")]

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use io_uring::{opcode, types};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use super::file::{File, Open, STAT_BLOCK_BYTES};
use crate::rt::entry::{Entry, FileSize};
use crate::rt::uring::aside;
use crate::rt::uring::operations::outcome;
use crate::rt::uring::reactor::Reactor;

/// Makes the directory and those above it; none of them is synced.
///
/// # Errors
/// What `mkdir(2)` says.
pub fn create_directory_all(path: impl AsRef<Path>) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Makes one directory through the ring: the disk may take its time to find room for it, and another thread waits for it.
///
/// # Errors
/// `AlreadyExists`, `NotFound` for the one above; what `mkdir(2)` says.
pub async fn make_directory(path: impl AsRef<Path>) -> io::Result<()> {
    let name = c_string(path.as_ref())?;
    let entry = opcode::MkDirAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr())
        .mode(0o777)
        .build();
    // SAFETY: the held name is where the entry points to, on the heap, and is kept until the completion.
    let (result, _) = unsafe { Reactor::current().submit(entry, name) }.await;
    outcome(result).map(drop)
}

/// The entries of a directory, ordered by name. The directory alone is asked, where the file system writes down there what an entry is.
///
/// # Errors
/// What `readdir(3)` says.
pub fn list(path: impl AsRef<Path>) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        match entry.file_type() {
            Ok(file_type) => entries.push(Entry {
                name: entry.file_name(),
                is_directory: file_type.is_dir(),
            }),
            // It had to be asked itself, and has vanished meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(entries)
}

/// [`list`] on a thread beside the core: whoever makes or removes a file in the directory holds it until the disk has room, and its blocks
/// may have to be read.
///
/// # Errors
/// As [`list`].
pub async fn list_aside(path: impl AsRef<Path>) -> io::Result<Vec<Entry>> {
    let path = path.as_ref();
    let listed = path.to_owned();
    match aside::run(&Reactor::current(), move || list(listed)).await {
        Some(entries) => entries,
        None => list(path),
    }
}

/// How large a file is that need not be opened.
///
/// # Errors
/// What `stat(2)` says.
pub fn size(path: impl AsRef<Path>) -> io::Result<FileSize> {
    let metadata = std::fs::metadata(path)?;
    Ok(FileSize {
        bytes: metadata.len(),
        allocated_bytes: metadata.blocks() * STAT_BLOCK_BYTES,
    })
}

/// All bytes of a small file.
///
/// # Errors
/// What `open(2)` and `read(2)` say.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Gives a file or directory another name, in place of a file that had it.
///
/// # Errors
/// What `rename(2)` says.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    std::fs::rename(from, to)
}

/// [`rename`] through the ring.
///
/// # Errors
/// What `rename(2)` says.
pub async fn give_name(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let names = (c_string(from.as_ref())?, c_string(to.as_ref())?);
    let here = types::Fd(libc::AT_FDCWD);
    let entry = opcode::RenameAt::new(here, names.0.as_ptr(), here, names.1.as_ptr()).build();
    // SAFETY: the held names are where the entry points to, on the heap, and are kept until the completion.
    let (result, _) = unsafe { Reactor::current().submit(entry, names) }.await;
    outcome(result).map(drop)
}

/// # Errors
/// What `unlink(2)` says.
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    std::fs::remove_file(path)
}

/// Removes a file through the ring: the disk may take its time to free a large one, and another thread waits for it.
///
/// # Errors
/// What `unlink(2)` says.
pub async fn unlink(path: impl AsRef<Path>) -> io::Result<()> {
    unlink_at(path.as_ref(), AtFlags::empty()).await
}

/// Removes a directory, and has `remove` take the files that are in it, one after another.
///
/// # Errors
/// What `remove` and `rmdir(2)` say.
pub async fn remove_directory(path: impl AsRef<Path>, remove: impl AsyncFn(&Path) -> io::Result<()>) -> io::Result<()> {
    let path = path.as_ref();
    for entry in list_aside(path).await? {
        let inside = path.join(entry.name);
        match remove(&inside).await {
            // A log has none, and whoever made one did not mean it to be large.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => std::fs::remove_dir_all(inside)?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    unlink_at(path, AtFlags::REMOVEDIR).await
}

async fn unlink_at(path: &Path, flags: AtFlags) -> io::Result<()> {
    let name = c_string(path)?;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let entry = opcode::UnlinkAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr())
        .flags(flags)
        .build();
    // SAFETY: the held name is where the entry points to, on the heap, and is kept until the completion.
    let (result, _) = unsafe { Reactor::current().submit(entry, name) }.await;
    outcome(result).map(drop)
}

/// A path as the kernel reads it.
pub(super) fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Removes a directory with all that is in it; the links in it are removed, not followed.
///
/// # Errors
/// What `unlink(2)` and `rmdir(2)` say.
pub fn remove_directory_all(path: impl AsRef<Path>) -> io::Result<()> {
    std::fs::remove_dir_all(path)
}

/// Waits until the names in a directory that were there at the call are on the disk, through the ring.
///
/// # Errors
/// What `open(2)` and `fsync(2)` say. As with [`File::sync_data`], after an error nobody knows what is on the disk.
pub async fn sync_names(path: impl AsRef<Path>) -> io::Result<()> {
    File::open(path, Open::Read)?.sync_as_directory().await
}

/// [`sync_names`] for threads and moments without a ring; holds the thread.
///
/// # Errors
/// What `fsync(2)` says.
pub fn sync_directory(path: impl AsRef<Path>) -> io::Result<()> {
    Ok(rustix::fs::fsync(open_directory(path.as_ref())?)?)
}

/// Waits until the whole file system of `path` is on the disk; holds the thread.
///
/// # Errors
/// What `syncfs(2)` says.
pub fn sync_file_system(path: impl AsRef<Path>) -> io::Result<()> {
    Ok(rustix::fs::syncfs(open_directory(path.as_ref())?)?)
}

/// Whether something has this name.
///
/// # Errors
/// What `stat(2)` says, other than that there is nothing.
pub fn exists(path: impl AsRef<Path>) -> io::Result<bool> {
    path.as_ref().try_exists()
}

/// The room on a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    pub total_bytes: u64,
    /// Bytes that this process may still write.
    pub free_bytes: u64,
}

/// The room on the file system of `path`.
///
/// # Errors
/// What `statvfs(2)` says.
pub fn space(path: impl AsRef<Path>) -> io::Result<Space> {
    let status = rustix::fs::statvfs(path.as_ref())?;
    Ok(Space {
        total_bytes: status.f_blocks.saturating_mul(status.f_frsize),
        free_bytes: status.f_bavail.saturating_mul(status.f_frsize),
    })
}

/// What a file system in memory calls itself to `statfs(2)`: tmpfs and ramfs.
const MEMORY_FILE_SYSTEMS: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// Whether the files of `path` have blocks of a disk, rather than pages of memory.
#[must_use]
pub fn is_on_disk(path: impl AsRef<Path>) -> bool {
    rustix::fs::statfs(path.as_ref()).is_ok_and(|status| !MEMORY_FILE_SYSTEMS.contains(&status.f_type))
}

/// A directory that no other process may use meanwhile; dropped, it is free.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: OwnedFd,
}

/// Locks a directory by its file `.lock`, as Kafka does.
///
/// # Errors
/// `WouldBlock` when another process has it; what `open(2)` says.
pub fn lock_directory(path: impl AsRef<Path>) -> io::Result<DirectoryLock> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    let file = rustix::fs::open(path.as_ref().join(".lock"), flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    // The lock that Java takes, which knows nothing of the other.
    rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(DirectoryLock { _file: file })
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}
