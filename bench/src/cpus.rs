//! Which processors the broker has, and which the load generator.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::failure::{Context, Result, fail};

/// Processors by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpus(pub Vec<usize>);

impl Cpus {
    /// Those that this process may use.
    pub fn allowed() -> Result<Self> {
        let set = sched_getaffinity(None)?;
        Ok(Self((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()))
    }

    /// Parses a list such as `0-1,4`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut cpus = Vec::new();
        for piece in text.split(',') {
            let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
            let parse = |number: &str| {
                number
                    .trim()
                    .parse::<usize>()
                    .context(|| format!("processors {text:?}"))
            };
            let (first, last) = (parse(first)?, parse(last)?);
            if last < first || last >= CpuSet::MAX_CPU {
                fail!("processors {text:?}: {piece} is no range");
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }

    /// As it is written on a command line.
    pub fn text(&self) -> String {
        let numbers: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        numbers.join(",")
    }

    fn set(&self) -> CpuSet {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|cpu| set.set(*cpu));
        set
    }

    /// Pins this thread, and what it starts.
    pub fn pin(&self) -> Result<()> {
        sched_setaffinity(None, &self.set()).context(|| format!("pinning to processors {}", self.text()))
    }

    /// Calls `start` while this thread is pinned here, so that a process that it starts is.
    pub fn pinned<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = sched_getaffinity(None)?;
        self.pin()?;
        let started = start();
        sched_setaffinity(None, &before)?;
        started
    }
}

/// Who runs where.
#[derive(Clone, Debug)]
pub struct Placement {
    pub broker: Cpus,
    pub load: Cpus,
}

impl Placement {
    /// What was asked for; else the first half for the broker and the rest for the load.
    pub fn new(broker: Option<&str>, load: Option<&str>) -> Result<Self> {
        let allowed = Cpus::allowed()?;
        let half = allowed.0.len().div_ceil(2);
        let rest = if half < allowed.0.len() {
            &allowed.0[half..]
        } else {
            &allowed.0[..]
        };
        Ok(Self {
            broker: broker.map_or_else(|| Ok(Cpus(allowed.0[..half].to_vec())), Cpus::parse)?,
            load: load.map_or_else(|| Ok(Cpus(rest.to_vec())), Cpus::parse)?,
        })
    }

    /// Whether broker and load take each other's time.
    pub fn overlaps(&self) -> bool {
        self.broker.0.iter().any(|cpu| self.load.0.contains(cpu))
    }
}

#[test]
fn lists_are_parsed() {
    assert_eq!(Cpus::parse("0-2,5").unwrap(), Cpus(vec![0, 1, 2, 5]));
    for wrong in ["", "a", "3-1", "0,", "0-99999999"] {
        assert!(Cpus::parse(wrong).is_err(), "{wrong}");
    }
    let placement = Placement::new(Some("0-1"), Some("1")).unwrap();
    assert!(placement.overlaps());
    assert_eq!(placement.broker.text(), "0,1");
}
