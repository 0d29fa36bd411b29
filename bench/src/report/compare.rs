//! What the runs of races show: brokers against each other, and the load generator by itself.

use crate::number::median;
use crate::scenario::{Contestant, Goal, Metric, Scenario};

use super::result::Run;
use super::table::{Table, number};
use super::versus::{Bound, Row, Shown, beside, warning};

/// What is compared of every scenario.
const ALWAYS: &[Metric] = &[
    Metric::MibPerSecond,
    Metric::CpuSecondsPerGib,
    Metric::RecordsPerCpuSecond,
    Metric::BrokerCores,
    Metric::P50Us,
    Metric::P99Us,
    Metric::P999Us,
    Metric::RssMib,
];

/// What the runs of a scenario show against every other broker that it names.
pub fn compare(scenario: &Scenario, ours: Contestant, runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for other in &scenario.against {
        let goal_metrics = scenario
            .goals
            .iter()
            .filter(|goal| goal.against == *other)
            .map(|goal| goal.metric);
        let mut metrics: Vec<_> = ALWAYS.iter().copied().chain(goal_metrics).collect();
        metrics.sort_unstable();
        metrics.dedup();
        rows.extend(
            metrics
                .into_iter()
                .filter_map(|metric| row(scenario, runs, (ours, *other), metric)),
        );
    }
    rows
}

fn row(scenario: &Scenario, runs: &[Run], (ours, other): (Contestant, Contestant), metric: Metric) -> Option<Row> {
    let own = runs.iter().filter(|run| run.scenario == scenario.name);
    let shown = own.filter_map(|run| {
        Some(Shown {
            contestant: run.contestant,
            round: run.round,
            value: run.metric(metric)?,
        })
    });
    let (ours, beside) = beside(&shown.collect::<Vec<_>>(), ours, other)?;
    let ratio = beside.ratio?;
    let mut goals = scenario.goals.iter();
    let goal = goals.find(|goal| goal.metric == metric && goal.against == other);
    Some(Row {
        scenario: scenario.name.clone(),
        metric: metric.title(),
        ours,
        beside: Some(beside),
        verdict: goal.and_then(bound).map(|bound| bound.judge(ratio.median)),
    })
}

/// What the ratio is to be.
fn bound(goal: &Goal) -> Option<Bound> {
    let least = goal.at_least.map(Bound::AtLeast);
    least.or_else(|| goal.at_most.map(Bound::AtMost))
}

/// What the load generator can do by itself in the scenarios that it was asked to, and how much of that was needed.
pub fn ceilings(scenarios: &[Scenario], runs: &[Run], ours: Contestant) -> Table {
    let mut table = Table::new(&[
        "the generator's own ceiling",
        "MiB/s",
        "requests/s",
        "p99 us",
        "share that was used",
    ]);
    for scenario in scenarios {
        let of = |contestant: Contestant, metric: Metric| {
            let own = runs
                .iter()
                .filter(|run| run.scenario == scenario.name && run.contestant == contestant);
            median(&own.filter_map(|run| run.metric(metric)).collect::<Vec<_>>())
        };
        let sink = |metric| of(Contestant::Sink, metric);
        let Some(requests) = sink(Metric::RequestsPerSecond) else {
            continue;
        };
        let cell = |value: Option<f64>| value.map_or_else(String::new, number);
        let used = of(ours, Metric::RequestsPerSecond).map(|own| own / requests);
        table.row(vec![
            scenario.name.clone(),
            cell(sink(Metric::MibPerSecond)),
            number(requests),
            cell(sink(Metric::P99Us)),
            used.map_or_else(String::new, |used| format!("{:.0} %", used * 100.0)),
        ]);
    }
    table
}

/// What is to be said of the runs besides their numbers; nothing where all is well.
pub fn warnings(runs: &[Run]) -> Option<String> {
    warning(&runs.iter().map(|run| run.others_share).collect::<Vec<_>>())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::result::{Part, Usage};
    use crate::report::versus::table;

    pub fn run(contestant: Contestant, round: u32, bytes: u64, cpu_s: f64) -> Run {
        Run {
            scenario: "a".to_owned(),
            contestant,
            round,
            seconds: 1.0,
            parts: vec![Part {
                name: "produce".to_owned(),
                seconds: 1.0,
                requests: 10,
                records: 100,
                bytes,
                latency: None,
                bin_ms: 100.0,
                bin_mib_per_second: Vec::new(),
                bin_latency_max_us: Vec::new(),
            }],
            broker: Some(Usage {
                cpu_s,
                seconds: 1.0,
                ..Usage::default()
            }),
            generator_cpu_s: 0.0,
            others_share: None,
            verified_records: Some(1),
        }
    }

    #[test]
    fn ratios_are_of_runs_that_belong_together() {
        let text = "about = \"x\"\n[topic]\npartitions = 1\n[records]\nvalue_bytes = 1\n[produce]\nacks = \"1\"\nconnections = 1\ndepth = 1\n\
            [[goal]]\nmetric = \"mib_per_second\"\nagainst = \"kafka\"\nat_least = 3\n\
            [[goal]]\nmetric = \"cpu_seconds_per_gib\"\nagainst = \"kafka\"\nat_most = 0.1\n";
        let scenario = Scenario::parse("a", text).unwrap();
        let runs = [
            run(Contestant::Duramen, 0, 300 << 20, 0.1),
            run(Contestant::Kafka, 0, 100 << 20, 1.0),
            run(Contestant::Duramen, 1, 800 << 20, 0.1),
            run(Contestant::Kafka, 1, 200 << 20, 1.0),
            // Its other run failed.
            run(Contestant::Duramen, 2, 1 << 40, 0.1),
        ];
        let rows = compare(&scenario, Contestant::Duramen, &runs);
        let cells = |metric: Metric| {
            let table = table(&rows, Contestant::Duramen);
            table
                .rows()
                .iter()
                .find(|row| row[1] == metric.title())
                .cloned()
                .unwrap()
        };
        assert_eq!(
            cells(Metric::MibPerSecond)[4..],
            ["150 [100..200]", "3.50 [3.00..4.00]", "2", ">= 3.00", "reached"]
        );
        assert_eq!(cells(Metric::CpuSecondsPerGib)[7..], ["<= 0.100", "reached"]);
        assert!(rows.iter().all(|row| row.metric != Metric::P99Us.title()));
    }

    #[test]
    fn the_ceiling_is_told_with_what_was_used_of_it() {
        let text = "about = \"x\"\n[topic]\npartitions = 1\n[records]\nvalue_bytes = 1\n[produce]\nacks = \"1\"\nconnections = 1\ndepth = 1\n";
        let scenario = Scenario::parse("a", text).unwrap();
        let mut sink = run(Contestant::Sink, 0, 1 << 30, 1.0);
        sink.parts[0].requests = 40;
        let runs = [run(Contestant::Duramen, 0, 1 << 20, 1.0), sink];
        let text = ceilings(&[scenario], &runs, Contestant::Duramen).text();
        assert!(text.contains("40.0") && text.contains("25 %"), "{text}");
    }
}
