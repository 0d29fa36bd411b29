//! A whole run: a topic of its own, a backlog if there should be one, the load, and the reading back of everything that was written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::batch::{Identity, Producer, Templates};
use crate::client::{Control, Place, TopicHandle};
use crate::cpus::{Cpus, Placement};
use crate::failure::{Context, Failure, Result, fail};
use crate::ledger::Ledger;
use crate::number::{MIB, count, float, rounded};
use crate::report::result::{Part, Run, Usage};
use crate::sample::{Process, Processors, Sample};
use crate::scenario::{Acks, Contestant, From, Produce, Scenario};
use crate::target::Target;
use crate::verify::{Expectation, verify};

use super::Measured;
use super::consume::{Arrivals, ConsumeLoad, Consuming};
use super::drive::{Board, Crew};
use super::end_to_end::EndToEnd;
use super::measure::{Phases, Worth};
use super::produce::{ProduceLoad, Producing, Thread};

/// From the start of the threads to the first request, and as much more for each connection.
const READY: Duration = Duration::from_millis(20);
const CONNECT: Duration = Duration::from_micros(200);

/// Between two looks at the broker's process and the progress.
const TICK: Duration = Duration::from_millis(100);

/// How a backlog is written: connections, and requests in flight on each.
const BACKLOG_CONNECTIONS: u32 = 4;
const BACKLOG_DEPTH: u32 = 5;

/// How long a backlog may take.
const BACKLOG_MAX: Duration = Duration::from_secs(3600);

/// One run to be made.
pub struct Plan<'a> {
    pub scenario: &'a Scenario,
    pub contestant: Contestant,
    pub target: &'a Target,
    pub placement: &'a Placement,
    pub round: u32,
    /// Called now and then with the share of the run that is over and the requests answered so far.
    pub progress: &'a dyn Fn(f64, u64),
}

/// Makes a run. Whatever goes wrong, also in what was written, is a failure: there is no result then.
pub fn run(plan: &Plan<'_>) -> Result<Run> {
    let what = || format!("{} against {}", plan.scenario.name, plan.contestant.name());
    if !plan.scenario.suits(plan.contestant) {
        return Err(Failure::new("it keeps no records that could be consumed")).context(what);
    }
    let mut control = Control::connect(plan.target.address).context(what)?;
    let setup = Setup::new(plan, &mut control).context(what)?;
    let done = setup.measure(plan, &mut control).context(what);
    // The topic goes in any case; if the broker is gone, the failure before says more.
    let deleted = control.delete_topic(&setup.topic).context(what);
    let run = done?;
    deleted?;
    Ok(run)
}

/// What is made before the load.
struct Setup {
    topic: TopicHandle,
    templates: Arc<Templates>,
    identity: Identity,
    producers: Vec<Producer>,
}

impl Setup {
    fn new(plan: &Plan<'_>, control: &mut Control) -> Result<Self> {
        let scenario = plan.scenario;
        let mut settings = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
        settings.extend(scenario.topic.settings.clone());
        let own = plan.contestant.topic_settings().iter();
        settings.extend(own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let name = format!("bench-{}-{}-{}", scenario.name, plan.contestant.name(), plan.round);
        let connections = scenario.produce.as_ref().map_or(1, |produce| produce.connections);
        let is_idempotent = scenario.produce.as_ref().is_some_and(|produce| produce.idempotent);
        let producers = if is_idempotent { connections } else { 0 };
        Ok(Self {
            topic: control.create_topic(&name, scenario.topic.partitions, &settings)?,
            templates: Arc::new(Templates::new(&scenario.records, scenario.run.seed)?),
            identity: Identity::new(connections + BACKLOG_CONNECTIONS),
            producers: (0..producers).map(|_| control.producer()).collect::<Result<_>>()?,
        })
    }

    fn load(&self, plan: &Plan<'_>, control: &Control, name: &str, produce: &Produce) -> ProduceLoad {
        let records = &plan.scenario.records;
        ProduceLoad {
            name: name.to_owned(),
            topic: self.topic.clone(),
            versions: control.versions().clone(),
            templates: Arc::clone(&self.templates),
            identity: self.identity,
            first_stream: 0,
            connections: produce.connections,
            depth: produce.depth,
            acks: produce.acks,
            rate: produce.rate,
            producers: self.producers.clone(),
            batches_max: None,
            worth: Worth {
                records: records.per_batch(),
                bytes: records.value_bytes_per_batch(),
            },
        }
    }

    fn measure(&self, plan: &Plan<'_>, control: &mut Control) -> Result<Run> {
        let mut ledgers = self.write_backlog(plan, control).context(|| "the backlog".to_owned())?;
        let parts = self.parts(plan, control)?;
        let outcome = drive(plan, &parts)?;
        let run = &plan.scenario.run;
        let mut told = Vec::new();
        for (measured, bin) in &outcome.measured {
            told.push(Part::of(measured, *bin));
            for (partition, stream, ledger) in &measured.ledgers {
                ledgers.insert((*partition, *stream), ledger.clone());
            }
        }
        if told.iter().any(|part| part.requests == 0) {
            fail!(
                "not one request was answered in the {} s that were measured",
                run.seconds
            );
        }
        let expectation = Expectation {
            topic: self.topic.clone(),
            templates: Arc::clone(&self.templates),
            identity: self.identity,
            ledgers,
            producers: (0..).zip(self.producers.iter().copied()).collect(),
        };
        let verified = if plan.contestant.keeps_records() {
            let verified = verify(plan.target.address, &expectation, plan.placement.load.0.len());
            Some(verified.context(|| "what was read back is wrong".to_owned())?.records)
        } else {
            None
        };
        Ok(Run {
            scenario: plan.scenario.name.clone(),
            contestant: plan.contestant,
            round: plan.round,
            seconds: told.first().map_or(0.0, |part| part.seconds),
            parts: told,
            broker: outcome.broker,
            generator_cpu_s: outcome.generator_cpu_s,
            others_share: outcome.others_share,
            verified_records: verified,
        })
    }

    fn write_backlog(&self, plan: &Plan<'_>, control: &Control) -> Result<BTreeMap<(i32, u32), Ledger>> {
        let Some(backlog) = &plan.scenario.backlog else {
            return Ok(BTreeMap::new());
        };
        let produce = Produce {
            acks: Acks::Leader,
            idempotent: false,
            connections: BACKLOG_CONNECTIONS,
            depth: BACKLOG_DEPTH,
            rate: None,
        };
        let mut load = self.load(plan, control, "backlog", &produce);
        load.first_stream = self.identity.streams() - BACKLOG_CONNECTIONS;
        load.producers = Vec::new();
        let batches = float(backlog.mib) * MIB / float(load.worth.bytes.max(1));
        load.batches_max = Some(rounded(batches.ceil()));
        let phases = Phases::new(Instant::now(), Duration::ZERO, BACKLOG_MAX);
        let mut crew = Crew::new()?;
        Producing::join(&load, phases, &mut crew, Thread { index: 0, count: 1 })?;
        let measured = crew.run(false, &Board::default())?;
        if backlog.cold {
            let Some(data) = &plan.target.data else {
                fail!("cold = true needs a broker that is started here");
            };
            evict(data)?;
        }
        let ledgers = measured.into_iter().flat_map(|measured| measured.ledgers);
        Ok(ledgers
            .map(|(partition, stream, ledger)| ((partition, stream), ledger))
            .collect())
    }

    fn parts(&self, plan: &Plan<'_>, control: &mut Control) -> Result<Parts> {
        let scenario = plan.scenario;
        let starts = control.offsets(&self.topic, Place::Start)?;
        let ends = control.offsets(&self.topic, Place::End)?;
        let end_to_end = scenario.end_to_end.as_ref().map(|end_to_end| Produce {
            acks: end_to_end.acks,
            idempotent: false,
            connections: 1,
            depth: 1,
            rate: end_to_end.rate,
        });
        let produce = scenario.produce.as_ref();
        let produce = produce.map(|produce| self.load(plan, control, "produce", produce));
        let arrivals = match &produce {
            Some(produce) => Arrivals::of(produce)?,
            None => None,
        };
        let consume = scenario.consume.iter().map(|consume| ConsumeLoad {
            arrivals: match consume.from {
                From::End => arrivals.clone(),
                From::Start => None,
            },
            consume: consume.clone(),
            topic: self.topic.clone(),
            versions: control.versions().clone(),
            starts: starts.clone(),
            ends: ends.clone(),
        });
        let consume = consume.collect();
        Ok(Parts {
            produce,
            consume,
            end_to_end: end_to_end.map(|produce| self.load(plan, control, "end-to-end", &produce)),
            end: ends.first().copied().unwrap_or(0),
        })
    }
}

/// What runs at one time.
struct Parts {
    produce: Option<ProduceLoad>,
    consume: Vec<ConsumeLoad>,
    end_to_end: Option<ProduceLoad>,
    /// End of the first partition.
    end: i64,
}

impl Parts {
    fn connections(&self) -> u32 {
        let produce = self.produce.as_ref().map_or(0, |load| load.connections);
        let consume: u32 = self.consume.iter().map(|load| load.consume.connections).sum();
        produce + consume
    }

    /// The share of one thread, connected.
    fn crew(&self, phases: Phases, thread: Thread) -> Result<Crew> {
        let mut crew = Crew::new()?;
        if let Some(load) = &self.produce {
            Producing::join(load, phases, &mut crew, thread)?;
        }
        for load in &self.consume {
            Consuming::join(load, phases, &mut crew, thread)?;
        }
        if let Some(load) = &self.end_to_end
            && thread.index == 0
        {
            EndToEnd::join(load, phases, &mut crew, self.end)?;
        }
        Ok(crew)
    }
}

/// What came out of all threads.
struct Outcome {
    /// By part, with the length of its bins.
    measured: Vec<(Measured, Duration)>,
    broker: Option<Usage>,
    generator_cpu_s: f64,
    others_share: Option<f64>,
}

/// Runs the parts on a thread for each processor of the load, and looks at the broker's process meanwhile.
fn drive(plan: &Plan<'_>, parts: &Parts) -> Result<Outcome> {
    let run = &plan.scenario.run;
    let board = Board::default();
    let begin = Instant::now() + READY + CONNECT * parts.connections();
    let (warmup, measured) = (
        Duration::from_secs_f64(run.warmup_seconds),
        Duration::from_secs_f64(run.seconds),
    );
    let phases = Phases::new(begin, warmup, measured);
    let cpus = &plan.placement.load.0;
    std::thread::scope(|scope| {
        let spawn = |index: usize, cpu: usize| {
            let board = &board;
            let thread = Thread {
                index,
                count: cpus.len(),
            };
            scope.spawn(move || {
                let pinned = Cpus(vec![cpu]).pin();
                let made = pinned.and_then(|()| parts.crew(phases, thread));
                let done = made.and_then(|crew| crew.run(run.busy, board));
                if done.is_err() {
                    board.is_stopped.store(true, Ordering::Relaxed);
                }
                done
            })
        };
        let workers: Vec<_> = cpus.iter().enumerate().map(|(index, cpu)| spawn(index, *cpu)).collect();
        let watched = watch(plan, phases, &board, || {
            workers.iter().all(std::thread::ScopedJoinHandle::is_finished)
        });
        if watched.is_err() {
            board.is_stopped.store(true, Ordering::Relaxed);
        }
        let mut all = Vec::new();
        for worker in workers {
            all.extend(
                worker
                    .join()
                    .unwrap_or_else(|_| Err(Failure::new("the load generator has a defect")))?,
            );
        }
        let watched = watched?;
        Ok(Outcome {
            measured: merged(all)?
                .into_iter()
                .map(|measured| (measured, phases.bin()))
                .collect(),
            broker: watched.broker,
            generator_cpu_s: watched.generator_cpu_s,
            others_share: watched.others_share,
        })
    })
}

/// Adds up what the threads have measured of each part.
fn merged(all: Vec<Measured>) -> Result<Vec<Measured>> {
    let mut parts: Vec<Measured> = Vec::new();
    for measured in all {
        match parts.iter_mut().find(|part| part.name == measured.name) {
            Some(part) => {
                part.meter.merge(&measured.meter)?;
                part.ledgers.extend(measured.ledgers);
            }
            None => parts.push(measured),
        }
    }
    Ok(parts)
}

#[derive(Default)]
struct Watched {
    broker: Option<Usage>,
    generator_cpu_s: f64,
    others_share: Option<f64>,
}

/// Looks at the processes while the load runs.
fn watch(plan: &Plan<'_>, phases: Phases, board: &Board, is_over: impl Fn() -> bool) -> Result<Watched> {
    let broker = plan.target.pid.map(Process::new);
    let sample = || broker.as_ref().map(Process::sample).transpose();
    let this = Process::this();
    let mut cpus: Vec<_> = plan
        .placement
        .broker
        .0
        .iter()
        .chain(&plan.placement.load.0)
        .copied()
        .collect();
    cpus.sort_unstable();
    cpus.dedup();
    let whole = (phases.until - phases.begin).as_secs_f64();
    let mut before: Option<(Instant, Option<Sample>, Sample, Processors)> = None;
    let mut rss_max_mib = 0.0_f64;
    loop {
        let now = Instant::now();
        if before.is_none() && now >= phases.from {
            before = Some((now, sample()?, this.sample()?, Processors::sample(&cpus)));
        }
        if let Some(broker) = &broker {
            rss_max_mib = rss_max_mib.max(broker.rss_mib()?);
        }
        if now >= phases.until || is_over() || board.is_stopped.load(Ordering::Relaxed) {
            break;
        }
        let passed = now.saturating_duration_since(phases.begin).as_secs_f64();
        (plan.progress)(passed / whole, board.answered.load(Ordering::Relaxed));
        let next = if before.is_none() { phases.from } else { phases.until };
        std::thread::sleep(next.saturating_duration_since(now).min(TICK));
    }
    let Some((since, broker_before, this_before, processors_before)) = before else {
        return Ok(Watched::default());
    };
    let seconds = since.elapsed().as_secs_f64();
    let usage = |after: Sample, before: Sample| after.since(&before, seconds, rss_max_mib);
    let broker = sample()?.zip(broker_before).map(|(after, before)| usage(after, before));
    let generator_cpu_s = usage(this.sample()?, this_before).cpu_s;
    let processors = Processors::sample(&cpus);
    let (busy_s, steal_s) = (
        processors.busy_s - processors_before.busy_s,
        processors.steal_s - processors_before.steal_s,
    );
    let own_s = generator_cpu_s + broker.map_or(0.0, |usage| usage.cpu_s);
    let others_share = (busy_s - own_s).max(0.0) + steal_s.max(0.0);
    let is_known = broker.is_some() || plan.contestant == Contestant::Sink;
    Ok(Watched {
        broker,
        generator_cpu_s,
        others_share: is_known.then(|| others_share / seconds / float(count(cpus.len()))),
    })
}

/// Puts the segments below a directory out of the page cache.
fn evict(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            evict(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "log") {
            let file = std::fs::File::open(&path)?;
            file.sync_data()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}
