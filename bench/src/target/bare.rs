//! This binary as the barest broker there can be.

use std::process::Command;

use crate::failure::Result;

use super::{Running, Stable, Target, free_address};

/// Starts it, a thread for each processor of the broker.
pub fn start(stable: &Stable) -> Result<Target> {
    let directory = stable.data("bare")?;
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare", "--listen", &address.to_string(), "--directory"]);
    command.arg(&directory);
    let process = stable.process(&command, &directory, address)?;
    Ok(Target {
        address,
        pid: Some(process.pid()),
        data: None,
        version: "receive, write and answer".to_owned(),
        running: Some(Running::Process(Box::new(process))),
    })
}
