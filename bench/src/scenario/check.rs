//! Which values of a scenario can go together.

use crate::failure::{Result, fail};

use super::{Acks, Contestant, From, Goal, KEY_BYTES, MachineGoal, Produce, Records, Scenario};
use crate::raw;

/// Partitions, connections and requests in flight of one run, at most.
const PARTITIONS_MAX: i32 = 100_000;
const CONNECTIONS_MAX: u32 = 20_000;
const DEPTH_MAX: u32 = 1024;

/// Records of a batch, and bytes of its values: what one request may carry.
const BATCH_RECORDS_MAX: u64 = 100_000;
const BATCH_BYTES_MAX: u64 = 8 << 20;

/// Requests in flight of an idempotent producer: a broker remembers so many batches (KIP-98).
const IDEMPOTENT_DEPTH_MAX: u32 = 5;

/// Seconds of a run.
const SECONDS_MAX: f64 = 86_400.0;

/// The first rule that the scenario breaks.
pub fn check(scenario: &Scenario) -> Result<()> {
    check_run(scenario)?;
    check_records(&scenario.records)?;
    check_parts(scenario)?;
    if let Some(produce) = &scenario.produce {
        check_produce(produce)?;
    }
    check_consumers(scenario)?;
    check_end_to_end(scenario)?;
    scenario.goals.iter().try_for_each(|goal| check_goal(scenario, goal))?;
    scenario.machine_goals.iter().try_for_each(check_machine_goal)
}

fn check_run(scenario: &Scenario) -> Result<()> {
    let run = &scenario.run;
    if !(run.seconds > 0.0 && run.seconds <= SECONDS_MAX) {
        fail!(
            "run.seconds is {}: it has to be above 0, and {SECONDS_MAX} at most",
            run.seconds
        );
    }
    if !(run.warmup_seconds >= 0.0 && run.warmup_seconds <= SECONDS_MAX) {
        fail!("run.warmup_seconds is {}: it has to be 0 or more", run.warmup_seconds);
    }
    if !(1..=PARTITIONS_MAX).contains(&scenario.topic.partitions) {
        fail!(
            "topic.partitions is {}: 1 to {PARTITIONS_MAX} can be",
            scenario.topic.partitions
        );
    }
    for name in ["cleanup.policy", "retention.ms", "retention.bytes"] {
        if scenario.topic.settings.contains_key(name) {
            fail!("topic.settings: {name} lets records go, and everything is read back in the end");
        }
    }
    if scenario.about.trim().is_empty() {
        fail!("about is empty: say in a line what is measured");
    }
    if scenario
        .against
        .iter()
        .any(|one| matches!(one, Contestant::Duramen | Contestant::Target))
    {
        fail!("against names who Duramen races against: kafka, kafka-flush, bare or sink");
    }
    Ok(())
}

fn check_records(records: &Records) -> Result<()> {
    if records.batch_bytes.is_some() && records.batch_records.is_some() {
        fail!("records.batch_bytes and records.batch_records both say how long a batch is: keep one");
    }
    if !(0.0..=1.0).contains(&records.compressibility) {
        fail!(
            "records.compressibility is {}: it is a share, 0 to 1",
            records.compressibility
        );
    }
    if let Some(bytes) = records.batch_bytes
        && bytes
            < records
                .value_bytes
                .saturating_add(if records.keys > 0 { KEY_BYTES } else { 0 })
    {
        fail!(
            "records.batch_bytes is {bytes}: no record of {} bytes fits",
            records.value_bytes
        );
    }
    if records.batch_records == Some(0) {
        fail!("records.batch_records is 0: a batch has records");
    }
    if records.value_bytes > BATCH_BYTES_MAX
        || records.per_batch() > BATCH_RECORDS_MAX
        || records.value_bytes_per_batch() > BATCH_BYTES_MAX
    {
        fail!(
            "records: a batch of {} records of {} bytes is too long: {BATCH_RECORDS_MAX} records and {BATCH_BYTES_MAX} bytes at most",
            records.per_batch(),
            records.value_bytes
        );
    }
    Ok(())
}

fn check_parts(scenario: &Scenario) -> Result<()> {
    if scenario.produce.is_none() && scenario.consume.is_empty() && scenario.end_to_end.is_none() {
        fail!("there is no [produce], [[consume]] or [end_to_end]: nothing would be measured");
    }
    if scenario.backlog.as_ref().is_some_and(|backlog| backlog.mib == 0) {
        fail!("backlog.mib is 0: leave [backlog] away");
    }
    Ok(())
}

fn check_connections(part: &str, connections: u32) -> Result<()> {
    if !(1..=CONNECTIONS_MAX).contains(&connections) {
        fail!("{part}.connections is {connections}: 1 to {CONNECTIONS_MAX} can be");
    }
    Ok(())
}

fn check_rate(part: &str, rate: Option<f64>) -> Result<()> {
    match rate {
        Some(rate) if !(rate > 0.0 && rate <= 1e8) => fail!("{part}.rate is {rate}: it is requests a second, above 0"),
        _ => Ok(()),
    }
}

fn check_produce(produce: &Produce) -> Result<()> {
    check_connections("produce", produce.connections)?;
    check_rate("produce", produce.rate)?;
    if !(1..=DEPTH_MAX).contains(&produce.depth) {
        fail!("produce.depth is {}: 1 to {DEPTH_MAX} can be", produce.depth);
    }
    if produce.idempotent && produce.acks != Acks::All {
        fail!("produce.idempotent needs acks = \"all\", as in every client");
    }
    if produce.idempotent && produce.depth > IDEMPOTENT_DEPTH_MAX {
        fail!(
            "produce.depth is {}: an idempotent producer has {IDEMPOTENT_DEPTH_MAX} requests in flight at most",
            produce.depth
        );
    }
    Ok(())
}

fn check_consumers(scenario: &Scenario) -> Result<()> {
    for (index, consume) in scenario.consume.iter().enumerate() {
        let part = format!("consume {:?}", consume.name);
        check_connections(&part, consume.connections)?;
        if consume.name.is_empty() || ["produce", "end-to-end"].contains(&consume.name.as_str()) {
            fail!("{part}: a name is needed that no other part has");
        }
        if scenario.consume[..index].iter().any(|other| other.name == consume.name) {
            fail!("{part}: two parts have this name");
        }
        if consume.partition_bytes == 0 || i32::try_from(consume.partition_bytes).is_err() {
            fail!(
                "{part}: partition_bytes is {}: 1 to {} can be",
                consume.partition_bytes,
                i32::MAX
            );
        }
        match consume.from {
            From::Start if scenario.backlog.is_none() => {
                fail!("{part} reads from the start, but there is no [backlog]: it would find nothing");
            }
            From::Start if !consume.again && scenario.run.warmup_seconds > 0.0 => {
                fail!("{part} reads the backlog once: set run.warmup_seconds = 0.0");
            }
            From::End if scenario.produce.is_none() => {
                fail!("{part} waits at the end, but there is no [produce]: nothing would come");
            }
            From::End if consume.again => {
                fail!("{part}: again is for from = \"start\"");
            }
            From::Start | From::End => {}
        }
    }
    Ok(())
}

fn check_end_to_end(scenario: &Scenario) -> Result<()> {
    let Some(end_to_end) = &scenario.end_to_end else {
        return Ok(());
    };
    check_rate("end_to_end", end_to_end.rate)?;
    if scenario.produce.is_some() || !scenario.consume.is_empty() || scenario.backlog.is_some() {
        fail!("[end_to_end] is measured alone: leave [produce], [[consume]] and [backlog] away");
    }
    if end_to_end.acks == Acks::None {
        fail!("end_to_end.acks is \"0\": the time of the acknowledgement is measured too");
    }
    if scenario.records.per_batch() != 1 {
        fail!("[end_to_end] sends one record at a time: set records.batch_records = 1");
    }
    Ok(())
}

fn check_goal(scenario: &Scenario, goal: &Goal) -> Result<()> {
    if goal.at_least.is_some() == goal.at_most.is_some() {
        fail!("goal {:?}: either at_least or at_most is needed", goal.metric);
    }
    if !scenario.against.contains(&goal.against) {
        fail!(
            "goal {:?}: {} is not named in against",
            goal.metric,
            goal.against.name()
        );
    }
    Ok(())
}

fn check_machine_goal(goal: &MachineGoal) -> Result<()> {
    let MachineGoal { metric, probe, .. } = goal;
    if goal.at_least.is_some() == goal.at_most_more.is_some() {
        fail!("machine_goal {metric:?}: either at_least or at_most_more is needed");
    }
    if !raw::NAMES.contains(&probe.as_str()) {
        fail!(
            "machine_goal {metric:?}: {probe:?} is not measured; there are {:?}",
            raw::NAMES
        );
    }
    if !raw::METRICS.contains(metric) {
        fail!("machine_goal {metric:?}: of the machine are known {:?}", raw::METRICS);
    }
    Ok(())
}
