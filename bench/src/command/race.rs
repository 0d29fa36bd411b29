//! `race`: Duramen and others in turns, beside the machine itself.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::ballast::Ballast;
use crate::failure::{Context, Result, fail};
use crate::raw::{FILE_BYTES, NAMES, Settings, measure};
use crate::report::compare::{ceilings, compare, warnings};
use crate::report::html::page;
use crate::report::machine::beside_machine;
use crate::report::result::{Line, Raw, Run, append, read};
use crate::report::versus::table;
use crate::scenario::{Contestant, Scenario};
use crate::target::{Stable, Target};
use crate::workload::{Plan, run as run_plan};

use super::options::{BrokerOptions, Progress, machine, scenario_folder, warn_of_pacing};

/// What a Java virtual machine is warmed up with, besides the scenario's own warm-up: cold, it takes several times as much.
const WARMUP: &str = "about = \"warm-up\"\n[topic]\npartitions = 12\n[records]\nvalue_bytes = 1024\nbatch_bytes = 16384\n\
    [produce]\nacks = \"all\"\nconnections = 4\ndepth = 5\n[run]\nwarmup_seconds = 0.0\n";

#[derive(clap::Args)]
pub struct Arguments {
    /// Scenario files, or names of those that come with the project; by default all of them.
    scenarios: Vec<String>,
    /// Runs of each scenario against each broker.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// The brokers to race against, instead of those that the scenarios name.
    #[arg(long, value_delimiter = ',')]
    against: Option<Vec<Contestant>>,
    /// Leaves the load generator's own ceiling out.
    #[arg(long)]
    no_sink: bool,
    /// Seconds of each measurement of the machine itself, which come before each scenario. What results are held against is measured before
    /// each round instead, for as long as a run. 0 leaves all of them out.
    #[arg(long, default_value_t = 0.5)]
    raw_seconds: f64,
    /// Seconds of load before the first run, for brokers on a Java virtual machine.
    #[arg(long, default_value_t = 15.0)]
    jvm_warmup: f64,
    /// Raw results, one JSON object a line; what is there already stays.
    #[arg(long, default_value = "race.jsonl")]
    out: PathBuf,
    /// The page with all tables and plots.
    #[arg(long, default_value = "race.html")]
    html: PathBuf,
    #[command(flatten)]
    options: BrokerOptions,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let mut scenarios = arguments.options.scenarios(&named(arguments)?)?;
    for scenario in &mut scenarios {
        if let Some(against) = &arguments.against {
            scenario.goals.retain(|goal| against.contains(&goal.against));
            scenario.against.clone_from(against);
        }
    }
    let stable = arguments.options.stable()?;
    let mut race = Race {
        arguments,
        ballast: arguments.options.ballast()?,
        stable,
        targets: BTreeMap::new(),
        runs: Vec::new(),
        raws: Vec::new(),
        failures: 0,
    };
    race.start(&scenarios)?;
    warn_of_pacing();
    for scenario in &scenarios {
        race.scenario(scenario)?;
    }
    let rows: Vec<_> = scenarios
        .iter()
        .flat_map(|scenario| {
            let mut rows = compare(scenario, race.stable.ours(), &race.runs);
            rows.extend(beside_machine(scenario, race.stable.ours(), &race.runs, &race.raws));
            rows
        })
        .collect();
    println!("{}", table(&rows, race.stable.ours()).text());
    println!("{}", ceilings(&scenarios, &race.runs, race.stable.ours()).text());
    if let Some(warning) = warnings(&race.runs) {
        println!("{warning}");
    }
    let html = page(read(&arguments.out)?);
    std::fs::write(&arguments.html, html).context(|| arguments.html.display().to_string())?;
    println!(
        "raw results: {}; page: {}",
        arguments.out.display(),
        arguments.html.display()
    );
    if race.failures > 0 {
        fail!("{} runs failed, and have no results", race.failures);
    }
    Ok(())
}

/// The scenarios that were named, or all.
fn named(arguments: &Arguments) -> Result<Vec<String>> {
    if !arguments.scenarios.is_empty() {
        return Ok(arguments.scenarios.clone());
    }
    let folder = scenario_folder();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).context(|| folder.display().to_string())? {
        names.push(entry?.path().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

struct Race<'a> {
    arguments: &'a Arguments,
    stable: Stable,
    ballast: Option<Ballast>,
    /// By process: several contestants may share one.
    targets: BTreeMap<Contestant, Target>,
    runs: Vec<Run>,
    raws: Vec<Raw>,
    failures: u32,
}

impl Race<'_> {
    /// Starts everybody, and writes down where the race takes place.
    fn start(&mut self, scenarios: &[Scenario]) -> Result<()> {
        self.target(self.stable.ours())?;
        for contestant in scenarios.iter().flat_map(|scenario| &scenario.against) {
            self.target(*contestant)?;
        }
        let targets: Vec<_> = self.targets.values().collect();
        let mut lines = vec![Line::Machine(machine(&self.stable, &targets))];
        lines.extend(
            scenarios
                .iter()
                .map(|scenario| Line::Scenario(Box::new(scenario.clone()))),
        );
        append(&self.arguments.out, &lines)
    }

    /// Starts the process of a contestant, unless it runs.
    fn target(&mut self, contestant: Contestant) -> Result<()> {
        let process = contestant.process();
        if self.targets.contains_key(&process) {
            return Ok(());
        }
        let target = self.stable.start(process)?;
        if process == Contestant::Kafka && self.arguments.jvm_warmup > 0.0 {
            let mut scenario = Scenario::parse("warm-up", WARMUP)?;
            scenario.run.seconds = self.arguments.jvm_warmup;
            one_run(&self.stable, &scenario, process, &target, 0)?;
        }
        self.targets.insert(process, target);
        Ok(())
    }

    /// All rounds of a scenario: the machine, then everybody in turns. What of the machine results are held against is measured in each, for
    /// as long as they are: a moment of writing finds more free memory and an emptier disk than ten seconds do.
    fn scenario(&mut self, scenario: &Scenario) -> Result<()> {
        let is_held_against = |name: &str| scenario.machine_goals.iter().any(|goal| goal.probe == name);
        self.machine(scenario, self.arguments.raw_seconds, |name| !is_held_against(name))?;
        if scenario.suits(Contestant::Sink) && !self.arguments.no_sink {
            self.one(scenario, Contestant::Sink, 0)?;
        }
        for round in 0..self.arguments.rounds {
            self.machine(scenario, scenario.run.seconds, is_held_against)?;
            self.one(scenario, self.stable.ours(), round)?;
            for other in scenario.against.iter().filter(|other| scenario.suits(**other)) {
                self.one(scenario, *other, round)?;
            }
        }
        Ok(())
    }

    /// Measures what is wanted of the machine itself, each for so many seconds.
    fn machine(&mut self, scenario: &Scenario, seconds: f64, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
        if self.arguments.raw_seconds <= 0.0 || !NAMES.iter().any(|name| is_wanted(name)) {
            return Ok(());
        }
        self.fill()?;
        let settings = Settings {
            directory: &self.stable.directory,
            placement: &self.stable.placement,
            file_bytes: FILE_BYTES,
            each: Duration::from_secs_f64(seconds),
        };
        let raws = measure(&settings, &scenario.name, is_wanted)?;
        let lines: Vec<_> = raws.iter().cloned().map(Line::Raw).collect();
        append(&self.arguments.out, &lines)?;
        self.raws.extend(raws);
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.ballast.as_mut().map_or(Ok(()), Ballast::fill)
    }

    /// One run. One that fails is told, and has no result; its broker is started again.
    fn one(&mut self, scenario: &Scenario, contestant: Contestant, round: u32) -> Result<()> {
        self.fill()?;
        self.target(contestant)?;
        let Some(target) = self.targets.get(&contestant.process()) else {
            fail!("{} is not there", contestant.name());
        };
        let line = match one_run(&self.stable, scenario, contestant, target, round) {
            Ok(run) => {
                self.runs.push(run.clone());
                Line::Run(Box::new(run))
            }
            Err(failure) => {
                // When nobody reads it there is nobody to tell.
                let _ = writeln!(std::io::stderr(), "duramen-bench: {failure}");
                self.failures += 1;
                self.targets.remove(&contestant.process());
                Line::Failed {
                    why: failure.to_string(),
                }
            }
        };
        append(&self.arguments.out, &[line])
    }
}

fn one_run(stable: &Stable, scenario: &Scenario, contestant: Contestant, target: &Target, round: u32) -> Result<Run> {
    let progress = Progress::new(&scenario.name, contestant.name());
    run_plan(&Plan {
        scenario,
        contestant,
        target,
        placement: &stable.placement,
        round,
        progress: &|share, requests| progress.show(share, requests),
    })
}
