//! The clocks, sleeping, and limits of time.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::reactor::Reactor;
use super::timers::TimerKey;
use crate::base::time::{Monotonic, TimestampMs};

/// The monotonic clock. One read costs some 20 ns: no system call.
#[must_use]
pub fn now() -> Monotonic {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Monotonic(seconds * 1_000_000_000 + nanoseconds)
}

/// The wall clock, as records carry it. It may go back.
#[must_use]
pub fn wall() -> TimestampMs {
    let time = clock_gettime(ClockId::Realtime);
    TimestampMs(time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
}

/// Waits at least `duration`; on an unloaded core some 60 µs longer.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now().plus(duration))
}

/// Waits until `deadline`.
pub fn sleep_until(deadline: Monotonic) -> Sleep {
    Sleep { deadline, timer: None }
}

/// Gives `future` a limit of time: `None` when it ran out, and then the future is dropped.
///
/// Never give a limit to an append or a send this way unless the file or connection is given up with it: what was dropped may or
/// may not have happened.
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
    timer: Option<(Rc<Reactor>, TimerKey)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if now() >= self.deadline {
            return Poll::Ready(());
        }
        let (reactor, key) = match self.timer.take() {
            Some((reactor, key)) => (reactor, Some(key)),
            None => (Reactor::current(), None),
        };
        let key = reactor.set_timer(key, self.deadline, context.waker().clone());
        self.timer = Some((reactor, key));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((reactor, key)) = self.timer.take() {
            reactor.remove_timer(key);
        }
    }
}
