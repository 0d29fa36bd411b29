//! A scenario at work against one broker: topic, backlog, load, and what was measured of both sides.
//!
//! | file | holds |
//! |---|---|
//! | `layout` | which request goes where |
//! | `measure` | what counts and when: phases, meters, schedules |
//! | `drive` | one thread of load, and the parts that share it |
//! | `produce`, `consume`, `end_to_end` | the parts |
//! | `run` | a whole run, from the creation of the topic to its verification |

mod consume;
mod drive;
mod end_to_end;
mod layout;
mod measure;
mod produce;
mod run;

pub use run::{Plan, run};

use crate::ledger::Ledger;
pub use measure::Meter;

/// What a part of a load has to show.
pub struct Measured {
    pub name: String,
    pub meter: Meter,
    /// What was acknowledged, by partition and stream.
    pub ledgers: Vec<(i32, u32, Ledger)>,
}
