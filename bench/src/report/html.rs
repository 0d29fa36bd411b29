//! One page that holds everything: tables, plots, the machine. It refers to nothing outside of itself.

use std::fmt::Write;

use crate::number::{float, median};
use crate::scenario::{Contestant, Metric, Scenario};

use super::compare::{ceilings, compare, warnings};
use super::machine::beside_machine;
use super::result::{Line, Machine, Raw, Run};
use super::svg::{Axis, Scale, Series, bars, escape, lines};
use super::table::{Table, number};
use super::versus::{Spread, table};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1300px;padding:0 1em;color:#222}\
    table{border-collapse:collapse;margin:1em 0}td,th{padding:2px 9px;text-align:right;border-bottom:1px solid #e4e4e4;font-variant-numeric:tabular-nums}\
    td:first-child,th:first-child{text-align:left}svg{font:11px system-ui,sans-serif;margin:4px;background:#fcfcfc}\
    .missed{color:#b00020;font-weight:bold}.reached{color:#1b6e2d}h2{margin-top:2em;border-bottom:2px solid #ddd}";

/// Everything of a file of results, put in order.
#[derive(Default)]
struct Results {
    machines: Vec<Machine>,
    scenarios: Vec<Scenario>,
    runs: Vec<Run>,
    raws: Vec<Raw>,
    failures: Vec<String>,
}

/// The page that shows these results.
pub fn page(all: Vec<Line>) -> String {
    let mut results = Results::default();
    for line in all {
        match line {
            Line::Machine(machine) => results.machines.push(machine),
            Line::Scenario(scenario) => {
                results.scenarios.retain(|other| other.name != scenario.name);
                results.scenarios.push(*scenario);
            }
            Line::Run(run) => results.runs.push(*run),
            Line::Raw(raw) => results.raws.push(raw),
            // They are told in tables of their own.
            Line::Groups(_) => {}
            Line::Failed { why } => results.failures.push(why),
        }
    }
    let mut html =
        String::from("<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Duramen: the race</title>");
    let _ = write!(html, "<style>{STYLE}</style><h1>The race</h1>");
    for machine in &results.machines {
        html.push_str(&machine_table(machine));
    }
    if !results.failures.is_empty() {
        html.push_str("<h2>Runs that failed</h2><p>They have no results.</p><ul>");
        for why in &results.failures {
            let _ = write!(html, "<li class=\"missed\">{}</li>", escape(why));
        }
        html.push_str("</ul>");
    }
    if let Some(warning) = warnings(&results.runs) {
        let _ = write!(html, "<p class=\"missed\">{}</p>", escape(&warning));
    }
    html.push_str(&raw_table(&results.raws));
    let ceilings = ceilings(&results.scenarios, &results.runs, ours(&results.runs));
    if ceilings.rows().len() > 1 {
        html.push_str(&html_table(&ceilings));
    }
    for scenario in &results.scenarios {
        html.push_str(&section(scenario, &results.runs, &results.raws));
    }
    html.push_str("</html>\n");
    html
}

fn machine_table(machine: &Machine) -> String {
    let mut facts = Table::new(&["", ""]);
    facts.row(vec!["command".to_owned(), machine.command.clone()]);
    for (name, value) in &machine.facts {
        facts.row(vec![name.clone(), value.clone()]);
    }
    html_table(&facts)
}

fn raw_table(raws: &[Raw]) -> String {
    if raws.is_empty() {
        return String::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for raw in raws {
        if !names.contains(&raw.name.as_str()) {
            names.push(&raw.name);
        }
    }
    let mut rows = Table::new(&["the machine without a broker", "MiB/s", "p50 us", "p99 us", "p99.9 us"]);
    for name in names {
        let of = |value: &dyn Fn(&Raw) -> Option<f64>| {
            let values: Vec<_> = raws.iter().filter(|raw| raw.name == name).filter_map(value).collect();
            Spread::of(&values).map_or_else(String::new, |spread| spread.text())
        };
        rows.row(vec![
            name.to_owned(),
            of(&|raw| Some(raw.mib_per_second)),
            of(&|raw| raw.latency.as_ref().map(|latency| latency.p50_us)),
            of(&|raw| raw.latency.as_ref().map(|latency| latency.p99_us)),
            of(&|raw| raw.latency.as_ref().map(|latency| latency.p999_us)),
        ]);
    }
    format!("<h2>The machine</h2>{}", html_table(&rows))
}

fn section(scenario: &Scenario, runs: &[Run], raws: &[Raw]) -> String {
    let runs: Vec<Run> = runs
        .iter()
        .filter(|run| run.scenario == scenario.name)
        .cloned()
        .collect();
    let mut contestants: Vec<_> = runs.iter().map(|run| run.contestant).collect();
    contestants.sort_unstable();
    contestants.dedup();
    let mut html = format!("<h2>{}</h2><p>{}</p>", escape(&scenario.name), escape(&scenario.about));
    let ours = ours(&runs);
    let mut rows = compare(scenario, ours, &runs);
    rows.extend(beside_machine(scenario, ours, &runs, raws));
    if rows.is_empty() {
        html.push_str(&html_table(&plain_table(&runs, &contestants)));
    } else {
        html.push_str(&html_table(&table(&rows, ours)));
    }
    html.push_str(&curves(&runs, &contestants));
    html.push_str(&over_time(&runs, &contestants));
    for metric in [Metric::CpuSecondsPerGib, Metric::BrokerCores] {
        let medians = contestants.iter().filter_map(|one| {
            let values: Vec<_> = of(&runs, *one).filter_map(|run| run.metric(metric)).collect();
            Some((one.name().to_owned(), color(*one), median(&values)?))
        });
        html.push_str(&bars(metric.title(), &medians.collect::<Vec<_>>()));
    }
    html
}

/// The broker that the others are compared with.
fn ours(runs: &[Run]) -> Contestant {
    let is_there = |contestant| of(runs, contestant).next().is_some();
    if is_there(Contestant::Target) && !is_there(Contestant::Duramen) {
        Contestant::Target
    } else {
        Contestant::Duramen
    }
}

fn of(runs: &[Run], contestant: Contestant) -> impl Iterator<Item = &Run> {
    runs.iter().filter(move |run| run.contestant == contestant)
}

/// Medians of each broker alone.
fn plain_table(runs: &[Run], contestants: &[Contestant]) -> Table {
    let mut head = vec![""];
    head.extend(Metric::ALL.iter().map(|metric| metric.title()));
    let mut table = Table::new(&head);
    for one in contestants {
        let cell = |metric: &Metric| {
            let values: Vec<_> = of(runs, *one).filter_map(|run| run.metric(*metric)).collect();
            Spread::of(&values).map_or_else(String::new, |spread| spread.text())
        };
        let mut cells = vec![one.name().to_owned()];
        cells.extend(Metric::ALL.iter().map(cell));
        table.row(cells);
    }
    table
}

/// Latency by percentile: each point is the median over the runs.
fn curves(runs: &[Run], contestants: &[Contestant]) -> String {
    let series = contestants.iter().map(|one| {
        let curves: Vec<_> = of(runs, *one)
            .filter_map(|run| Some(&run.main()?.latency.as_ref()?.curve))
            .map(|curve| {
                curve
                    .iter()
                    .map(|(quantile, us)| (1.0 / (1.0 - quantile), *us))
                    .collect()
            })
            .collect();
        one_series(*one, &curves)
    });
    let x = Axis {
        title: "percentile",
        scale: Scale::Logarithmic,
        tick: |nines| format!("{}%", trimmed(100.0 * (1.0 - 1.0 / nines))),
    };
    let y = Axis {
        title: "latency, us",
        scale: Scale::Logarithmic,
        tick: number,
    };
    lines("Latency by percentile", &x, &y, &series.collect::<Vec<_>>())
}

fn over_time(runs: &[Run], contestants: &[Contestant]) -> String {
    let series = contestants.iter().map(|one| {
        let bins: Vec<Vec<(f64, f64)>> = of(runs, *one)
            .filter_map(|run| {
                let part = run.main()?;
                let at = |index: u64| float(index) * part.bin_ms / 1000.0;
                Some(
                    (0..)
                        .zip(&part.bin_mib_per_second)
                        .map(|(index, rate)| (at(index), *rate))
                        .collect(),
                )
            })
            .collect();
        one_series(*one, &bins)
    });
    let x = Axis {
        title: "seconds",
        scale: Scale::Linear,
        tick: trimmed,
    };
    let y = Axis {
        title: "MiB/s",
        scale: Scale::Linear,
        tick: number,
    };
    lines("Throughput over time", &x, &y, &series.collect::<Vec<_>>())
}

/// The median of several lines at each of their points.
fn one_series(contestant: Contestant, all: &[Vec<(f64, f64)>]) -> Series {
    let length = all.iter().map(Vec::len).min().unwrap_or(0);
    let point = |at: usize| {
        let values: Vec<_> = all.iter().map(|line| line[at].1).collect();
        Some((all.first()?[at].0, median(&values)?))
    };
    Series {
        name: contestant.name().to_owned(),
        color: color(contestant),
        points: (0..length).filter_map(point).collect(),
    }
}

fn color(contestant: Contestant) -> &'static str {
    match contestant {
        Contestant::Duramen => "#b5541c",
        Contestant::Kafka => "#2b5f9e",
        Contestant::KafkaFlush => "#74a3d6",
        Contestant::Bare => "#5f5f5f",
        Contestant::Sink => "#9a9a9a",
        Contestant::Target => "#4a8a4a",
    }
}

/// A number without zeroes behind it.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn html_table(table: &Table) -> String {
    let mut html = String::from("<table>");
    for (number, row) in table.rows().iter().enumerate() {
        let tag = if number == 0 { "th" } else { "td" };
        html.push_str("<tr>");
        for cell in row {
            let class = match cell.as_str() {
                "MISSED" => " class=\"missed\"",
                "reached" => " class=\"reached\"",
                _ => "",
            };
            let _ = write!(html, "<{tag}{class}>{}</{tag}>", escape(cell));
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
    html
}

#[cfg(test)]
mod tests;
