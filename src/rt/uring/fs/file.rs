//! One file: appends and reads through the page cache on the spot, reads of cold data and syncs through the ring.

#![expect(unsafe_code, reason = "entries name memory that the kernel reads and writes")]

use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use io_uring::{opcode, squeue, types};
use rustix::fs::{Advice, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::descriptor::Descriptor;
use super::directory::c_string;
use super::residency;
use crate::base::offset::FilePosition;
use crate::base::time::TimestampMs;
use crate::rt::uring::aside;
use crate::rt::uring::operations::outcome;
use crate::rt::uring::reactor::Reactor;

/// Slices of one `pwritev`: the kernel's IOV_MAX.
const SLICES_MAX: usize = 1024;

/// Bytes of one read through the ring by a thread of the kernel.
const COLD_READ_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of one read through the ring that the core itself copies where the page cache has them: 30 us, and 100 us into new memory.
const COPIED_BYTES_MAX: usize = 128 * 1024;

/// The unit of `st_blocks`, whatever the blocks of the file system.
pub(super) const STAT_BLOCK_BYTES: u64 = 512;

/// New files may be read and written by their owner, and read by the group.
const NEW_FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP);

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

/// An open file. Clones are the same file, on any core; with the last of them, and the last operation in flight, it is closed: on a core without
/// a wait, whatever has become of the file.
#[derive(Clone, Debug)]
pub struct File {
    descriptor: Arc<Descriptor>,
}

impl File {
    /// Opens a file, without waiting for its data.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub fn open(path: impl AsRef<Path>, how: Open) -> io::Result<Self> {
        let flags = match how {
            Open::Read => OFlags::RDONLY,
            Open::ReadWrite => OFlags::RDWR,
            Open::Create => OFlags::RDWR | OFlags::CREATE,
            Open::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let descriptor = rustix::fs::open(path.as_ref(), flags | OFlags::CLOEXEC, NEW_FILE_MODE)?;
        Ok(Self {
            descriptor: Arc::new(Descriptor::new(descriptor)),
        })
    }

    /// Makes an empty file to be read and written, or empties the one that is there, through the ring: the disk may take its time to find
    /// room for it, and another thread waits for it.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub async fn make(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_through_ring(path.as_ref(), OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC).await
    }

    /// Opens a file that exists, to be read and written, through the ring: what the file system knows of it may have left memory.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub async fn find(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_through_ring(path.as_ref(), OFlags::RDWR).await
    }

    async fn open_through_ring(path: &Path, flags: OFlags) -> io::Result<Self> {
        let name = c_string(path)?;
        let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr())
            .flags(i32::try_from((flags | OFlags::CLOEXEC).bits()).unwrap_or(0))
            .mode(NEW_FILE_MODE.bits())
            .build();
        // SAFETY: the held name is where the entry points to, on the heap, and is kept until the completion.
        let (result, _) = unsafe { Reactor::current().submit(entry, name) }.await;
        outcome(result)?;
        // SAFETY: the kernel has just opened it, for this call alone.
        let descriptor = unsafe { OwnedFd::from_raw_fd(result) };
        Ok(Self {
            descriptor: Arc::new(Descriptor::new(descriptor)),
        })
    }

    pub(super) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self {
            descriptor: Arc::new(Descriptor::new(descriptor)),
        }
    }

    /// Bytes of the file.
    ///
    /// # Errors
    /// What `fstat(2)` says.
    pub fn len(&self) -> io::Result<u64> {
        let status = rustix::fs::fstat(self.descriptor.as_fd())?;
        Ok(u64::try_from(status.st_size).unwrap_or(0))
    }

    /// When the file was last written.
    ///
    /// # Errors
    /// What `fstat(2)` says.
    pub fn modified(&self) -> io::Result<TimestampMs> {
        let status = rustix::fs::fstat(self.descriptor.as_fd())?;
        let nanoseconds = i64::try_from(status.st_mtime_nsec).unwrap_or(0);
        Ok(TimestampMs(
            status
                .st_mtime
                .saturating_mul(1000)
                .saturating_add(nanoseconds / 1_000_000),
        ))
    }

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// As [`File::len`].
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Writes all of `parts`, one after the other, at `position`, into the page cache: no wait for the disk unless the kernel throttles
    /// writers. After an error it is unknown how much was written.
    ///
    /// # Errors
    /// What `pwritev(2)` says: `StorageFull` and the like.
    pub fn write_at(&self, position: FilePosition, parts: &[&[u8]]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut left = slices.as_mut_slice();
        let mut at = position.0;
        // Empty slices at the front make a write of nothing look like a full disk.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let batch = &left[..left.len().min(SLICES_MAX)];
            match rustix::io::pwritev(self.descriptor.as_fd(), batch, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += u64::try_from(written).unwrap_or(0);
                    IoSlice::advance_slices(&mut left, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// As [`File::write_at`] through the ring: a thread of the kernel waits where the file system lets it wait.
    ///
    /// # Errors
    /// What `pwritev(2)` says. After an error it is unknown how much was written.
    pub async fn write_through_ring(&self, position: FilePosition, mut bytes: Bytes) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let rest = &bytes[written..];
            let count = u32::try_from(rest.len()).unwrap_or(1 << 30);
            let at = position.plus(u64::try_from(written).unwrap_or(0));
            let entry = opcode::Write::new(self.fd(), rest.as_ptr(), count).offset(at.0).build();
            // SAFETY: the held handle keeps the bytes that are read, the held descriptor is open.
            let in_flight = unsafe { Reactor::current().submit(entry, (Arc::clone(&self.descriptor), bytes)) };
            let (result, (_, back)) = in_flight.await;
            bytes = back;
            match outcome(result) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Has the file system find room for the `length` bytes from `position` on, through the ring; the file stays as long as it is. Who writes
    /// to the file meanwhile waits.
    ///
    /// # Errors
    /// What `fallocate(2)` says: `Unsupported` where the file system cannot, `StorageFull` where some of it may be reserved all the same.
    pub async fn reserve(&self, position: FilePosition, length: u64) -> io::Result<()> {
        let entry = opcode::Fallocate::new(self.fd(), length)
            .offset(position.0)
            .mode(libc::FALLOC_FL_KEEP_SIZE)
            .build();
        // SAFETY: the held descriptor is open.
        let (result, _) = unsafe { Reactor::current().submit(entry, Arc::clone(&self.descriptor)) }.await;
        outcome(result).map(drop)
    }

    /// Ends the file at `length` and frees what is behind, written or reserved, on a thread beside the core. Nobody may write there
    /// meanwhile: it would be cut off.
    ///
    /// # Errors
    /// What `ftruncate(2)` says.
    pub async fn give_back_behind(&self, length: u64) -> io::Result<()> {
        let file = self.clone();
        match aside::run(&Reactor::current(), move || file.truncate(length)).await {
            Some(done) => done,
            None => self.truncate(length),
        }
    }

    /// Whether somebody, here or elsewhere, has the file open beside this handle and its clones; true too where the file system does not
    /// tell. It is asked for by a lease on the file, which ends with the handle: none may be had beside another.
    #[must_use]
    pub fn is_open_elsewhere(&self) -> bool {
        // SAFETY: the descriptor is open, and the command takes a number.
        unsafe { libc::fcntl(self.descriptor.as_fd().as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) != 0 }
    }

    /// Bytes that the blocks of the file take.
    ///
    /// # Errors
    /// What `fstat(2)` says.
    pub fn allocated_bytes(&self) -> io::Result<u64> {
        let status = rustix::fs::fstat(self.descriptor.as_fd())?;
        Ok(u64::try_from(status.st_blocks).unwrap_or(0) * STAT_BLOCK_BYTES)
    }

    /// Reads at `position` on the spot: short only at the end of the file. For what is known to be in the page cache; anything else
    /// holds the core until the disk answers.
    ///
    /// # Errors
    /// What `pread(2)` says.
    pub fn read_at(&self, position: FilePosition, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            let at = position.0 + u64::try_from(filled).unwrap_or(0);
            match rustix::io::pread(self.descriptor.as_fd(), &mut into[filled..], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }

    /// As [`File::read_at`], but it never waits for the disk.
    ///
    /// # Errors
    /// `WouldBlock` when not all of it is in the page cache; what `preadv2(2)` says.
    pub fn read_warm_at(&self, position: FilePosition, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        if self.descriptor.was_cold() {
            // Of a page that is missing the kernel would begin to read, and wait for who reads there already.
            let length = (into.len() as u64).min(self.len()?.saturating_sub(position.0));
            if length > 0 && residency::is_cached(self.descriptor.as_fd(), position, length) == Some(false) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        while filled < into.len() {
            let at = position.0 + u64::try_from(filled).unwrap_or(0);
            let mut rest = [IoSliceMut::new(&mut into[filled..])];
            match rustix::io::preadv2(self.descriptor.as_fd(), &mut rest, at, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                // A file system that cannot tell: then it is waited for.
                Err(Errno::OPNOTSUPP) => return self.read_at(position, into),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }

    /// Reads at `position` through the ring, so that the core goes on meanwhile: short only at the end of the file.
    ///
    /// # Errors
    /// What `pread(2)` says.
    pub async fn read_cold(&self, position: FilePosition, length: usize) -> io::Result<Vec<u8>> {
        self.read_cold_onto(position, Vec::new(), length).await
    }

    /// As [`File::read_cold`], behind what `bytes` has.
    ///
    /// # Errors
    /// What `pread(2)` says; `bytes` is lost then.
    pub async fn read_cold_onto(&self, position: FilePosition, bytes: Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
        self.read_onto(position, bytes, length, squeue::Flags::empty()).await
    }

    pub(super) async fn read_onto(
        &self,
        position: FilePosition,
        mut bytes: Vec<u8>,
        length: usize,
        flags: squeue::Flags,
    ) -> io::Result<Vec<u8>> {
        let reactor = Reactor::current();
        let begin = bytes.len();
        bytes.reserve_exact(length);
        let is_copied = !flags.contains(squeue::Flags::ASYNC);
        let read_bytes_max = if is_copied {
            COPIED_BYTES_MAX
        } else {
            COLD_READ_BYTES_MAX
        };
        while bytes.len() - begin < length {
            let wanted = (length - (bytes.len() - begin)).min(read_bytes_max);
            let copied_bytes = if is_copied { wanted } else { 0 };
            let at = position.plus(u64::try_from(bytes.len() - begin).unwrap_or(0));
            let target = bytes.spare_capacity_mut().as_mut_ptr().cast();
            let entry = opcode::Read::new(self.fd(), target, u32::try_from(wanted).unwrap_or(u32::MAX))
                .offset(at.0)
                .build()
                .flags(flags);
            // SAFETY: the held vector owns the spare capacity that is written, the held descriptor is open.
            let reading = unsafe { reactor.submit_copy(entry, copied_bytes, (Arc::clone(&self.descriptor), bytes)) };
            let (result, (_, mut filled)) = reading.await;
            let count = match outcome(result) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    bytes = filled;
                    continue;
                }
                other => other?,
            };
            // SAFETY: the kernel wrote `count` bytes, at most `wanted`, after the first `len`.
            unsafe { filled.set_len(filled.len() + count.min(wanted)) };
            bytes = filled;
            if count == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// Waits until all that was written to this file before is on the disk (`fdatasync`), through the ring.
    ///
    /// # Errors
    /// After an error it is unknown what is on the disk, and syncing again tells nothing: give the file up.
    pub async fn sync_data(&self) -> io::Result<()> {
        let entry = opcode::Fsync::new(self.fd()).flags(types::FsyncFlags::DATASYNC).build();
        // SAFETY: the held descriptor is open.
        let (result, _) = unsafe { Reactor::current().submit(entry, Arc::clone(&self.descriptor)) }.await;
        outcome(result).map(drop)
    }

    /// Waits until a directory that was opened to be read has its names on the disk (`fsync`), through the ring.
    pub(super) async fn sync_as_directory(&self) -> io::Result<()> {
        let entry = opcode::Fsync::new(self.fd()).build();
        // SAFETY: the held descriptor is open.
        let (result, _) = unsafe { Reactor::current().submit(entry, self.clone()) }.await;
        outcome(result).map(drop)
    }

    /// [`File::sync_data`] for threads and moments without a ring; holds the thread.
    ///
    /// # Errors
    /// As [`File::sync_data`].
    pub fn sync_data_now(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(self.descriptor.as_fd())?)
    }

    /// Makes the file `length` bytes long.
    ///
    /// # Errors
    /// What `ftruncate(2)` says.
    pub fn truncate(&self, length: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(self.descriptor.as_fd(), length)?)
    }

    /// Whether the page cache has all of the range, so that reading it does not wait.
    #[must_use]
    pub fn is_resident(&self, position: FilePosition, length: u64) -> bool {
        if self.descriptor.was_cold()
            && length > 0
            && let Some(is_ready) = self.descriptor.map().and_then(|map| map.is_ready(position, length))
        {
            return is_ready;
        }
        residency::is_resident(self.descriptor.as_fd(), position, length)
    }

    /// Asks the kernel to forget the pages of this file that are on the disk: what comes next is a cold read.
    ///
    /// # Errors
    /// What `posix_fadvise(2)` says.
    pub fn evict(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(self.descriptor.as_fd(), 0, None, Advice::DontNeed)?)
    }

    /// As [`File::evict`] for some of them: of a long file it takes long.
    ///
    /// # Errors
    /// What `posix_fadvise(2)` says.
    pub fn evict_range(&self, position: FilePosition, length: u64) -> io::Result<()> {
        let length = NonZeroU64::new(length);
        Ok(rustix::fs::fadvise(
            self.descriptor.as_fd(),
            position.0,
            length,
            Advice::DontNeed,
        )?)
    }

    /// One `sendfile(2)` to a socket that does not block; gives how many bytes it took.
    pub(in crate::rt) fn send_to(&self, socket: impl AsFd, position: FilePosition, length: u64) -> io::Result<u64> {
        let mut at = position.0;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let sent = rustix::fs::sendfile(socket, self.descriptor.as_fd(), Some(&mut at), length)?;
        Ok(u64::try_from(sent).unwrap_or(0))
    }

    pub(super) fn descriptor(&self) -> &Arc<Descriptor> {
        &self.descriptor
    }

    pub(super) fn fd(&self) -> types::Fd {
        types::Fd(self.descriptor.as_raw_fd())
    }
}
