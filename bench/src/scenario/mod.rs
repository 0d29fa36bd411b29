//! What a run does, as a file says it: topic, records, and the parts that load the broker at one time.
//!
//! Owns the format and its rules. Knows neither brokers nor clocks. A key that is unknown, or values that cannot go together, are one
//! line with the file's name; nothing is guessed.

mod check;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::{Context, Result, fail};

/// Bytes of a batch besides its records.
const BATCH_HEADER_BYTES: u64 = 61;

/// Bytes of a record besides key and value, at most.
const RECORD_OVERHEAD_BYTES: u64 = 21;

/// One scenario file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its extension; a file does not say it itself.
    #[serde(default)]
    pub name: String,
    /// One line: what the numbers mean.
    pub about: String,
    /// Whom Duramen races against.
    #[serde(default = "against_default")]
    pub against: Vec<Contestant>,
    #[serde(default)]
    pub run: Run,
    pub topic: Topic,
    pub records: Records,
    /// What stands in the topic before the parts begin.
    pub backlog: Option<Backlog>,
    pub produce: Option<Produce>,
    #[serde(default)]
    pub consume: Vec<Consume>,
    pub end_to_end: Option<EndToEnd>,
    #[serde(default, rename = "goal")]
    pub goals: Vec<Goal>,
    #[serde(default, rename = "machine_goal")]
    pub machine_goals: Vec<MachineGoal>,
}

/// A broker, in one way of running it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Contestant {
    Duramen,
    /// Apache Kafka as it comes: acknowledged records are in the page cache.
    Kafka,
    /// Apache Kafka with `flush.messages=1`: acknowledged records are on the disk.
    KafkaFlush,
    /// The least that a broker does: it receives, writes and answers, and keeps nothing that could be read.
    Bare,
    /// Nothing but sockets: what the load generator itself can do.
    Sink,
    /// A broker that somebody else runs.
    Target,
}

impl Contestant {
    pub fn name(self) -> &'static str {
        match self {
            Self::Duramen => "duramen",
            Self::Kafka => "kafka",
            Self::KafkaFlush => "kafka-flush",
            Self::Bare => "bare",
            Self::Sink => "sink",
            Self::Target => "target",
        }
    }

    /// Whether what is written to it can be read back.
    pub fn keeps_records(self) -> bool {
        match self {
            Self::Bare | Self::Sink => false,
            Self::Duramen | Self::Kafka | Self::KafkaFlush | Self::Target => true,
        }
    }

    /// The process behind it: two ways of running a broker may share one.
    pub fn process(self) -> Self {
        match self {
            Self::Kafka | Self::KafkaFlush => Self::Kafka,
            Self::Duramen | Self::Bare | Self::Sink | Self::Target => self,
        }
    }

    /// The settings of topics that make it what it is called.
    pub fn topic_settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::KafkaFlush => &[("flush.messages", "1")],
            Self::Duramen | Self::Kafka | Self::Bare | Self::Sink | Self::Target => &[],
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// Seconds that are measured.
    pub seconds: f64,
    /// Seconds of the same load before.
    pub warmup_seconds: f64,
    /// Whether the generator asks its sockets again and again instead of sleeping until they are ready.
    pub busy: bool,
    /// What all random bytes come from.
    pub seed: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            seconds: 10.0,
            warmup_seconds: 3.0,
            busy: true,
            seed: 1,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    pub partitions: i32,
    /// As in CreateTopics.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Records {
    /// Bytes of each value.
    pub value_bytes: u64,
    /// How many different keys of 16 bytes there are; 0: records have none.
    #[serde(default)]
    pub keys: u64,
    /// Share of each value that compresses to nothing; the rest is noise.
    #[serde(default)]
    pub compressibility: f64,
    /// Bytes of a batch before compression, at most.
    pub batch_bytes: Option<u64>,
    /// Records of a batch, instead.
    pub batch_records: Option<u64>,
    #[serde(default)]
    pub codec: Codec,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backlog {
    /// Bytes of values, over all partitions.
    pub mib: u64,
    /// Whether it is put out of the page cache before the run. Only of a broker that is started here.
    #[serde(default)]
    pub cold: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Produce {
    pub acks: Acks,
    #[serde(default)]
    pub idempotent: bool,
    pub connections: u32,
    /// Requests in flight on each connection, at most.
    pub depth: u32,
    /// Requests a second, over all connections, whatever the answers do; without it, each answer makes room for the next request.
    pub rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Acks {
    #[serde(rename = "0")]
    None,
    #[serde(rename = "1")]
    Leader,
    #[serde(rename = "all")]
    All,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consume {
    /// Names the part in results.
    pub name: String,
    pub from: From,
    pub connections: u32,
    /// With `from = "start"`: begins again when the end is reached. Without, the part is over then.
    #[serde(default)]
    pub again: bool,
    /// Bytes of a partition in one answer, at most.
    #[serde(default = "partition_bytes_default")]
    pub partition_bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// Catches up: one partition a request, in turns.
    Start,
    /// Waits for what comes: all partitions of a connection in one long poll.
    End,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndToEnd {
    pub acks: Acks,
    /// Records a second; without it, the next leaves when the one before has arrived.
    pub rate: Option<f64>,
}

/// What a race has to show: a metric as a ratio to another contestant's, in the same run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    pub metric: Metric,
    pub against: Contestant,
    pub at_least: Option<f64>,
    pub at_most: Option<f64>,
}

/// What a race has to show beside the machine without a broker, which is measured just before.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineGoal {
    pub metric: Metric,
    /// One of [`crate::raw::NAMES`].
    pub probe: String,
    /// The least share of the machine's own figure.
    pub at_least: Option<f64>,
    /// The most that is added to the machine's own figure, in the unit of the metric.
    pub at_most_more: Option<f64>,
}

/// What results are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    MibPerSecond,
    RequestsPerSecond,
    CpuSecondsPerGib,
    RequestsPerCpuSecond,
    RecordsPerCpuSecond,
    BrokerCores,
    P50Us,
    P99Us,
    P999Us,
    RssMib,
}

fn against_default() -> Vec<Contestant> {
    vec![Contestant::Kafka]
}

fn partition_bytes_default() -> u32 {
    1 << 20
}

impl Scenario {
    /// Whether it can be run against a contestant: what keeps no records can only be written to.
    pub fn suits(&self, contestant: Contestant) -> bool {
        let is_produce_alone = self.produce.is_some() && self.consume.is_empty() && self.backlog.is_none();
        is_produce_alone || contestant.keeps_records()
    }

    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).context(|| path.display().to_string())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text).context(|| path.display().to_string())
    }

    /// Reads and checks the text of a file.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut scenario: Self = match toml::from_str(text) {
            Ok(scenario) => scenario,
            Err(error) => {
                let line = error
                    .span()
                    .map_or(1, |span| 1 + text[..span.start].matches('\n').count());
                fail!("line {line}: {}", error.message());
            }
        };
        if !scenario.name.is_empty() {
            fail!("name: a scenario is called as its file");
        }
        name.clone_into(&mut scenario.name);
        check::check(&scenario)?;
        Ok(scenario)
    }
}

impl Records {
    /// Records in each batch.
    pub fn per_batch(&self) -> u64 {
        match (self.batch_records, self.batch_bytes) {
            (Some(records), _) => records,
            (None, Some(bytes)) => (bytes.saturating_sub(BATCH_HEADER_BYTES) / self.record_bytes()).max(1),
            (None, None) => 1,
        }
    }

    /// Bytes of values in each batch: what throughput counts.
    pub fn value_bytes_per_batch(&self) -> u64 {
        self.per_batch() * self.value_bytes
    }

    /// Bytes of one record in a batch, about.
    fn record_bytes(&self) -> u64 {
        let key = if self.keys > 0 { KEY_BYTES } else { 0 };
        let overhead = if self.value_bytes < 4096 {
            10
        } else {
            RECORD_OVERHEAD_BYTES
        };
        self.value_bytes + key + overhead
    }
}

/// Bytes of each key.
pub const KEY_BYTES: u64 = 16;

impl Acks {
    /// As it stands in a produce request.
    pub fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}
