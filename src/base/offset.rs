//! Offsets of records and positions in files: two spaces, two types.

use std::fmt;

/// Number of a record in its partition. Ranges are half open; a "last" offset is inclusive and always named so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Offset(pub i64);

impl Offset {
    pub const ZERO: Self = Self(0);

    /// The offset `count` records later.
    #[must_use]
    pub fn plus(self, count: i64) -> Self {
        Self(self.0 + count)
    }

    /// The offset after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// How many offsets lie in `[earlier, self)`; negative when `earlier` is later.
    #[must_use]
    pub fn distance_from(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Bytes from the start of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct FilePosition(pub u64);

impl FilePosition {
    pub const ZERO: Self = Self(0);

    /// The position `bytes` later.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
}

impl fmt::Display for FilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
