//! Memory that was freed: the process keeps it, until a thread that nobody waits for gives it back.
//!
//! Left to itself, the allocator gives back what was free for a second in the midst of an allocation, on whatever core that is: milliseconds,
//! for memory that the next requests want again.

#![expect(
    unsafe_code,
    reason = "options of the allocator, which are not in its safe interface"
)]

use std::ffi::c_long;

use libmimalloc_sys::{mi_collect, mi_option_set, mi_option_t};

/// `mi_option_purge_delay` of `mimalloc.h`: milliseconds for which freed memory is kept.
const PURGE_DELAY: mi_option_t = 15;

/// An hour: [`give_back_freed`] comes before.
const KEPT_MS: c_long = 3_600_000;

/// From here on freed memory goes back to the system by [`give_back_freed`] alone. For a process of one thread: the setting has no lock.
pub fn keep_freed() {
    // SAFETY: the option is one of the allocator's, and no other thread reads it meanwhile.
    unsafe { mi_option_set(PURGE_DELAY, KEPT_MS) };
}

/// Gives the memory back that no thread uses. It takes milliseconds; allocations of other threads go on.
pub fn give_back_freed() {
    // SAFETY: any thread may call it.
    unsafe { mi_collect(true) };
}
