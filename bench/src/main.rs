//! Benchmarks of Duramen: `duramen-bench COMMAND --help` says what each measures.

#![expect(clippy::print_stdout, reason = "results are for the one who ran the command")]

mod ballast;
mod bare;
mod batch;
mod client;
mod command;
mod cpus;
mod durability;
mod failure;
mod groups;
mod ledger;
mod number;
mod oracle;
mod raw;
mod report;
mod sample;
mod scenario;
mod sink;
mod target;
mod verify;
mod workload;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Benchmarks of Duramen")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios against one broker.
    Run(command::run::Arguments),
    /// Run scenarios against Duramen and the brokers that they name, in turns, beside the machine itself, and compare.
    Race(command::race::Arguments),
    /// Groups of consumers and their offsets at scale, against Duramen and Apache Kafka in turns, and compare.
    Groups(command::groups::Arguments),
    /// Measure Duramen and Apache Kafka with Kafka's own tools, as a second pair of eyes.
    Oracle(command::oracle::Arguments),
    /// Measure the machine without any broker: sockets, page cache, disk, codecs.
    Raw(command::raw::Arguments),
    /// Receive, write and answer, and nothing else: what `--against bare` races against.
    Bare(bare::Arguments),
    /// Make the page of a file of results again.
    Report(command::report::Arguments),
    /// What it costs to have appends on the disk before they are acknowledged: on one core, over many partitions, with the journal and with a
    /// sync of each partition, beside the device's own write of the same size.
    Durability(durability::Arguments),
}

fn main() -> ExitCode {
    // Each connection is a descriptor here and one in the broker, which inherits the limit.
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // With fewer, the run that needs more says so.
    let _ = setrlimit(Resource::Nofile, all);
    let done = match Arguments::parse().command {
        Command::Run(arguments) => command::run::run(&arguments),
        Command::Race(arguments) => command::race::run(&arguments),
        Command::Groups(arguments) => command::groups::run(&arguments),
        Command::Oracle(arguments) => command::oracle::run(&arguments),
        Command::Raw(arguments) => command::raw::run(&arguments),
        Command::Bare(arguments) => bare::run(&arguments),
        Command::Report(arguments) => command::report::run(&arguments),
        Command::Durability(arguments) => {
            durability::run(arguments).map_err(|error| failure::Failure::new(error.to_string()))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // When nobody reads it there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "duramen-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}
