//! Why the broker does not run: one line each, with what to do.

use std::io;

use crate::base::limits::CORE_ID_STEP;
use crate::rt;
use crate::shard::StartError;
use crate::storage::DirectoryError;

/// Why the broker does not start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("this machine lacks what the broker needs:\n{}", lines(.0))]
    Machine(Vec<rt::probe::Missing>),
    #[error("signals cannot be waited for: {0}")]
    Signals(io::Error),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(
        "listener {listener}: {address} cannot be resolved: {source}; give an address of this machine in `listeners`"
    )]
    Resolve {
        listener: String,
        address: String,
        source: io::Error,
    },
    #[error(
        "listener {listener}: {address} is in use by another process; stop it or choose another port in `listeners`"
    )]
    PortTaken { listener: String, address: String },
    #[error(
        "listener {listener}: cannot listen on {address}: {source}; give an address of this machine in `listeners`"
    )]
    Listen {
        listener: String,
        address: String,
        source: io::Error,
    },
    #[error(
        "core.direct: the listener {listener} needs {cores} ports from {first} on, and there are no such; choose another core.direct.port"
    )]
    NoDirectPorts { listener: String, first: u32, cores: u16 },
    #[error("core.direct: node.id is {node_id}, and at most {} with it: cores have the broker ids above", CORE_ID_STEP - 1)]
    DirectNodeId { node_id: i32 },
    #[error("core.count={asked}: at most {cores_max} cores are supported")]
    TooManyCores { asked: u16, cores_max: usize },
    #[error("the cores cannot be started: {0}")]
    Cores(io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
}

fn lines(missing: &[rt::probe::Missing]) -> String {
    missing
        .iter()
        .map(|missing| format!("  - {missing}"))
        .collect::<Vec<_>>()
        .join("\n")
}
