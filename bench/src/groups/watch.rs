//! What the broker's process takes from one moment to another.

use std::time::Instant;

use crate::failure::Result;
use crate::number::{MIB, count, float};
use crate::sample::{Process, Processors, Sample};

use super::Site;

/// The beginning of a measurement.
pub struct Watch {
    began: Instant,
    process: Option<Process>,
    before: Option<Sample>,
    rss_before_mib: f64,
    this: Sample,
    cpus: Vec<usize>,
    processors: Processors,
}

/// Its end.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub seconds: f64,
    /// CPU seconds of the broker; `None` where its process is not known.
    pub cpu_s: Option<f64>,
    /// What its resident memory has grown by.
    pub rss_grown_bytes: Option<f64>,
    pub generator_cpu_s: f64,
    /// What others took of the processors of broker and load, as a share.
    pub others_share: Option<f64>,
}

impl Watch {
    pub fn begin(site: &Site<'_>) -> Result<Self> {
        let process = process(site.pid);
        let mut cpus: Vec<_> = site
            .placement
            .broker
            .0
            .iter()
            .chain(&site.placement.load.0)
            .copied()
            .collect();
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self {
            before: process.as_ref().map(Process::sample).transpose()?,
            rss_before_mib: process.as_ref().map_or(Ok(0.0), Process::rss_mib)?,
            process,
            this: Process::this().sample()?,
            processors: Processors::sample(&cpus),
            cpus,
            began: Instant::now(),
        })
    }

    pub fn end(&self) -> Result<Taken> {
        let seconds = self.began.elapsed().as_secs_f64();
        let mut taken = Taken {
            seconds,
            cpu_s: None,
            rss_grown_bytes: None,
            generator_cpu_s: Process::this().sample()?.since(&self.this, seconds, 0.0).cpu_s,
            others_share: None,
        };
        if let (Some(process), Some(before)) = (&self.process, &self.before) {
            let cpu_s = process.sample()?.since(before, seconds, 0.0).cpu_s;
            taken.cpu_s = Some(cpu_s);
            taken.rss_grown_bytes = Some((process.rss_mib()? - self.rss_before_mib) * MIB);
            let now = Processors::sample(&self.cpus);
            let busy_s = now.busy_s - self.processors.busy_s;
            let steal_s = now.steal_s - self.processors.steal_s;
            let others_s = (busy_s - cpu_s - taken.generator_cpu_s).max(0.0) + steal_s.max(0.0);
            taken.others_share = Some(others_s / seconds / float(count(self.cpus.len())));
        }
        Ok(taken)
    }
}

/// The broker's process, where it is known.
pub fn process(pid: Option<u32>) -> Option<Process> {
    pid.map(Process::new)
}
