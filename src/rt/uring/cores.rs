//! Core threads: one pinned thread with one executor and one ring each.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::bell::Bell;
use super::driver;
use super::reactor::Reactor;
pub use super::stalls::Stall;
use super::task::{self, Tasks};
use crate::base::ids::ShardId;

/// Glommio interrupts a queue after this time: never, as far as a core is concerned. The driver and background tasks give way by
/// themselves, and an interruption that falls between two looks of glommio's loop makes it sleep in its own rings, although tasks could
/// run: a thread that was off its CPU for as long as this timer takes, at that place, would not wake again.
const PREEMPT_TIMER: Duration = Duration::from_secs(24 * 60 * 60);

/// What glommio takes for buffers of its own file operations, which nobody uses: its least.
const IO_MEMORY_BYTES: usize = 64 * 1024;

/// How to run one core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CorePlan {
    /// The CPU that its thread is pinned to.
    pub cpu: usize,
    /// Look for work this long before sleeping: lower latency for a CPU of its own. `None` is right for shared machines.
    pub spin: Option<Duration>,
}

/// The CPUs that this process may use, in ascending order (affinity masks and cgroup cpusets are honoured).
///
/// # Errors
/// What `sched_getaffinity(2)` says.
pub fn available_cpus() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Plans `count` cores over the available CPUs; when there are more cores than CPUs, cores share them.
///
/// # Errors
/// As [`available_cpus`].
pub fn plan(count: usize, spin: Option<Duration>) -> io::Result<Vec<CorePlan>> {
    let cpus = available_cpus()?;
    Ok((0..count)
        .filter_map(|core| {
            cpus.get(core % cpus.len().max(1))
                .map(|cpu| CorePlan { cpu: *cpu, spin })
        })
        .collect())
}

/// Which core runs the calling thread; `None` on a thread that is no core.
#[must_use]
pub fn current() -> Option<ShardId> {
    Reactor::try_current().map(|reactor| reactor.shard())
}

/// What the calling core has done since it began; `None` on a thread that is no core.
#[must_use]
pub fn statistics() -> Option<Statistics> {
    Reactor::try_current().map(|reactor| reactor.statistics())
}

/// The steps of the calling core's tasks since the last call that took longer than a core allows, the longest first; none on a thread
/// that is no core.
#[must_use]
pub fn take_stalls() -> Vec<Stall> {
    Reactor::try_current().map_or_else(Vec::new, |reactor| reactor.stalls().take_worst())
}

/// Measures each step of the calling core exactly from here on, so that a thread that was preempted is not taken for a stall. It
/// costs 3 µs a step: for tests.
pub fn measure_stalls_exactly() {
    if let Some(reactor) = Reactor::try_current() {
        reactor.stalls().measure_exactly();
    }
}

/// See [`statistics`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Turns of the ring: in each, every task that could run has run once.
    pub turns: u64,
    /// Turns that began with a sleep in the kernel, because no task could run.
    pub sleeps: u64,
    /// Completions of the ring.
    pub completions: u64,
    /// The longest of all turns.
    pub turn_longest: Duration,
    /// Steps of tasks that took longer than 500 µs: somebody did not yield.
    pub stalls: u64,
    /// The longest of all steps.
    pub stall_longest: Duration,
    /// Steps that took longer because the thread was preempted, where steps are measured exactly.
    pub preemptions: u64,
    /// Receives that ended because all receive buffers of the core were full.
    pub receive_buffers_exhausted: u64,
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Operations that the kernel has.
    pub in_flight: usize,
}

/// A core that runs.
#[derive(Debug)]
pub struct CoreHandle<T> {
    thread: JoinHandle<Option<T>>,
}

impl<T> CoreHandle<T> {
    /// Waits until the core's future has ended and the core with it; gives the future's output.
    ///
    /// # Panics
    /// When the core panicked, with its panic.
    pub fn join(self) -> T {
        match self.thread.join() {
            Ok(output) => output.expect("a core that was started has run its future"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Starts one core a plan, named `duramen-0` and so on. Each runs the future that `make` makes on it; when that ends, all tasks of the
/// core are dropped, what is in flight ends, and the core ends. Returns once all cores are up.
///
/// # Errors
/// When one of them cannot start, and then none runs; [`super::probe`] explains most reasons.
pub fn run<T, F, M>(plans: &[CorePlan], make: M) -> io::Result<Vec<CoreHandle<T>>>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
    M: Fn(ShardId) -> F + Clone + Send + 'static,
{
    let mut cores = Vec::new();
    let mut starts = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        let shard = ShardId(u16::try_from(index).map_err(io::Error::other)?);
        let make = make.clone();
        let (started, start) = mpsc::sync_channel(1);
        let (go, gone) = mpsc::sync_channel(1);
        let plan = *plan;
        let thread = std::thread::Builder::new()
            .name(format!("duramen-{index}"))
            .spawn(move || run_core(shard, plan, &started, &gone, move || make(shard)))?;
        cores.push(CoreHandle { thread });
        starts.push((start, go));
    }
    for (index, (start, _)) in starts.iter().enumerate() {
        // Dropping `go` on the way out ends the cores that wait for it.
        start
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
            .map_err(|error| io::Error::new(error.kind(), format!("core {index} cannot start: {error}")))?;
    }
    for (_, go) in starts {
        // A core that is gone is found by `join`.
        let _ = go.send(());
    }
    Ok(cores)
}

pub(super) fn block_on<T: Send + 'static, F: Future<Output = T> + 'static>(
    make: impl FnOnce() -> F + Send + 'static,
) -> T {
    let (started, start) = mpsc::sync_channel(1);
    let (go, gone) = mpsc::sync_channel(1);
    let cpu = available_cpus()
        .ok()
        .and_then(|cpus| cpus.first().copied())
        .unwrap_or(0);
    let plan = CorePlan { cpu, spin: None };
    let thread = std::thread::spawn(move || run_core(ShardId(0), plan, &started, &gone, make));
    if let Ok(Err(error)) = start.recv() {
        panic!("this machine cannot run a core: {error}");
    }
    let _ = go.send(());
    CoreHandle { thread }.join()
}

fn run_core<T: 'static, F: Future<Output = T> + 'static>(
    shard: ShardId,
    plan: CorePlan,
    started: &mpsc::SyncSender<io::Result<()>>,
    gone: &mpsc::Receiver<()>,
    make: impl FnOnce() -> F,
) -> Option<T> {
    let (executor, bell) = match prepare(plan) {
        Ok(prepared) => prepared,
        Err(error) => {
            let _ = started.send(Err(error));
            return None;
        }
    };
    executor.run(async {
        let reactor = match Reactor::start(shard, Tasks::new(Arc::clone(&bell))) {
            Ok(reactor) => reactor,
            Err(error) => {
                let _ = started.send(Err(error));
                return None;
            }
        };
        let _leave = Leave;
        reactor.attach(bell);
        let _ = started.send(Ok(()));
        gone.recv().ok()?;
        let output = Rc::new(RefCell::new(None));
        task::start_main(&reactor, make(), Rc::clone(&output));
        drive_to_the_end(reactor, plan.spin).await;
        output.take()
    })
}

/// Takes the core out of its thread, also when a panic unwinds it.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        Reactor::leave();
    }
}

fn prepare(plan: CorePlan) -> io::Result<(LocalExecutor, Arc<Bell>)> {
    let mut cpus = CpuSet::new();
    cpus.set(plan.cpu);
    // Before anything is allocated, so that all memory of the core is near it.
    sched_setaffinity(None, &cpus)?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .preempt_timer(PREEMPT_TIMER)
        .io_memory(IO_MEMORY_BYTES)
        .make()
        .map_err(io::Error::from)?;
    Ok((executor, Arc::new(Bell::new()?)))
}

async fn drive_to_the_end(reactor: Rc<Reactor>, spin: Option<Duration>) {
    let queue = reactor.tasks().request_queue();
    // Should glommio sleep in its own rings all the same, nothing of ours wakes it: a timer of its own bounds that sleep. While the
    // driver sleeps instead, this timer is not looked at, and costs nothing.
    let watchdog = glommio::spawn_local(async {
        loop {
            glommio::timer::sleep(Duration::from_millis(10)).await;
        }
    });
    match glommio::spawn_local_into(driver::drive(reactor, spin), queue) {
        Ok(driver) => driver.await,
        Err(error) => panic!("the executor has no queue for the driver: {error}"),
    }
    watchdog.cancel().await;
}
