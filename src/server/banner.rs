//! The block that a person sees when the broker is ready.

use std::io::Write;

use super::start::Running;

/// How acks=all is made true.
fn durability(journal_bytes: &[u64]) -> String {
    let mib = |bytes: &u64| format!("{} MiB", bytes >> 20);
    let sizes: Vec<String> = journal_bytes.iter().map(mib).collect();
    if journal_bytes.iter().all(|bytes| *bytes == 0) {
        return "fdatasync before the answer, shared by all that wait for one partition".to_owned();
    }
    format!(
        "on disk before the answer: a journal of {} a core; long appends by fdatasync",
        sizes.join(", ")
    )
}

/// Prints it. A closed standard output is no reason to stop.
pub(super) fn print(running: &Running) {
    let shared = &running.shared;
    let listeners: Vec<String> = shared
        .listeners
        .iter()
        .map(|listener| format!("{}://{}", listener.name, listener.advertised))
        .collect();
    let directories: Vec<String> = shared
        .directories
        .iter()
        .map(|directory| directory.path().display().to_string())
        .collect();
    let ports: Vec<String> = shared
        .listeners
        .iter()
        .flat_map(|listener| &listener.direct)
        .map(|address| address.port().to_string())
        .collect();
    let cores = match ports.is_empty() {
        true => shared.cores.to_string(),
        false => format!("{}, each a broker of its own: ports {}", shared.cores, ports.join(", ")),
    };
    let rows = [
        ("cluster id", shared.cluster_id().to_owned()),
        ("data", directories.join(", ")),
        ("listeners", listeners.join(", ")),
        ("cores", cores),
        ("acks=all", durability(&shared.journal_bytes)),
    ];
    let mut block = format!("duramen {}\n", env!("CARGO_PKG_VERSION"));
    for (name, value) in rows {
        block.push_str(&format!("  {name:<11}{value}\n"));
    }
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(block.as_bytes()).and_then(|()| out.flush()) {
        tracing::debug!(%error, "the start block cannot be printed");
    }
}
