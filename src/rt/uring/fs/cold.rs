//! Bringing in what the page cache does not have, so that no core waits for a disk: threads of the kernel read, and what a reader wants next is
//! asked for while it is sent what it wants now.
//!
//! The kernel reads ahead too, but whoever meets its mark in the page cache begins that: a sendfile, or a glance at one page, finds memory
//! for some MiB then, and waits where the queue of the disk is full. So it is told not to, of a file that was cold once.

#![expect(unsafe_code, reason = "entries name descriptors that the kernel reads from")]

use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;

use io_uring::{opcode, squeue};
use rustix::fs::Advice;

use super::descriptor::Descriptor;
use super::file::File;
use super::residency;
use crate::base::offset::FilePosition;
use crate::rt::uring::operations::Target;
use crate::rt::uring::reactor::Reactor;

/// Bytes that are read at once where some of them are wanted now.
const READ_BYTES: u64 = 1024 * 1024;

/// Bytes that are asked for ahead of a reader: what one fetch takes of a partition, by default.
const AHEAD_BYTES: u32 = 1024 * 1024;

impl File {
    /// Brings the range into the page cache, when it is not there; of what follows, up to `end`, some may come with it.
    ///
    /// # Errors
    /// What `pread(2)` says.
    pub(in crate::rt) async fn make_resident(
        &self,
        position: FilePosition,
        length: u64,
        end: FilePosition,
    ) -> io::Result<()> {
        if self.is_resident(position, length) {
            return Ok(());
        }
        self.bring_in(position, (end.0 - position.0).min(READ_BYTES).max(length))
            .await
    }

    /// Brings the range into the page cache: a thread of the kernel reads it, where it is there too.
    ///
    /// # Errors
    /// What `pread(2)` says.
    pub async fn bring_in(&self, position: FilePosition, length: u64) -> io::Result<()> {
        self.descriptor().note_cold();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        // The bytes are dropped: reading them is the one way to wait for them that works on every file system.
        let read = self.read_onto(position, Vec::new(), length, squeue::Flags::ASYNC);
        read.await.map(drop)
    }

    /// Has the kernel read what a reader wants next, who is sent what lies below `position`. Of a file that was never cold nothing is read.
    pub(in crate::rt) fn read_ahead(&self, position: FilePosition) {
        if !self.descriptor().was_cold() {
            return;
        }
        let length = self.len().unwrap_or(0).saturating_sub(position.0);
        let length = u32::try_from(length).unwrap_or(u32::MAX).min(AHEAD_BYTES);
        if length == 0 || residency::is_cached(self.descriptor().as_fd(), position, u64::from(length)) != Some(false) {
            return;
        }
        let entry = opcode::Fadvise::new(self.fd(), i64::from(length), libc::POSIX_FADV_WILLNEED)
            .offset(position.0)
            .build();
        let advising = Rc::new(Advising {
            _descriptor: Arc::clone(self.descriptor()),
        });
        // SAFETY: the target keeps the descriptor open. A core that is stopping reads nothing ahead.
        let _key = unsafe { Reactor::current().submit_to(entry.flags(squeue::Flags::ASYNC), advising) };
    }
}

impl Descriptor {
    /// From now on the kernel reads of this file what it is asked for. Where that is refused it reads ahead as it likes.
    fn note_cold(&self) {
        if !self.was_cold() {
            let _ = rustix::fs::fadvise(self.as_fd(), 0, None, Advice::Random);
            self.set_cold();
        }
    }
}

/// Advice on its way to the kernel; what comes of it is not waited for.
struct Advising {
    _descriptor: Arc<Descriptor>,
}

impl Target for Advising {
    fn complete(self: Rc<Self>, _reactor: &Rc<Reactor>, _result: i32, _flags: u32) {}
}
