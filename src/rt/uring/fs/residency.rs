//! Is a range of a file in the page cache?

#![expect(unsafe_code, reason = "cachestat has no wrapper")]

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, ReadWriteFlags};

use crate::base::offset::FilePosition;

/// Linux 6.5; the same number on every architecture.
const SYS_CACHESTAT: libc::c_long = 451;

const PAGE_BYTES: u64 = 4096;

/// The kernel said that it has no cachestat.
static NO_CACHESTAT: AtomicBool = AtomicBool::new(false);

#[repr(C)]
struct CachestatRange {
    offset: u64,
    length: u64,
}

#[repr(C)]
struct Cachestat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Whether all pages of the range are cached. Without an answer from the kernel, no: a needless read is better than a stall.
pub(super) fn is_resident(file: BorrowedFd<'_>, position: FilePosition, length: u64) -> bool {
    if length == 0 {
        return true;
    }
    // First: a look at a page that is missing has the kernel read it.
    if is_cached(file, position, length) == Some(false) {
        return false;
    }
    // Pages that are being read are counted as cached before their data is there. It comes in order, so the ends of the range tell.
    page_is_ready(file, position.0 + length - 1) && page_is_ready(file, position.0)
}

/// Whether all pages of the range are cached or being read; `None` where the kernel does not tell.
pub(super) fn is_cached(file: BorrowedFd<'_>, position: FilePosition, length: u64) -> Option<bool> {
    if NO_CACHESTAT.load(Ordering::Relaxed) {
        return None;
    }
    let Some(cached) = cached_pages(file, position, length) else {
        NO_CACHESTAT.store(true, Ordering::Relaxed);
        return None;
    };
    let first = position.0 / PAGE_BYTES;
    let last = (position.0 + length - 1) / PAGE_BYTES;
    Some(cached > last - first)
}

fn cached_pages(file: BorrowedFd<'_>, position: FilePosition, length: u64) -> Option<u64> {
    let range = CachestatRange {
        offset: position.0,
        length,
    };
    let mut answer = MaybeUninit::<Cachestat>::uninit();
    // SAFETY: both structures are as the kernel defines them, and live through the call.
    let outcome = unsafe {
        libc::syscall(
            SYS_CACHESTAT,
            file.as_raw_fd(),
            &raw const range,
            answer.as_mut_ptr(),
            0u32,
        )
    };
    // SAFETY: on success the kernel has written all of it.
    (outcome == 0).then(|| unsafe { answer.assume_init() }.cached)
}

fn page_is_ready(file: BorrowedFd<'_>, position: u64) -> bool {
    let mut byte = [0];
    let mut into = [std::io::IoSliceMut::new(&mut byte)];
    match rustix::io::preadv2(file, &mut into, position, ReadWriteFlags::NOWAIT) {
        Ok(_) => true,
        Err(Errno::INTR) => page_is_ready(file, position),
        Err(_) => false,
    }
}
