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
mod classic;
mod config;
mod describe;
mod gather;
mod group;
mod heartbeat;
mod member;
mod offset;
mod partitions;
mod reconcile;
mod record;
mod regex;
mod target;
#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, NoTopics, fingerprint};
pub use classic::{as_heartbeat, assignment_of, subscription_of};
pub use config::{Config, Migration, Tuning};
pub use describe::{Described, DescribedMember};
pub use gather::Gathering;
pub use group::{Group, GroupState};
pub use heartbeat::{Beaten, Heartbeat, Outcome, Refused, Surroundings};
pub use member::{ClassicMember, EPOCH_AWAY, Member};
pub use partitions::{Assignment, Owned, Partitions};
pub use reconcile::{Current, MemberState, Reconcile};
pub use record::{ConsumerRecord, What};
pub use regex::Resolving;
