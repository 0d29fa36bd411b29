//! Work beside the cores: what takes long and cannot be divided runs on a thread that may use every CPU and gives way to the cores.
//!
//! A core starts its thread when it first needs it; the thread ends with the core. Nothing is shared but the slot of each outcome, and no core
//! waits for one: the thread has a weak claim to a CPU, maybe to that of the core.

use std::future::poll_fn;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Poll, Waker};

use rustix::process::{Pid, setpriority_process};
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use super::reactor::Reactor;

/// A weak claim to a CPU: beside a core that is never idle, a tenth of its CPU. With the weakest claim of all, a seventieth, what takes a
/// tenth of a second on an idle machine would take seven seconds on a full one.
const NICE: i32 = 10;

/// One piece of work.
type Job = Box<dyn FnOnce() + Send>;

/// The thread of a core, once it is needed.
#[derive(Default)]
pub(super) struct Aside {
    jobs: Option<Sender<Job>>,
}

impl Aside {
    /// Hands a job over; false when there can be no thread.
    fn submit(&mut self, job: Job) -> bool {
        if self.jobs.is_none() {
            self.jobs = start();
        }
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }
}

fn start() -> Option<Sender<Job>> {
    let (jobs, received) = channel::<Job>();
    let work = move || {
        leave_the_cores();
        for job in received {
            job();
        }
    };
    let started = std::thread::Builder::new().name("duramen-aside".to_owned()).spawn(work);
    match started {
        Ok(_) => Some(jobs),
        Err(error) => {
            tracing::warn!(%error, "a thread for long work cannot be started");
            None
        }
    }
}

/// The calling thread may use every CPU of the process, behind the cores. Where that is refused it works all the same.
fn leave_the_cores() {
    let process = Pid::from_raw(rustix::process::getpid().as_raw_pid());
    if let Ok(cpus) = sched_getaffinity(process) {
        let _ = sched_setaffinity(None, &cpus);
    }
    let _ = setpriority_process(None, NICE);
}

/// An outcome on its way back.
enum Slot<T> {
    Waiting(Option<Waker>),
    Done(Option<T>),
}

/// Fills the slot when it is dropped, also by a panic.
struct Fill<T> {
    slot: Arc<Mutex<Slot<T>>>,
    outcome: Option<T>,
}

impl<T> Drop for Fill<T> {
    fn drop(&mut self) {
        let Ok(mut slot) = self.slot.lock() else { return };
        let before = std::mem::replace(&mut *slot, Slot::Done(self.outcome.take()));
        // The core that is woken may take this thread's CPU at once: it must find the slot free.
        drop(slot);
        if let Slot::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

/// See [`super::task::run_aside`].
pub(super) async fn run<T: Send + 'static>(reactor: &Reactor, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let slot = Arc::new(Mutex::new(Slot::Waiting(None)));
    let fill = Fill {
        slot: Arc::clone(&slot),
        outcome: None,
    };
    let job = Box::new(move || {
        let mut fill = fill;
        fill.outcome = Some(work());
    });
    if !reactor.aside().borrow_mut().submit(job) {
        return None;
    }
    poll_fn(|context| {
        let mut slot = match slot.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(_)) => return Poll::Ready(None),
            Err(TryLockError::WouldBlock) => {
                // The thread is filling it, and may have lost its CPU meanwhile.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        match &mut *slot {
            Slot::Done(outcome) => Poll::Ready(outcome.take()),
            Slot::Waiting(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    use super::*;

    struct Looks {
        slot: Arc<Mutex<Slot<i32>>>,
        is_free: AtomicBool,
    }

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            self.is_free.store(self.slot.try_lock().is_ok(), Ordering::Relaxed);
        }
    }

    #[test]
    fn who_is_woken_finds_the_slot_free() {
        let slot = Arc::new(Mutex::new(Slot::Waiting(None)));
        let looks = Arc::new(Looks {
            slot: Arc::clone(&slot),
            is_free: AtomicBool::new(false),
        });
        *slot.lock().unwrap() = Slot::Waiting(Some(Waker::from(Arc::clone(&looks))));
        drop(Fill {
            slot: Arc::clone(&slot),
            outcome: Some(7),
        });
        assert!(looks.is_free.load(Ordering::Relaxed));
        assert!(matches!(*slot.lock().unwrap(), Slot::Done(Some(7))));
    }
}
