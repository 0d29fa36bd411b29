//! How much room a log directory has left, and when to look again.
//!
//! Below a floor, producers are refused, so that there is always room for what must go on: metadata, checkpoints, the records of the
//! broker itself, and all that makes room. The looks come closer together as the floor comes nearer, by what the fastest disks take in.

use std::time::Duration;

/// No disk is filled faster.
const BYTES_PER_SECOND_MAX: u64 = 2 << 30;

/// Looks are at most and at least this far apart.
const LOOK_AFTER_MAX: Duration = Duration::from_secs(1);
const LOOK_AFTER_MIN: Duration = Duration::from_millis(50);

/// Below so many bytes an append is prepared to be refused by the disk, whatever the floor.
const LITTLE_BYTES: u64 = 128 << 20;

/// The room that a log directory has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    Enough,
    /// Not far above the floor: a disk may be full before anybody looks again.
    Little,
    /// Below the floor: producers are refused.
    None,
}

impl Room {
    /// What `free_bytes` are when producers are refused below `floor_bytes`. They are served again an eighth above it, so that a disk at
    /// the floor does not change its mind all the time.
    #[must_use]
    pub fn judge(self, free_bytes: u64, floor_bytes: u64) -> Self {
        let served_from = match self {
            Self::None => floor_bytes.saturating_add(floor_bytes / 8),
            Self::Enough | Self::Little => floor_bytes,
        };
        if free_bytes < served_from {
            Self::None
        } else if free_bytes < enough_from(floor_bytes) {
            Self::Little
        } else {
            Self::Enough
        }
    }
}

/// From so many free bytes on there is enough.
fn enough_from(floor_bytes: u64) -> u64 {
    LITTLE_BYTES.max(floor_bytes.saturating_mul(2))
}

/// Bytes that may be taken until there is little room.
#[must_use]
pub fn spare(free_bytes: u64, floor_bytes: u64) -> u64 {
    free_bytes.saturating_sub(enough_from(floor_bytes))
}

/// When to look again.
#[must_use]
pub fn look_after(free_bytes: u64, floor_bytes: u64) -> Duration {
    let milliseconds = free_bytes.saturating_sub(floor_bytes) / (BYTES_PER_SECOND_MAX / 1000);
    Duration::from_millis(milliseconds).clamp(LOOK_AFTER_MIN, LOOK_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn room_ends_at_the_floor_and_comes_back_above_it() {
        let floor = 400 * MIB;
        for (before, free, after) in [
            (Room::Enough, 800 * MIB, Room::Enough),
            (Room::Enough, 800 * MIB - 1, Room::Little),
            (Room::Enough, floor, Room::Little),
            (Room::Little, floor - 1, Room::None),
            (Room::None, floor, Room::None),
            (Room::None, 450 * MIB - 1, Room::None),
            (Room::None, 450 * MIB, Room::Little),
            (Room::None, 900 * MIB, Room::Enough),
        ] {
            assert_eq!(before.judge(free, floor), after, "{before:?} {free}");
        }
        assert_eq!(Room::Enough.judge(0, 0), Room::Little, "no floor refuses nobody");
        assert_eq!(Room::Enough.judge(0, u64::MAX), Room::None);
    }

    #[test]
    fn what_is_spare_is_above_what_is_little() {
        assert_eq!(spare(1000 * MIB, 400 * MIB), 200 * MIB);
        assert_eq!(spare(800 * MIB, 400 * MIB), 0);
        assert_eq!(spare(0, 400 * MIB), 0);
        assert_eq!(spare(129 * MIB, 0), MIB);
        assert_eq!(spare(u64::MAX, u64::MAX), 0);
    }

    #[test]
    fn looks_come_closer_together() {
        let floor = 64 * MIB;
        assert_eq!(look_after(0, floor), LOOK_AFTER_MIN);
        assert_eq!(look_after(floor, floor), LOOK_AFTER_MIN);
        assert_eq!(look_after(floor + 1024 * MIB, floor), Duration::from_millis(500));
        assert_eq!(look_after(u64::MAX, floor), LOOK_AFTER_MAX);
    }
}
