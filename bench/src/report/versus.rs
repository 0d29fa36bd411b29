//! Brokers beside each other, metric by metric: medians, ratios of runs that belong together, and whether a goal is reached.
//!
//! A ratio is made of two runs of one round, which met the same machine; told is the median of the ratios, and how far they spread. Only
//! rounds in which both runs stood count.

use crate::number::median;
use crate::scenario::Contestant;

use super::table::{Table, number};

/// Above this, what others took of the processors says more than the run does.
const OTHERS_SHARE_MAX: f64 = 0.1;

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

/// What a value or a ratio is to be.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A goal, and whether it is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub goal: String,
    pub is_reached: bool,
}

impl Bound {
    pub fn judge(self, value: f64) -> Verdict {
        let (goal, is_reached) = match self {
            Self::AtLeast(least) => (format!(">= {}", number(least)), value >= least),
            Self::AtMost(most) => (format!("<= {}", number(most)), value <= most),
        };
        Verdict { goal, is_reached }
    }
}

/// A metric of one run.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub contestant: Contestant,
    pub round: u32,
    pub value: f64,
}

/// Who ours is compared with: another broker, or what was measured of the machine.
pub struct Beside {
    pub name: String,
    pub theirs: Spread,
    /// Ours divided by theirs, where theirs is more than nothing.
    pub ratio: Option<Spread>,
    /// How many ratios there are.
    pub pairs: usize,
}

/// A metric of `ours` beside the same of another broker; `None` when there is no round in which both stood.
pub fn beside(shown: &[Shown], ours: Contestant, other: Contestant) -> Option<(Spread, Beside)> {
    let of = |contestant, round| {
        let mut own = shown.iter().filter(|shown| shown.contestant == contestant);
        own.find(|shown| shown.round == round).map(|shown| shown.value)
    };
    let rounds = shown.iter().map(|shown| shown.round).max()?;
    let pairs = (0..=rounds).filter_map(|round| of(ours, round).zip(of(other, round)));
    let (own, theirs): (Vec<_>, Vec<_>) = pairs.unzip();
    let pairs = own.iter().zip(&theirs).filter(|(_, theirs)| **theirs > 0.0);
    let ratios: Vec<_> = pairs.map(|(own, theirs)| own / theirs).collect();
    let beside = Beside {
        name: other.name().to_owned(),
        theirs: Spread::of(&theirs)?,
        ratio: Spread::of(&ratios),
        pairs: ratios.len(),
    };
    Some((Spread::of(&own)?, beside))
}

/// One metric of one scenario: of ours alone, or beside one other.
pub struct Row {
    pub scenario: String,
    /// As it is called in tables.
    pub metric: &'static str,
    pub ours: Spread,
    pub beside: Option<Beside>,
    pub verdict: Option<Verdict>,
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
        let mut cells = vec![row.scenario.clone(), row.metric.to_owned(), row.ours.text()];
        cells.extend(row.beside.as_ref().map_or_else(Default::default, Beside::cells));
        cells.extend(row.verdict.as_ref().map_or_else(Default::default, Verdict::cells));
        table.row(cells);
    }
    table
}

impl Beside {
    fn cells(&self) -> [String; 4] {
        [
            self.name.clone(),
            self.theirs.text(),
            self.ratio.map_or_else(String::new, |ratio| ratio.text()),
            self.pairs.to_string(),
        ]
    }
}

impl Verdict {
    fn cells(&self) -> [String; 2] {
        let verdict = if self.is_reached { "reached" } else { "MISSED" };
        [self.goal.clone(), verdict.to_owned()]
    }
}

/// What is to be said of runs in which others took these shares of the processors of broker and load, where they are known; nothing where
/// all is well.
pub fn warning(shares: &[Option<f64>]) -> Option<String> {
    let disturbed = shares.iter().flatten().filter(|share| **share > OTHERS_SHARE_MAX);
    let disturbed: Vec<f64> = disturbed.copied().collect();
    let most = disturbed.iter().copied().reduce(f64::max)?;
    Some(format!(
        "{} of {} runs were disturbed: other processes or guests took up to {:.0} % of the processors of broker and load",
        disturbed.len(),
        shares.len(),
        most * 100.0
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_one_round() {
        use Contestant::{Duramen, Kafka, KafkaFlush};
        let shown = [
            (Duramen, 0, 300.0),
            (Kafka, 0, 100.0),
            (Duramen, 1, 800.0),
            (Kafka, 1, 200.0),
            // The other run of the round failed.
            (Duramen, 2, 9e9),
            // Nothing can be divided by it.
            (Duramen, 3, 700.0),
            (Kafka, 3, 0.0),
        ];
        let shown = shown.map(|(contestant, round, value)| Shown {
            contestant,
            round,
            value,
        });
        let (ours, beside) = beside(&shown, Duramen, Kafka).unwrap();
        assert_eq!(ours.text(), "700 [300..800]");
        assert_eq!(
            beside.cells(),
            ["kafka", "100 [0..200]", "3.50 [3.00..4.00]", "2"].map(str::to_owned)
        );
        assert!(super::beside(&shown, Duramen, KafkaFlush).is_none());
    }

    #[test]
    fn goals_can_be_missed() {
        let cases = [
            (Bound::AtLeast(2.0), 1.9, [">= 2.00", "MISSED"]),
            (Bound::AtLeast(2.0), 2.0, [">= 2.00", "reached"]),
            (Bound::AtMost(0.5), 0.6, ["<= 0.500", "MISSED"]),
            (Bound::AtMost(0.5), 0.5, ["<= 0.500", "reached"]),
        ];
        for (bound, value, expected) in cases {
            assert_eq!(bound.judge(value).cells(), expected.map(str::to_owned));
        }
    }

    #[test]
    fn disturbed_runs_are_told() {
        assert_eq!(warning(&[Some(0.05), None]), None);
        let warning = warning(&[Some(0.05), Some(0.4), None]).unwrap();
        assert!(warning.starts_with("1 of 3 runs were disturbed"), "{warning}");
        assert!(warning.contains("40 %"), "{warning}");
    }
}
