//! The only door to the machine: executor, ring, sockets, files, timers, mesh, clock, randomness.
//!
//! One API, two bodies: `uring` is the machine; with the feature `sim`, `fs`, `random`, `task` and `time` come from the seeded model of a disk in
//! `sim` instead.
//!
//! Handles belong to the core that made them (`!Send`); errors are [`std::io::Error`]. Dropping a future never frees
//! memory that the kernel may still read or write.

mod aligned;
mod entry;
pub mod local;
#[cfg(not(feature = "sim"))]
pub mod random;
#[cfg_attr(
    feature = "sim",
    expect(
        dead_code,
        unused_imports,
        reason = "the simulation takes the place of files, tasks and time"
    )
)]
mod uring;

pub use std::net::{IpAddr, SocketAddr};
pub use uring::{cores, host, memory, mesh, net, probe, signal};
#[cfg(not(feature = "sim"))]
pub use uring::{fs, task, time};

#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "sim")]
pub use sim::{fs, random, task, time};
