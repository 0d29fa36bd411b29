//! Duramen's own binary.

use std::process::Command;

use crate::failure::{Context, Result, fail};

use super::{Running, Stable, Target, free_address};

/// Starts the binary, a core for each processor that it has.
pub fn start(stable: &Stable) -> Result<Target> {
    let binary = &stable.duramen;
    if !binary.is_file() {
        fail!("{} does not exist: build it, or name it by --duramen", binary.display());
    }
    let version = Command::new(binary)
        .arg("--version")
        .output()
        .context(|| binary.display().to_string())?;
    let directory = stable.data("duramen")?;
    let data = directory.join("data");
    let address = free_address()?;
    let mut command = Command::new(binary);
    command.arg("serve");
    let fixed = [
        format!("listeners=PLAINTEXT://{address}"),
        format!("log.dirs={}", data.display()),
        format!("core.count={}", stable.placement.broker.0.len()),
    ];
    for setting in fixed.iter().chain(&stable.duramen_settings) {
        command.arg("--set").arg(setting);
    }
    let process = stable.process(&command, &directory, address)?;
    Ok(Target {
        address,
        pid: Some(process.pid()),
        data: Some(data),
        version: String::from_utf8_lossy(&version.stdout).trim().to_owned(),
        running: Some(Running::Process(Box::new(process))),
    })
}
