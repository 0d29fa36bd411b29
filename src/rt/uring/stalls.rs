//! Steps that hold a core for too long: how long each step of a task takes, and which were the worst.
//!
//! A step is one poll of a task, or one part of a turn of the ring. It begins where the one before ended, so that it costs one read of
//! the clock (24 ns; a poll costs about a microsecond). With [`Stalls::measure_exactly`] each step is measured by itself, and of its
//! time only what it held the core counts (3 µs more): the time that it had the CPU, and that it waited in the kernel for the disk, a
//! lock, a page. The time that others had the CPU does not: that is the machine's, not the step's.

#![expect(unsafe_code, reason = "getrusage has no wrapper")]

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::time::{ClockId, clock_gettime};

use super::time;
use crate::base::limits::{STALL_KINDS_MAX, STEP_MAX};
use crate::base::time::Monotonic;

/// Where the kernel tells how long the calling thread has waited for a CPU.
const SCHEDULER_STATISTICS: &str = "/proc/thread-self/schedstat";

/// Steps of one kind that took longer than [`STEP_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stall {
    /// Where the task was spawned.
    pub task: &'static Location<'static>,
    /// What it was doing last, by [`super::task::begin_part`]; measured exactly, what it did for longest.
    pub part: &'static str,
    pub count: u64,
    /// Measured exactly, without the time that others had the CPU.
    pub longest: Duration,
    /// How long the thread had the CPU in the longest of them; `None` unless measured exactly.
    pub longest_cpu: Option<Duration>,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, part) = (self.task.file(), self.task.line(), self.part);
        write!(f, "{file}:{line}")?;
        if !part.is_empty() {
            write!(f, " ({part})")?;
        }
        write!(f, ": {} times, at most {} us", self.count, self.longest.as_micros())?;
        match self.longest_cpu {
            Some(cpu) => write!(f, ", {} us of them on the CPU", cpu.as_micros()),
            None => Ok(()),
        }
    }
}

/// How a step has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StepEnd {
    Brief,
    Stall(Duration),
    /// It took long because the CPU was given to others; known only when measured exactly.
    Preempted,
}

/// See the module.
#[derive(Default)]
pub(super) struct Stalls {
    is_exact: Cell<bool>,
    /// When the present step began; `None` when nobody said.
    began: Cell<Option<Monotonic>>,
    /// What the thread had used by then, when measured exactly.
    began_used: Cell<Used>,
    /// How often the thread had waited in the kernel; `None` when it may have slept since somebody looked.
    waits_known: Cell<Option<i64>>,
    part: Cell<Part>,
    part_longest: Cell<(&'static str, Duration)>,
    worst: RefCell<Vec<Stall>>,
    /// Open once it was read; `None` where the kernel does not tell.
    scheduler_statistics: OnceCell<Option<OwnedFd>>,
}

/// A part of the present step.
#[derive(Clone, Copy, Default)]
struct Part {
    name: &'static str,
    /// When measured exactly.
    began: Option<(Monotonic, Used)>,
}

/// What a thread has used since it began.
#[derive(Clone, Copy, Default)]
struct Used {
    cpu: Duration,
    /// It could run, and others had the CPU.
    preempted: Duration,
    /// How often it waited in the kernel: for a page, a lock.
    waits: i64,
}

impl Stalls {
    /// From here on each step is measured by itself.
    pub fn measure_exactly(&self) {
        self.is_exact.set(true);
        self.begin_anew();
    }

    /// A step begins: where the one before ended, unless nobody knows when that was.
    #[inline]
    pub fn begin(&self) {
        if self.began.get().is_none() || self.is_exact.get() {
            self.begin_anew();
        }
    }

    /// The next step begins when it says so: the thread sleeps in between.
    pub fn pause(&self) {
        self.began.set(None);
        self.waits_known.set(None);
    }

    /// What waits from here on is told by [`Stalls::has_waited`]. A system call after a sleep, nothing after that.
    #[inline]
    pub fn know_waits(&self) {
        if self.waits_known.get().is_none() {
            self.waits_known.set(Some(waits()));
        }
    }

    /// Whether the thread has waited in the kernel since the last look, when it has waited `waits` times by now.
    pub fn has_waited(&self, waits: i64) -> bool {
        self.waits_known.replace(Some(waits)) != Some(waits)
    }

    /// How long the present step has lasted.
    #[inline]
    pub fn step_lasted(&self, now: Monotonic) -> Duration {
        self.began.get().map_or(Duration::ZERO, |began| now.since(began))
    }

    fn begin_anew(&self) {
        if self.is_exact.get() {
            let used = self.used();
            let now = time::now();
            self.began_used.set(used);
            let part = Part {
                name: "",
                began: Some((now, used)),
            };
            self.part.set(part);
            self.part_longest.take();
            self.began.set(Some(now));
        } else {
            self.began.set(Some(time::now()));
        }
    }

    /// The present step goes on with another part of its work.
    #[inline]
    pub fn begin_part(&self, name: &'static str) {
        let began = self.is_exact.get().then(|| (time::now(), self.used()));
        if let Some((now, used)) = began {
            self.end_part(now, used);
        }
        self.part.set(Part { name, began });
    }

    fn end_part(&self, now: Monotonic, used: Used) {
        let Part { name, began } = self.part.take();
        let held = began.map_or(Duration::ZERO, |(began, before)| used.held(&before, now.since(began)));
        if held > self.part_longest.get().1 {
            self.part_longest.set((name, held));
        }
    }

    /// The present step ends, and the next may begin.
    #[inline]
    pub fn end(&self, task: &'static Location<'static>) -> StepEnd {
        let now = time::now();
        let took = self
            .began
            .replace(Some(now))
            .map_or(Duration::ZERO, |began| now.since(began));
        if took > STEP_MAX {
            return self.end_long(task, now, took);
        }
        self.part.take();
        StepEnd::Brief
    }

    #[cold]
    fn end_long(&self, task: &'static Location<'static>, now: Monotonic, took: Duration) -> StepEnd {
        let mut stall = Stall {
            task,
            part: self.part.get().name,
            count: 1,
            longest: took,
            longest_cpu: None,
        };
        if self.is_exact.get() {
            let (used, before) = (self.used(), self.began_used.get());
            self.end_part(now, used);
            stall.longest = used.held(&before, took);
            if stall.longest <= STEP_MAX {
                return StepEnd::Preempted;
            }
            stall.longest_cpu = Some(used.cpu.saturating_sub(before.cpu));
            stall.part = self.part_longest.get().0;
        }
        self.part.take();
        tracing::debug!(%stall, "a step held its core for too long");
        note(&mut self.worst.borrow_mut(), stall);
        StepEnd::Stall(stall.longest)
    }

    fn used(&self) -> Used {
        let statistics = self.scheduler_statistics.get_or_init(|| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::open(SCHEDULER_STATISTICS, flags, Mode::empty()).ok()
        });
        Used {
            cpu: cpu_time(),
            preempted: statistics.as_ref().and_then(time_preempted).unwrap_or_default(),
            waits: waits(),
        }
    }

    /// The worst so far, the longest first; they are forgotten.
    pub fn take_worst(&self) -> Vec<Stall> {
        let mut worst = self.worst.take();
        worst.sort_by_key(|stall| std::cmp::Reverse(stall.longest));
        worst
    }
}

impl Used {
    /// How much of the time that has passed since `before` the thread held its core.
    fn held(&self, before: &Self, passed: Duration) -> Duration {
        let cpu = self.cpu.saturating_sub(before.cpu);
        if self.waits == before.waits {
            return cpu.min(passed);
        }
        passed.saturating_sub(self.preempted.saturating_sub(before.preempted))
    }
}

/// How long the calling thread has had the CPU.
fn cpu_time() -> Duration {
    let cpu = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(cpu.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(cpu.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

/// How long the thread could run while others had the CPU: the second number.
fn time_preempted(statistics: &OwnedFd) -> Option<Duration> {
    let mut text = [0; 96];
    let length = rustix::io::pread(statistics, &mut text, 0).ok()?;
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    let nanoseconds = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Voluntary context switches of the calling thread.
pub(super) fn waits() -> i64 {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the structure is as the kernel defines it, and lives through the call.
    let outcome = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if outcome != 0 {
        return 0;
    }
    // SAFETY: on success the kernel has written all of it.
    unsafe { usage.assume_init() }.ru_nvcsw
}

/// Adds a stall to those of its kind. Where there are too many kinds, the least of them is forgotten.
fn note(worst: &mut Vec<Stall>, stall: Stall) {
    let of_kind = worst
        .iter_mut()
        .find(|known| known.task == stall.task && known.part == stall.part);
    if let Some(known) = of_kind {
        let count = known.count + stall.count;
        if stall.longest > known.longest {
            *known = stall;
        }
        known.count = count;
        return;
    }
    if worst.len() >= STALL_KINDS_MAX {
        let least = worst.iter().enumerate().min_by_key(|(_, known)| known.longest);
        if let Some((index, _)) = least {
            worst.swap_remove(index);
        }
    }
    worst.push(stall);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stall(task: &'static Location<'static>, part: &'static str, micros: u64) -> Stall {
        Stall {
            task,
            part,
            count: 1,
            longest: Duration::from_micros(micros),
            longest_cpu: None,
        }
    }

    #[test]
    fn stalls_are_gathered_by_kind_and_the_least_is_forgotten() {
        let (here, there) = (Location::caller(), elsewhere());
        let mut worst = Vec::new();
        for (part, micros) in [("a", 600), ("a", 900), ("a", 700), ("b", 800)] {
            note(&mut worst, stall(here, part, micros));
        }
        note(&mut worst, stall(there, "a", 501));
        let seen: Vec<_> = worst
            .iter()
            .map(|known| (known.count, known.longest.as_micros()))
            .collect();
        assert_eq!(seen, [(3, 900), (1, 800), (1, 501)]);
        for part in 0..STALL_KINDS_MAX {
            let name: &'static str = Box::leak(format!("{part}").into_boxed_str());
            note(&mut worst, stall(here, name, 1000));
        }
        assert_eq!(worst.len(), STALL_KINDS_MAX);
        assert!(!worst.iter().any(|known| known.task == there));
    }

    #[track_caller]
    fn elsewhere() -> &'static Location<'static> {
        Location::caller()
    }

    #[test]
    fn the_part_that_took_longest_is_named() {
        let stalls = Stalls::default();
        stalls.measure_exactly();
        stalls.begin();
        for (part, micros) in [("brief", 1), ("long", 20_000), ("last", 1)] {
            stalls.begin_part(part);
            work(Duration::from_micros(micros));
        }
        assert!(matches!(stalls.end(Location::caller()), StepEnd::Stall(_)));
        stalls.begin();
        assert!(!matches!(stalls.end(Location::caller()), StepEnd::Stall(_)));
        let worst = stalls.take_worst();
        assert_eq!((worst.len(), worst[0].part), (1, "long"));
        assert!(worst[0].longest_cpu.is_some_and(|cpu| cpu > STEP_MAX), "{}", worst[0]);
    }

    #[test]
    fn a_wait_is_a_stall_and_a_pause_is_none() {
        let stalls = Stalls::default();
        stalls.measure_exactly();
        stalls.begin();
        let (wait, waited) = std::sync::mpsc::channel::<()>();
        assert!(waited.recv_timeout(Duration::from_millis(2)).is_err());
        assert!(matches!(stalls.end(Location::caller()), StepEnd::Stall(_)));
        drop(wait);
        stalls.begin();
        stalls.pause();
        work(STEP_MAX * 2);
        stalls.begin();
        assert!(!matches!(stalls.end(Location::caller()), StepEnd::Stall(_)));
    }

    #[test]
    fn only_what_a_step_holds_counts() {
        let ms = Duration::from_millis;
        let used = |cpu, preempted, waits| Used {
            cpu: ms(cpu),
            preempted: ms(preempted),
            waits,
        };
        let before = used(100, 50, 7);
        for (case, after, passed, held) in [
            ("work", used(103, 50, 7), 3, 3),
            ("work, and others had the CPU", used(103, 59, 7), 12, 3),
            ("a wait", used(101, 50, 8), 10, 10),
            ("a wait, and then others had the CPU", used(101, 58, 8), 12, 4),
            ("clocks that do not agree", used(105, 99, 8), 4, 0),
        ] {
            assert_eq!(after.held(&before, ms(passed)), ms(held), "{case}");
        }
    }

    #[test]
    fn the_kernel_tells_how_long_a_thread_waited_for_a_cpu() {
        let stalls = Stalls::default();
        let before = stalls.used();
        // On the CPU of another thread that works, one of the two waits.
        let cpus = rustix::thread::sched_getaffinity(None).unwrap();
        let cpu = (0..1024).find(|cpu| cpus.is_set(*cpu)).unwrap();
        let mut one = rustix::thread::CpuSet::new();
        one.set(cpu);
        let is_done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                rustix::thread::sched_setaffinity(None, &one).unwrap();
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            rustix::thread::sched_setaffinity(None, &one).unwrap();
            let began = time::now();
            while time::now().since(began) < Duration::from_secs(10)
                && stalls.used().preempted - before.preempted < Duration::from_millis(1)
            {}
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        if stalls.scheduler_statistics.get().is_some_and(Option::is_some) {
            assert!(stalls.used().preempted > before.preempted);
        }
    }

    fn work(duration: Duration) {
        // In time of the CPU: a busy machine may take it away meanwhile.
        let began = cpu_time();
        while cpu_time() - began < duration {
            std::hint::spin_loop();
        }
    }
}
