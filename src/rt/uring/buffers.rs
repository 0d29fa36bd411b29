//! The receive buffers of a core: one pool, lent to the kernel, which picks a buffer when data is there. Idle connections hold none.
//!
//! A buffer is the kernel's from when it is lent until a completion names it, and ours from then until it is lent again. Only some are lent
//! at a time: what the kernel copies into them in one step holds the core.
//! Layout of the one mapping: the ring of entries (a page), then the buffers.

#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::Waker;

use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::reactor::Reactor;
use crate::base::limits::RECEIVE_BUFFERS_BYTES;

/// Bytes of one buffer.
pub(super) const BUFFER_BYTES: usize = 32 * 1024;

/// Buffers of a core.
const BUFFERS: u16 = 64;

/// Buffers that the kernel may fill in one step: 384 KiB take some 150 us.
const LENT_MAX: u16 = 12;

/// With fewer than these left, lent or not, received bytes are copied, and their buffers given back at once.
const BUFFERS_LOW: u16 = BUFFERS / 4;

/// The one group of buffers that a core has.
pub(super) const GROUP: u16 = 0;

const ENTRIES_BYTES: usize = 4096;
const MAPPING_BYTES: usize = ENTRIES_BYTES + RECEIVE_BUFFERS_BYTES;

const _: () = assert!(BUFFERS.is_power_of_two());
const _: () = assert!(LENT_MAX < BUFFERS_LOW);
const _: () = assert!(BUFFERS as usize * BUFFER_BYTES == RECEIVE_BUFFERS_BYTES);
const _: () = assert!(BUFFERS as usize * size_of::<BufRingEntry>() <= ENTRIES_BYTES);

/// See the module.
pub(super) struct BufferPool {
    mapping: NonNull<u8>,
    tail: Cell<u16>,
    /// Buffers that the kernel may pick from, as far as completions have told.
    lent: Cell<u16>,
    /// Free, and not lent.
    spare: RefCell<Vec<u16>>,
    waiters: RefCell<VecDeque<Waker>>,
}

impl BufferPool {
    pub fn new() -> io::Result<Self> {
        // SAFETY: a new anonymous mapping aliases nothing.
        let mapping = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                MAPPING_BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        Ok(Self {
            mapping: NonNull::new(mapping.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            tail: Cell::new(0),
            lent: Cell::new(0),
            spare: RefCell::new(Vec::with_capacity(usize::from(BUFFERS))),
            waiters: RefCell::new(VecDeque::new()),
        })
    }

    /// Makes the pool known to the ring, with all buffers free.
    pub fn register(&self, submitter: &io_uring::Submitter<'_>) -> io::Result<()> {
        let address = self.mapping.as_ptr().addr() as u64;
        // SAFETY: the mapping is page-aligned and large enough for the entries. `Reactor` frees it only when nothing is in flight,
        // and without a receive in flight the kernel does not look at it.
        unsafe { submitter.register_buf_ring_with_flags(address, BUFFERS, GROUP, 0)? };
        for buffer in 0..BUFFERS {
            self.give_back(buffer);
        }
        Ok(())
    }

    /// Whether the kernel has a buffer to pick.
    pub fn has_lent(&self) -> bool {
        self.lent.get() > 0
    }

    /// Whether so few buffers are left that what comes in is better copied out of them.
    pub fn is_low(&self) -> bool {
        usize::from(self.lent.get()) + self.spare.borrow().len() < usize::from(BUFFERS_LOW)
    }

    /// A completion named a buffer: it is ours, and another is lent instead.
    pub fn taken(&self) {
        self.lent.set(self.lent.get().saturating_sub(1));
        let spare = self.spare.borrow_mut().pop();
        if let Some(buffer) = spare {
            self.lend(buffer);
        }
    }

    /// A buffer is free again.
    pub fn give_back(&self, buffer: u16) {
        if self.lent.get() < LENT_MAX {
            self.lend(buffer);
        } else {
            self.spare.borrow_mut().push(buffer);
        }
    }

    fn lend(&self, buffer: u16) {
        let tail = self.tail.get();
        let slot = usize::from(tail & (BUFFERS - 1));
        let entries = self.mapping.cast::<BufRingEntry>().as_ptr();
        // SAFETY: `slot` is inside the entries; the kernel reads an entry only after the tail below has passed it, and this slot's
        // earlier entry was consumed, because no more than BUFFERS buffers exist.
        let entry = unsafe { &mut *entries.add(slot) };
        entry.set_addr(self.address(buffer).as_ptr().addr() as u64);
        entry.set_len(u32::try_from(BUFFER_BYTES).unwrap_or(u32::MAX));
        entry.set_bid(buffer);
        let tail = tail.wrapping_add(1);
        self.tail.set(tail);
        // SAFETY: the tail lies in the first entry, aligned for u16, shared with the kernel: hence atomic.
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut()) }.store(tail, Ordering::Release);
        self.lent.set(self.lent.get() + 1);
    }

    /// Wakes the waker once the kernel has buffers again.
    pub fn wait_for_buffer(&self, waker: Waker) {
        self.waiters.borrow_mut().push_back(waker);
    }

    /// Wakes as many waiters as there are buffers; true when it woke one.
    pub fn wake_waiters(&self) -> bool {
        let mut woken = false;
        for _ in 0..self.lent.get() {
            let Some(waker) = self.waiters.borrow_mut().pop_front() else {
                break;
            };
            waker.wake();
            woken = true;
        }
        woken
    }

    fn address(&self, buffer: u16) -> NonNull<u8> {
        // SAFETY: every buffer lies inside the mapping.
        unsafe { self.mapping.add(ENTRIES_BYTES + usize::from(buffer) * BUFFER_BYTES) }
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        // SAFETY: no receive is in flight (see `Reactor`), so the kernel has no use for the mapping.
        let _ = unsafe { munmap(self.mapping.as_ptr().cast(), MAPPING_BYTES) };
    }
}

/// Bytes that came from a connection; empty at the end of the stream.
///
/// They stand in a buffer of the core's pool, or in memory of their own when the pool was low: then those who read late cannot starve
/// the others.
pub struct Received {
    source: Source,
    /// Bytes at the front that were taken already.
    taken: usize,
}

enum Source {
    Pool {
        reactor: Rc<Reactor>,
        buffer: u16,
        length: usize,
    },
    Copy(Box<[u8]>),
}

impl Received {
    /// What the kernel wrote into a buffer of the pool.
    pub(super) fn new(reactor: &Rc<Reactor>, buffer: u16, length: usize) -> Self {
        let pooled = Self {
            source: Source::Pool {
                reactor: Rc::clone(reactor),
                buffer,
                length: length.min(BUFFER_BYTES),
            },
            taken: 0,
        };
        if reactor.buffers().is_low() {
            Self {
                source: Source::Copy(pooled.as_ref().into()),
                taken: 0,
            }
        } else {
            pooled
        }
    }

    pub(super) fn end_of_stream() -> Self {
        Self {
            source: Source::Copy(Box::default()),
            taken: 0,
        }
    }

    /// Takes at most `count` bytes off the front.
    pub fn take(&mut self, count: usize) -> &[u8] {
        let from = self.taken;
        let count = count.min(self.len());
        self.taken += count;
        &self.all()[from..from + count]
    }

    fn all(&self) -> &[u8] {
        match &self.source {
            Source::Pool {
                reactor,
                buffer,
                length,
            } => {
                let start = reactor.buffers().address(*buffer).as_ptr();
                // SAFETY: the kernel wrote `length` bytes here and does not touch the buffer until `drop` lends it again; the pool
                // lives as long as the reactor.
                unsafe { std::slice::from_raw_parts(start, *length) }
            }
            Source::Copy(bytes) => bytes,
        }
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.all()[self.taken..]
    }
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Source::Pool { reactor, buffer, .. } = &self.source {
            reactor.buffers().give_back(*buffer);
        }
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Received({} bytes)", self.len())
    }
}
