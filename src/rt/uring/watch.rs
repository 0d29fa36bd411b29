//! Tells a call that has waited from one that lost its CPU: both take long, but only the first says something about the disk.

use std::time::Duration;

use super::reactor::Reactor;
use super::stalls::waits;
use super::time;
use crate::base::time::Monotonic;

/// One call of the kernel that may wait.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    began: Monotonic,
}

impl Watch {
    /// The call begins.
    #[must_use]
    pub fn begin() -> Self {
        Reactor::with_current(|reactor| reactor.stalls().know_waits());
        Self { began: time::now() }
    }

    /// How long it has taken.
    #[must_use]
    pub fn took(&self) -> Duration {
        time::now().since(self.began)
    }

    /// Whether it has taken longer than `limit` and the thread waited in the kernel meanwhile: for the disk, a lock, a page.
    #[must_use]
    pub fn waited_longer_than(&self, limit: Duration) -> bool {
        if self.took() <= limit {
            return false;
        }
        let mut has_waited = true;
        Reactor::with_current(|reactor| has_waited = reactor.stalls().has_waited(waits()));
        has_waited
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a core that waits in the kernel is what is tested"
)]
mod tests {
    use super::*;
    use crate::rt::uring::task;

    const LIMIT: Duration = Duration::from_micros(500);

    #[test]
    fn a_call_that_sleeps_has_waited_and_one_that_computes_has_not() {
        task::block_on(async || {
            for _ in 0..3 {
                let watch = Watch::begin();
                while watch.took() <= LIMIT * 2 {}
                assert!(
                    !watch.waited_longer_than(LIMIT),
                    "on the CPU, or without it because others had it"
                );
                let watch = Watch::begin();
                std::thread::sleep(LIMIT * 2);
                assert!(watch.waited_longer_than(LIMIT));
                let watch = Watch::begin();
                std::thread::sleep(Duration::from_micros(1));
                assert!(!watch.waited_longer_than(Duration::from_secs(60)), "not for long");
                time::sleep(Duration::from_millis(1)).await;
                assert!(
                    !Watch::begin().waited_longer_than(Duration::ZERO),
                    "the sleep was before"
                );
            }
        });
    }
}
