//! Whether the core itself writes into the page cache, or the ring does: where a disk takes less than it is given, the kernel makes those
//! wait who write, for tens of milliseconds.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A write of the core itself that took longer has waited.
const ON_THE_SPOT_MAX: Duration = Duration::from_micros(500);

/// A write through the ring that took longer has waited: for the disk, and not just for the thread of the kernel that does it.
const THROUGH_RING_MAX: Duration = Duration::from_millis(2);

/// So many brief writes in a row through the ring tell that nobody has to wait any more.
const BRIEF_WRITES_MIN: u32 = 32;

/// What the last writes to a log directory took, on all cores.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Brief writes that are still missing.
    missing: AtomicU32,
}

impl Pace {
    /// Whether writes have to wait, so that the core should not.
    pub(super) fn is_slow(&self) -> bool {
        self.missing.load(Ordering::Relaxed) > 0
    }

    /// A write of the core itself took so long.
    pub(super) fn note_on_the_spot(&self, took: Duration) {
        if took > ON_THE_SPOT_MAX {
            self.missing.store(BRIEF_WRITES_MIN, Ordering::Relaxed);
        }
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

    #[test]
    fn one_wait_is_enough_to_go_through_the_ring_and_some_without_one_to_come_back() {
        let pace = Pace::default();
        pace.note_on_the_spot(SHORT);
        pace.note_through_ring(SHORT);
        assert!(!pace.is_slow());
        pace.note_on_the_spot(LONG);
        for _ in 1..BRIEF_WRITES_MIN {
            pace.note_through_ring(SHORT);
            // What other cores began before they knew.
            pace.note_on_the_spot(SHORT);
            assert!(pace.is_slow());
        }
        pace.note_through_ring(LONG);
        for _ in 1..BRIEF_WRITES_MIN {
            pace.note_through_ring(SHORT);
        }
        assert!(pace.is_slow());
        pace.note_through_ring(SHORT);
        assert!(!pace.is_slow());
    }
}
