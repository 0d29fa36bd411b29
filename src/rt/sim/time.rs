//! Virtual time: it moves only when every task waits.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use super::executor::Core;
use crate::base::time::{Monotonic, TimestampMs};

/// The wall clock at the start of every run: 2026-01-01.
const WALL_AT_START_MS: i64 = 1_767_225_600_000;

/// The monotonic clock.
#[must_use]
pub fn now() -> Monotonic {
    Core::current().now()
}

/// The wall clock.
#[must_use]
pub fn wall() -> TimestampMs {
    let elapsed_ms = now().0 / 1_000_000;
    TimestampMs(WALL_AT_START_MS + i64::try_from(elapsed_ms).unwrap_or(0))
}

/// Waits `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now().plus(duration))
}

/// Waits until `deadline`.
pub fn sleep_until(deadline: Monotonic) -> Sleep {
    Sleep { deadline, timer: None }
}

/// Gives `future` a limit of time: `None` when it ran out, and then the future is dropped.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut limit = pin!(sleep(duration));
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        limit.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// The future of [`sleep`].
#[must_use = "a sleep waits only when awaited"]
pub struct Sleep {
    deadline: Monotonic,
    timer: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let core = Core::current();
        if let Some(key) = self.timer.take() {
            core.remove_timer(key);
        }
        if core.now() >= self.deadline {
            return Poll::Ready(());
        }
        self.timer = Some(core.add_timer(self.deadline, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer.take() {
            Core::current().remove_timer(key);
        }
    }
}
