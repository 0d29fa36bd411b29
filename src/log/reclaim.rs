//! At what pace the room of removed files comes back, where the disk is told which blocks are free.
//!
//! A disk that is told of a gigabyte at once does little else for a tenth of a second, and every write that somebody waits for stands behind
//! that. So a long file is shortened piece by piece, and the disk rests between two pieces: at first for long enough that nobody notices;
//! the longer the room is waited for, the less.

use std::time::Duration;

/// Bytes of a piece: a disk is told of them in a millisecond or two.
pub const PIECE_BYTES: u64 = 4 << 20;

/// The rest after a piece of a file that is removed in time: some 270 MiB a second.
const REST: Duration = Duration::from_millis(15);

/// A file that is so late goes without rests.
const LATE_MAX: Duration = Duration::from_secs(60);

/// The rest after a piece of a file that should have gone `late` ago.
#[must_use]
pub fn rest(late: Duration) -> Duration {
    REST.mul_f64(1.0 - late.div_duration_f64(LATE_MAX).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_the_shorter_are_the_rests() {
        let table = [
            (0, 15_000),
            (20_000, 10_000),
            (40_000, 5_000),
            (59_400, 150),
            (60_000, 0),
            (600_000, 0),
        ];
        for (late_ms, expected_us) in table {
            let rest = rest(Duration::from_millis(late_ms));
            assert_eq!(rest.as_micros(), expected_us, "{late_ms} ms late");
        }
    }
}
