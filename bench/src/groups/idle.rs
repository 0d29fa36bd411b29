//! Consumers that wait: a heartbeat every 3 s, and long polls of a partition of their own, where nothing comes.

use std::time::{Duration, Instant};

use duramen_wire::messages::FetchRequest;

use crate::client::{TopicHandle, Wait};
use crate::failure::{Result, fail};
use crate::number::{count, float};

use super::alone::{Groups, Step};
use super::commits::names;
use super::fetches::{Fetches, WAIT};
use super::lines::Lines;
use super::offsets::wait_until_ready;
use super::result::{Metric, Value};
use super::watch::{Taken, Watch};
use super::{Protocol, Site};

/// Consumers, each with a group, and as clients do with two connections: to the coordinator, and to the leader.
pub const CONSUMERS: usize = 1000;

/// Between two heartbeats of a consumer.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// Share of the long polls that have to be answered in time: a broker that does less work takes less CPU, and is not compared.
const ANSWERED_SHARE_MIN: f64 = 0.9;

pub fn run(site: &mut Site<'_>, topic: &TopicHandle) -> Result<(Vec<Value>, Taken)> {
    let versions = site.control.versions().clone();
    let mut groups = Groups::new(Protocol::Classic, topic, names(&site.name, CONSUMERS).into_iter())?;
    wait_until_ready(&mut site.control, topic, &groups.ids())?;
    let mut coordinators: Lines<Step> = Lines::connect(site.address, &versions, CONSUMERS)?;
    groups.join(&mut coordinators, 1)?;
    let mut leaders: Lines<()> = Lines::connect(site.address, &versions, CONSUMERS)?;
    let mut fetches: Vec<Fetches> = (0..topic.partitions)
        .map(|partition| Fetches::new(topic, vec![(partition, 0)], true))
        .collect();
    let from = Instant::now() + site.warmup.max(HEARTBEAT);
    let until = from + site.idle;
    let mut beats = Beats {
        next: 0,
        due: Instant::now(),
    };
    let (mut watch, mut taken) = (None, None);
    let mut polls = 0_u64;
    // Evenly over the time of one poll, as consumers that began at different times.
    let mut opened = 0;
    let began = Instant::now();
    while taken.is_none() {
        while opened < CONSUMERS && began.elapsed() >= Duration::from_micros(500) * u32::try_from(opened)? {
            leaders.send(opened, &fetches[opened].request()?, ())?;
            opened += 1;
        }
        beats.send(&groups, &mut coordinators)?;
        for answer in coordinators.receive(Wait::Busy)? {
            groups.check_heartbeat(&answer)?;
        }
        let soon = Instant::now() + Duration::from_micros(500);
        for answer in leaders.receive(Wait::Until(Some(soon)))? {
            let at = answer.connection;
            fetches[at].take(answer.decode::<FetchRequest>()?)?;
            leaders.send(at, &fetches[at].request()?, ())?;
            polls += 1;
        }
        let now = Instant::now();
        if watch.is_none() && now >= from {
            watch = Some((Watch::begin(site)?, polls));
        }
        if now >= until
            && let Some((watch, before)) = &watch
        {
            taken = Some((watch.end()?, polls - before));
        }
    }
    let Some((taken, polls)) = taken else {
        fail!("the measured time did not pass");
    };
    if fetches.iter().any(|fetches| fetches.records > 0) {
        fail!("records came where nobody has sent any");
    }
    leave(&groups, &mut coordinators, &fetches, &mut leaders)?;
    check_rate(float(polls) / taken.seconds)?;
    let mut values = vec![
        Value::new(Metric::FetchesPerSecond, float(polls) / taken.seconds),
        Value::new(Metric::Verified, float(count(CONSUMERS))),
    ];
    if let Some(cpu_s) = taken.cpu_s {
        values.push(Value::new(Metric::Cores, cpu_s / taken.seconds));
        values.push(Value::new(Metric::CpuSeconds, cpu_s));
    }
    Ok((values, taken))
}

/// Fails unless the consumers were answered about as often as they can be.
fn check_rate(polls_per_second: f64) -> Result<()> {
    let expected = float(count(CONSUMERS)) / WAIT.as_secs_f64();
    if polls_per_second < ANSWERED_SHARE_MIN * expected {
        fail!("{polls_per_second:.0} long polls a second were answered, of {expected:.0}");
    }
    Ok(())
}

/// All that is still asked is answered; then sessions and groups end.
fn leave(groups: &Groups, coordinators: &mut Lines<Step>, fetches: &[Fetches], leaders: &mut Lines<()>) -> Result<()> {
    while coordinators.in_flight() > 0 {
        for answer in coordinators.receive(Wait::Until(None))? {
            groups.check_heartbeat(&answer)?;
        }
    }
    while leaders.in_flight() > 0 {
        leaders.receive(Wait::Until(None))?;
    }
    leaders.each(1, CONSUMERS, |at| fetches[at].close(), |_| (), |(), _| Ok(()))?;
    groups.leave(coordinators, 1)
}

/// Heartbeats of all consumers, evenly over time.
struct Beats {
    next: usize,
    due: Instant,
}

impl Beats {
    fn send(&mut self, groups: &Groups, lines: &mut Lines<Step>) -> Result<()> {
        let each = HEARTBEAT / u32::try_from(CONSUMERS)?;
        while self.due <= Instant::now() {
            groups.send_heartbeat(lines, self.next, self.next)?;
            self.next = (self.next + 1) % CONSUMERS;
            self.due += each;
        }
        Ok(())
    }
}

#[test]
fn a_broker_that_does_less_is_told() {
    assert!(check_rate(1950.0).is_ok());
    let error = check_rate(931.0).unwrap_err().to_string();
    assert_eq!(error, "931 long polls a second were answered, of 2000");
}
