//! Groups of consumers and their offsets at scale.
//!
//! Owns the scenarios of `duramen-bench groups`, their load and their checks: whatever goes wrong, also in what is asked for afterwards, is a
//! failure, and there is no result then. One thread makes the load; what it took is told.
//!
//! | file | holds |
//! |---|---|
//! | `lines` | requests in flight over many connections |
//! | `alone`, `crowd` | many groups of one member; one group of many members |
//! | `assignment`, `offsets` | who has which partition; what was committed: made and checked |
//! | `commits`, `load`, `idle`, `sessions` | one scenario each |
//! | `fetches` | long polls with and without a fetch session |
//! | `watch`, `result` | what the broker took; lines and tables |

mod alone;
mod assignment;
mod commits;
mod crowd;
mod fetches;
mod idle;
mod lines;
mod load;
mod offsets;
pub mod result;
mod sessions;
mod watch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::client::{Control, TopicHandle};
use crate::cpus::Placement;
use crate::failure::{Context, Result};
use crate::number::{count, float};
use crate::scenario::Contestant;
use crate::target::{Stable, Target};

use alone::{Groups, Step};
use crowd::Crowd;
use lines::Lines;
pub use result::Run;
use result::{Metric, Value};
use watch::{Taken, Watch};

/// Of classic members. Long enough that nobody has to be heard of while groups are made.
const SESSION_TIMEOUT_MS: i32 = 300_000;
const REBALANCE_TIMEOUT_MS: i32 = 300_000;

const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";

/// The first answer to a member without an id, which brings the id.
const MEMBER_ID_REQUIRED: i16 = 79;

/// Groups of one member, and how they come: connections, and groups that are being made on each.
const GROUPS: usize = 10_000;
const GROUP_CONNECTIONS: usize = 64;
const GROUP_DEPTH: usize = 4;

/// Members of the one large group, and partitions of its topic.
const MEMBERS: usize = 1000;
const MEMBER_PARTITIONS: i32 = 1000;

/// Groups of the commits over many groups.
const COMMIT_GROUPS: usize = 1000;

/// Setting of both brokers: a group does not wait for more members before its first generation, as by default for 3 s.
pub const SETTING: &str = "group.initial.rebalance.delay.ms=0";

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
pub enum Scenario {
    #[serde(rename = "join-10000")]
    #[value(name = "join-10000")]
    Join10000,
    #[serde(rename = "join-10000-consumer")]
    #[value(name = "join-10000-consumer")]
    Join10000Consumer,
    #[serde(rename = "join-1000")]
    #[value(name = "join-1000")]
    Join1000,
    #[serde(rename = "join-1000-consumer")]
    #[value(name = "join-1000-consumer")]
    Join1000Consumer,
    #[serde(rename = "commits-1")]
    #[value(name = "commits-1")]
    Commits1,
    #[serde(rename = "commits-1000")]
    #[value(name = "commits-1000")]
    Commits1000,
    #[serde(rename = "idle-1000")]
    #[value(name = "idle-1000")]
    Idle1000,
    #[serde(rename = "sessions")]
    Sessions,
    #[serde(rename = "no-sessions")]
    NoSessions,
    #[serde(rename = "load-1m")]
    #[value(name = "load-1m")]
    Load1m,
}

impl Scenario {
    pub const ALL: &[Self] = &[
        Self::Join10000,
        Self::Join10000Consumer,
        Self::Join1000,
        Self::Join1000Consumer,
        Self::Commits1,
        Self::Commits1000,
        Self::Idle1000,
        Self::Sessions,
        Self::NoSessions,
        Self::Load1m,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Join10000 => "join-10000",
            Self::Join10000Consumer => "join-10000-consumer",
            Self::Join1000 => "join-1000",
            Self::Join1000Consumer => "join-1000-consumer",
            Self::Commits1 => "commits-1",
            Self::Commits1000 => "commits-1000",
            Self::Idle1000 => "idle-1000",
            Self::Sessions => "sessions",
            Self::NoSessions => "no-sessions",
            Self::Load1m => "load-1m",
        }
    }

    /// Whom Duramen is compared with.
    pub fn against(self) -> &'static [Contestant] {
        match self {
            Self::Commits1 | Self::Commits1000 => &[Contestant::Kafka, Contestant::KafkaFlush],
            Self::Join10000
            | Self::Join10000Consumer
            | Self::Join1000
            | Self::Join1000Consumer
            | Self::Idle1000
            | Self::Sessions
            | Self::NoSessions
            | Self::Load1m => &[Contestant::Kafka],
        }
    }

    /// Whether the broker is stopped and started meanwhile: its code is cold then, and nothing is left to warm up.
    pub fn starts_again(self) -> bool {
        self == Self::Load1m
    }

    fn partitions(self) -> Result<i32> {
        Ok(match self {
            Self::Join10000 | Self::Join10000Consumer => 1,
            Self::Join1000 | Self::Join1000Consumer => MEMBER_PARTITIONS,
            Self::Commits1 | Self::Commits1000 => i32::try_from(commits::PARTITIONS)?,
            Self::Idle1000 => i32::try_from(idle::CONSUMERS)?,
            Self::Sessions | Self::NoSessions => sessions::PARTITIONS,
            Self::Load1m => load::PARTITIONS,
        })
    }
}

/// Which protocol members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Classic,
    Consumer,
}

/// One run to be made.
pub struct Plan<'a> {
    pub scenario: Scenario,
    pub contestant: Contestant,
    pub stable: &'a Stable,
    /// Part of all names.
    pub name: String,
    pub round: u32,
    pub warmup: Duration,
    pub measured: Duration,
    /// How long idle consumers are looked at.
    pub idle: Duration,
}

/// A broker and what is known of it.
struct Site<'a> {
    address: SocketAddr,
    pid: Option<u32>,
    placement: &'a Placement,
    control: Control,
    /// Groups are called by it.
    name: String,
    warmup: Duration,
    measured: Duration,
    idle: Duration,
}

impl<'a> Site<'a> {
    fn new(plan: &Plan<'a>, target: &Target) -> Result<Self> {
        Ok(Self {
            address: target.address,
            pid: target.pid,
            placement: &plan.stable.placement,
            control: Control::connect(target.address)?,
            name: plan.name.clone(),
            warmup: plan.warmup,
            measured: plan.measured,
            idle: plan.idle,
        })
    }
}

/// Makes a run. Whatever goes wrong is a failure: there is no result then.
pub fn run(plan: &Plan<'_>, target: &mut Target) -> Result<Run> {
    let what = || format!("{} against {}", plan.scenario.name(), plan.contestant.name());
    run_pinned(plan, target).context(what)
}

fn run_pinned(plan: &Plan<'_>, target: &mut Target) -> Result<Run> {
    let mut site = Site::new(plan, target)?;
    let partitions = plan.scenario.partitions()?;
    let topic = site.control.create_topic(&plan.name, partitions, &BTreeMap::new())?;
    let (values, taken) = plan.stable.placement.load.pinned(|| match plan.scenario {
        Scenario::Join10000 => join_alone(&mut site, &topic, Protocol::Classic),
        Scenario::Join10000Consumer => join_alone(&mut site, &topic, Protocol::Consumer),
        Scenario::Join1000 => join_crowd(&mut site, &topic, Protocol::Classic),
        Scenario::Join1000Consumer => join_crowd(&mut site, &topic, Protocol::Consumer),
        Scenario::Commits1 => commit(plan, &mut site, &topic, 1),
        Scenario::Commits1000 => commit(plan, &mut site, &topic, COMMIT_GROUPS),
        Scenario::Idle1000 => idle::run(&mut site, &topic),
        Scenario::Sessions => sessions::run(&mut site, &topic, true),
        Scenario::NoSessions => sessions::run(&mut site, &topic, false),
        Scenario::Load1m => load::run(plan, target, &topic),
    })?;
    if !plan.scenario.starts_again() {
        site.control.delete_topic(&topic)?;
    }
    Ok(Run {
        scenario: plan.scenario,
        contestant: plan.contestant,
        round: plan.round,
        values,
        generator_cpu_s: taken.generator_cpu_s,
        others_share: taken.others_share,
    })
}

fn join_alone(site: &mut Site<'_>, topic: &TopicHandle, protocol: Protocol) -> Result<(Vec<Value>, Taken)> {
    let mut groups = Groups::new(protocol, topic, commits::names(&site.name, GROUPS).into_iter())?;
    offsets::wait_until_ready(&mut site.control, topic, &groups.ids())?;
    let mut lines: Lines<Step> = Lines::connect(site.address, site.control.versions(), GROUP_CONNECTIONS)?;
    let watch = Watch::begin(site)?;
    groups.join(&mut lines, GROUP_DEPTH)?;
    let taken = watch.end()?;
    groups.verify(&mut lines)?;
    groups.leave(&mut lines, GROUP_DEPTH)?;
    let groups = float(count(GROUPS));
    let mut values = vec![
        Value::new(Metric::StableSeconds, taken.seconds),
        Value::new(Metric::GroupsPerSecond, groups / taken.seconds),
        Value::new(Metric::Verified, groups),
    ];
    if let Some(cpu_s) = taken.cpu_s {
        values.push(Value::new(Metric::CpuSeconds, cpu_s));
    }
    if let Some(grown) = taken.rss_grown_bytes {
        values.push(Value::new(Metric::RssBytesPerGroup, grown / groups));
    }
    Ok((values, taken))
}

fn join_crowd(site: &mut Site<'_>, topic: &TopicHandle, protocol: Protocol) -> Result<(Vec<Value>, Taken)> {
    offsets::wait_until_ready(&mut site.control, topic, std::slice::from_ref(&site.name))?;
    let mut crowd = Crowd::new(protocol, topic, site.name.clone(), MEMBERS)?;
    let mut lines: Lines<crowd::Step> = Lines::connect(site.address, site.control.versions(), MEMBERS)?;
    let watch = Watch::begin(site)?;
    let generations = crowd.join(&mut lines)?;
    let taken = watch.end()?;
    crowd.leave(&mut lines)?;
    let mut values = vec![
        Value::new(Metric::StableSeconds, taken.seconds),
        Value::new(Metric::Generations, f64::from(generations)),
        Value::new(Metric::Verified, f64::from(topic.partitions)),
    ];
    if let Some(cpu_s) = taken.cpu_s {
        values.push(Value::new(Metric::CpuSeconds, cpu_s));
    }
    Ok((values, taken))
}

fn commit(plan: &Plan<'_>, site: &mut Site<'_>, topic: &TopicHandle, groups: usize) -> Result<(Vec<Value>, Taken)> {
    let groups = commits::names(&site.name, groups);
    offsets::wait_until_ready(&mut site.control, topic, &groups)?;
    let is_flushed = plan.contestant == Contestant::KafkaFlush;
    if is_flushed {
        offsets::set_flush(&mut site.control, true)?;
    }
    let done = commits::run(site, topic, &groups);
    if is_flushed {
        offsets::set_flush(&mut site.control, false)?;
    }
    done
}

/// For the timestamps of records.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(0)
}

#[test]
fn every_scenario_is_called_as_on_the_command_line() {
    use clap::ValueEnum;
    assert_eq!(Scenario::value_variants(), Scenario::ALL);
    for scenario in Scenario::ALL {
        let value = scenario.to_possible_value().unwrap();
        assert_eq!(value.get_name(), scenario.name());
        assert_eq!(
            serde_json::to_string(scenario).unwrap(),
            format!("{:?}", scenario.name())
        );
    }
}
