//! Tasks of the simulated core.

use std::task::Poll;
use std::time::Duration;

use super::executor::Core;
use crate::base::time::Monotonic;

/// Runs `future` on this core until it ends or the run does.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    Core::current().spawn(Box::pin(future));
}

/// As [`spawn`]: the order of tasks is drawn from the seed, so all queues are alike.
pub fn spawn_background(future: impl Future<Output = ()> + 'static) {
    spawn(future);
}

/// Names what a step does, where steps are measured.
pub fn begin_part(_: &'static str) {}

/// One call that may wait: here it does for as long as it takes.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    began: Monotonic,
}

impl Watch {
    /// The call begins.
    #[must_use]
    pub fn begin() -> Self {
        Self {
            began: super::time::now(),
        }
    }

    /// How long it has taken.
    #[must_use]
    pub fn took(&self) -> Duration {
        super::time::now().since(self.began)
    }

    /// Whether it has taken longer than `limit`.
    #[must_use]
    pub fn waited_longer_than(&self, limit: Duration) -> bool {
        self.took() > limit
    }
}

/// Lets other tasks run.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// As [`yield_now`]: every chance to run in another order is taken.
pub async fn yield_if_needed() {
    yield_now().await;
}

/// As [`yield_if_needed`].
pub async fn yield_after(_: Duration) {
    yield_now().await;
}

/// As [`yield_if_needed`].
pub async fn end_step_after(_: Duration) -> bool {
    yield_now().await;
    true
}

/// Runs `work` on the spot: there is one thread.
pub async fn run_aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    yield_now().await;
    Some(work())
}

/// Runs a simulated core with an empty disk on a thread of its own until the future that `make` makes ends.
///
/// # Panics
/// When the future panics, with its panic.
pub fn block_on<T: Send + 'static, F: Future<Output = T> + 'static>(make: impl FnOnce() -> F + Send + 'static) -> T {
    let run = move || {
        super::Simulation::new(0, &super::Image::default(), super::Faults::default())
            .run(make())
            .output
    };
    match std::thread::spawn(run).join() {
        Ok(Some(output)) => output,
        Ok(None) => panic!("the simulated core crashed without being asked to"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
