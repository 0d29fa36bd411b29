//! The seeded model of a core with a disk: the same API as the machine's `fs`, `task` and `time`, and a crash whenever a test wants.
//!
//! A [`Simulation`] runs a future on the calling thread. What it decides (which task is next, how long a sync takes, what a crash leaves
//! behind) follows from its seed alone, so a failing test repeats. Time is virtual: it moves only when every task waits.
//! The model of faults is described in `disk`.

mod disk;
mod executor;
pub mod fs;
mod inode;
mod place;
pub mod random;
pub mod task;
pub mod time;

pub use disk::{Faults, Image};
pub use executor::{Outcome, Simulation};
pub use random::Random;
