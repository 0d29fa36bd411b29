//! Steps that hold a core for too long: how long each step of a task takes, and which were the worst.
//!
//! A step is one poll of a task, or one part of a turn of the ring. It begins where the one before ended, so that it costs one read of
//! the clock (24 ns; a poll costs about a microsecond). With [`Stalls::measure_exactly`] each step is measured by itself, and with it
//! the time that the thread had the CPU (2 µs more): then a step that stood still because others had the CPU is told from one that
//! worked, or waited for the disk, for too long.

#![expect(unsafe_code, reason = "getrusage has no wrapper")]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::time;
use crate::base::limits::{STALL_KINDS_MAX, STEP_MAX};
use crate::base::time::Monotonic;

/// Steps of one kind that took longer than [`STEP_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stall {
    /// Where the task was spawned.
    pub task: &'static Location<'static>,
    /// What it was doing last, by [`super::task::begin_part`]; measured exactly, what it did for longest.
    pub part: &'static str,
    pub count: u64,
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
    part: Cell<Part>,
    part_longest: Cell<(&'static str, Duration)>,
    worst: RefCell<Vec<Stall>>,
}

/// A part of the present step.
#[derive(Clone, Copy, Default)]
struct Part {
    name: &'static str,
    /// When measured exactly.
    began: Option<Monotonic>,
}

/// What a thread has used since it began.
#[derive(Clone, Copy, Default)]
struct Used {
    cpu: Duration,
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
    }

    fn begin_anew(&self) {
        let now = time::now();
        self.began.set(Some(now));
        if self.is_exact.get() {
            self.began_used.set(Used::now());
            let part = Part {
                name: "",
                began: Some(now),
            };
            self.part.set(part);
            self.part_longest.take();
        }
    }

    /// The present step goes on with another part of its work.
    #[inline]
    pub fn begin_part(&self, name: &'static str) {
        let began = self.is_exact.get().then(time::now);
        if let Some(now) = began {
            self.end_part(now);
        }
        self.part.set(Part { name, began });
    }

    fn end_part(&self, now: Monotonic) {
        let Part { name, began } = self.part.take();
        let took = began.map_or(Duration::ZERO, |began| now.since(began));
        if took > self.part_longest.get().1 {
            self.part_longest.set((name, took));
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
        self.end_part(now);
        if self.is_exact.get() {
            let (used, before) = (Used::now(), self.began_used.get());
            let cpu = used.cpu.saturating_sub(before.cpu);
            if cpu <= STEP_MAX && used.waits == before.waits {
                return StepEnd::Preempted;
            }
            stall.longest_cpu = Some(cpu);
            stall.part = self.part_longest.get().0;
        }
        tracing::debug!(%stall, "a step held its core for too long");
        note(&mut self.worst.borrow_mut(), stall);
        StepEnd::Stall(took)
    }

    /// The worst, the longest first.
    pub fn worst(&self) -> Vec<Stall> {
        let mut worst = self.worst.borrow().clone();
        worst.sort_by_key(|stall| std::cmp::Reverse(stall.longest));
        worst
    }
}

impl Used {
    fn now() -> Self {
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(cpu.tv_sec).unwrap_or(0);
        let nanoseconds = u32::try_from(cpu.tv_nsec).unwrap_or(0);
        Self {
            cpu: Duration::new(seconds, nanoseconds),
            waits: waits(),
        }
    }
}

/// Voluntary context switches of the calling thread.
fn waits() -> i64 {
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
        let worst = stalls.worst();
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

    fn work(duration: Duration) {
        // In time of the CPU: a busy machine may take it away meanwhile.
        let began = Used::now().cpu;
        while Used::now().cpu - began < duration {
            std::hint::spin_loop();
        }
    }
}
