//! The machine's body of `rt`: one glommio executor and one io_uring a core.
//!
//! `reactor` is the state of a core, `driver` the one task that turns it, `ring` and `operations` the wrapper that keeps every
//! buffer alive until the kernel is done with it. Everything that can wake a core ends in its ring: completions, timers (the
//! timeout of its wait) and bells (an eventfd polled by it). So an idle core sleeps in one system call, and glommio, whose own
//! rings stay unused, schedules tasks and nothing else.

mod aside;
mod bell;
mod buffers;
pub mod cores;
mod driver;
pub mod fs;
pub mod host;
pub mod memory;
pub mod mesh;
pub mod net;
mod operations;
pub mod probe;
mod reactor;
mod ring;
pub mod signal;
mod stalls;
pub mod task;
pub mod time;
mod timers;
mod watch;

#[cfg(test)]
mod tests;
