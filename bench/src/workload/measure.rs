//! What is counted while a load runs: requests, records, bytes, latencies, and how they spread over time.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::failure::Result;
use crate::number::{count, float, index, nanos};

/// Longer latencies are told as this.
const LATENCY_MAX: Duration = Duration::from_secs(120);

/// Significant digits of a latency.
const DIGITS: u8 = 3;

/// Pieces that the measured time is cut into for the plot over time.
const BINS: u32 = 200;

/// Shortest piece.
const BIN_MIN: Duration = Duration::from_millis(50);

/// When a load begins, and which part of it counts: `[from, until)`.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    pub begin: Instant,
    pub from: Instant,
    pub until: Instant,
}

impl Phases {
    pub fn new(begin: Instant, warmup: Duration, measured: Duration) -> Self {
        Self {
            begin,
            from: begin + warmup,
            until: begin + warmup + measured,
        }
    }

    fn counts(&self, moment: Instant) -> bool {
        self.from <= moment && moment < self.until
    }

    pub fn bin(&self) -> Duration {
        ((self.until - self.from) / BINS).max(BIN_MIN)
    }
}

/// A piece of the measured time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    pub requests: u64,
    pub bytes: u64,
    pub latency_ns_max: u64,
}

/// What one answer was worth.
#[derive(Clone, Copy, Debug)]
pub struct Worth {
    pub records: u64,
    pub bytes: u64,
}

/// Counts of one part on one thread.
#[derive(Clone)]
pub struct Meter {
    phases: Phases,
    pub requests: u64,
    pub records: u64,
    pub bytes: u64,
    pub latency: Histogram<u64>,
    pub bins: Vec<Bin>,
    /// When the part was over, if that was before the time was.
    pub ended: Option<Instant>,
}

impl Meter {
    pub fn new(phases: Phases) -> Result<Self> {
        Ok(Self {
            phases,
            requests: 0,
            records: 0,
            bytes: 0,
            latency: Histogram::new_with_bounds(1, nanos(LATENCY_MAX), DIGITS)?,
            bins: Vec::new(),
            ended: None,
        })
    }

    /// Throughput: an answer came at `now`.
    pub fn came(&mut self, now: Instant, worth: Worth) {
        if !self.phases.counts(now) {
            return;
        }
        self.requests += 1;
        self.records += worth.records;
        self.bytes += worth.bytes;
        let bin = self.bin(now);
        bin.requests += 1;
        bin.bytes += worth.bytes;
    }

    /// Latency: what was due at `due` was done at `now`. It counts when it was due in the measured time, however long it took.
    pub fn took(&mut self, due: Instant, now: Instant) {
        if !self.phases.counts(due) {
            return;
        }
        let latency = nanos(now.saturating_duration_since(due));
        self.latency.saturating_record(latency);
        let bin = self.bin(due);
        bin.latency_ns_max = bin.latency_ns_max.max(latency);
    }

    fn bin(&mut self, moment: Instant) -> &mut Bin {
        let passed = moment.saturating_duration_since(self.phases.from);
        let at = index(nanos(passed) / nanos(self.phases.bin()).max(1));
        if self.bins.len() <= at {
            self.bins.resize(at + 1, Bin::default());
        }
        &mut self.bins[at]
    }

    /// Adds the counts of another thread.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.requests += other.requests;
        self.records += other.records;
        self.bytes += other.bytes;
        self.latency.add(&other.latency)?;
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), Bin::default());
        }
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin.requests += more.requests;
            bin.bytes += more.bytes;
            bin.latency_ns_max = bin.latency_ns_max.max(more.latency_ns_max);
        }
        // A part is over when its last thread is.
        self.ended = self.ended.zip(other.ended).map(|(one, other)| one.max(other));
        Ok(())
    }

    /// Seconds that were measured.
    pub fn seconds(&self) -> f64 {
        let until = self
            .ended
            .map_or(self.phases.until, |ended| ended.min(self.phases.until));
        until.saturating_duration_since(self.phases.from).as_secs_f64()
    }
}

/// When each request of an open loop is due: request `n` of all, at `rate` a second.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    begin: Instant,
    rate: f64,
}

impl Schedule {
    pub fn new(begin: Instant, rate: f64) -> Self {
        Self { begin, rate }
    }

    pub fn due(&self, request: u64) -> Instant {
        self.begin + Duration::from_secs_f64(float(request) / self.rate)
    }
}

/// Parts of a whole as a share of threads: what thread `thread` of `threads` takes of `all`.
pub fn share(all: u32, thread: usize, threads: usize) -> impl Iterator<Item = u32> {
    (0..all).filter(move |one| count(thread) == u64::from(*one) % count(threads.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases() -> Phases {
        Phases::new(Instant::now(), Duration::from_secs(1), Duration::from_secs(10))
    }

    #[test]
    fn only_the_measured_time_counts() {
        let phases = phases();
        let at = |millis| phases.begin + Duration::from_millis(millis);
        let mut meter = Meter::new(phases).unwrap();
        let worth = Worth { records: 2, bytes: 100 };
        for millis in [0, 999, 1000, 10_999, 11_000] {
            meter.came(at(millis), worth);
        }
        assert_eq!((meter.requests, meter.records, meter.bytes), (2, 4, 200));
        assert!((meter.seconds() - 10.0).abs() < 1e-9);
        assert_eq!(meter.bins.len(), 200);
        assert_eq!((meter.bins[0].bytes, meter.bins[199].bytes), (100, 100));
    }

    #[test]
    fn a_late_answer_counts_from_when_it_was_due() {
        let phases = phases();
        let at = |millis| phases.begin + Duration::from_millis(millis);
        let mut meter = Meter::new(phases).unwrap();
        // Due before the measured time, in it and answered behind it, due behind it.
        meter.took(at(999), at(5000));
        meter.took(at(10_000), at(14_000));
        meter.took(at(11_000), at(11_001));
        assert_eq!(meter.latency.len(), 1);
        assert!(meter.latency.max().abs_diff(4_000_000_000) < 5_000_000);
    }

    #[test]
    fn a_stall_is_seen_by_all_that_were_due() {
        // Nothing is answered for a second: with 1000 requests a second, a thousand of them waited, half of them above 500 ms.
        let phases = phases();
        let schedule = Schedule::new(phases.begin, 1000.0);
        let mut meter = Meter::new(phases).unwrap();
        let (stall_from, stall_until) = (2000, 3000);
        for request in 0..11_000 {
            let due = schedule.due(request);
            let answered = if (stall_from..stall_until).contains(&request) {
                schedule.due(stall_until)
            } else {
                due
            };
            meter.took(due, answered);
        }
        assert_eq!(meter.latency.len(), 10_000);
        let above = meter.latency.count_between(500_000_000, u64::MAX);
        assert!((495..=505).contains(&above), "{above}");
        let p95 = meter.latency.value_at_quantile(0.95);
        assert!((480_000_000..520_000_000).contains(&p95), "{p95}");
    }

    #[test]
    fn schedules_do_not_drift() {
        let begin = Instant::now();
        let schedule = Schedule::new(begin, 3.0);
        assert_eq!(schedule.due(0), begin);
        let late = schedule.due(3_000_000).duration_since(begin);
        assert!(
            late.abs_diff(Duration::from_secs(1_000_000)) < Duration::from_micros(1),
            "{late:?}"
        );
    }

    #[test]
    fn threads_share_what_there_is() {
        let mut taken: Vec<u32> = (0..3).flat_map(|thread| share(10, thread, 3)).collect();
        taken.sort_unstable();
        assert_eq!(taken, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn meters_add_up() {
        let phases = phases();
        let at = |millis| phases.begin + Duration::from_millis(millis);
        let (mut one, mut other) = (Meter::new(phases).unwrap(), Meter::new(phases).unwrap());
        let worth = Worth { records: 1, bytes: 10 };
        one.came(at(1000), worth);
        other.came(at(1000), worth);
        other.came(at(5000), worth);
        other.took(at(5000), at(5002));
        one.ended = Some(at(4000));
        other.ended = Some(at(6000));
        one.merge(&other).unwrap();
        assert_eq!(
            (one.requests, one.bytes, one.bins[0].bytes, one.latency.len()),
            (3, 30, 20, 1)
        );
        assert!((one.seconds() - 5.0).abs() < 1e-9);
    }
}
