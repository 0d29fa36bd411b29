//! Groups of the consumer protocol (KIP-848), in which the coordinator assigns and members follow, each at its own pace.

pub mod assign;
mod partitions;
mod reconcile;
#[cfg(test)]
mod reconcile_tests;

pub use partitions::{Assignment, Owned, Partitions};
pub use reconcile::{Current, MemberState, Reconcile};
