//! Apache Kafka from its jars, by the scripts of the project.

use std::path::Path;
use std::process::Command;

use crate::failure::{Context, Result};

use super::{Running, Stable, Target, free_address};

/// The version that the scripts bring.
const VERSION: &str = "Apache Kafka 4.3.1";

/// Starts one node, broker and controller in one process.
pub fn start(stable: &Stable) -> Result<Target> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka/start");
    let directory = stable.data("kafka")?;
    let (address, controller) = (free_address()?, free_address()?);
    let mut command = Command::new(&script);
    command
        .arg(&directory)
        .arg(address.port().to_string())
        .arg(controller.port().to_string());
    command.args(&stable.kafka_settings);
    let started = stable.process(&command, &directory, address);
    let process = started.context(|| script.display().to_string())?;
    Ok(Target {
        address,
        pid: Some(process.pid()),
        data: Some(directory.join("data")),
        version: VERSION.to_owned(),
        running: Some(Running::Process(Box::new(process))),
    })
}
