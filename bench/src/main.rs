//! Benchmarks of Duramen: `duramen-bench COMMAND --help` says what each measures.

#![expect(clippy::print_stdout, reason = "results are for the one who ran the command")]

mod durability;

use clap::{Parser, Subcommand};

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
    /// What it costs to have appends on the disk before they are acknowledged: on one core, over many partitions, with the journal and with a
    /// sync of each partition, beside the device's own write of the same size.
    Durability(durability::Arguments),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Arguments::parse().command {
        Command::Durability(arguments) => durability::run(arguments),
    }
}
