//! `raw`: the machine alone.

use std::path::PathBuf;
use std::time::Duration;

use crate::cpus::Placement;
use crate::failure::{Result, fail};
use crate::raw::{FILE_BYTES, Settings, measure};
use crate::report::result::Latency;
use crate::report::table::{Table, number};

#[derive(clap::Args)]
pub struct Arguments {
    /// A directory on the disk that is measured.
    #[arg(long, default_value = "./duramen-bench-data")]
    directory: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Processors of what a broker would do; by default the first half.
    #[arg(long)]
    broker_cpus: Option<String>,
    /// Processors of what clients would do; by default the others.
    #[arg(long)]
    load_cpus: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if !(arguments.seconds > 0.0 && arguments.seconds <= 3600.0) {
        fail!("--seconds {} cannot be", arguments.seconds);
    }
    let placement = Placement::new(arguments.broker_cpus.as_deref(), arguments.load_cpus.as_deref())?;
    let settings = Settings {
        directory: &arguments.directory,
        placement: &placement,
        file_bytes: FILE_BYTES,
        each: Duration::from_secs_f64(arguments.seconds),
    };
    let mut table = Table::new(&["the machine without a broker", "MiB/s", "p50 us", "p99 us", "p99.9 us"]);
    for raw in measure(&settings, "", |_| true)? {
        let of = |value: fn(&Latency) -> f64| {
            raw.latency
                .as_ref()
                .map_or_else(String::new, |latency| number(value(latency)))
        };
        table.row(vec![
            raw.name.clone(),
            number(raw.mib_per_second),
            of(|latency| latency.p50_us),
            of(|latency| latency.p99_us),
            of(|latency| latency.p999_us),
        ]);
    }
    println!("{}", table.text());
    Ok(())
}
