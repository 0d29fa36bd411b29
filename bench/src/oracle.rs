//! Kafka's own measuring tools as a second pair of eyes: they know nothing of our load generator, and should see the same ratios.
//!
//! What they cannot see: a Java client takes more of a processor than most brokers, so it is the limit of their throughput, and the broker's
//! CPU time is what to compare; ProducerPerformance tells whole milliseconds.

use std::path::Path;
use std::process::Command;

use crate::client::{Control, TopicHandle};
use crate::cpus::Cpus;
use crate::failure::{Context, Result, fail};
use crate::number::float;
use crate::sample::Process;
use crate::target::Target;

/// How many records a consumer has read: that has to be all of them.
const READ: &str = "records were read";

/// What is measured by the tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// 1 KiB records in batches of 16 KiB into 12 partitions.
    ProducerPerformance,
    /// The records of a producer that ran before, by a consumer group.
    ConsumerPerformance,
    /// 100 bytes, one record at a time.
    EndToEndLatency,
}

/// What a tool said, by name, and what the broker took meanwhile.
pub struct Told {
    pub values: Vec<(&'static str, f64)>,
}

impl Tool {
    pub const ALL: &[Self] = &[
        Self::ProducerPerformance,
        Self::ConsumerPerformance,
        Self::EndToEndLatency,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::ProducerPerformance => "ProducerPerformance",
            Self::ConsumerPerformance => "ConsumerPerformance",
            Self::EndToEndLatency => "EndToEndLatency",
        }
    }

    fn partitions(self) -> i32 {
        match self {
            Self::ProducerPerformance | Self::ConsumerPerformance => 12,
            Self::EndToEndLatency => 1,
        }
    }

    /// Runs the tool with so many records on the processors of the load.
    pub fn run(self, target: &Target, load: &Cpus, records: u64, round: u32) -> Result<Told> {
        let mut control = Control::connect(target.address)?;
        let name = format!("oracle-{}-{round}", self.name());
        let topic = control.create_topic(&name, self.partitions(), &std::collections::BTreeMap::new())?;
        let told = self
            .run_on(target, load, records, &topic)
            .context(|| self.name().to_owned());
        let deleted = control.delete_topic(&topic);
        let told = told?;
        deleted?;
        Ok(told)
    }

    fn run_on(self, target: &Target, load: &Cpus, records: u64, topic: &TopicHandle) -> Result<Told> {
        if self == Self::ConsumerPerformance {
            // There has to be something to read.
            call(load, &Self::ProducerPerformance.command(target, topic, records))?;
        }
        let broker = target.pid.map(Process::new);
        let before = broker.as_ref().map(Process::sample).transpose()?;
        let said = call(load, &self.command(target, topic, records))?;
        let after = broker.as_ref().map(Process::sample).transpose()?;
        let mut values = self.parse(&said)?;
        if let Some((name, read)) = values.iter().find(|(name, _)| *name == READ)
            && *read < float(records)
        {
            fail!("{read} of {records} {name}");
        }
        values.retain(|(name, _)| *name != READ);
        if let (Some(before), Some(after)) = (before, after) {
            values.push((
                "broker CPU us/record",
                after.since(&before, 1.0, 0.0).cpu_s * 1e6 / float(records),
            ));
        }
        Ok(Told { values })
    }

    fn command(self, target: &Target, topic: &TopicHandle, records: u64) -> Vec<String> {
        let (bootstrap, records) = (target.address.to_string(), records.to_string());
        let words: Vec<&str> = match self {
            Self::ProducerPerformance => vec![
                "org.apache.kafka.tools.ProducerPerformance",
                "--bootstrap-server",
                &bootstrap,
                "--topic",
                &topic.name,
                "--num-records",
                &records,
                "--record-size",
                "1024",
                "--throughput",
                "-1",
                "--command-property",
                "acks=1",
                "enable.idempotence=false",
            ],
            Self::ConsumerPerformance => vec![
                "org.apache.kafka.tools.ConsumerPerformance",
                "--bootstrap-server",
                &bootstrap,
                "--topic",
                &topic.name,
                "--num-records",
                &records,
                "--hide-header",
            ],
            Self::EndToEndLatency => vec![
                "org.apache.kafka.tools.EndToEndLatency",
                "--bootstrap-server",
                &bootstrap,
                "--topic",
                &topic.name,
                "--num-records",
                &records,
                "--producer-acks",
                "1",
                "--record-size",
                "100",
            ],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// The numbers in what a tool printed.
    fn parse(self, said: &str) -> Result<Vec<(&'static str, f64)>> {
        let found = match self {
            Self::ProducerPerformance => {
                let line = said.lines().rev().find(|line| line.contains("99.9th"));
                line.map(|line| {
                    vec![
                        ("MiB/s", before(line, " MB/sec")),
                        ("p50 ms", before(line, " ms 50th")),
                        ("p99 ms", before(line, " ms 99th")),
                        ("p99.9 ms", before(line, " ms 99.9th")),
                    ]
                })
            }
            Self::ConsumerPerformance => {
                let line = said.lines().rev().find(|line| line.split(", ").count() >= 6);
                let column = |line: &str, at: usize| line.split(", ").nth(at).and_then(|word| word.trim().parse().ok());
                line.map(|line| vec![("MiB/s", column(line, 3)), (READ, column(line, 4))])
            }
            Self::EndToEndLatency => {
                let average = said.lines().find(|line| line.starts_with("Avg latency:"));
                let rest = said.lines().find(|line| line.starts_with("Percentiles:"));
                average.zip(rest).map(|(average, rest)| {
                    vec![
                        ("average ms", after(average, "Avg latency: ")),
                        ("p50 ms", after(rest, "50th = ")),
                        ("p99 ms", after(rest, "99th = ")),
                        ("p99.9 ms", after(rest, "99.9th = ")),
                    ]
                })
            }
        };
        let values = found.and_then(|values| values.into_iter().map(|(name, value)| Some((name, value?))).collect());
        match values {
            Some(values) => Ok(values),
            None => fail!(
                "it did not say what it does otherwise: {}",
                said.lines().last().unwrap_or_default()
            ),
        }
    }
}

/// Runs a class on some processors; what it printed.
fn call(load: &Cpus, words: &[String]) -> Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka/tool");
    let done = load.pinned(|| {
        Command::new(&script)
            .args(words)
            .output()
            .context(|| script.display().to_string())
    })?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        let line = errors.lines().chain(said.lines()).find(|line| !line.trim().is_empty());
        fail!("{}: {}", done.status, line.unwrap_or("it said nothing"));
    }
    Ok(said)
}

/// The number right before a word.
fn before(line: &str, word: &str) -> Option<f64> {
    let head = line.split_once(word)?.0;
    head.rsplit([' ', '(']).next()?.parse().ok()
}

/// The number right behind a word.
fn after(line: &str, word: &str) -> Option<f64> {
    // Some names end in others: the 9th in the 99.9th.
    let (_, tail) = line.match_indices(word).find_map(|(at, _)| {
        let is_whole = !line[..at].ends_with(|before: char| before.is_ascii_digit() || before == '.');
        is_whole.then(|| line.split_at(at + word.len()))
    })?;
    tail.split([' ', ',']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_say_is_understood() {
        let producer = "10 records sent, 5.0 records/sec (0.00 MB/sec), 1.0 ms avg latency, 2.0 ms max latency.\n\
            500000 records sent, 241196.3 records/sec (235.54 MB/sec), 83.81 ms avg latency, 329.00 ms max latency, 77 ms 50th, 180 ms 95th, \
            250 ms 99th, 320 ms 99.9th.\n";
        let consumer = "2026-01-01 00:00:00:000, 2026-01-01 00:00:02:000, 488.2813, 244.1406, 500000, 250000.0, 100, 1900, 256.99, 263157.9\n";
        let end_to_end = "0\t12.5\nAvg latency: 0.2741 ms\n\nPercentiles: 50th = 0, 99th = 1, 99.9th = 7\n";
        let cases = [
            (Tool::ProducerPerformance, producer, vec![235.54, 77.0, 250.0, 320.0]),
            (Tool::ConsumerPerformance, consumer, vec![244.1406, 500_000.0]),
            (Tool::EndToEndLatency, end_to_end, vec![0.2741, 0.0, 1.0, 7.0]),
        ];
        for (tool, said, expected) in cases {
            let values: Vec<_> = tool.parse(said).unwrap().into_iter().map(|(_, value)| value).collect();
            assert_eq!(values, expected, "{tool:?}");
            assert!(tool.parse("nothing of it").is_err());
        }
    }
}
