//! `oracle`: Kafka's own tools against Duramen and Kafka, in turns.

use std::io::Write;

use crate::ballast::Ballast;
use crate::failure::{Result, fail};
use crate::oracle::Tool;
use crate::report::table::Table;
use crate::report::versus::Spread;
use crate::scenario::Contestant;

use super::options::{BrokerOptions, warn_of_pacing};

#[derive(clap::Args)]
pub struct Arguments {
    /// Runs of each tool against each broker.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Records of each producer and consumer.
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// Records that are sent end to end.
    #[arg(long, default_value_t = 10_000)]
    end_to_end_records: u64,
    #[command(flatten)]
    options: BrokerOptions,
}

/// What one tool said of one thing in one round.
struct Value {
    tool: Tool,
    name: &'static str,
    contestant: Contestant,
    round: u32,
    value: f64,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let stable = arguments.options.stable()?;
    let contestants = [Contestant::Duramen, Contestant::Kafka];
    let targets = [stable.start(contestants[0])?, stable.start(contestants[1])?];
    warn_of_pacing();
    let mut ballast = arguments.options.ballast()?;
    let mut values = Vec::new();
    let mut failures = 0;
    for tool in Tool::ALL.iter().copied() {
        let records = if tool == Tool::EndToEndLatency {
            arguments.end_to_end_records
        } else {
            arguments.records
        };
        // The first round warms the brokers up.
        for round in 0..=arguments.rounds {
            for (contestant, target) in contestants.iter().copied().zip(&targets) {
                ballast.as_mut().map_or(Ok(()), Ballast::fill)?;
                match tool.run(target, &stable.placement.load, records, round) {
                    Ok(told) => {
                        values.extend(
                            told.values
                                .into_iter()
                                .filter(|_| round > 0)
                                .map(|(name, value)| Value {
                                    tool,
                                    name,
                                    contestant,
                                    round,
                                    value,
                                }),
                        )
                    }
                    Err(failure) => {
                        // When nobody reads it there is nobody to tell.
                        let _ = writeln!(std::io::stderr(), "duramen-bench: {}: {failure}", contestant.name());
                        failures += 1;
                    }
                }
            }
        }
    }
    println!("{}", table(&values, contestants).text());
    if failures > 0 {
        fail!("{failures} runs failed, and have no results");
    }
    Ok(())
}

fn table(values: &[Value], [ours, other]: [Contestant; 2]) -> Table {
    let mut table = Table::new(&["tool", "", ours.name(), other.name(), "ratio"]);
    let mut rows: Vec<_> = values.iter().map(|value| (value.tool, value.name)).collect();
    rows.dedup();
    let mut told = Vec::new();
    for row in rows {
        if told.contains(&row) {
            continue;
        }
        told.push(row);
        let of = |contestant: Contestant| {
            values
                .iter()
                .filter(move |value| (value.tool, value.name) == row && value.contestant == contestant)
        };
        let ratios: Vec<_> = of(ours)
            .filter_map(|own| {
                let theirs = of(other).find(|theirs| theirs.round == own.round)?;
                (theirs.value > 0.0).then(|| own.value / theirs.value)
            })
            .collect();
        let text = |values: &[f64]| Spread::of(values).map_or_else(String::new, |spread| spread.text());
        let all = |contestant| text(&of(contestant).map(|value| value.value).collect::<Vec<_>>());
        table.row(vec![
            row.0.name().to_owned(),
            row.1.to_owned(),
            all(ours),
            all(other),
            text(&ratios),
        ]);
    }
    table
}

#[test]
fn rounds_are_compared_with_their_own() {
    let value = |contestant, round, value| Value {
        tool: Tool::EndToEndLatency,
        name: "p99 ms",
        contestant,
        round,
        value,
    };
    let values = [
        value(Contestant::Duramen, 1, 1.0),
        value(Contestant::Kafka, 1, 2.0),
        value(Contestant::Duramen, 2, 3.0),
        value(Contestant::Kafka, 2, 0.0),
    ];
    let text = table(&values, [Contestant::Duramen, Contestant::Kafka]).text();
    assert!(
        text.lines().count() == 2 && text.contains("0.500 [0.500..0.500]"),
        "{text}"
    );
}
