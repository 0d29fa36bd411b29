//! How long to wait so that work does not exceed a rate (`Throttler`).

use std::time::Duration;

use crate::base::time::Monotonic;

/// After so long without a debt the count begins anew: time that was not used is not saved up.
const WINDOW: Duration = Duration::from_secs(1);

/// Work at a rate.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_second: f64,
    began: Monotonic,
    bytes: u64,
}

impl Pace {
    /// A rate of 0 or less, or of no number, is none.
    #[must_use]
    pub fn new(bytes_per_second: f64, now: Monotonic) -> Self {
        Self {
            bytes_per_second,
            began: now,
            bytes: 0,
        }
    }

    /// Counts bytes that were read or written; how long to wait before the next ones.
    #[must_use]
    pub fn count(&mut self, bytes: u64, now: Monotonic) -> Duration {
        self.bytes = self.bytes.saturating_add(bytes);
        let seconds = self.bytes as f64 / self.bytes_per_second;
        let is_rate = self.bytes_per_second > 0.0;
        let due = is_rate.then(|| Duration::try_from_secs_f64(seconds).ok()).flatten();
        let elapsed = now.since(self.began);
        let wait = due.unwrap_or_default().saturating_sub(elapsed);
        if wait.is_zero() && elapsed >= WINDOW {
            *self = Self::new(self.bytes_per_second, now);
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept() {
        const MS: u64 = 1_000_000;
        let mut pace = Pace::new(1000.0, Monotonic(0));
        for (bytes, now_ms, wait_ms) in [
            (100, 0, 100),
            (100, 100, 100),
            (0, 200, 0),
            (100, 600, 0),
            // Half a second was not used, but the window has ended.
            (100, 1000, 0),
            (500, 1000, 500),
        ] {
            let wait = pace.count(bytes, Monotonic(now_ms * MS));
            assert_eq!(wait, Duration::from_millis(wait_ms), "{bytes} at {now_ms}");
        }
    }

    #[test]
    fn no_rate_is_no_limit() {
        for rate in [f64::MAX, f64::INFINITY, f64::NAN, 0.0, -5.0] {
            let mut pace = Pace::new(rate, Monotonic(0));
            assert_eq!(pace.count(u64::MAX, Monotonic(0)), Duration::ZERO, "{rate}");
        }
    }
}
