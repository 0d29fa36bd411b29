//! What the logs of a directory, on all cores, have reserved of its disk and not written, and how much that may be.
//!
//! Invariant: together they have at most a share of what was spare when somebody looked last. Nothing is reserved before the first look.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::base::time::Monotonic;
use crate::log::reserve::allowance;
use crate::rt::fs;

/// After the disk had no room for a reservation, none is tried for so long.
const RETRY_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Reserves {
    /// Bytes that could be written before there is little room.
    spare_bytes: AtomicU64,
    held_bytes: AtomicU64,
    /// The file system reserves nothing.
    is_useless: AtomicBool,
    /// On the monotonic clock.
    retry_at: AtomicU64,
}

impl Reserves {
    pub(super) fn of(directory: &Path) -> Arc<Self> {
        Arc::new(Self {
            spare_bytes: AtomicU64::new(0),
            held_bytes: AtomicU64::new(0),
            is_useless: AtomicBool::new(!fs::is_on_disk(directory)),
            retry_at: AtomicU64::new(0),
        })
    }

    pub(super) fn note_spare(&self, bytes: u64) {
        self.spare_bytes.store(bytes, Ordering::Relaxed);
    }

    /// No log of this directory reserves anything any more.
    pub(super) fn note_useless(&self) {
        self.is_useless.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_no_room(&self, now: Monotonic) {
        self.retry_at.store(now.plus(RETRY_AFTER).0, Ordering::Relaxed);
    }

    /// Bytes that may still be reserved.
    pub(super) fn allowance_bytes(&self, now: Monotonic) -> u64 {
        if self.is_useless.load(Ordering::Relaxed) || now.0 < self.retry_at.load(Ordering::Relaxed) {
            return 0;
        }
        let all = allowance(self.spare_bytes.load(Ordering::Relaxed));
        all.saturating_sub(self.held_bytes.load(Ordering::Relaxed))
    }

    /// Bytes that are reserved and not written.
    #[cfg(all(test, not(feature = "sim")))]
    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }
}

/// Bytes that count as reserved until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    reserves: Arc<Reserves>,
    bytes: u64,
}

impl Held {
    pub(super) fn none(reserves: &Arc<Reserves>) -> Self {
        Self {
            reserves: Arc::clone(reserves),
            bytes: 0,
        }
    }

    pub(super) fn set(&mut self, bytes: u64) {
        let held = &self.reserves.held_bytes;
        if bytes > self.bytes {
            held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// These bytes, and none here any more.
    pub(super) fn take(&mut self) -> Self {
        let none = Self::none(&self.reserves);
        std::mem::replace(self, none)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
#[cfg(not(feature = "sim"))]
mod tests {
    use super::*;

    const AT: Monotonic = Monotonic(1_000_000_000);

    fn reserves(spare_bytes: u64) -> Arc<Reserves> {
        Arc::new(Reserves {
            spare_bytes: AtomicU64::new(spare_bytes),
            held_bytes: AtomicU64::new(0),
            is_useless: AtomicBool::new(false),
            retry_at: AtomicU64::new(0),
        })
    }

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let reserves = reserves(800);
        assert_eq!(reserves.allowance_bytes(AT), 100);
        let (mut first, mut second) = (Held::none(&reserves), Held::none(&reserves));
        first.set(60);
        second.set(30);
        assert_eq!(reserves.allowance_bytes(AT), 10);
        first.set(20);
        let taken = first.take();
        drop(first);
        assert_eq!((reserves.held_bytes(), reserves.allowance_bytes(AT)), (50, 50));
        drop(taken);
        second.set(200);
        assert_eq!(reserves.allowance_bytes(AT), 0, "room was taken by others since");
        drop(second);
        assert_eq!((reserves.held_bytes(), reserves.allowance_bytes(AT)), (0, 100));
    }

    #[test]
    fn a_disk_without_room_is_left_alone_for_a_while() {
        let reserves = reserves(800);
        reserves.note_no_room(AT);
        assert_eq!(
            reserves.allowance_bytes(AT.plus(RETRY_AFTER - Duration::from_nanos(1))),
            0
        );
        assert_eq!(reserves.allowance_bytes(AT.plus(RETRY_AFTER)), 100);
        reserves.note_useless();
        assert_eq!(reserves.allowance_bytes(AT.plus(RETRY_AFTER)), 0);
    }
}
