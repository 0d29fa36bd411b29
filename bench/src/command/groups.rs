//! `groups`: groups of consumers and their offsets at scale, Duramen and Apache Kafka in turns.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::ballast::Ballast;
use crate::failure::{Result, fail};
use crate::groups::result::{table, warning};
use crate::groups::{Plan, Run, SETTING, Scenario, run as run_plan};
use crate::report::result::{Line, append};
use crate::scenario::Contestant;
use crate::target::{Stable, Target};

use super::options::{BrokerOptions, machine, warn_of_pacing};

/// Seconds, unless others are asked for.
const SECONDS: f64 = 10.0;
const WARMUP_SECONDS: f64 = 3.0;
const IDLE_SECONDS: f64 = 20.0;

#[derive(clap::Args)]
pub struct Arguments {
    /// What to measure; by default all of it.
    scenarios: Vec<Scenario>,
    /// Runs of each scenario against each broker.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// The brokers to compare with, of those that a scenario names; by default all of them.
    #[arg(long, value_delimiter = ',')]
    against: Option<Vec<Contestant>>,
    /// Only Duramen, or only the broker of --target.
    #[arg(long, conflicts_with = "against")]
    alone: bool,
    /// Runs of each scenario before the first one that counts, for brokers on a Java virtual machine.
    #[arg(long, default_value_t = 1)]
    jvm_warmup_runs: u32,
    /// Raw results, one JSON object a line; what is there already stays.
    #[arg(long, default_value = "groups.jsonl")]
    out: PathBuf,
    #[command(flatten)]
    options: BrokerOptions,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let scenarios = match arguments.scenarios.as_slice() {
        [] => Scenario::ALL,
        named => named,
    };
    let mut stable = arguments.options.stable()?;
    for settings in [&mut stable.duramen_settings, &mut stable.kafka_settings] {
        // What was asked for comes later, and counts.
        settings.insert(0, SETTING.to_owned());
    }
    let mut bench = Bench {
        arguments,
        ballast: arguments.options.ballast()?,
        stable: &stable,
        targets: BTreeMap::new(),
        runs: Vec::new(),
        failures: 0,
    };
    append(&arguments.out, &[Line::Machine(machine(&stable, &[]))])?;
    warn_of_pacing();
    println!("settings of Duramen: {}", stable.duramen_settings.join(" "));
    println!("settings of Kafka:   {}", stable.kafka_settings.join(" "));
    for scenario in scenarios {
        bench.scenario(*scenario)?;
    }
    println!("{}", table(&bench.runs, stable.ours()).text());
    if let Some(warning) = warning(&bench.runs) {
        println!("{warning}");
    }
    println!("raw results: {}", arguments.out.display());
    if bench.failures > 0 {
        fail!("{} runs failed, and have no results", bench.failures);
    }
    Ok(())
}

struct Bench<'a> {
    arguments: &'a Arguments,
    stable: &'a Stable,
    ballast: Option<Ballast>,
    /// By process: several contestants may share one.
    targets: BTreeMap<Contestant, Target>,
    runs: Vec<Run>,
    failures: u32,
}

impl Bench<'_> {
    fn others(&self, scenario: Scenario) -> Vec<Contestant> {
        let mut others = scenario.against().to_vec();
        if self.arguments.alone {
            others.clear();
        }
        if let Some(against) = &self.arguments.against {
            others.retain(|other| against.contains(other));
        }
        others
    }

    /// All rounds of a scenario, everybody in turns.
    fn scenario(&mut self, scenario: Scenario) -> Result<()> {
        let others = self.others(scenario);
        if !scenario.starts_again() {
            for number in 0..self.arguments.jvm_warmup_runs {
                for other in &others {
                    // One that fails will fail again, and be told.
                    let _ = self.one(scenario, *other, 0, &format!("warm-{number}"))?;
                }
            }
        }
        for round in 0..self.arguments.rounds {
            let all = std::iter::once(self.stable.ours()).chain(others.iter().copied());
            for contestant in all.collect::<Vec<_>>() {
                let line = match self.one(scenario, contestant, round, &round.to_string())? {
                    Ok(run) => {
                        self.runs.push(run.clone());
                        Line::Groups(Box::new(run))
                    }
                    Err(failure) => {
                        // When nobody reads it there is nobody to tell.
                        let _ = writeln!(std::io::stderr(), "duramen-bench: {failure}");
                        self.failures += 1;
                        Line::Failed {
                            why: failure.to_string(),
                        }
                    }
                };
                append(&self.arguments.out, &[line])?;
            }
        }
        Ok(())
    }

    /// One run, which may fail by itself. A broker that needs no warm-up is a new one each time, so that its memory is that of the run alone.
    fn one(&mut self, scenario: Scenario, contestant: Contestant, round: u32, suffix: &str) -> Result<Result<Run>> {
        let process = contestant.process();
        if process == Contestant::Duramen || scenario.starts_again() {
            self.targets.remove(&process);
        }
        if let Some(ballast) = &mut self.ballast {
            ballast.fill()?;
        }
        let mut target = match self.targets.remove(&process) {
            Some(target) => target,
            None => self.stable.start(process)?,
        };
        let (seconds, warmup) = self.arguments.options.times()?;
        let duration = |asked: Option<f64>, default| Duration::from_secs_f64(asked.unwrap_or(default));
        let plan = Plan {
            scenario,
            contestant,
            stable: self.stable,
            name: format!("groups-{}-{}-{suffix}", scenario.name(), contestant.name()),
            round,
            warmup: duration(warmup, WARMUP_SECONDS),
            measured: duration(seconds, SECONDS),
            idle: duration(seconds, IDLE_SECONDS),
        };
        let done = run_plan(&plan, &mut target);
        // One that failed may be in any state.
        if done.is_ok() && !scenario.starts_again() {
            self.targets.insert(process, target);
        }
        Ok(done)
    }
}
