//! Results of brokers against each other: medians, and ratios of runs that belong together.
//!
//! A ratio is made of two runs of one round, which met the same machine; told is the median of the ratios, and how far they spread. Only
//! rounds in which both runs stood count.

use crate::number::median;
use crate::scenario::{Contestant, Goal, Metric, Scenario};

use super::result::Run;
use super::table::{Table, number};

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

/// The middle of some values, and their ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(values)?,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    pub fn text(&self) -> String {
        format!("{} [{}..{}]", number(self.median), number(self.min), number(self.max))
    }
}

/// One metric of one scenario against one other broker.
pub struct Row {
    pub scenario: String,
    pub metric: Metric,
    /// Another broker, or what was measured of the machine.
    pub other: String,
    pub ours: Spread,
    pub theirs: Spread,
    /// Ours divided by theirs.
    pub ratio: Spread,
    pub pairs: usize,
    /// The goal, and whether it is reached.
    pub goal: Option<(String, bool)>,
}

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
    let of = |contestant: Contestant, round: u32| {
        let mut runs = runs
            .iter()
            .filter(|run| run.scenario == scenario.name && run.round == round);
        runs.find(|run| run.contestant == contestant)?.metric(metric)
    };
    let rounds = runs.iter().map(|run| run.round).max()?;
    let pairs: Vec<(f64, f64)> = (0..=rounds)
        .filter_map(|round| of(ours, round).zip(of(other, round)))
        .collect();
    let ratios: Vec<_> = pairs
        .iter()
        .filter(|pair| pair.1 > 0.0)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let ratio = Spread::of(&ratios)?;
    let goal = scenario
        .goals
        .iter()
        .find(|goal| goal.metric == metric && goal.against == other);
    Some(Row {
        scenario: scenario.name.clone(),
        metric,
        other: other.name().to_owned(),
        ours: Spread::of(&ours)?,
        theirs: Spread::of(&theirs)?,
        ratio,
        pairs: ratios.len(),
        goal: goal.map(|goal| verdict(goal, ratio.median)),
    })
}

fn verdict(goal: &Goal, ratio: f64) -> (String, bool) {
    match (goal.at_least, goal.at_most) {
        (Some(least), _) => (format!(">= {}", number(least)), ratio >= least),
        (None, Some(most)) => (format!("<= {}", number(most)), ratio <= most),
        (None, None) => (String::new(), true),
    }
}

/// The rows as a table.
pub fn table(rows: &[Row], ours: Contestant) -> Table {
    let mut table = Table::new(&[
        "scenario",
        "metric",
        ours.name(),
        "against",
        "",
        "ratio",
        "pairs",
        "goal",
        "",
    ]);
    for row in rows {
        let (goal, verdict) = match &row.goal {
            Some((goal, true)) => (goal.clone(), "reached"),
            Some((goal, false)) => (goal.clone(), "MISSED"),
            None => (String::new(), ""),
        };
        table.row(vec![
            row.scenario.clone(),
            row.metric.title().to_owned(),
            row.ours.text(),
            row.other.clone(),
            row.theirs.text(),
            row.ratio.text(),
            row.pairs.to_string(),
            goal,
            verdict.to_owned(),
        ]);
    }
    table
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
pub fn warnings(runs: &[Run]) -> Vec<String> {
    let disturbed = runs.iter().filter(|run| run.is_disturbed()).count();
    if disturbed == 0 {
        return Vec::new();
    }
    let most = runs.iter().filter_map(|run| run.others_share).fold(0.0, f64::max);
    vec![format!(
        "{disturbed} of {} runs were disturbed: other processes or guests took up to {:.0} % of the processors of broker and load",
        runs.len(),
        most * 100.0
    )]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::result::{Part, Usage};

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
        let find = |metric| rows.iter().find(|row| row.metric == metric).unwrap();
        let throughput = find(Metric::MibPerSecond);
        assert_eq!(
            throughput.ratio,
            Spread {
                median: 3.5,
                min: 3.0,
                max: 4.0
            }
        );
        assert_eq!((throughput.pairs, throughput.ours.max), (2, 800.0));
        assert_eq!(throughput.goal, Some((">= 3.00".to_owned(), true)));
        let cpu = find(Metric::CpuSecondsPerGib);
        assert!((cpu.ratio.median - (1.0 / 30.0 + 0.025) / 2.0).abs() < 1e-9);
        assert!(cpu.goal.as_ref().unwrap().1);
        assert!(rows.iter().all(|row| row.metric != Metric::P99Us));
        assert!(table(&rows, Contestant::Duramen).text().contains("reached"));
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

    #[test]
    fn disturbed_runs_are_told() {
        let mut runs = [run(Contestant::Duramen, 0, 1, 1.0), run(Contestant::Duramen, 1, 1, 1.0)];
        runs[0].others_share = Some(0.05);
        assert!(warnings(&runs).is_empty());
        runs[1].others_share = Some(0.4);
        assert!(warnings(&runs)[0].starts_with("1 of 2 runs were disturbed"));
        assert!(warnings(&runs)[0].contains("40 %"));
    }

    #[test]
    fn goals_can_be_missed() {
        let goal = |at_least, at_most| Goal {
            metric: Metric::P99Us,
            against: Contestant::Kafka,
            at_least,
            at_most,
        };
        let cases = [
            (Some(2.0), None, 1.9, false),
            (Some(2.0), None, 2.0, true),
            (None, Some(0.5), 0.6, false),
        ];
        for (at_least, at_most, ratio, expected) in cases {
            assert_eq!(
                verdict(&goal(at_least, at_most), ratio).1,
                expected,
                "{at_least:?} {at_most:?} {ratio}"
            );
        }
    }
}
