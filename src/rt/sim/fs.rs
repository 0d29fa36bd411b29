//! `rt::fs` on the simulated disk. Reads are never short before the end of a file, as in the other body, which repeats them.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use super::disk::Disk;
use super::executor::Core;
use super::inode::{SharedInode, look_into};
pub use super::place::{DirectoryLock, Space, dirty_bytes, discards, exists, is_on_disk, lock_directory, space};
use super::time;
use crate::base::offset::FilePosition;
use crate::base::time::TimestampMs;
pub use crate::rt::aligned::{AlignedBuffer, BLOCK_BYTES};
pub use crate::rt::entry::{Entry, FileSize};

/// How to open a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// It exists, and is read.
    Read,
    /// It exists, and is read and written.
    ReadWrite,
    /// Read and written; made when missing.
    Create,
    /// Read and written; an error when it exists.
    CreateNew,
}

/// An open file. Clones are the same file.
#[derive(Clone, Debug)]
pub struct File {
    inode: SharedInode,
    may_write: bool,
}

/// Runs `operation` as one operation of the disk, at whose end the machine may be gone.
pub(super) fn operate<T>(operation: impl FnOnce(&mut Disk) -> T) -> T {
    let core = Core::current();
    let mut disk = core.disk.borrow_mut();
    disk.begin_operation();
    operation(&mut disk)
}

impl File {
    /// # Errors
    /// `NotFound` and `AlreadyExists`.
    pub fn open(path: impl AsRef<Path>, how: Open) -> io::Result<Self> {
        let path = path.as_ref();
        operate(|disk| {
            let inode = match (disk.find(path), how) {
                (Some(_), Open::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
                (Some(inode), Open::Read | Open::ReadWrite | Open::Create) => inode,
                (None, Open::Read | Open::ReadWrite) => return Err(io::ErrorKind::NotFound.into()),
                (None, Open::Create | Open::CreateNew) => disk.create(path)?,
            };
            Ok(Self {
                inode,
                may_write: how != Open::Read,
            })
        })
    }

    /// # Errors
    /// `NotFound` for the directory.
    pub async fn make(path: impl AsRef<Path>) -> io::Result<Self> {
        wait_for_disk().await;
        let file = Self::open(path, Open::Create)?;
        file.truncate(0)?;
        Ok(file)
    }

    /// # Errors
    /// `NotFound`.
    pub async fn find(path: impl AsRef<Path>) -> io::Result<Self> {
        wait_for_disk().await;
        Self::open(path, Open::ReadWrite)
    }

    /// # Errors
    /// None here.
    pub fn len(&self) -> io::Result<u64> {
        Ok(look_into(&self.inode).len())
    }

    /// All files were written when time began.
    ///
    /// # Errors
    /// None here.
    pub fn modified(&self) -> io::Result<TimestampMs> {
        Ok(TimestampMs(0))
    }

    /// # Errors
    /// None here.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// # Errors
    /// As asked for in `Faults`; `PermissionDenied` for a file opened to be read.
    pub fn write_at(&self, position: FilePosition, parts: &[&[u8]]) -> io::Result<()> {
        Core::current().let_writer_wait();
        self.put(position, parts.concat())
    }

    /// # Errors
    /// As [`File::write_at`].
    pub async fn write_through_ring(&self, position: FilePosition, bytes: Bytes) -> io::Result<()> {
        wait_for_disk().await;
        self.put(position, bytes.to_vec())
    }

    fn put(&self, position: FilePosition, bytes: Vec<u8>) -> io::Result<()> {
        if !self.may_write {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        operate(|disk| disk.write(&self.inode, index(position), bytes))
    }

    /// # Errors
    /// None here.
    pub fn read_at(&self, position: FilePosition, into: &mut [u8]) -> io::Result<usize> {
        Ok(look_into(&self.inode).read(index(position), into))
    }

    /// # Errors
    /// None here: everything is in memory.
    pub fn read_warm_at(&self, position: FilePosition, into: &mut [u8]) -> io::Result<usize> {
        self.read_at(position, into)
    }

    /// # Errors
    /// None here.
    pub async fn read_cold(&self, position: FilePosition, length: usize) -> io::Result<Vec<u8>> {
        self.read_cold_onto(position, Vec::new(), length).await
    }

    /// # Errors
    /// None here.
    pub async fn read_cold_onto(
        &self,
        position: FilePosition,
        mut bytes: Vec<u8>,
        length: usize,
    ) -> io::Result<Vec<u8>> {
        wait_for_disk().await;
        let begin = bytes.len();
        let bytes_there = usize::try_from(self.len()?.saturating_sub(position.0)).unwrap_or(0);
        bytes.resize(begin + length.min(bytes_there), 0);
        let count = self.read_at(position, &mut bytes[begin..])?;
        bytes.truncate(begin + count);
        Ok(bytes)
    }

    /// # Errors
    /// As asked for in `Faults`.
    pub async fn sync_data(&self) -> io::Result<()> {
        let covered = look_into(&self.inode).next_change();
        wait_for_disk().await;
        operate(|disk| disk.sync(&self.inode, covered))
    }

    /// # Errors
    /// As asked for in `Faults`.
    pub fn sync_data_now(&self) -> io::Result<()> {
        let covered = look_into(&self.inode).next_change();
        operate(|disk| disk.sync(&self.inode, covered))
    }

    /// # Errors
    /// None here.
    pub fn truncate(&self, length: u64) -> io::Result<()> {
        operate(|disk| disk.truncate(&self.inode, index(FilePosition(length))));
        Ok(())
    }

    /// # Errors
    /// As asked for in `Faults`.
    pub async fn reserve(&self, position: FilePosition, length: u64) -> io::Result<()> {
        wait_for_disk().await;
        operate(|disk| disk.reserve(&self.inode, position.0, length))
    }

    /// # Errors
    /// None here.
    pub async fn give_back_behind(&self, length: u64) -> io::Result<()> {
        wait_for_disk().await;
        self.truncate(length)
    }

    /// Nobody is told here.
    #[must_use]
    pub fn is_open_elsewhere(&self) -> bool {
        true
    }

    /// # Errors
    /// None here.
    pub fn allocated_bytes(&self) -> io::Result<u64> {
        Ok(look_into(&self.inode).allocated_bytes())
    }

    /// Everything is in memory.
    #[must_use]
    pub fn is_resident(&self, _position: FilePosition, _length: u64) -> bool {
        true
    }

    pub(in crate::rt) async fn make_resident(
        &self,
        _position: FilePosition,
        _length: u64,
        _end: FilePosition,
    ) -> io::Result<()> {
        Ok(())
    }

    pub(in crate::rt) fn read_ahead(&self, _position: FilePosition) {}

    /// # Errors
    /// None.
    pub async fn bring_in(&self, _position: FilePosition, _length: u64) -> io::Result<()> {
        Ok(())
    }

    /// # Errors
    /// Always: no socket of the machine takes bytes of this disk.
    pub(in crate::rt) fn send_to(&self, _socket: impl AsFd, _position: FilePosition, _length: u64) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// # Errors
    /// None here.
    pub fn evict(&self) -> io::Result<()> {
        Ok(())
    }

    /// # Errors
    /// None here.
    pub fn evict_range(&self, _position: FilePosition, _length: u64) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is written and read past the page cache. Clones are the same file.
#[derive(Clone, Debug)]
pub struct DirectFile {
    file: File,
}

impl DirectFile {
    /// # Errors
    /// `NotFound`.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = File::open(path, Open::ReadWrite)?;
        Ok(Self { file })
    }

    /// # Errors
    /// `NotFound`.
    pub fn open_to_read(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = File::open(path, Open::Read)?;
        Ok(Self { file })
    }

    /// # Errors
    /// As asked for in `Faults`.
    pub fn begin_read(
        &self,
        position: FilePosition,
        mut buffer: AlignedBuffer,
    ) -> impl Future<Output = (io::Result<usize>, AlignedBuffer)> + use<> {
        let file = self.file.clone();
        async move {
            wait_for_disk().await;
            let read = file.read_at(position, &mut buffer);
            (read, buffer)
        }
    }

    /// Until it ends, a crash may leave any of its sectors.
    ///
    /// # Errors
    /// As asked for in `Faults`.
    pub async fn write_durable(
        &self,
        position: FilePosition,
        buffer: AlignedBuffer,
        length: usize,
    ) -> (io::Result<()>, AlignedBuffer) {
        let written = match self.file.write_at(position, &[&buffer[..length]]) {
            Ok(()) => self.file.sync_data().await,
            Err(error) => Err(error),
        };
        (written, buffer)
    }
}

async fn wait_for_disk() {
    let latency_us = Core::current().disk.borrow_mut().draw_latency_us();
    time::sleep(Duration::from_micros(latency_us)).await;
}

fn index(position: FilePosition) -> usize {
    usize::try_from(position.0).unwrap_or(usize::MAX)
}

/// # Errors
/// None here.
pub fn create_directory_all(path: impl AsRef<Path>) -> io::Result<()> {
    operate(|disk| disk.create_directory_all(path.as_ref()))
}

/// # Errors
/// `AlreadyExists`.
pub async fn make_directory(path: impl AsRef<Path>) -> io::Result<()> {
    wait_for_disk().await;
    operate(|disk| match disk.exists(path.as_ref()) {
        true => Err(io::ErrorKind::AlreadyExists.into()),
        false => disk.create_directory_all(path.as_ref()),
    })
}

/// # Errors
/// `NotFound`.
pub fn list(path: impl AsRef<Path>) -> io::Result<Vec<Entry>> {
    let names = operate(|disk| disk.list(path.as_ref()))?;
    let entry = |(name, inode): (PathBuf, Option<SharedInode>)| Entry {
        name: name.file_name().map(OsString::from).unwrap_or_default(),
        is_directory: inode.is_none(),
    };
    Ok(names.into_iter().map(entry).collect())
}

/// # Errors
/// `NotFound`.
pub async fn list_aside(path: impl AsRef<Path>) -> io::Result<Vec<Entry>> {
    wait_for_disk().await;
    list(path)
}

/// # Errors
/// `NotFound`.
pub fn size(path: impl AsRef<Path>) -> io::Result<FileSize> {
    let file = File::open(path, Open::Read)?;
    Ok(FileSize {
        bytes: file.len()?,
        allocated_bytes: file.allocated_bytes()?,
    })
}

/// # Errors
/// `NotFound`.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = File::open(path, Open::Read)?;
    let mut bytes = vec![0; index(FilePosition(file.len()?))];
    file.read_at(FilePosition::ZERO, &mut bytes)?;
    Ok(bytes)
}

/// An open directory. What is asked of it is done at once, and waited for.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// # Errors
    /// `NotFound`.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        match exists(&path)? {
            true => Ok(Self { path }),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// # Errors
    /// `NotFound` for the directory.
    pub async fn make_file(&self, name: &str) -> io::Result<File> {
        let file = File::open(self.path.join(name), Open::Create)?;
        wait_for_disk().await;
        Ok(file)
    }

    /// # Errors
    /// As asked for in `Faults`.
    pub async fn write_file(&self, name: &str, content: Vec<u8>) -> io::Result<File> {
        let file = File::open(self.path.join(name), Open::Create)?;
        file.truncate(0)?;
        file.write_at(FilePosition::ZERO, &[&content])?;
        wait_for_disk().await;
        Ok(file)
    }

    /// # Errors
    /// `NotFound`.
    pub async fn find_file(&self, name: &str) -> io::Result<File> {
        File::find(self.path.join(name)).await
    }

    /// # Errors
    /// `NotFound`.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        rename(self.path.join(from), self.path.join(to))?;
        wait_for_disk().await;
        Ok(())
    }

    /// # Errors
    /// `NotFound`.
    pub async fn unlink(&self, name: &str) -> io::Result<()> {
        remove_file(self.path.join(name))?;
        wait_for_disk().await;
        Ok(())
    }

    /// # Errors
    /// As asked for in `Faults`.
    pub async fn sync(&self) -> io::Result<()> {
        sync_names(&self.path).await
    }
}

/// # Errors
/// `NotFound`.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    operate(|disk| disk.rename(from.as_ref(), to.as_ref()))
}

/// # Errors
/// `NotFound`.
pub async fn give_name(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    wait_for_disk().await;
    rename(from, to)
}

/// # Errors
/// `NotFound`.
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    operate(|disk| disk.remove_file(path.as_ref()))
}

/// # Errors
/// `NotFound`.
pub async fn unlink(path: impl AsRef<Path>) -> io::Result<()> {
    wait_for_disk().await;
    remove_file(path)
}

/// # Errors
/// `NotFound`.
pub async fn remove_directory(path: impl AsRef<Path>, remove: impl AsyncFn(&Path) -> io::Result<()>) -> io::Result<()> {
    let path = path.as_ref();
    for entry in list(path)? {
        remove(&path.join(entry.name)).await?;
    }
    wait_for_disk().await;
    remove_directory_all(path)
}

/// # Errors
/// `NotFound`.
pub fn remove_directory_all(path: impl AsRef<Path>) -> io::Result<()> {
    operate(|disk| disk.remove_directory_all(path.as_ref()))
}

/// # Errors
/// As asked for in `Faults`.
pub async fn sync_names(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let covered = Core::current().disk.borrow().name_changes(path);
    wait_for_disk().await;
    operate(|disk| disk.sync_directory(path, covered))
}

/// # Errors
/// As asked for in `Faults`.
pub fn sync_directory(path: impl AsRef<Path>) -> io::Result<()> {
    operate(|disk| disk.sync_directory(path.as_ref(), usize::MAX))
}

/// # Errors
/// As asked for in `Faults`.
pub fn sync_file_system(_path: impl AsRef<Path>) -> io::Result<()> {
    operate(Disk::sync_all)
}
