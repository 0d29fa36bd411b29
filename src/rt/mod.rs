//! The only door to the machine: executor, ring, sockets, files, timers, mesh, clock, randomness.
//!
//! Handles belong to the core that made them (`!Send`); errors are [`std::io::Error`]. Dropping a future never frees
//! memory that the kernel may still read or write.

pub mod local;
pub mod random;
mod uring;

pub use std::net::SocketAddr;
pub use uring::{cores, fs, host, mesh, net, probe, signal, task, time};
