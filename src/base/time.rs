//! Times as values. Only `rt::time` reads a clock; everything else is given one of these.

/// Milliseconds since 1970 (UTC), as records carry them; -1 is "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    pub const NONE: Self = Self(-1);
}

/// Nanoseconds of a clock that never goes back, counted from a moment before the process began serving.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// The moment `duration` later.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// The first moment from this one on that is a multiple of `step`; this one where `step` is zero.
    #[must_use]
    pub fn next_multiple_of(self, step: std::time::Duration) -> Self {
        let step = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.checked_next_multiple_of(step).unwrap_or(self.0))
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
