//! What is kept of a run, as one JSON object a line. Everything that is told or drawn comes from here.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::failure::{Context, Result};
use crate::groups;
use crate::number::{GIB, MIB, float};
use crate::scenario::{Contestant, Metric, Scenario};
use crate::workload::Measured;

/// Points of a percentile curve: quantiles 0 to 1 - 10^-5, ten to each factor of ten.
const CURVE_DECADES: u32 = 5;
const CURVE_POINTS_PER_DECADE: u32 = 10;

/// One line of a file of results.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    Machine(Machine),
    Scenario(Box<Scenario>),
    Run(Box<Run>),
    Raw(Raw),
    Groups(Box<groups::Run>),
    /// A run that has no result.
    Failed {
        why: String,
    },
}

/// Where and with what everything was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    pub began_unix_s: u64,
    /// What was asked for, as typed.
    pub command: String,
    pub facts: BTreeMap<String, String>,
}

/// One run of one scenario against one broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub scenario: String,
    pub contestant: Contestant,
    /// Runs of one round belong together.
    pub round: u32,
    pub seconds: f64,
    pub parts: Vec<Part>,
    pub broker: Option<Usage>,
    /// CPU seconds of the load generator.
    pub generator_cpu_s: f64,
    /// What others took of the processors of broker and load, as a share: other processes, and other guests of the host. `None` where the
    /// broker's process is not known.
    pub others_share: Option<f64>,
    /// What was read back and found to be right; nothing where nothing can be read back.
    pub verified_records: Option<u64>,
}

/// What one part of a load has shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub seconds: f64,
    pub requests: u64,
    pub records: u64,
    pub bytes: u64,
    /// Of latencies; `None` where none were measured.
    pub latency: Option<Latency>,
    /// Milliseconds of each bin of the plots over time.
    pub bin_ms: f64,
    pub bin_mib_per_second: Vec<f64>,
    pub bin_latency_max_us: Vec<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latency {
    pub samples: u64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    /// `(quantile, microseconds)`.
    pub curve: Vec<(f64, f64)>,
}

/// What the broker's process took while a run was measured.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    pub cpu_s: f64,
    pub seconds: f64,
    pub rss_max_mib: f64,
    pub read_mib: f64,
    pub written_mib: f64,
}

/// One measurement of the machine without any broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Raw {
    /// What was run next.
    #[serde(default)]
    pub scenario: String,
    pub name: String,
    pub mib_per_second: f64,
    pub latency: Option<Latency>,
}

impl Raw {
    /// The machine's own figure, of the metrics that it has.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        let latency = self.latency.as_ref();
        match metric {
            Metric::MibPerSecond => Some(self.mib_per_second),
            Metric::P50Us => latency.map(|latency| latency.p50_us),
            Metric::P99Us => latency.map(|latency| latency.p99_us),
            Metric::P999Us => latency.map(|latency| latency.p999_us),
            Metric::RequestsPerSecond
            | Metric::CpuSecondsPerGib
            | Metric::RequestsPerCpuSecond
            | Metric::RecordsPerCpuSecond
            | Metric::BrokerCores
            | Metric::RssMib => None,
        }
    }
}

impl Latency {
    /// What is told of latencies in nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let at = |quantile: f64| float(histogram.value_at_quantile(quantile)) / 1000.0;
        let points = CURVE_DECADES * CURVE_POINTS_PER_DECADE;
        let curve = (0..=points).map(|point| {
            let quantile = 1.0 - 10_f64.powf(-f64::from(point) / f64::from(CURVE_POINTS_PER_DECADE));
            (quantile, at(quantile))
        });
        Some(Self {
            samples: histogram.len(),
            mean_us: histogram.mean() / 1000.0,
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: float(histogram.max()) / 1000.0,
            curve: curve.collect(),
        })
    }
}

impl Part {
    pub fn of(measured: &Measured, bin: std::time::Duration) -> Self {
        let meter = &measured.meter;
        let bin_s = bin.as_secs_f64();
        Self {
            name: measured.name.clone(),
            seconds: meter.seconds(),
            requests: meter.requests,
            records: meter.records,
            bytes: meter.bytes,
            latency: Latency::of(&meter.latency),
            bin_ms: bin_s * 1000.0,
            bin_mib_per_second: meter.bins.iter().map(|bin| float(bin.bytes) / MIB / bin_s).collect(),
            bin_latency_max_us: meter
                .bins
                .iter()
                .map(|bin| float(bin.latency_ns_max) / 1000.0)
                .collect(),
        }
    }

    pub fn mib_per_second(&self) -> f64 {
        float(self.bytes) / MIB / self.seconds
    }

    pub fn requests_per_second(&self) -> f64 {
        float(self.requests) / self.seconds
    }
}

impl Run {
    /// The part that the scenario is about: its first.
    pub fn main(&self) -> Option<&Part> {
        self.parts.first()
    }

    /// What the run is compared by; `None` when it was not measured.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        let part = self.main()?;
        let latency = part.latency.as_ref();
        let per_cpu_second = |count: u64| Some(float(count) / self.broker?.cpu_s);
        let value = match metric {
            Metric::MibPerSecond => Some(part.mib_per_second()),
            Metric::RequestsPerSecond => Some(part.requests_per_second()),
            Metric::CpuSecondsPerGib => {
                Some(self.broker?.cpu_s * GIB / float(self.parts.iter().map(|part| part.bytes).sum()))
            }
            Metric::RequestsPerCpuSecond => per_cpu_second(part.requests),
            Metric::RecordsPerCpuSecond => per_cpu_second(part.records),
            Metric::BrokerCores => Some(self.broker?.cpu_s / self.broker?.seconds),
            Metric::P50Us => latency.map(|latency| latency.p50_us),
            Metric::P99Us => latency.map(|latency| latency.p99_us),
            Metric::P999Us => latency.map(|latency| latency.p999_us),
            Metric::RssMib => Some(self.broker?.rss_max_mib),
        };
        value.filter(|value| value.is_finite())
    }
}

impl Metric {
    pub const ALL: &[Self] = &[
        Self::MibPerSecond,
        Self::RequestsPerSecond,
        Self::CpuSecondsPerGib,
        Self::RequestsPerCpuSecond,
        Self::RecordsPerCpuSecond,
        Self::BrokerCores,
        Self::P50Us,
        Self::P99Us,
        Self::P999Us,
        Self::RssMib,
    ];

    /// As the head of a column.
    pub fn title(self) -> &'static str {
        match self {
            Self::MibPerSecond => "MiB/s",
            Self::RequestsPerSecond => "requests/s",
            Self::CpuSecondsPerGib => "CPU s/GiB",
            Self::RequestsPerCpuSecond => "requests/CPU s",
            Self::RecordsPerCpuSecond => "records/CPU s",
            Self::BrokerCores => "cores",
            Self::P50Us => "p50 us",
            Self::P99Us => "p99 us",
            Self::P999Us => "p99.9 us",
            Self::RssMib => "RSS MiB",
        }
    }
}

/// Adds lines to a file.
pub fn append(path: &Path, lines: &[Line]) -> Result<()> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.context(|| path.display().to_string())?;
    for line in lines {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        file.write_all(text.as_bytes()).context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Reads the lines of a file.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).context(|| path.display().to_string())?;
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).context(|| format!("{} line {number}", path.display()))
    };
    (1..).zip(text.lines()).map(line).collect()
}
