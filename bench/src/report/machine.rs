//! Results beside the machine without a broker, as it was measured just before them.

use crate::scenario::{Contestant, MachineGoal, Metric, Scenario};

use super::result::{Raw, Run};
use super::table::number;
use super::versus::{Beside, Bound, Row, Spread, Verdict};

/// What the runs of a scenario show beside the machine, of each goal that it has there.
pub fn beside_machine(scenario: &Scenario, ours: Contestant, runs: &[Run], raws: &[Raw]) -> Vec<Row> {
    let goals = scenario.machine_goals.iter();
    goals
        .filter_map(|goal| row(scenario, ours, goal, (runs, raws)))
        .collect()
}

fn row(scenario: &Scenario, ours: Contestant, goal: &MachineGoal, (runs, raws): (&[Run], &[Raw])) -> Option<Row> {
    let metric = goal.metric;
    let own = runs
        .iter()
        .filter(|run| run.scenario == scenario.name && run.contestant == ours);
    let own: Vec<_> = own.filter_map(|run| run.metric(metric)).collect();
    let machine = raws
        .iter()
        .filter(|raw| raw.scenario == scenario.name && raw.name == goal.probe);
    let machine = Spread::of(&machine.filter_map(|raw| raw.metric(metric)).collect::<Vec<_>>())?;
    let ratios: Vec<_> = own.iter().map(|value| value / machine.median).collect();
    let ours = Spread::of(&own)?;
    Some(Row {
        scenario: scenario.name.clone(),
        metric: metric.title(),
        ours,
        verdict: judge(goal, ours.median, machine.median),
        beside: Some(Beside {
            name: goal.probe.clone(),
            theirs: machine,
            ratio: Spread::of(&ratios),
            pairs: own.len(),
        }),
    })
}

fn judge(goal: &MachineGoal, own: f64, machine: f64) -> Option<Verdict> {
    let share = goal.at_least.map(|least| Bound::AtLeast(least).judge(own / machine));
    share.or_else(|| {
        let more = goal.at_most_more?;
        Some(Verdict {
            goal: format!("<= +{} {}", number(more), unit(goal.metric)),
            is_reached: own <= machine + more,
        })
    })
}

fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::P50Us | Metric::P99Us | Metric::P999Us => "us",
        Metric::MibPerSecond => "MiB/s",
        Metric::RequestsPerSecond
        | Metric::CpuSecondsPerGib
        | Metric::RequestsPerCpuSecond
        | Metric::RecordsPerCpuSecond
        | Metric::BrokerCores
        | Metric::RssMib => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::versus::table;

    fn goal(at_least: Option<f64>, at_most_more: Option<f64>) -> MachineGoal {
        MachineGoal {
            metric: Metric::P99Us,
            probe: "loopback".to_owned(),
            at_least,
            at_most_more,
        }
    }

    #[test]
    fn goals_are_shares_of_the_machine_or_come_on_top_of_it() {
        let cases = [
            (goal(Some(0.8), None), 80.0, true),
            (goal(Some(0.8), None), 79.0, false),
            (goal(None, Some(300.0)), 400.0, true),
            (goal(None, Some(300.0)), 401.0, false),
        ];
        for (goal, own, reached) in cases {
            assert_eq!(judge(&goal, own, 100.0).unwrap().is_reached, reached, "{goal:?} {own}");
        }
        let more = judge(&goal(None, Some(300.0)), 1.0, 1.0);
        assert_eq!(more.unwrap().goal, "<= +300 us");
    }

    #[test]
    fn only_what_was_measured_for_the_scenario_counts() {
        let text = "about = \"x\"\n[topic]\npartitions = 1\n[records]\nvalue_bytes = 1\n[produce]\nacks = \"1\"\nconnections = 1\ndepth = 1\n\
            [[machine_goal]]\nmetric = \"mib_per_second\"\nprobe = \"O_DIRECT read 1 MiB\"\nat_least = 0.5\n";
        let scenario = Scenario::parse("a", text).unwrap();
        let raw = |scenario: &str, mib_per_second| Raw {
            scenario: scenario.to_owned(),
            name: "O_DIRECT read 1 MiB".to_owned(),
            mib_per_second,
            latency: None,
        };
        let runs = [super::super::compare::tests::run(Contestant::Duramen, 0, 60 << 20, 1.0)];
        let of = |raws: &[Raw]| beside_machine(&scenario, Contestant::Duramen, &runs, raws);
        assert!(of(&[raw("b", 100.0)]).is_empty());
        let rows = of(&[raw("b", 1000.0), raw("a", 100.0)]);
        let is_reached = |rows: &[Row]| rows[0].verdict.as_ref().unwrap().is_reached;
        assert!(is_reached(&rows));
        assert_eq!(table(&rows, Contestant::Duramen).rows()[1][5], "0.600 [0.600..0.600]");
        assert!(!is_reached(&of(&[raw("a", 130.0)])));
    }
}
