//! The log for people, on standard error.

use std::io::IsTerminal;

use tracing::Level;

/// The environment variable that says how much is told: error, warn, info, debug or trace. Anything else is info.
const LEVEL: &str = "DURAMEN_LOG";

/// Sends the log of this process to standard error: coloured on a terminal; without times below systemd, whose journal has its own.
pub fn log_to_standard_error() {
    let level = std::env::var(LEVEL)
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(Level::INFO);
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second call, which only tests make, finds the log in place.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.without_time().try_init()
    } else {
        builder.try_init()
    };
}
