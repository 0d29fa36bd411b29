//! How many bytes a step of work takes: as many as it does in the time that a step may last, whatever the machine needs for them.

use std::cell::Cell;
use std::time::Duration;

use super::offset::FilePosition;

/// A step that took longer is followed by shorter ones; some in a row that took less than half of it, by longer ones.
pub const STEP: Duration = Duration::from_micros(120);

/// Memory that a host has to give first comes between memory that is there: a few brief steps tell nothing of the next.
const BRIEF_STEPS_MIN: u32 = 8;

/// Bytes of the next step, between a least and a most, which are powers of two: long steps cost less for each byte, and where the machine
/// has to find memory first a short one takes as long.
#[derive(Debug)]
pub struct StepBytes {
    next: Cell<usize>,
    /// The last ones that were brief.
    brief_steps: Cell<u32>,
    least: usize,
    most: usize,
    lasting: Duration,
}

impl StepBytes {
    #[must_use]
    pub const fn new(least: usize, most: usize) -> Self {
        Self::lasting(STEP, least, most)
    }

    /// Of steps that may last so long.
    #[must_use]
    pub const fn lasting(lasting: Duration, least: usize, most: usize) -> Self {
        Self {
            next: Cell::new(least),
            brief_steps: Cell::new(0),
            least,
            most,
            lasting,
        }
    }

    /// Bytes of a step that begins at a place of a file: it ends at a multiple of the length of steps, so that the page cache can hold the
    /// file in large pieces.
    #[must_use]
    pub fn at(&self, position: FilePosition) -> usize {
        let step = self.next.get();
        let after_boundary = position.0 % step as u64;
        step - usize::try_from(after_boundary).unwrap_or(0)
    }

    /// Bytes of the next step, wherever it begins.
    #[must_use]
    pub fn next(&self) -> usize {
        self.next.get()
    }

    /// As [`StepBytes::note`] of a step of another length; a much shorter one tells nothing.
    pub fn note_other(&self, bytes: usize, took: Duration) {
        if bytes >= self.least {
            self.note(took.mul_f64(self.next.get() as f64 / bytes as f64));
        }
    }

    /// A step of that length took so long.
    pub fn note(&self, took: Duration) {
        let brief_steps = if took < self.lasting / 2 {
            self.brief_steps.get() + 1
        } else {
            0
        };
        let bytes = self.next.get();
        let next = if took > self.lasting {
            bytes / 2
        } else if brief_steps >= BRIEF_STEPS_MIN {
            bytes * 2
        } else {
            bytes
        };
        self.brief_steps.set(brief_steps % BRIEF_STEPS_MIN);
        self.next.set(next.clamp(self.least, self.most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_take_about_as_long_whatever_the_machine_needs_for_them() {
        const TOOK: [(u64, u32, usize); 12] = [
            (10, 7, 1),
            (59, 1, 2),
            (10, 8, 4),
            (10, 8, 8),
            (10, 8, 8),
            (100, 1, 8),
            (400, 1, 4),
            (800, 1, 2),
            (10, 7, 2),
            (100, 1, 2),
            (10, 7, 2),
            (800, 9, 1),
        ];
        let step = StepBytes::new(4096, 8 * 4096);
        for (took, times, expected) in TOOK {
            for _ in 0..times {
                step.note(Duration::from_micros(took));
            }
            assert_eq!(step.at(FilePosition::ZERO), expected * 4096, "{times} of {took} us");
        }
    }

    #[test]
    fn steps_end_at_boundaries() {
        let step = StepBytes::new(128, 128);
        for (at, expected) in [(0, 128), (61, 67), (127, 1), (128, 128), (12_345, 71)] {
            assert_eq!(step.at(FilePosition(at)), expected, "{at}");
        }
    }
}
