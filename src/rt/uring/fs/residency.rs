//! Is a range of a file in the page cache?
//!
//! cachestat counts pages that are being read as cached, and a look at a page tells of that one alone. Of a file that many read from the disk at
//! the same time that is too little: such a file is mapped, where nobody may touch it, and mincore tells of each page whether its data is there.

#![expect(unsafe_code, reason = "cachestat, mincore and a mapping")]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, ReadWriteFlags};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::base::offset::FilePosition;

/// Linux 6.5; the same number on every architecture.
const SYS_CACHESTAT: libc::c_long = 451;

const PAGE_BYTES: u64 = PAGE as u64;
const PAGE: usize = 4096;

/// The kernel said that it has no cachestat.
static NO_CACHESTAT: AtomicBool = AtomicBool::new(false);

/// Pages that mincore is asked about at once.
const MINCORE_PAGES: usize = 256;

/// A file in the address space of the process, where nobody may touch it.
#[derive(Debug)]
pub(super) struct Map {
    address: *mut c_void,
    length: usize,
}

// SAFETY: nobody reads or writes there; asking about it and giving it up may be done from any thread.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// `None` where the process may not, or the file is empty.
    pub fn of(file: BorrowedFd<'_>) -> Option<Self> {
        let length = usize::try_from(rustix::fs::fstat(file).ok()?.st_size).ok()?;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let mapped = unsafe { mmap(null_mut(), length, ProtFlags::empty(), MapFlags::SHARED, file, 0) };
        mapped.ok().map(|address| Self { address, length })
    }

    /// Whether the data of all pages of the range is there; `None` where the file was shorter when it was mapped.
    pub fn is_ready(&self, position: FilePosition, length: u64) -> Option<bool> {
        let begin = usize::try_from(position.0 / PAGE_BYTES * PAGE_BYTES).ok()?;
        let end = usize::try_from(position.0 + length).ok()?;
        if end > self.length {
            return None;
        }
        let mut at = begin;
        while at < end {
            let mut pages = [0u8; MINCORE_PAGES];
            let bytes = (end - at).min(MINCORE_PAGES * PAGE);
            let count = bytes.div_ceil(PAGE);
            // SAFETY: the range lies in the mapping, and the answer has a byte for each of its pages.
            let asked = unsafe { libc::mincore(self.address.byte_add(at), bytes, pages.as_mut_ptr()) };
            if asked != 0 {
                return None;
            }
            if pages[..count].iter().any(|page| page & 1 == 0) {
                return Some(false);
            }
            at += bytes;
        }
        Some(true)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's, and nobody has touched it.
        let unmapped = unsafe { munmap(self.address, self.length) };
        crate::check!(unmapped.is_ok(), "a mapping of this process");
    }
}

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
    let is_cached = is_cached(file, position, length);
    // Pages that are being read are counted as cached before their data is there. It comes in order, so the last page tells.
    is_cached != Some(false)
        && page_is_ready(file, position.0 + length - 1)
        && (is_cached == Some(true) || page_is_ready(file, position.0))
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
