//! Whether the core itself writes into the page cache, or the ring does: where a disk takes less than it is given, the kernel makes those
//! wait who write, for tens of milliseconds.
//!
//! That a write of the core itself has waited is known for certain. Of one through the ring only its time is: where others want the CPU too,
//! the thread of the kernel that does it waits for that as long as for a disk. So the ring does not keep the writes for ever; after a pause
//! the core writes itself again, and when it waits again, the next pause is longer.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::base::time::Monotonic;
use crate::rt::task::Watch;

/// A write of the core itself that took longer, and waited in the kernel, has waited for the disk.
const ON_THE_SPOT_MAX: Duration = Duration::from_micros(500);

/// A write through the ring that took longer has waited: for the disk, and not just for the thread of the kernel that does it.
const THROUGH_RING_MAX: Duration = Duration::from_millis(2);

/// So many brief writes in a row through the ring tell that nobody has to wait any more.
const BRIEF_WRITES_MIN: u32 = 32;

/// How long the ring writes at most before the core tries again: at first, and where it always finds that it has to wait.
const PAUSE_MIN_MS: u32 = 100;
const PAUSE_MAX_MS: u32 = 10_000;

/// What the last writes to a log directory took, on all cores.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Brief writes that are still missing.
    missing: AtomicU32,
    /// When the core tries again, whatever is missing.
    pause_ends: AtomicU64,
    /// How long the present pause is, or the last one was.
    pause_ms: AtomicU32,
}

impl Pace {
    /// Whether writes have to wait, so that the core should not.
    pub(super) fn is_slow(&self, now: Monotonic) -> bool {
        self.missing.load(Ordering::Relaxed) > 0 && now.0 < self.pause_ends.load(Ordering::Relaxed)
    }

    /// A write of the core itself has ended.
    pub(super) fn note_on_the_spot(&self, watch: &Watch) {
        if watch.waited_longer_than(ON_THE_SPOT_MAX) {
            self.note_wait(crate::rt::time::now());
        }
    }

    /// A write of the core itself has waited for the disk.
    pub(super) fn note_wait(&self, now: Monotonic) {
        // One that began before this was known begins no longer pause.
        if !self.is_slow(now) {
            let last_ms = self.pause_ms.load(Ordering::Relaxed);
            let last_ended = Monotonic(self.pause_ends.load(Ordering::Relaxed));
            let goes_on = now < last_ended.plus(Duration::from_millis(last_ms.into()));
            let pause_ms = match goes_on {
                true => last_ms.saturating_mul(2).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS),
                false => PAUSE_MIN_MS,
            };
            let ends = now.plus(Duration::from_millis(pause_ms.into()));
            self.pause_ms.store(pause_ms, Ordering::Relaxed);
            self.pause_ends.store(ends.0, Ordering::Relaxed);
        }
        self.missing.store(BRIEF_WRITES_MIN, Ordering::Relaxed);
    }

    /// A write through the ring took so long.
    pub(super) fn note_through_ring(&self, took: Duration) {
        let missing = match took <= THROUGH_RING_MAX {
            true => self.missing.load(Ordering::Relaxed).saturating_sub(1),
            false => BRIEF_WRITES_MIN,
        };
        self.missing.store(missing, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(3);
    const SHORT: Duration = Duration::from_micros(400);

    fn at(ms: u64) -> Monotonic {
        Monotonic(5_000_000_000).plus(Duration::from_millis(ms))
    }

    #[test]
    fn one_wait_is_enough_to_go_through_the_ring_and_some_without_one_to_come_back() {
        let pace = Pace::default();
        pace.note_through_ring(SHORT);
        assert!(!pace.is_slow(at(0)));
        pace.note_wait(at(0));
        for _ in 1..BRIEF_WRITES_MIN {
            pace.note_through_ring(SHORT);
            assert!(pace.is_slow(at(1)));
        }
        pace.note_through_ring(LONG);
        for _ in 1..BRIEF_WRITES_MIN {
            pace.note_through_ring(SHORT);
        }
        assert!(pace.is_slow(at(2)));
        pace.note_through_ring(SHORT);
        assert!(!pace.is_slow(at(2)));
    }

    #[test]
    fn writes_through_the_ring_that_stay_long_do_not_keep_the_core_from_trying_again() {
        let pace = Pace::default();
        let mut now = 0;
        let mut wait = |expected_ms: u64| {
            pace.note_wait(at(now));
            // What other cores began before they knew.
            pace.note_wait(at(now));
            pace.note_through_ring(LONG);
            assert!(pace.is_slow(at(now + expected_ms - 1)), "{expected_ms}");
            assert!(!pace.is_slow(at(now + expected_ms)), "{expected_ms}");
            now += expected_ms;
        };
        [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
            .into_iter()
            .for_each(&mut wait);
        now += 10_000;
        [100, 200].into_iter().for_each(|expected_ms| {
            pace.note_wait(at(now));
            assert!(!pace.is_slow(at(now + expected_ms)), "{expected_ms}");
            assert!(pace.is_slow(at(now + expected_ms - 1)), "{expected_ms}");
            now += expected_ms;
        });
    }
}
