//! The command line: parses it, and speaks to the person who wrote it.
//!
//! Owns the commands, their help and their exit codes. Must not serve anything: `serve` hands its configuration back to `main`.
//! An error is one line on standard error: what, where, what to do.

mod load;
mod log;
mod logging;
mod reference;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;

use logging::log_to_standard_error;

/// The broker could not run, or stopped because of an error.
pub const EXIT_FAILURE: u8 = 1;

/// The command line or the configuration cannot stand. Starting again without a change is useless; the systemd unit knows this code.
pub const EXIT_USAGE: u8 = 2;

/// Kafka-compatible event streaming broker.
#[derive(Parser)]
#[command(name = "duramen", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the broker.
    ///
    /// Without any file it keeps its data in ./duramen-data and serves Kafka clients on 127.0.0.1:9092.
    Serve {
        /// Kafka's configuration file.
        #[arg(value_name = "SERVER.PROPERTIES")]
        file: Option<OsString>,
        /// A setting that wins over environment (DURAMEN_KEY, KAFKA_KEY) and file; may be given several times.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
    /// List all configuration keys: type, default, allowed values, meaning.
    Config,
    /// Look into the files of a log, and repair them.
    #[command(subcommand)]
    Log(log::LogCommand),
}

/// What is left to do after the command line was read.
pub enum Start {
    Serve(Box<Config>),
    Exit(ExitCode),
}

/// Reads the command line, the configuration and its sources, and does what can be done without a broker. Before a broker is to run, the
/// log is open, and has said which settings do nothing.
#[must_use]
pub fn start(arguments: impl IntoIterator<Item = OsString>) -> Start {
    let command = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.command,
        Err(error) => {
            // Help and version are such "errors" too, with the exit code 0.
            let code = u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE);
            // When nobody reads the message there is nobody to tell.
            let _ = error.print();
            return Start::Exit(code.into());
        }
    };
    match command {
        Command::Serve { file, sets } => match load::load(file.as_deref(), &sets) {
            Ok(config) => {
                log_to_standard_error();
                for notice in &config.notices {
                    tracing::warn!("{notice}");
                }
                Start::Serve(Box::new(config))
            }
            Err(error) => Start::Exit(fail(&error, EXIT_USAGE)),
        },
        Command::Log(command) => Start::Exit(log::run(&command)),
        Command::Config => {
            // A reader such as `head` may leave early.
            let _ = std::io::stdout().lock().write_all(reference::reference().as_bytes());
            Start::Exit(ExitCode::SUCCESS)
        }
    }
}

/// The exit code of a broker that has ended; an error is told first.
pub fn ended<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, EXIT_FAILURE),
    }
}

/// Tells the person why the process ends, in one line.
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "duramen: {error}");
    code.into()
}

#[cfg(test)]
mod tests;
