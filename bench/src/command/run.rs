//! `run`: scenarios against one broker.

use std::path::PathBuf;

use crate::ballast::Ballast;
use crate::failure::{Context, Result, fail};
use crate::report::compare::warnings;
use crate::report::result::{Line, Run, append};
use crate::report::table::{Table, number};
use crate::scenario::{Contestant, Metric};
use crate::workload::{Plan, run as run_plan};

use super::options::{BrokerOptions, Progress, machine, warn_of_pacing};

/// The columns of the table.
const COLUMNS: &[Metric] = &[
    Metric::MibPerSecond,
    Metric::RequestsPerSecond,
    Metric::P50Us,
    Metric::P99Us,
    Metric::P999Us,
    Metric::BrokerCores,
    Metric::CpuSecondsPerGib,
    Metric::RssMib,
];

#[derive(clap::Args)]
pub struct Arguments {
    /// Scenario files, or names of those that come with the project.
    #[arg(required = true)]
    scenarios: Vec<String>,
    /// Against whom.
    #[arg(long, default_value = "duramen")]
    broker: Contestant,
    /// Runs of each scenario.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Adds the results to this file, one JSON object a line.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    options: BrokerOptions,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let scenarios = arguments.options.scenarios(&arguments.scenarios)?;
    let stable = arguments.options.stable()?;
    let contestant = if stable.target.is_some() {
        Contestant::Target
    } else {
        arguments.broker
    };
    if contestant == Contestant::Target && stable.target.is_none() {
        fail!("--broker target needs --target HOST:PORT");
    }
    let target = stable.start(contestant)?;
    warn_of_pacing();
    let mut lines = vec![Line::Machine(machine(&stable, &[&target]))];
    lines.extend(
        scenarios
            .iter()
            .map(|scenario| Line::Scenario(Box::new(scenario.clone()))),
    );
    let mut runs = Vec::new();
    let mut ballast = arguments.options.ballast()?;
    for scenario in &scenarios {
        for round in 0..arguments.rounds {
            ballast.as_mut().map_or(Ok(()), Ballast::fill)?;
            let progress = Progress::new(&scenario.name, contestant.name());
            let done = run_plan(&Plan {
                scenario,
                contestant,
                target: &target,
                placement: &stable.placement,
                round,
                progress: &|share, requests| progress.show(share, requests),
            });
            drop(progress);
            runs.push(done?);
        }
    }
    println!("{}", table(&runs).text());
    if let Some(warning) = warnings(&runs) {
        println!("{warning}");
    }
    if let Some(out) = &arguments.out {
        lines.extend(runs.into_iter().map(|run| Line::Run(Box::new(run))));
        append(out, &lines).context(|| "results".to_owned())?;
    }
    Ok(())
}

/// A row for each part of each run.
fn table(runs: &[Run]) -> Table {
    let mut head = vec!["scenario", "part"];
    head.extend(COLUMNS.iter().map(|metric| metric.title()));
    let mut table = Table::new(&head);
    for run in runs {
        for (index, part) in run.parts.iter().enumerate() {
            let mut cells = vec![run.scenario.clone(), part.name.clone()];
            // What the broker took is told once.
            let alone = Run {
                parts: vec![part.clone()],
                broker: run.broker.filter(|_| index == 0),
                ..run.clone()
            };
            cells.extend(
                COLUMNS
                    .iter()
                    .map(|metric| alone.metric(*metric).map_or_else(String::new, number)),
            );
            table.row(cells);
        }
    }
    table
}
