//! Changes of names in a directory, through the ring: a file system that is writing its journal lets them wait.

#![expect(unsafe_code, reason = "entries name memory that the kernel reads")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use io_uring::{opcode, types};
use rustix::fs::{Mode, OFlags};

use super::file::File;
use crate::base::offset::FilePosition;
use crate::rt::uring::operations::outcome;
use crate::rt::uring::reactor::Reactor;

/// An open directory: the same one, wherever it is moved. Clones are the same directory.
#[derive(Clone, Debug)]
pub struct Directory {
    descriptor: Arc<OwnedFd>,
}

impl Directory {
    /// Opens a directory that exists.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path.as_ref(), flags, Mode::empty())?;
        Ok(Self {
            descriptor: Arc::new(descriptor),
        })
    }

    /// Makes an empty file in it, or opens the one that is there, as it is.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub async fn make_file(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::CREATE).await
    }

    /// Makes a file in it, or empties the one that is there, and writes `content`; nothing is synced.
    ///
    /// # Errors
    /// What `open(2)` and `write(2)` say. After an error it is unknown how much was written.
    pub async fn write_file(&self, name: &str, content: Vec<u8>) -> io::Result<File> {
        let file = self.open_file(name, OFlags::CREATE | OFlags::TRUNC).await?;
        file.write_through_ring(FilePosition::ZERO, content.into()).await?;
        Ok(file)
    }

    /// Opens a file in it that exists.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub async fn find_file(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::empty()).await
    }

    async fn open_file(&self, name: &str, how: OFlags) -> io::Result<File> {
        let name = CString::new(name)?;
        let flags = OFlags::RDWR | OFlags::CLOEXEC | how;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        let entry = opcode::OpenAt::new(self.fd(), name.as_ptr())
            .flags(flags.bits().cast_signed())
            .mode(mode.bits())
            .build();
        // SAFETY: the held name is where the entry points to, on the heap; the held descriptor is open.
        let (result, _) = unsafe { Reactor::current().submit(entry, (Arc::clone(&self.descriptor), name)) }.await;
        outcome(result)?;
        // SAFETY: the kernel has just given this descriptor to us, and to nobody else.
        Ok(File::from_descriptor(unsafe { OwnedFd::from_raw_fd(result) }))
    }

    /// Gives a file in it another name, in place of a file that had it.
    ///
    /// # Errors
    /// What `rename(2)` says.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let names = (CString::new(from)?, CString::new(to)?);
        let entry = opcode::RenameAt::new(self.fd(), names.0.as_ptr(), self.fd(), names.1.as_ptr()).build();
        // SAFETY: the held names are where the entry points to, on the heap; the held descriptor is open.
        let (result, _) = unsafe { Reactor::current().submit(entry, (Arc::clone(&self.descriptor), names)) }.await;
        outcome(result).map(drop)
    }

    /// Removes a file in it.
    ///
    /// # Errors
    /// What `unlink(2)` says.
    pub async fn unlink(&self, name: &str) -> io::Result<()> {
        let name = CString::new(name)?;
        let entry = opcode::UnlinkAt::new(self.fd(), name.as_ptr()).build();
        // SAFETY: the held name is where the entry points to, on the heap; the held descriptor is open.
        let (result, _) = unsafe { Reactor::current().submit(entry, (Arc::clone(&self.descriptor), name)) }.await;
        outcome(result).map(drop)
    }

    /// Waits until its names are on the disk.
    ///
    /// # Errors
    /// What `fsync(2)` says.
    pub async fn sync(&self) -> io::Result<()> {
        let entry = opcode::Fsync::new(self.fd()).build();
        // SAFETY: the held descriptor is open.
        let (result, _) = unsafe { Reactor::current().submit(entry, Arc::clone(&self.descriptor)) }.await;
        outcome(result).map(drop)
    }

    fn fd(&self) -> types::Fd {
        types::Fd(self.descriptor.as_raw_fd())
    }
}
