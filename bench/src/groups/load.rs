//! What a start with many committed offsets takes: until every group is answered for, and in memory.

use std::time::{Duration, Instant};

use duramen_wire::messages::offset_commit_request::OffsetCommitRequest;

use crate::client::TopicHandle;
use crate::failure::{Result, fail};
use crate::number::{MIB, float};

use super::commits::names;
use super::lines::Lines;
use super::offsets::{Committed, Fetched, NOT_YET, check_commit, commit, fetch, verify, wait_until_ready};
use super::result::{Metric, Value};
use super::watch::{Taken, Watch, process};
use super::{Plan, Site};
use crate::target::Target;

/// Groups, and partitions that each has committed offsets for.
const GROUPS: usize = 1000;
pub const PARTITIONS: i32 = 1000;

/// How the offsets are committed, all partitions of a group in one commit.
const CONNECTIONS: usize = 8;
const DEPTH: usize = 2;

/// How long a broker may take until it answers for all groups.
const LOADED_MAX: Duration = Duration::from_secs(300);

/// After a start, until memory is looked at: what the start itself took is given back by then.
const SETTLED: Duration = Duration::from_secs(2);

/// A run: the broker with an empty offsets topic and with a full one, each after a start.
pub fn run(plan: &Plan<'_>, target: &mut Target, topic: &TopicHandle) -> Result<(Vec<Value>, Taken)> {
    let mut site = Site::new(plan, target)?;
    let groups = names(&site.name, GROUPS);
    wait_until_ready(&mut site.control, topic, &groups)?;
    drop(site);
    let empty = started_again(plan, target, topic, &groups)?;
    let acknowledged = write(&mut Site::new(plan, target)?, topic, &groups)?;
    let full = started_again(plan, target, topic, &groups)?;
    let mut site = Site::new(plan, target)?;
    let verified = verify(&mut site.control, topic, &acknowledged)?;
    let mut values = vec![
        Value::new(Metric::StartSeconds, full.taken.seconds),
        Value::new(Metric::LoadSeconds, full.seconds_to_load),
        Value::new(Metric::Verified, float(verified)),
    ];
    if let Some(cpu_s) = full.taken.cpu_s {
        values.push(Value::new(Metric::CpuSeconds, cpu_s));
    }
    if let (Some(empty), Some(full)) = (empty.rss_mib, full.rss_mib) {
        values.push(Value::new(
            Metric::BytesPerOffset,
            (full - empty) * MIB / float(verified.max(1)),
        ));
    }
    Ok((values, full.taken))
}

/// The offset of a partition of a group: no two are the same.
fn offset(group: usize, partition: i32) -> i64 {
    i64::try_from(group).unwrap_or(0) * i64::from(PARTITIONS) + i64::from(partition)
}

fn write(site: &mut Site<'_>, topic: &TopicHandle, groups: &[String]) -> Result<Committed> {
    let mut lines: Lines<()> = Lines::connect(site.address, site.control.versions(), CONNECTIONS)?;
    let offsets = |group: usize| (0..PARTITIONS).map(move |partition| (partition, offset(group, partition)));
    lines.each::<OffsetCommitRequest>(
        DEPTH,
        groups.len(),
        |group| commit(&groups[group], topic, offsets(group)),
        |_| (),
        |(), response| check_commit(&response),
    )?;
    let committed = groups.iter().enumerate();
    Ok(committed
        .map(|(group, name)| (name.clone(), offsets(group).collect()))
        .collect())
}

struct Started {
    taken: Taken,
    /// From the first answer of the broker until it answered for all groups.
    seconds_to_load: f64,
    rss_mib: Option<f64>,
}

/// Stops the broker and starts it again, until it answers for all groups.
fn started_again(plan: &Plan<'_>, target: &mut Target, topic: &TopicHandle, groups: &[String]) -> Result<Started> {
    target.stop()?;
    let began = Instant::now();
    target.start_again(&plan.stable.placement.broker)?;
    let answered = began.elapsed();
    let mut site = Site::new(plan, target)?;
    let watch = Watch::begin(&site)?;
    let wanted: Vec<(&str, Vec<i32>)> = groups.iter().map(|group| (group.as_str(), vec![0])).collect();
    loop {
        match fetch(&mut site.control, topic, &wanted)? {
            Fetched::Offsets(found) if found.len() == groups.len() => break,
            Fetched::Offsets(found) => fail!("{} of {} groups were answered for", found.len(), groups.len()),
            Fetched::Refused(error) if NOT_YET.contains(&error) && began.elapsed() < LOADED_MAX => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Fetched::Refused(error) => fail!("the groups are not loaded: error {error}"),
        }
    }
    let all = began.elapsed();
    let process = process(site.pid);
    // A process that has just begun has taken nothing before.
    let cpu_s = match &process {
        Some(process) => Some(
            process
                .sample()?
                .since(&crate::sample::Sample::default(), 1.0, 0.0)
                .cpu_s,
        ),
        None => None,
    };
    let taken = Taken {
        seconds: all.as_secs_f64(),
        cpu_s,
        ..watch.end()?
    };
    std::thread::sleep(SETTLED);
    Ok(Started {
        taken,
        seconds_to_load: (all - answered).as_secs_f64(),
        rss_mib: process.map(|process| process.rss_mib()).transpose()?,
    })
}

#[test]
fn offsets_are_all_different() {
    let all: std::collections::BTreeSet<i64> = (0..3)
        .flat_map(|group| (0..PARTITIONS).map(move |partition| offset(group, partition)))
        .collect();
    assert_eq!(i32::try_from(all.len()).unwrap(), 3 * PARTITIONS);
}
