//! The `duramen` binary.

use std::process::ExitCode;

use duramen::cli::{self, Start};
use duramen::server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::start(std::env::args_os()) {
        Start::Exit(code) => code,
        Start::Serve(config) => cli::ended(server::serve(*config)),
    }
}
