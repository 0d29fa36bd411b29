//! The state of a core: its ring and what is in flight, its timers, bells, buffers and tasks.
//!
//! Owned by one thread, reached through [`Reactor::current`] or a handle. Nothing here waits; the driver does.

#![expect(unsafe_code, reason = "entries name memory that the kernel uses")]

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use io_uring::{cqueue, opcode, squeue, types};

use super::aside::Aside;
use super::bell::Bell;
use super::buffers::BufferPool;
use super::cores::Statistics;
use super::operations::{InFlight, Key, Operations, Single, Target};
use super::ring::{Completion, Ring};
use super::stalls::{Stalls, StepEnd};
use super::task::Tasks;
use super::timers::{TimerKey, Timers};
use crate::base::ids::ShardId;
use crate::base::limits::{SENDFILE_SLICE_BYTES_MAX, SENDFILE_SLICE_BYTES_MIN};
use crate::base::step_bytes::StepBytes;
use crate::base::time::Monotonic;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Reactor>>> = const { RefCell::new(None) };
}

/// See the module.
pub(super) struct Reactor {
    shard: ShardId,
    ring: RefCell<Ring>,
    // What the kernel reads and writes through the ring: dropped only when nothing is in flight.
    operations: ManuallyDrop<RefCell<Operations>>,
    buffers: ManuallyDrop<BufferPool>,
    timers: RefCell<Timers>,
    bells: RefCell<Vec<Rc<AttachedBell>>>,
    tasks: Tasks,
    stopping: Cell<bool>,
    completions: RefCell<Vec<Completion>>,
    /// When the present turn's tasks began.
    pub turn_began: Cell<Monotonic>,
    /// How much of a file goes to a socket at once.
    pub sendfile_bytes: StepBytes,
    stalls: Stalls,
    aside: RefCell<Aside>,
    statistics: Cell<Statistics>,
}

/// A bell that this core answers, and the tasks that wait for it.
pub(super) struct AttachedBell {
    bell: Arc<Bell>,
    waiter: RefCell<Option<Waker>>,
    detached: Cell<bool>,
    key: Cell<Option<Key>>,
}

impl Reactor {
    /// Makes the calling thread a core.
    pub fn start(shard: ShardId, tasks: Tasks) -> io::Result<Rc<Self>> {
        let ring = Ring::new()?;
        let buffers = BufferPool::new()?;
        buffers.register(&ring.submitter())?;
        let reactor = Rc::new(Self {
            shard,
            ring: RefCell::new(ring),
            operations: ManuallyDrop::new(RefCell::new(Operations::default())),
            buffers: ManuallyDrop::new(buffers),
            timers: RefCell::default(),
            bells: RefCell::default(),
            tasks,
            stopping: Cell::new(false),
            completions: RefCell::default(),
            turn_began: Cell::new(super::time::now()),
            sendfile_bytes: StepBytes::new(SENDFILE_SLICE_BYTES_MIN, SENDFILE_SLICE_BYTES_MAX),
            stalls: Stalls::default(),
            aside: RefCell::default(),
            statistics: Cell::default(),
        });
        CURRENT.set(Some(Rc::clone(&reactor)));
        Ok(reactor)
    }

    /// The core that runs the calling thread.
    ///
    /// # Panics
    /// On a thread that is no core.
    pub fn current() -> Rc<Self> {
        Self::try_current().expect("sockets, timers and asynchronous file operations exist on core threads only")
    }

    pub fn try_current() -> Option<Rc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// As [`Reactor::try_current`] without a handle.
    pub fn with_current(look: impl FnOnce(&Self)) {
        // At the end of a thread there may be none any more.
        let _ = CURRENT.try_with(|current| current.borrow().as_deref().map(look));
    }

    /// The thread is no core any more.
    pub fn leave() {
        CURRENT.take();
    }

    pub fn shard(&self) -> ShardId {
        self.shard
    }

    pub fn buffers(&self) -> &BufferPool {
        &self.buffers
    }

    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Submits an entry with one completion, for which the kernel has next to nothing to copy.
    ///
    /// # Safety
    /// As [`Reactor::submit_copy`].
    pub unsafe fn submit<T: 'static>(self: &Rc<Self>, entry: squeue::Entry, held: T) -> InFlight<T> {
        // SAFETY: passed on to the caller.
        unsafe { self.submit_copy(entry, 0, held) }
    }

    /// Submits an entry with one completion, for which the kernel copies up to so many bytes at once.
    ///
    /// # Safety
    /// All memory and descriptors that `entry` names are owned by `held`, at addresses that do not change when `held` is moved.
    pub unsafe fn submit_copy<T: 'static>(
        self: &Rc<Self>,
        entry: squeue::Entry,
        copied_bytes: usize,
        held: T,
    ) -> InFlight<T> {
        let single = Single::new(held);
        // SAFETY: `single` owns `held`, and the slot owns `single` until the last completion.
        let key = unsafe { self.push(entry, copied_bytes, Rc::clone(&single) as Rc<dyn Target>) };
        if key.is_none() {
            single.refuse();
        }
        InFlight {
            reactor: Rc::clone(self),
            key,
            single,
        }
    }

    /// Submits an entry whose completions go to `target`; `None` when the core is stopping.
    ///
    /// # Safety
    /// All memory and descriptors that `entry` names are owned by `target`, and do not move.
    pub unsafe fn submit_to(&self, entry: squeue::Entry, target: Rc<dyn Target>) -> Option<Key> {
        // SAFETY: passed on to the caller.
        unsafe { self.push(entry, 0, target) }
    }

    /// # Safety
    /// As [`Reactor::submit_to`].
    unsafe fn push(&self, entry: squeue::Entry, copied_bytes: usize, target: Rc<dyn Target>) -> Option<Key> {
        if self.stopping.get() {
            return None;
        }
        let key = self.operations.borrow_mut().insert(target);
        let entry = entry.user_data(key.to_user_data());
        // SAFETY: the slot keeps the target until its last completion has been reaped.
        unsafe { self.ring.borrow_mut().push(entry, copied_bytes) };
        Some(key)
    }

    pub fn statistics(&self) -> Statistics {
        Statistics {
            tasks: self.tasks.live(),
            in_flight: self.in_flight(),
            ..self.statistics.get()
        }
    }

    pub fn aside(&self) -> &RefCell<Aside> {
        &self.aside
    }

    pub fn stalls(&self) -> &Stalls {
        &self.stalls
    }

    #[inline]
    pub fn begin_step(&self) {
        self.stalls.begin();
    }

    /// Ends a step of the task that was spawned at `place`.
    #[inline]
    pub fn end_step(&self, place: &'static Location<'static>) {
        match self.stalls.end(place) {
            StepEnd::Brief => {}
            StepEnd::Stall(took) => self.count(|statistics| {
                statistics.stalls += 1;
                statistics.stall_longest = statistics.stall_longest.max(took);
            }),
            StepEnd::Preempted => self.count(|statistics| statistics.preemptions += 1),
        }
    }

    /// The number of the present turn.
    pub fn turn(&self) -> u64 {
        self.statistics.get().turns
    }

    pub fn count(&self, change: impl FnOnce(&mut Statistics)) {
        let mut statistics = self.statistics.get();
        change(&mut statistics);
        self.statistics.set(statistics);
    }

    /// Asks the kernel to end an operation; its completion comes all the same.
    pub fn cancel(&self, key: Key) {
        let entry = opcode::AsyncCancel::new(key.to_user_data())
            .build()
            .user_data(Key::NOBODY);
        // SAFETY: a cancellation names no memory.
        unsafe { self.ring.borrow_mut().push(entry, 0) };
    }

    /// Asks the kernel to end everything.
    pub fn cancel_all(&self) {
        let every = types::CancelBuilder::any();
        let entry = opcode::AsyncCancel2::new(every).build().user_data(Key::NOBODY);
        // SAFETY: a cancellation names no memory.
        unsafe { self.ring.borrow_mut().push(entry, 0) };
    }

    pub fn set_timer(&self, key: Option<TimerKey>, deadline: Monotonic, waker: Waker) -> TimerKey {
        self.timers.borrow_mut().set(key, deadline, waker)
    }

    pub fn remove_timer(&self, key: TimerKey) {
        self.timers.borrow_mut().remove(key);
    }

    /// No operation begins from here on; what is in flight ends.
    pub fn stop(&self) {
        if !self.stopping.replace(true) {
            self.bells.borrow_mut().clear();
            self.cancel_all();
        }
    }

    pub fn in_flight(&self) -> usize {
        self.operations.borrow().in_flight()
    }

    /// Answers a bell from now on: wakes its waiter, and does not sleep while it is pending.
    pub fn attach(self: &Rc<Self>, bell: Arc<Bell>) -> Rc<AttachedBell> {
        let attached = Rc::new(AttachedBell {
            bell,
            waiter: RefCell::new(None),
            detached: Cell::new(false),
            key: Cell::new(None),
        });
        attached.arm(self);
        self.bells.borrow_mut().push(Rc::clone(&attached));
        attached
    }

    pub fn detach(&self, attached: &Rc<AttachedBell>) {
        attached.detached.set(true);
        self.bells.borrow_mut().retain(|other| !Rc::ptr_eq(other, attached));
        if let Some(key) = attached.key.get() {
            self.cancel(key);
        }
    }

    /// Says to all ringers that this core sleeps. False, and nothing said, when something is pending.
    pub fn begin_sleep(&self) -> bool {
        let bells = self.bells.borrow();
        for (index, attached) in bells.iter().enumerate() {
            if attached.bell.begin_sleep() {
                bells[..index].iter().for_each(|earlier| earlier.bell.end_sleep());
                return false;
            }
        }
        true
    }

    pub fn end_sleep(&self) {
        self.bells
            .borrow()
            .iter()
            .for_each(|attached| attached.bell.end_sleep());
    }

    /// When the first timer is due.
    pub fn next_timer(&self) -> Option<Monotonic> {
        self.timers.borrow().next()
    }

    /// Whether completions wait for [`Reactor::dispatch`].
    pub fn has_completions(&self) -> bool {
        !self.completions.borrow().is_empty()
    }

    pub fn needs_enter(&self) -> bool {
        self.ring.borrow_mut().needs_enter()
    }

    /// Whether the kernel will have all that is queued after one [`Reactor::enter`].
    pub fn submits_all(&self) -> bool {
        self.ring.borrow().submits_all()
    }

    /// Enters the kernel; completions are kept for [`Reactor::dispatch`].
    pub fn enter(&self, wait: Option<Duration>) {
        let mut ring = self.ring.borrow_mut();
        ring.enter(wait);
        ring.reap(&mut self.completions.borrow_mut());
    }

    /// Gives completions, due timers and pending bells to those who wait for them.
    pub fn dispatch(self: &Rc<Self>, now: Monotonic) {
        let mut completions = self.completions.take();
        let count = u64::try_from(completions.len()).unwrap_or(0);
        self.count(|statistics| statistics.completions += count);
        for completion in completions.drain(..) {
            self.deliver(completion);
        }
        self.completions.replace(completions);
        self.fire_timers(now);
        self.answer_bells();
        self.buffers.wake_waiters();
    }

    fn deliver(self: &Rc<Self>, completion: Completion) {
        if completion.user_data == Key::NOBODY {
            return;
        }
        let target = self.operations.borrow_mut().target_of(completion);
        if let Some(target) = target {
            target.complete(self, completion.result, completion.flags);
        } else {
            // The slot is another's by now: the kernel posted twice, or we freed too early. A picked buffer is not lost.
            crate::base::assert::never_fired("a completion has an owner", file!(), line!());
            if let Some(buffer) = cqueue::buffer_select(completion.flags) {
                self.buffers.taken();
                self.buffers.give_back(buffer);
            }
        }
    }

    fn fire_timers(&self, now: Monotonic) {
        loop {
            let due = self.timers.borrow_mut().take_due(now);
            let Some(waker) = due else { return };
            waker.wake();
        }
    }

    fn answer_bells(&self) {
        for attached in self.bells.borrow().iter() {
            if attached.bell.take_pending() {
                let waiter = attached.waiter.take();
                if let Some(waker) = waiter {
                    waker.wake();
                }
            }
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        // What is in flight at the end (a panic unwinds the core) stays allocated for ever: the kernel may still write there.
        if self.operations.borrow().in_flight() == 0 {
            // SAFETY: dropped once, here, and not used after.
            unsafe {
                ManuallyDrop::drop(&mut self.operations);
                ManuallyDrop::drop(&mut self.buffers);
            }
        }
    }
}

impl AttachedBell {
    /// Wakes the waker at the next ring. One waiter a bell.
    pub fn wait(&self, waker: Waker) {
        self.waiter.replace(Some(waker));
    }

    fn arm(self: &Rc<Self>, reactor: &Reactor) {
        let descriptor = types::Fd(self.bell.descriptor().as_raw_fd());
        let events = u32::from(libc::POLLIN.unsigned_abs());
        let entry = opcode::PollAdd::new(descriptor, events).multi(true).build();
        // SAFETY: the target owns the bell, which owns the descriptor.
        let key = unsafe { reactor.submit_to(entry, Rc::clone(self) as Rc<dyn Target>) };
        self.key.set(key);
    }
}

impl Target for AttachedBell {
    /// The completion only ends the ring's sleep: the driver looks at every bell in every turn.
    fn complete(self: Rc<Self>, reactor: &Rc<Reactor>, _result: i32, flags: u32) {
        if cqueue::more(flags) {
            return;
        }
        self.key.set(None);
        if !self.detached.get() {
            // `None` when the core is stopping: then nobody rings any more.
            self.arm(reactor);
        }
    }
}
