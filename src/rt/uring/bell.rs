//! Waking a thread that sleeps: a flag that something waits for it, a flag that it sleeps, and an eventfd to ring.
//!
//! The ringer writes "pending" and then looks at "sleeping"; the sleeper writes "sleeping" and then looks at "pending". Both are
//! sequentially consistent, so at least one of the two sees the other, and a bell costs a system call only when its owner sleeps:
//! one for a burst of messages.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

/// See the module. Rung by any thread, owned by one.
#[derive(Debug)]
pub(super) struct Bell {
    pending: AtomicBool,
    sleeping: AtomicBool,
    descriptor: OwnedFd,
}

impl Bell {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            pending: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
            descriptor: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    /// Says that something waits for the owner. Call it after the thing is there.
    pub fn ring(&self) {
        self.pending.store(true, Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) && self.sleeping.swap(false, Ordering::SeqCst) {
            self.strike();
        }
    }

    /// Whether something waited; the owner looks for it after this.
    pub fn take_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed) && self.pending.swap(false, Ordering::SeqCst)
    }

    /// The owner is about to sleep. True when it must not, because something waits.
    pub fn begin_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        let pending = self.pending.load(Ordering::SeqCst);
        if pending {
            self.sleeping.store(false, Ordering::Relaxed);
        }
        pending
    }

    /// The owner is awake.
    pub fn end_sleep(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Sleeps on the bell itself: for threads without a ring. True when something waits.
    pub fn wait(&self, duration: Duration) -> bool {
        if !self.begin_sleep() {
            let mut polled = [PollFd::new(&self.descriptor, PollFlags::IN)];
            let timeout = rustix::event::Timespec::try_from(duration).ok();
            // An error or a signal ends the wait early, and waiting early is allowed.
            let _ = poll(&mut polled, timeout.as_ref());
            self.end_sleep();
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.descriptor, &mut count);
        }
        self.take_pending()
    }

    /// What the owner's ring polls.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn strike(&self) {
        // The counter of an eventfd is full after 2^64 strikes; no other error is possible for one that is open.
        let _ = rustix::io::write(&self.descriptor, &1u64.to_ne_bytes());
    }
}
