//! One core in virtual time: tasks run in an order drawn from the seed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::disk::{Disk, Faults, Image};
use super::random::Random;
use crate::base::time::Monotonic;

/// Polls after which a run that does not end is a livelock.
const POLLS_MAX: u64 = 1_000_000;

const SALT_TASKS: u64 = 1;
const SALT_DISK: u64 = 2;
const SALT_PROGRAM: u64 = 3;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A core with a disk, for the time of one run: from a start to an end or a crash.
pub struct Simulation {
    seed: u64,
    core: Rc<Core>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    /// What the future returned; `None` when the crash came first.
    pub output: Option<T>,
    /// What is left on the disk after pulling the plug at the end of the run, or at the crash.
    pub image: Image,
    /// Operations of the disk in this run.
    pub operations: u64,
}

pub(super) struct Core {
    pub(super) disk: RefCell<Disk>,
    /// What the program draws.
    pub(super) random: RefCell<Random>,
    now: Cell<u64>,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    next_timer: Cell<u64>,
    spawned: RefCell<Vec<Task>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

impl Core {
    /// The core that runs on this thread.
    ///
    /// # Panics
    /// Outside of [`Simulation::run`].
    pub(super) fn current() -> Rc<Self> {
        CURRENT.with_borrow(|core| match core {
            Some(core) => Rc::clone(core),
            None => panic!("with the feature sim, files and tasks exist inside of Simulation::run only"),
        })
    }

    pub(super) fn now(&self) -> Monotonic {
        Monotonic(self.now.get())
    }

    /// Time goes by under one who writes.
    pub(super) fn let_writer_wait(&self) {
        let wait = self.disk.borrow().writers_wait();
        self.now.set(Monotonic(self.now.get()).plus(wait).0);
    }

    pub(super) fn spawn(&self, task: Task) {
        self.spawned.borrow_mut().push(task);
    }

    pub(super) fn add_timer(&self, deadline: Monotonic, waker: Waker) -> (u64, u64) {
        let key = (deadline.0, self.next_timer.get());
        self.next_timer.set(key.1 + 1);
        self.timers.borrow_mut().insert(key, waker);
        key
    }

    pub(super) fn remove_timer(&self, key: (u64, u64)) {
        self.timers.borrow_mut().remove(&key);
    }
}

struct Woken {
    task: usize,
    queue: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.contains(&self.task) {
            queue.push(self.task);
        }
    }
}

impl Simulation {
    /// A core whose disk holds `image`.
    #[must_use]
    pub fn new(seed: u64, image: &Image, faults: Faults) -> Self {
        let core = Core {
            disk: RefCell::new(Disk::new(image, faults, Random::salted(seed, SALT_DISK))),
            random: RefCell::new(Random::salted(seed, SALT_PROGRAM)),
            now: Cell::new(1_000_000_000),
            timers: RefCell::default(),
            next_timer: Cell::new(0),
            spawned: RefCell::default(),
        };
        Self {
            seed,
            core: Rc::new(core),
        }
    }

    /// Whether the machine is gone: what the program still does is for nothing. For use inside of the run.
    #[must_use]
    pub fn has_crashed() -> bool {
        Core::current().disk.borrow().has_crashed()
    }

    /// Runs `future` to its end, or to the crash; then pulls the plug.
    ///
    /// # Panics
    /// When all tasks wait and nothing can wake them, or when they run without end. Both name the seed.
    pub fn run<T: 'static>(self, future: impl Future<Output = T> + 'static) -> Outcome<T> {
        let output = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&output);
        let main: Task = Box::pin(async move {
            let value = future.await;
            slot.replace(Some(value));
        });
        CURRENT.with_borrow_mut(|current| *current = Some(Rc::clone(&self.core)));
        let tasks = self.run_tasks(main);
        drop(tasks);
        self.core.spawned.take();
        self.core.timers.take();
        CURRENT.with_borrow_mut(|current| *current = None);
        let mut disk = self.core.disk.borrow_mut();
        let has_crashed = disk.has_crashed();
        Outcome {
            output: output.take().filter(|_| !has_crashed),
            image: disk.crash(),
            operations: disk.operations(),
        }
    }

    /// Polls tasks until the first one, the main one, has ended or the disk is gone; returns what is left of them.
    fn run_tasks(&self, main: Task) -> Vec<Option<Task>> {
        let mut random = Random::salted(self.seed, SALT_TASKS);
        let queue = Arc::new(Mutex::new(vec![0]));
        let mut tasks = vec![Some(main)];
        for _ in 0..POLLS_MAX {
            if tasks.first().is_none_or(Option::is_none) || self.core.disk.borrow().has_crashed() {
                return tasks;
            }
            let next = {
                let mut ready = queue.lock().unwrap_or_else(PoisonError::into_inner);
                (!ready.is_empty())
                    .then(|| random.index(ready.len()))
                    .map(|index| ready.swap_remove(index))
            };
            let Some(index) = next else {
                self.advance_time();
                continue;
            };
            let waker = Waker::from(Arc::new(Woken {
                task: index,
                queue: Arc::clone(&queue),
            }));
            let polled = tasks.get_mut(index).and_then(Option::as_mut).map(|task| {
                let mut context = Context::from_waker(&waker);
                task.as_mut().poll(&mut context)
            });
            if polled == Some(Poll::Ready(())) {
                tasks[index] = None;
            }
            for task in self.core.spawned.take() {
                let mut ready = queue.lock().unwrap_or_else(PoisonError::into_inner);
                ready.push(tasks.len());
                tasks.push(Some(task));
            }
        }
        panic!("livelock with seed {}: {POLLS_MAX} polls without an end", self.seed);
    }

    fn advance_time(&self) {
        let Some((key, waker)) = self.core.timers.borrow_mut().pop_first() else {
            panic!("deadlock with seed {}: every task waits, and no timer runs", self.seed);
        };
        self.core.now.set(self.core.now.get().max(key.0));
        waker.wake();
    }
}
