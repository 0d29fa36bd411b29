//! Commits in a closed loop: each stream has a partition of its own, and commits the next offset when the last one was acknowledged.

use std::time::{Duration, Instant};

use duramen_wire::messages::offset_commit_request::OffsetCommitRequest;
use hdrhistogram::Histogram;

use crate::client::{TopicHandle, Wait};
use crate::failure::Result;
use crate::number::{float, nanos};

use super::Site;
use super::lines::Lines;
use super::offsets::{Committed, check_commit, commit, verify};
use super::result::{Metric, Value};
use super::watch::{Taken, Watch};

/// Connections, and commits in flight on each.
const CONNECTIONS: usize = 32;
const DEPTH: usize = 8;

/// Partitions that the commits are for: one of each stream.
pub const PARTITIONS: usize = CONNECTIONS * DEPTH;

/// No latency is longer.
const LATENCY_MAX: Duration = Duration::from_secs(120);

/// Commits for one partition, through all groups in turn.
struct Stream {
    partition: i32,
    turn: usize,
    offset: i64,
}

/// A run over these groups.
pub fn run(site: &mut Site<'_>, topic: &TopicHandle, groups: &[String]) -> Result<(Vec<Value>, Taken)> {
    let versions = site.control.versions().clone();
    let mut lines: Lines<usize> = Lines::connect(site.address, &versions, CONNECTIONS)?;
    let mut acknowledged = Committed::new();
    let mut streams: Vec<Stream> = (0..PARTITIONS)
        .map(|stream| {
            Ok(Stream {
                partition: i32::try_from(stream)?,
                // So that the streams are not all at the same group.
                turn: stream * groups.len() / PARTITIONS,
                offset: 0,
            })
        })
        .collect::<Result<_>>()?;
    let mut histogram = Histogram::<u64>::new_with_bounds(1, nanos(LATENCY_MAX), 3)?;
    let from = Instant::now() + site.warmup;
    let until = from + site.measured;
    let mut watch = None;
    let mut taken = None;
    let mut commits = 0_u64;
    for (number, stream) in streams.iter().enumerate() {
        lines.send(number % CONNECTIONS, &stream.request(topic, groups), number)?;
    }
    while lines.in_flight() > 0 {
        let answers = lines.receive(Wait::Busy)?;
        let now = Instant::now();
        if watch.is_none() && now >= from {
            watch = Some(Watch::begin(site)?);
        }
        if taken.is_none()
            && now >= until
            && let Some(watch) = &watch
        {
            taken = Some(watch.end()?);
        }
        for answer in answers {
            check_commit(&answer.decode::<OffsetCommitRequest>()?)?;
            if watch.is_some() && taken.is_none() {
                commits += 1;
                histogram.saturating_record(nanos(now.saturating_duration_since(answer.sent)));
            }
            let stream = &mut streams[answer.what];
            stream.acknowledged(groups, &mut acknowledged);
            if taken.is_none() {
                lines.send(answer.connection, &stream.request(topic, groups), answer.what)?;
            }
        }
    }
    let Some(taken) = taken else {
        crate::failure::fail!("the measured time did not pass");
    };
    let verified = verify(&mut site.control, topic, &acknowledged)?;
    Ok((values(&taken, commits, &histogram, verified), taken))
}

impl Stream {
    fn request(&self, topic: &TopicHandle, groups: &[String]) -> OffsetCommitRequest {
        commit(
            &groups[self.turn],
            topic,
            std::iter::once((self.partition, self.offset)),
        )
    }

    fn acknowledged(&mut self, groups: &[String], acknowledged: &mut Committed) {
        let group = &groups[self.turn];
        match acknowledged.get_mut(group) {
            Some(offsets) => {
                offsets.insert(self.partition, self.offset);
            }
            None => {
                acknowledged
                    .entry(group.clone())
                    .or_default()
                    .insert(self.partition, self.offset);
            }
        }
        self.turn = (self.turn + 1) % groups.len();
        self.offset += 1;
    }
}

fn values(taken: &Taken, commits: u64, latency: &Histogram<u64>, verified: u64) -> Vec<Value> {
    let us = |quantile: f64| float(latency.value_at_quantile(quantile)) / 1000.0;
    let mut values = vec![
        Value::new(Metric::CommitsPerSecond, float(commits) / taken.seconds),
        Value::new(Metric::P50Us, us(0.5)),
        Value::new(Metric::P99Us, us(0.99)),
        Value::new(Metric::GeneratorCores, taken.generator_cpu_s / taken.seconds),
        Value::new(Metric::Verified, float(verified)),
    ];
    if let Some(cpu_s) = taken.cpu_s {
        values.push(Value::new(Metric::CommitsPerCpuSecond, float(commits) / cpu_s));
        values.push(Value::new(Metric::Cores, cpu_s / taken.seconds));
    }
    values
}

/// The groups of a run, by name.
pub fn names(prefix: &str, groups: usize) -> Vec<String> {
    (0..groups).map(|group| format!("{prefix}-{group}")).collect()
}

#[test]
fn a_stream_goes_through_all_groups() {
    let groups = names("g", 3);
    let mut acknowledged = Committed::new();
    let mut stream = Stream {
        partition: 4,
        turn: 2,
        offset: 0,
    };
    for _ in 0..4 {
        stream.acknowledged(&groups, &mut acknowledged);
    }
    let of = |group: &str| acknowledged[group][&4];
    assert_eq!((of("g-0"), of("g-1"), of("g-2")), (1, 2, 3));
    assert_eq!(PARTITIONS, 256);
}
