//! Past the page cache: writes, on the disk when they end, and reads that leave there what others need.

#![expect(unsafe_code, reason = "entries name memory that the kernel reads and writes")]

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use io_uring::{opcode, types};
use rustix::fs::{Mode, OFlags};

use crate::base::offset::FilePosition;
use crate::rt::aligned::{AlignedBuffer, BLOCK_BYTES};
use crate::rt::uring::operations::outcome;
use crate::rt::uring::reactor::Reactor;

/// A file that is written and read past the page cache. Clones are the same file.
#[derive(Clone, Debug)]
pub struct DirectFile {
    descriptor: Arc<OwnedFd>,
}

impl DirectFile {
    /// Opens a file that exists.
    ///
    /// # Errors
    /// What `open(2)` says; `InvalidInput` on a file system that cannot go past the page cache.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), OFlags::RDWR)
    }

    /// Opens a file that exists, to be read alone.
    ///
    /// # Errors
    /// As [`DirectFile::open`].
    pub fn open_to_read(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), OFlags::RDONLY)
    }

    fn open_with(path: &Path, access: OFlags) -> io::Result<Self> {
        let flags = access | OFlags::DIRECT | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self {
            descriptor: Arc::new(descriptor),
        })
    }

    /// Has the kernel read into all of `buffer`, from the front of a block on, through the ring. What is waited for gives how many bytes were
    /// read, fewer than wanted at the end of the file, and the buffer.
    ///
    /// # Panics
    /// When the position is not that of a block.
    ///
    /// # Errors
    /// What `pread(2)` says; `InvalidInput` too where this device wants longer blocks.
    pub fn begin_read(
        &self,
        position: FilePosition,
        mut buffer: AlignedBuffer,
    ) -> impl Future<Output = (io::Result<usize>, AlignedBuffer)> + use<> {
        let block = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
        crate::check!(position.0.is_multiple_of(block));
        let length = u32::try_from(buffer.len()).unwrap_or(1 << 30);
        let entry = opcode::Read::new(types::Fd(self.raw()), buffer.as_mut_ptr(), length)
            .offset(position.0)
            .build();
        // SAFETY: the held buffer owns the bytes that are written, on the heap; the held descriptor is open.
        let in_flight = unsafe { Reactor::current().submit(entry, (Arc::clone(&self.descriptor), buffer)) };
        async move {
            let (result, (_, buffer)) = in_flight.await;
            (outcome(result), buffer)
        }
    }

    /// Writes the first `length` bytes of `buffer`, whole blocks, at the front of a block, through the ring, and flushes the device; gives the
    /// buffer back. When it ends they are on the disk.
    ///
    /// Not by `RWF_DSYNC`: on a device without forced unit access the kernel leaves its flush to a worker of the CPU that got the interrupt,
    /// which waits for a tick where that CPU is busy (measured with 16 entries: 2.3 ms, against 0.24 ms this way; the same on idle CPUs).
    ///
    /// # Panics
    /// When position or length are not whole blocks, or the buffer is shorter.
    ///
    /// # Errors
    /// After an error it is unknown how much of it is on the disk.
    pub async fn write_durable(
        &self,
        position: FilePosition,
        mut buffer: AlignedBuffer,
        length: usize,
    ) -> (io::Result<()>, AlignedBuffer) {
        let block = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
        crate::check!(position.0.is_multiple_of(block) && length.is_multiple_of(BLOCK_BYTES));
        crate::check!(length <= buffer.len());
        let reactor = Reactor::current();
        let mut written = 0;
        while written < length {
            let rest = &buffer[written..length];
            let count = u32::try_from(rest.len()).unwrap_or(1 << 30);
            let at = position.plus(u64::try_from(written).unwrap_or(0));
            let entry = opcode::Write::new(types::Fd(self.raw()), rest.as_ptr(), count)
                .offset(at.0)
                .build();
            // SAFETY: the held buffer owns the bytes that are read, on the heap; the held descriptor is open.
            let in_flight = unsafe { reactor.submit(entry, (Arc::clone(&self.descriptor), buffer)) };
            let (result, (_, back)) = in_flight.await;
            buffer = back;
            match outcome(result) {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buffer),
                // A short write ends between blocks, or the next one is refused.
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buffer),
            }
        }
        let entry = opcode::Fsync::new(types::Fd(self.raw()))
            .flags(types::FsyncFlags::DATASYNC)
            .build();
        // SAFETY: the held descriptor is open.
        let (result, _) = unsafe { reactor.submit(entry, Arc::clone(&self.descriptor)) }.await;
        (outcome(result).map(drop), buffer)
    }

    fn raw(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.descriptor.as_raw_fd()
    }
}
