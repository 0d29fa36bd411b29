//! A consumer of many partitions of which one is active: what goes over the wire, and what it costs.

use std::time::{Duration, Instant};

use duramen::base::time::TimestampMs;
use duramen::record::{BatchBuilder, Record};
use duramen_wire::Records;
use duramen_wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use duramen_wire::messages::{FetchRequest, ProduceResponse};

use crate::client::{TopicHandle, Wait};
use crate::failure::{Failure, Result, fail};
use crate::number::float;

use super::Site;
use super::fetches::Fetches;
use super::lines::Lines;
use super::result::{Metric, Value};
use super::watch::{Taken, Watch};

/// Partitions of the consumer.
pub const PARTITIONS: i32 = 1000;

/// The partition that records come to, and between two of them.
const ACTIVE: i32 = 500;
const INTERVAL: Duration = Duration::from_millis(10);

const VALUE_BYTES: usize = 100;

/// How long the last records may take to the consumer.
const DRAINED_MAX: Duration = Duration::from_secs(10);

pub fn run(site: &mut Site<'_>, topic: &TopicHandle, has_session: bool) -> Result<(Vec<Value>, Taken)> {
    let versions = site.control.versions().clone();
    let mut producer: Lines<()> = Lines::connect(site.address, &versions, 1)?;
    let mut consumer: Lines<()> = Lines::connect(site.address, &versions, 1)?;
    let positions = (0..topic.partitions).map(|partition| (partition, 0)).collect();
    let mut fetches = Fetches::new(topic, positions, has_session);
    let record = produce(topic)?;
    let mut due = Instant::now();
    let from = due + site.warmup;
    let until = from + site.measured;
    let (mut sent, mut polls) = (0_u64, 0_u64);
    let (mut watch, mut taken) = (None, None);
    consumer.send(0, &fetches.request()?, ())?;
    while taken.is_none() || fetches.records < sent {
        let now = Instant::now();
        if watch.is_none() && now >= from {
            watch = Some((Watch::begin(site)?, consumer.bytes(), polls));
        }
        if now >= until
            && taken.is_none()
            && let Some((watch, ..)) = &watch
        {
            taken = Some((watch.end()?, consumer.bytes(), polls));
        }
        if taken.is_none() && now >= due {
            producer.send(0, &record, ())?;
            sent += 1;
            due += INTERVAL;
        }
        if now > until + DRAINED_MAX {
            fail!("{} of {sent} records came", fetches.records);
        }
        for answer in producer.receive(Wait::Busy)? {
            check(&answer.decode::<ProduceRequest>()?)?;
        }
        let soon = due.min(now + Duration::from_millis(1));
        for answer in consumer.receive(Wait::Until(Some(soon)))? {
            fetches.take(answer.decode::<FetchRequest>()?)?;
            polls += 1;
            consumer.send(0, &fetches.request()?, ())?;
        }
    }
    let (Some((_, before, polls_before)), Some((taken, after, polls_after))) = (watch, taken) else {
        fail!("the measured time did not pass");
    };
    if has_session {
        while consumer.in_flight() > 0 {
            consumer.receive(Wait::Until(None))?;
        }
        consumer.each(1, 1, |_| fetches.close(), |_| (), |(), _| Ok(()))?;
    }
    let per_second = |count: u64| float(count) / taken.seconds;
    let mut values = vec![
        Value::new(Metric::RequestBytesPerSecond, per_second(after.0 - before.0)),
        Value::new(Metric::AnswerBytesPerSecond, per_second(after.1 - before.1)),
        Value::new(Metric::FetchesPerSecond, per_second(polls_after - polls_before)),
        Value::new(Metric::Verified, float(fetches.records)),
    ];
    if let Some(cpu_s) = taken.cpu_s {
        values.push(Value::new(Metric::Cores, cpu_s / taken.seconds));
    }
    Ok((values, taken))
}

/// One record to the active partition.
fn produce(topic: &TopicHandle) -> Result<ProduceRequest> {
    let mut builder = BatchBuilder::new();
    let value = [b'x'; VALUE_BYTES];
    let wrong = |error: String| Failure::new(format!("a batch of one record: {error}"));
    builder
        .append(&Record::new(TimestampMs(crate::groups::now_ms()), None, Some(&value)))
        .map_err(|error| wrong(error.to_string()))?;
    let batch = builder.build().map_err(|error| wrong(error.to_string()))?;
    Ok(ProduceRequest {
        acks: 1,
        timeout_ms: 60_000,
        topic_data: vec![TopicProduceData {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_data: vec![PartitionProduceData {
                index: ACTIVE,
                records: Records::Bytes(batch),
            }],
        }],
        ..ProduceRequest::default()
    })
}

fn check(response: &ProduceResponse) -> Result<()> {
    let answers = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    for answer in answers {
        if answer.error_code != 0 {
            fail!("a produce: error {}", answer.error_code);
        }
    }
    Ok(())
}
