//! Tasks: futures that a core polls, in two queues with shares (requests before background work).
//!
//! Every task is tracked: the core knows how many could run, so that it sleeps in the kernel exactly when none can, and at the end it
//! drops them all. A task is woken on its core alone: a wake from another thread waits in a queue until the driver hands it on, so what
//! could run is counted whoever woke it, and glommio's own way between threads, which ends no sleep in the ring, is never taken.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crossbeam::queue::SegQueue;
use glommio::{Latency, Shares, TaskQueueHandle};

use super::bell::Bell;
use super::reactor::Reactor;
use super::time;
use crate::base::limits::STEP_MAX;

pub use super::watch::Watch;

/// How long a task may go on before [`yield_if_needed`] yields: half of the longest step that a core allows.
const STEP: Duration = Duration::from_micros(250);

const _: () = assert!(STEP.as_micros() * 2 <= STEP_MAX.as_micros());

/// Runs `future` on this core, in the queue of requests, until it ends or the core stops.
#[track_caller]
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    let reactor = Reactor::current();
    start(&reactor, Queue::Request, Location::caller(), future);
}

/// Runs `future` on this core, in the queue that has a fifth of the shares of requests.
#[track_caller]
pub fn spawn_background(future: impl Future<Output = ()> + 'static) {
    let reactor = Reactor::current();
    start(&reactor, Queue::Background, Location::caller(), future);
}

/// Names what the present step does from here on, for the list of steps that take too long ([`super::cores::stalls`]).
pub fn begin_part(name: &'static str) {
    Reactor::with_current(|reactor| reactor.stalls().begin_part(name));
}

/// Lets every other task that can run do so, and the ring submit and reap.
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

/// Yields when this turn of the core has lasted half of the longest step that is allowed.
pub async fn yield_if_needed() {
    yield_after(STEP).await;
}

/// Yields when this turn of the core has lasted so long: for work that can wait, where a request takes a turn for each of its steps.
pub async fn yield_after(step: Duration) {
    if time::now().since(Reactor::current().turn_began.get()) >= step {
        yield_now().await;
    }
}

/// Yields when the present step has lasted so long, however long the turn did before it: for background work, which would get nowhere
/// in the short steps that long turns leave. Whether it did.
pub async fn end_step_after(lasting: Duration) -> bool {
    let ends = Reactor::current().stalls().step_lasted(time::now()) >= lasting;
    if ends {
        yield_now().await;
    }
    ends
}

/// Runs `work` on a thread beside the cores and waits for its outcome: for what takes long and cannot be divided. Each core has one
/// such thread, which gives way to all cores. `None` when there can be no such thread, or the work panicked.
pub async fn run_aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    super::aside::run(&Reactor::current(), work).await
}

/// Runs a core on a thread of its own until the future that `make` makes ends: for tests and small tools.
///
/// # Panics
/// When the future panics, with its panic; when this machine cannot run a core.
pub fn block_on<T: Send + 'static, F: Future<Output = T> + 'static>(make: impl FnOnce() -> F + Send + 'static) -> T {
    super::cores::block_on(make)
}

/// Runs the future as the core's main task: when it ends, the core stops, and `done` has its output.
pub(super) fn start_main<T: 'static>(
    reactor: &Rc<Reactor>,
    future: impl Future<Output = T> + 'static,
    done: Rc<RefCell<Option<T>>>,
) {
    let stopper = Rc::clone(reactor);
    start(reactor, Queue::Request, Location::caller(), async move {
        let output = future.await;
        done.replace(Some(output));
        stopper.tasks().cancel_all();
    });
}

/// The two queues of a core.
#[derive(Clone, Copy)]
enum Queue {
    Request,
    Background,
}

/// The tasks of a core.
pub(super) struct Tasks {
    shared: Arc<Shared>,
    request: TaskQueueHandle,
    background: TaskQueueHandle,
    live: RefCell<Live>,
    cancelling: Cell<bool>,
    /// The driver, when it lets background work go first.
    awaits_step: RefCell<Option<Waker>>,
}

#[derive(Default)]
struct Live {
    slots: Vec<Option<Arc<Tracker>>>,
    free: Vec<usize>,
}

/// What wakers of this core's tasks reach from any thread.
struct Shared {
    owner: std::thread::ThreadId,
    /// Tasks of each queue that were woken and not yet polled; only the owner's thread writes them.
    runnable: [AtomicUsize; 2],
    /// Tasks that other threads woke, until the driver wakes them.
    woken_from_afar: SegQueue<Arc<Tracker>>,
    bell: Arc<Bell>,
}

impl Tasks {
    /// The queues of the executor that runs the calling thread.
    pub fn new(bell: Arc<Bell>) -> Self {
        let executor = glommio::executor();
        let queue = |shares, name| executor.create_task_queue(Shares::Static(shares), Latency::NotImportant, name);
        Self {
            shared: Arc::new(Shared {
                owner: std::thread::current().id(),
                runnable: Default::default(),
                woken_from_afar: SegQueue::new(),
                bell,
            }),
            request: queue(1000, "request"),
            background: queue(200, "background"),
            live: RefCell::default(),
            cancelling: Cell::new(false),
            awaits_step: RefCell::default(),
        }
    }

    /// Whether a task could run.
    pub fn can_run(&self) -> bool {
        self.shared.count(Queue::Request) + self.shared.count(Queue::Background) > 0
    }

    /// Whether background work is all that could run.
    pub fn only_background_can_run(&self) -> bool {
        self.shared.count(Queue::Request) == 0 && self.shared.count(Queue::Background) > 0
    }

    /// Wakes the waker after the next step of a background task.
    pub fn after_background_step(&self, waker: Waker) {
        self.awaits_step.replace(Some(waker));
    }

    /// Tasks that have not ended.
    pub fn live(&self) -> usize {
        let live = self.live.borrow();
        live.slots.len() - live.free.len()
    }

    /// Wakes what other threads have woken since the last call.
    pub fn wake_from_afar(&self) {
        let woken = &self.shared.woken_from_afar;
        // Most turns find nothing, and this costs less than to try.
        while !woken.is_empty() {
            if let Some(tracker) = woken.pop() {
                tracker.wake_here();
            }
        }
    }

    pub fn request_queue(&self) -> TaskQueueHandle {
        self.request
    }

    /// Ends every task: each is dropped at its next turn, without being polled.
    pub fn cancel_all(&self) {
        self.cancelling.set(true);
        let trackers: Vec<_> = self.live.borrow().slots.iter().flatten().cloned().collect();
        for tracker in trackers {
            tracker.wake_here();
        }
    }

    /// Whether all tasks were cancelled, and are gone.
    pub fn have_ended(&self) -> bool {
        self.cancelling.get() && self.live() == 0
    }

    fn add(&self, queue: Queue) -> (usize, Arc<Tracker>) {
        let tracker = Arc::new(Tracker {
            shared: Arc::clone(&self.shared),
            queue,
            inner: OnceLock::new(),
            runnable: AtomicBool::new(true),
        });
        self.shared.change_count(queue, true);
        let mut live = self.live.borrow_mut();
        let slot = live.free.pop().unwrap_or_else(|| {
            live.slots.push(None);
            live.slots.len() - 1
        });
        live.slots[slot] = Some(Arc::clone(&tracker));
        (slot, tracker)
    }

    fn remove(&self, slot: usize) {
        let mut live = self.live.borrow_mut();
        let tracker = live.slots[slot].take();
        live.free.push(slot);
        drop(live);
        if let Some(tracker) = tracker {
            tracker.begin_poll();
            // A wake from here on finds the task runnable for ever, and counts nothing.
            tracker.runnable.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // Each would keep the queue that it stands in.
        while self.shared.woken_from_afar.pop().is_some() {}
    }
}

impl Shared {
    fn counter(&self, queue: Queue) -> &AtomicUsize {
        match queue {
            Queue::Request => &self.runnable[0],
            Queue::Background => &self.runnable[1],
        }
    }

    fn count(&self, queue: Queue) -> usize {
        self.counter(queue).load(Ordering::Relaxed)
    }

    fn change_count(&self, queue: Queue, more: bool) {
        let count = self.count(queue);
        let count = if more { count + 1 } else { count.saturating_sub(1) };
        self.counter(queue).store(count, Ordering::Relaxed);
    }
}

/// The waker of one task.
struct Tracker {
    shared: Arc<Shared>,
    queue: Queue,
    inner: OnceLock<Waker>,
    /// Counted in `Shared::runnable`; only the owner's thread writes it.
    runnable: AtomicBool,
}

impl Tracker {
    fn is_of_this_thread(&self) -> bool {
        std::thread::current().id() == self.shared.owner
    }

    /// Leaves the wake, and what may be the last handle, to the task's core.
    fn wake_from_afar(self: Arc<Self>) {
        let shared = Arc::clone(&self.shared);
        shared.woken_from_afar.push(self);
        shared.bell.ring();
    }

    fn begin_poll(&self) {
        if self.runnable.load(Ordering::Relaxed) {
            self.runnable.store(false, Ordering::Relaxed);
            self.shared.change_count(self.queue, false);
        }
    }

    fn wake_here(&self) {
        if !self.runnable.load(Ordering::Relaxed) {
            self.runnable.store(true, Ordering::Relaxed);
            self.shared.change_count(self.queue, true);
            if let Some(inner) = self.inner.get() {
                inner.wake_by_ref();
            }
        }
    }
}

impl Wake for Tracker {
    fn wake(self: Arc<Self>) {
        if self.is_of_this_thread() {
            self.wake_here();
        } else {
            self.wake_from_afar();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_of_this_thread() {
            self.wake_here();
        } else {
            Arc::clone(self).wake_from_afar();
        }
    }
}

/// Takes the task out of the list, whether it ended or was dropped unpolled.
struct Ended {
    reactor: Rc<Reactor>,
    slot: usize,
    /// Where it was spawned.
    place: &'static Location<'static>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.reactor.tasks().remove(self.slot);
    }
}

fn start(
    reactor: &Rc<Reactor>,
    queue: Queue,
    place: &'static Location<'static>,
    future: impl Future<Output = ()> + 'static,
) {
    let tasks = reactor.tasks();
    let (slot, tracker) = tasks.add(queue);
    let ended = Ended {
        reactor: Rc::clone(reactor),
        slot,
        place,
    };
    let handle = match queue {
        Queue::Request => tasks.request,
        Queue::Background => tasks.background,
    };
    let task = track(future, tracker, ended, queue);
    if let Ok(task) = glommio::spawn_local_into(task, handle) {
        task.detach();
    }
}

async fn track(future: impl Future<Output = ()>, tracker: Arc<Tracker>, ended: Ended, queue: Queue) {
    let waker = Waker::from(Arc::clone(&tracker));
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        tracker.inner.get_or_init(|| context.waker().clone());
        tracker.begin_poll();
        if matches!(queue, Queue::Background) {
            give_way();
            // Also when this task is cancelled: the driver may wait for nothing else.
            let driver = ended.reactor.tasks().awaits_step.take();
            if let Some(driver) = driver {
                driver.wake();
            }
        }
        if ended.reactor.tasks().cancelling.get() {
            return Poll::Ready(());
        }
        ended.reactor.begin_step();
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        ended.reactor.end_step(ended.place);
        polled
    })
    .await;
}

/// The present queue lets another one run after the present task, by shares.
pub(super) fn give_way() {
    let executor = glommio::executor();
    let mut yielding = pin!(executor.yield_task_queue_now());
    // Its first poll marks the queue; the wake that it asks for is nobody's.
    let _ = yielding.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}
