//! What commands have in common: brokers, processors, scenarios, the machine, the progress bar.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};

use crate::ballast::Ballast;
use crate::cpus::Placement;
use crate::failure::{Result, fail};
use crate::report::result::Machine;
use crate::scenario::Scenario;
use crate::target::{Stable, Target};

/// Congestion controls that send by a clock of their own.
const PACED: &[&str] = &["bbr", "bbr1", "bbr2", "bbr3"];

#[derive(clap::Args, Clone)]
pub struct BrokerOptions {
    /// Where brokers that are started here have their data: a directory on the disk that is measured.
    #[arg(long, default_value = "./duramen-bench-data")]
    directory: PathBuf,
    /// Processors of the broker, such as 0-1; by default the first half.
    #[arg(long)]
    broker_cpus: Option<String>,
    /// Processors of the load, a thread on each; by default those that the broker does not have.
    #[arg(long)]
    load_cpus: Option<String>,
    /// Duramen's binary; by default the one beside this program.
    #[arg(long)]
    duramen: Option<PathBuf>,
    /// A setting of Duramen, KEY=VALUE; may be given several times.
    #[arg(long = "duramen-set", value_name = "KEY=VALUE")]
    duramen_set: Vec<String>,
    /// A setting of Apache Kafka, KEY=VALUE; may be given several times.
    #[arg(long = "kafka-set", value_name = "KEY=VALUE")]
    kafka_set: Vec<String>,
    /// A broker that runs already, HOST:PORT.
    #[arg(long)]
    target: Option<String>,
    /// Its process, if it is on this machine: its CPU time and memory are told then.
    #[arg(long, requires = "target")]
    target_pid: Option<u32>,
    /// Seconds that are measured, instead of what the scenarios say.
    #[arg(long)]
    seconds: Option<f64>,
    /// Seconds of warm-up, instead of what the scenarios say.
    #[arg(long)]
    warmup: Option<f64>,
    /// Whether free memory is touched before each run; by default on virtual machines, which would charge it to the broker.
    #[arg(long)]
    ballast: Option<bool>,
}

impl BrokerOptions {
    pub fn stable(&self) -> Result<Stable> {
        let placement = Placement::new(self.broker_cpus.as_deref(), self.load_cpus.as_deref())?;
        let beside = std::env::current_exe()?.with_file_name("duramen");
        Ok(Stable {
            directory: self.directory.clone(),
            placement,
            duramen: self.duramen.clone().unwrap_or(beside),
            duramen_settings: self.duramen_set.clone(),
            kafka_settings: self.kafka_set.clone(),
            target: self.target.clone(),
            target_pid: self.target_pid,
        })
    }

    /// What is filled before each run; nothing where that is not wanted.
    pub fn ballast(&self) -> Result<Option<Ballast>> {
        let is_wanted = self.ballast.unwrap_or_else(Ballast::is_wanted);
        is_wanted.then(|| Ballast::new(&self.directory)).transpose()
    }

    /// Seconds of measurement and of warm-up, where they were given.
    pub fn times(&self) -> Result<(Option<f64>, Option<f64>)> {
        for seconds in [self.seconds, self.warmup].into_iter().flatten() {
            if !(0.0..=86_400.0).contains(&seconds) {
                fail!("{seconds} seconds cannot be");
            }
        }
        Ok((self.seconds, self.warmup))
    }

    /// Reads the scenarios that were named: files, or names of those that come with the project.
    pub fn scenarios(&self, names: &[String]) -> Result<Vec<Scenario>> {
        let path = |name: &String| match Path::new(name).extension() {
            Some(_) => PathBuf::from(name),
            None => scenario_folder().join(format!("{name}.toml")),
        };
        let mut scenarios = names
            .iter()
            .map(|name| Scenario::load(&path(name)))
            .collect::<Result<Vec<_>>>()?;
        let (seconds, warmup) = self.times()?;
        for scenario in &mut scenarios {
            let run = &mut scenario.run;
            run.seconds = seconds.unwrap_or(run.seconds);
            run.warmup_seconds = warmup.unwrap_or(run.warmup_seconds);
        }
        Ok(scenarios)
    }
}

/// Where the scenarios of the project are.
pub fn scenario_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// What is known of where everything is measured.
pub fn machine(stable: &Stable, targets: &[&Target]) -> Machine {
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let command: Vec<_> = std::env::args().collect();
    let uname = rustix::system::uname();
    let mut facts = BTreeMap::from([
        ("kernel".to_owned(), uname.release().to_string_lossy().into_owned()),
        (
            "architecture".to_owned(),
            uname.machine().to_string_lossy().into_owned(),
        ),
        ("processor".to_owned(), field("/proc/cpuinfo", "model name")),
        ("memory".to_owned(), field("/proc/meminfo", "MemTotal")),
        ("congestion control".to_owned(), congestion_control()),
        ("processors of the broker".to_owned(), stable.placement.broker.text()),
        ("processors of the load".to_owned(), stable.placement.load.text()),
        ("data directory".to_owned(), stable.directory.display().to_string()),
        ("file system".to_owned(), file_system(&stable.directory)),
        ("settings of Duramen".to_owned(), stable.duramen_settings.join(" ")),
        ("settings of Kafka".to_owned(), stable.kafka_settings.join(" ")),
    ]);
    for (number, target) in (1..).zip(targets) {
        facts.insert(format!("broker {number}"), target.version.clone());
    }
    if stable.placement.overlaps() {
        facts.insert("note".to_owned(), "broker and load share processors".to_owned());
    }
    Machine {
        began_unix_s: began.as_secs(),
        command: command.join(" "),
        facts,
    }
}

/// Told before a run: over loopback such a network is slower than any broker.
pub fn warn_of_pacing() {
    let name = congestion_control();
    if PACED.contains(&name.as_str()) {
        // When nobody reads it there is nobody to tell.
        let _ = writeln!(
            std::io::stderr(),
            "warning: TCP uses {name}, which spaces packets by timers: on loopback that, and not the broker, is measured; \
             `sysctl net.ipv4.tcp_congestion_control=cubic` before brokers and load are started"
        );
    }
}

/// What TCP connections of this machine get, unless they ask for another.
fn congestion_control() -> String {
    let name = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
    name.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// The value behind a name in a file of such lines.
fn field(path: &str, name: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']).trim())
        .to_owned()
}

/// Device and type of the file system that holds a directory.
fn file_system(directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| PathBuf::from("/"));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mount = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?, words.next()?))
        })
        .filter(|(_, place, _)| directory.starts_with(place))
        .max_by_key(|(_, place, _)| place.len());
    mount.map_or_else(
        || "unknown".to_owned(),
        |(device, _, kind)| format!("{kind} on {device}"),
    )
}

/// How far a run is. Nothing is shown where nobody looks.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub fn new(scenario: &str, contestant: &str) -> Self {
        let bar = ProgressBar::new(1000);
        if let Ok(style) = ProgressStyle::with_template("{prefix:44} {bar:30} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(format!("{scenario} / {contestant}"));
        Self { bar }
    }

    pub fn show(&self, share: f64, requests: u64) {
        self.bar
            .set_position(crate::number::rounded(share.clamp(0.0, 1.0) * 1000.0));
        self.bar.set_message(format!("{requests} requests"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
