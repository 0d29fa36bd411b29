//! Numbers from a seed (splitmix64): the same on every machine and in every version.

use super::executor::Core;

/// Fills `bytes` from the seed of the simulation that runs on this thread.
pub fn fill(bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(8) {
        let number = u64().to_le_bytes();
        chunk.copy_from_slice(&number[..chunk.len()]);
    }
}

/// One number from the seed of the simulation that runs on this thread.
#[must_use]
pub fn u64() -> u64 {
    Core::current().random.borrow_mut().draw()
}

/// A stream of numbers that follows from its seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream, so that one concern drawing more numbers does not change another's.
    #[must_use]
    pub fn salted(seed: u64, salt: u64) -> Self {
        let mut stream = Self(seed ^ salt.wrapping_mul(0xA076_1D64_78BD_642F));
        stream.draw();
        stream
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `[0, bound)`; 0 when there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }

    /// An index of something with `length` elements.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
