//! Groups of the consumer protocol (KIP-848), in which the coordinator assigns and members follow, each at its own pace.
//!
//! ```text
//! members change ──► group epoch ──► targets of that epoch ──► each member reconciles ──► its epoch
//! topics change  ──►            (an assignor)              (gives up, then takes)
//! ```
//!
//! All of a group is kept: [`Group::replay`] is its only mutator. A heartbeat gives records and an answer that holds once they are replayed.

pub mod assign;
mod catalogue;
mod config;
mod group;
mod heartbeat;
mod member;
mod partitions;
mod reconcile;
mod record;
mod target;
#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, fingerprint};
pub use config::Config;
pub use group::{Group, GroupState};
pub use heartbeat::{Beaten, Heartbeat, Outcome, Refused};
pub use member::{EPOCH_AWAY, Member};
pub use partitions::{Assignment, Owned, Partitions};
pub use reconcile::{Current, MemberState, Reconcile};
pub use record::{ConsumerRecord, What};
