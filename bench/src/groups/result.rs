//! What runs of groups have shown: as lines, and brokers against each other.

use serde::{Deserialize, Serialize};

use crate::report::table::Table;
use crate::report::versus::{self, Bound, Row, Shown, Spread, beside};
use crate::scenario::Contestant;

use super::Scenario;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Until all groups, or all members of the one, are stable.
    StableSeconds,
    GroupsPerSecond,
    /// Generations or epochs of a group until it was stable.
    Generations,
    CommitsPerSecond,
    P50Us,
    P99Us,
    CommitsPerCpuSecond,
    /// From the start of the process until the last group was answered for.
    StartSeconds,
    /// The same from the first answer to anything.
    LoadSeconds,
    FetchesPerSecond,
    RequestBytesPerSecond,
    AnswerBytesPerSecond,
    CpuSeconds,
    Cores,
    RssBytesPerGroup,
    BytesPerOffset,
    GeneratorCores,
    /// What was asked for afterwards, and found to be right.
    Verified,
}

impl Metric {
    const ALL: &[Self] = &[
        Self::StableSeconds,
        Self::GroupsPerSecond,
        Self::Generations,
        Self::CommitsPerSecond,
        Self::P50Us,
        Self::P99Us,
        Self::CommitsPerCpuSecond,
        Self::StartSeconds,
        Self::LoadSeconds,
        Self::FetchesPerSecond,
        Self::RequestBytesPerSecond,
        Self::AnswerBytesPerSecond,
        Self::CpuSeconds,
        Self::Cores,
        Self::RssBytesPerGroup,
        Self::BytesPerOffset,
        Self::GeneratorCores,
        Self::Verified,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::StableSeconds => "s until stable",
            Self::GroupsPerSecond => "groups/s",
            Self::Generations => "generations",
            Self::CommitsPerSecond => "commits/s",
            Self::P50Us => "p50 us",
            Self::P99Us => "p99 us",
            Self::CommitsPerCpuSecond => "commits/CPU s",
            Self::StartSeconds => "s from exec",
            Self::LoadSeconds => "s from first answer",
            Self::FetchesPerSecond => "fetches/s",
            Self::RequestBytesPerSecond => "bytes/s of requests",
            Self::AnswerBytesPerSecond => "bytes/s of answers",
            Self::CpuSeconds => "broker CPU s",
            Self::Cores => "broker cores",
            Self::RssBytesPerGroup => "RSS bytes/group",
            Self::BytesPerOffset => "RSS bytes/offset",
            Self::GeneratorCores => "generator cores",
            Self::Verified => "verified",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    pub metric: Metric,
    pub value: f64,
}

impl Value {
    pub fn new(metric: Metric, value: f64) -> Self {
        Self { metric, value }
    }
}

/// One run of one scenario against one broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub scenario: Scenario,
    pub contestant: Contestant,
    /// Runs of one round belong together.
    pub round: u32,
    pub values: Vec<Value>,
    pub generator_cpu_s: f64,
    /// What others took of the processors of broker and load, as a share.
    pub others_share: Option<f64>,
}

impl Run {
    fn value(&self, metric: Metric) -> Option<f64> {
        let value = self.values.iter().find(|value| value.metric == metric)?.value;
        value.is_finite().then_some(value)
    }
}

/// What a scenario is to show.
struct Goal {
    metric: Metric,
    /// The ratio to this broker; without one, the value itself.
    against: Option<Contestant>,
    bound: Bound,
}

fn goals(scenario: Scenario) -> &'static [Goal] {
    match scenario {
        Scenario::Commits1 | Scenario::Commits1000 => &[
            Goal {
                metric: Metric::CommitsPerSecond,
                against: Some(Contestant::Kafka),
                bound: Bound::AtLeast(1.0),
            },
            Goal {
                metric: Metric::CommitsPerSecond,
                against: Some(Contestant::KafkaFlush),
                bound: Bound::AtLeast(10.0),
            },
        ],
        Scenario::Load1m => &[
            Goal {
                metric: Metric::StartSeconds,
                against: None,
                bound: Bound::AtMost(1.0),
            },
            Goal {
                metric: Metric::BytesPerOffset,
                against: None,
                bound: Bound::AtMost(200.0),
            },
        ],
        Scenario::Idle1000 => &[Goal {
            metric: Metric::Cores,
            against: Some(Contestant::Kafka),
            bound: Bound::AtMost(1.0 / 3.0),
        }],
        Scenario::Join10000
        | Scenario::Join10000Consumer
        | Scenario::Join1000
        | Scenario::Join1000Consumer
        | Scenario::Sessions
        | Scenario::NoSessions => &[],
    }
}

/// Medians of all runs by scenario and metric: of `ours`, and of every other broker with the ratio of rounds in which both stood.
pub fn table(runs: &[Run], ours: Contestant) -> Table {
    let mut rows = Vec::new();
    for scenario in Scenario::ALL {
        let own: Vec<&Run> = runs.iter().filter(|run| run.scenario == *scenario).collect();
        let mut others: Vec<Contestant> = own.iter().map(|run| run.contestant).collect();
        others.retain(|other| *other != ours);
        others.sort_unstable();
        others.dedup();
        for metric in Metric::ALL {
            let shown = own.iter().filter_map(|run| {
                Some(Shown {
                    contestant: run.contestant,
                    round: run.round,
                    value: run.value(*metric)?,
                })
            });
            let shown: Vec<_> = shown.collect();
            let about = (*scenario, *metric);
            rows.extend(alone(about, &shown, ours, others.is_empty()));
            rows.extend(others.iter().filter_map(|other| pair(about, &shown, (ours, *other))));
        }
    }
    versus::table(&rows, ours)
}

/// What we have shown by ourselves: where there is a goal for that, or nobody else.
fn alone((scenario, metric): (Scenario, Metric), shown: &[Shown], ours: Contestant, is_told: bool) -> Option<Row> {
    let own = shown.iter().filter(|shown| shown.contestant == ours);
    let ours = Spread::of(&own.map(|shown| shown.value).collect::<Vec<_>>())?;
    let bound = bound(scenario, metric, None);
    (is_told || bound.is_some()).then(|| Row {
        scenario: scenario.name().to_owned(),
        metric: metric.title(),
        ours,
        beside: None,
        verdict: bound.map(|bound| bound.judge(ours.median)),
    })
}

fn pair(
    (scenario, metric): (Scenario, Metric),
    shown: &[Shown],
    (ours, other): (Contestant, Contestant),
) -> Option<Row> {
    let (ours, beside) = beside(shown, ours, other)?;
    let bound = bound(scenario, metric, Some(other));
    Some(Row {
        scenario: scenario.name().to_owned(),
        metric: metric.title(),
        ours,
        verdict: bound.zip(beside.ratio).map(|(bound, ratio)| bound.judge(ratio.median)),
        beside: Some(beside),
    })
}

fn bound(scenario: Scenario, metric: Metric, against: Option<Contestant>) -> Option<Bound> {
    let mut goals = goals(scenario).iter();
    let goal = goals.find(|goal| goal.metric == metric && goal.against == against);
    goal.map(|goal| goal.bound)
}

/// What is to be said of the runs besides their numbers.
pub fn warning(runs: &[Run]) -> Option<String> {
    versus::warning(&runs.iter().map(|run| run.others_share).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(scenario: Scenario, contestant: Contestant, round: u32, values: &[(Metric, f64)]) -> Run {
        Run {
            scenario,
            contestant,
            round,
            values: values
                .iter()
                .map(|(metric, value)| Value::new(*metric, *value))
                .collect(),
            generator_cpu_s: 1.0,
            others_share: None,
        }
    }

    fn commits(contestant: Contestant, round: u32, commits: f64) -> Run {
        run(
            Scenario::Commits1,
            contestant,
            round,
            &[(Metric::CommitsPerSecond, commits)],
        )
    }

    #[test]
    fn ratios_are_of_one_round_and_goals_can_be_missed() {
        use Contestant::{Duramen, Kafka, KafkaFlush};
        let runs = [
            commits(Duramen, 0, 300.0),
            commits(Kafka, 0, 100.0),
            commits(KafkaFlush, 0, 60.0),
            commits(Duramen, 1, 500.0),
            commits(Kafka, 1, 100.0),
            // Its other runs failed.
            commits(Duramen, 2, 9e9),
        ];
        let table = table(&runs, Duramen);
        let [_, kafka, flush] = table.rows() else {
            panic!("{}", table.text());
        };
        assert_eq!(kafka[5..], ["4.00 [3.00..5.00]", "2", ">= 1.00", "reached"]);
        assert_eq!(flush[5..], ["5.00 [5.00..5.00]", "1", ">= 10.0", "MISSED"]);
    }

    #[test]
    fn goals_of_our_own_need_nobody_else() {
        for (bytes, expected) in [(150.0, "reached"), (201.0, "MISSED")] {
            let values = [(Metric::BytesPerOffset, bytes)];
            let runs = [run(Scenario::Load1m, Contestant::Duramen, 0, &values)];
            let table = table(&runs, Contestant::Duramen);
            assert_eq!(table.rows()[1][8], expected);
        }
    }
}
