//! What processes take of the machine, from `/proc`.

use std::fs;
use std::path::PathBuf;

use crate::failure::{Context, Result, fail};
use crate::number::{MIB, float};
use crate::report::result::Usage;

/// Counters of a process since it began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    cpu_s: f64,
    read_bytes: u64,
    written_bytes: u64,
}

/// A process to look at.
#[derive(Clone, Debug)]
pub struct Process {
    directory: PathBuf,
}

impl Process {
    pub fn new(pid: u32) -> Self {
        Self {
            directory: format!("/proc/{pid}").into(),
        }
    }

    pub fn this() -> Self {
        Self::new(std::process::id())
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.directory.join(file);
        fs::read_to_string(&path).context(|| format!("the broker's process: {}", path.display()))
    }

    pub fn sample(&self) -> Result<Sample> {
        // The disk counters may be hidden from those who do not own the process.
        let io = self.read("io").unwrap_or_default();
        Ok(Sample {
            cpu_s: cpu_seconds(&self.read("stat")?)?,
            read_bytes: field(&io, "read_bytes:"),
            written_bytes: field(&io, "write_bytes:"),
        })
    }

    /// Resident memory without mapped files.
    pub fn rss_mib(&self) -> Result<f64> {
        let status = self.read("status")?;
        Ok(float(field(&status, "VmRSS:")) / 1024.0)
    }
}

impl Sample {
    /// What was taken from `earlier` to this sample.
    pub fn since(&self, earlier: &Self, seconds: f64, rss_max_mib: f64) -> Usage {
        Usage {
            cpu_s: self.cpu_s - earlier.cpu_s,
            seconds,
            rss_max_mib,
            read_mib: float(self.read_bytes - earlier.read_bytes) / MIB,
            written_mib: float(self.written_bytes - earlier.written_bytes) / MIB,
        }
    }
}

/// CPU seconds of some processors since the machine began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processors {
    /// Spent by processes, whosever; interrupts are not counted.
    pub busy_s: f64,
    /// Given to other guests by the host.
    pub steal_s: f64,
}

impl Processors {
    pub fn sample(cpus: &[usize]) -> Self {
        Self::parse(&fs::read_to_string("/proc/stat").unwrap_or_default(), cpus)
    }

    /// The lines of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
    fn parse(stat: &str, cpus: &[usize]) -> Self {
        let mut all = Self::default();
        for line in stat.lines() {
            let mut words = line.split_whitespace();
            let cpu = words.next().and_then(|name| name.strip_prefix("cpu")?.parse().ok());
            if cpu.is_none_or(|cpu| !cpus.contains(&cpu)) {
                continue;
            }
            let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
            all.busy_s += seconds_of_ticks(ticks.iter().take(3).sum());
            all.steal_s += seconds_of_ticks(ticks.get(7).copied().unwrap_or(0));
        }
        all
    }
}

/// The number behind a name in a file of such lines; 0 when there is none.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// User and system time of `/proc/PID/stat`, whose second field may hold anything.
fn cpu_seconds(stat: &str) -> Result<f64> {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut ticks = fields
        .split_whitespace()
        .skip(11)
        .map_while(|field| field.parse::<u64>().ok());
    match (ticks.next(), ticks.next()) {
        (Some(user), Some(system)) => Ok(seconds_of_ticks(user + system)),
        _ => fail!("/proc/PID/stat has no CPU times"),
    }
}

fn seconds_of_ticks(ticks: u64) -> f64 {
    float(ticks) / float(rustix::param::clock_ticks_per_second())
}

#[test]
fn times_are_found_behind_any_name() {
    let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100";
    let expected = 300.0 / float(rustix::param::clock_ticks_per_second());
    assert!((cpu_seconds(stat).unwrap() - expected).abs() < 1e-9);
    assert!(cpu_seconds("7 (a").is_err());
}

#[test]
fn processors_add_up() {
    let stat = "cpu  9 9 9 9 9 9 9 9\ncpu0 1 2 3 9 9 9 9 50\ncpu1 10 20 30 9 9 9 9 7\ncpu2 1 1 1 9 9 9 9 9\nintr 5\n";
    let second = float(rustix::param::clock_ticks_per_second());
    let both = Processors::parse(stat, &[0, 1]);
    assert!((both.busy_s - 66.0 / second).abs() < 1e-9);
    assert!((both.steal_s - 57.0 / second).abs() < 1e-9);
    assert!(Processors::parse("", &[0]).busy_s.abs() < 1e-9);
}

#[test]
fn fields_are_found() {
    assert_eq!(field("a: 1\nread_bytes: 42\n", "read_bytes:"), 42);
    assert_eq!(field("VmRSS:\t  77 kB\n", "VmRSS:"), 77);
    assert_eq!(field("x", "VmRSS:"), 0);
}

#[test]
fn this_process_is_found() {
    assert!(Process::this().rss_mib().unwrap() > 0.5);
    Process::this().sample().unwrap();
    assert!(Process::new(0).sample().is_err());
}
