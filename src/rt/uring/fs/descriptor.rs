//! The descriptor of an open file, and its end: whoever closes a file last that has no name any more waits until the file system has freed its
//! blocks, milliseconds for a long one. On a core the ring closes it.

#![expect(unsafe_code, reason = "a descriptor is handed over to an operation")]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use io_uring::{opcode, squeue, types};

use super::residency::Map;
use crate::rt::uring::operations::Target;
use crate::rt::uring::reactor::Reactor;

/// See the module.
#[derive(Debug)]
pub(super) struct Descriptor {
    owned: ManuallyDrop<OwnedFd>,
    /// The page cache lacked some of the file when it was wanted.
    was_cold: AtomicBool,
    /// Made when it was cold first.
    map: OnceLock<Option<Map>>,
}

impl Descriptor {
    pub fn new(owned: OwnedFd) -> Self {
        Self {
            owned: ManuallyDrop::new(owned),
            was_cold: AtomicBool::new(false),
            map: OnceLock::new(),
        }
    }

    pub fn was_cold(&self) -> bool {
        self.was_cold.load(Ordering::Relaxed)
    }

    /// Of a file that was cold.
    pub fn map(&self) -> Option<&Map> {
        self.map.get_or_init(|| Map::of(self.as_fd())).as_ref()
    }

    pub fn set_cold(&self) {
        self.was_cold.store(true, Ordering::Relaxed);
    }

    /// Whether the last one who closes it ends the file itself.
    fn has_no_name(&self) -> bool {
        rustix::fs::fstat(self.as_fd()).is_ok_and(|status| status.st_nlink == 0)
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.owned.as_fd()
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.owned.as_raw_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let has_no_name = self.has_no_name();
        // SAFETY: taken once, here, and not used after.
        let owned = unsafe { ManuallyDrop::take(&mut self.owned) };
        if has_no_name {
            let mut owned = Some(owned);
            Reactor::with_current(|reactor| owned.take().into_iter().for_each(|owned| close_aside(reactor, owned)));
        }
    }
}

/// Has a thread of the kernel close it.
fn close_aside(reactor: &Reactor, owned: OwnedFd) {
    let entry = opcode::Close::new(types::Fd(owned.as_raw_fd())).build();
    let closing = Rc::new(Closing {
        owned: Cell::new(Some(owned)),
    });
    // SAFETY: the target owns the descriptor until it is closed. Where the core is stopping the target closes it, here.
    let _key = unsafe { reactor.submit_to(entry.flags(squeue::Flags::ASYNC), closing) };
}

/// A descriptor that the ring closes.
struct Closing {
    owned: Cell<Option<OwnedFd>>,
}

impl Target for Closing {
    fn complete(self: Rc<Self>, _reactor: &Rc<Reactor>, result: i32, _flags: u32) {
        // Whatever else the kernel says of a close, the descriptor is free then, and may be another's.
        if result != -libc::ECANCELED
            && let Some(owned) = self.owned.take()
        {
            let _closed = owned.into_raw_fd();
        }
    }
}
