//! Coordinators: what groups of consumers agree upon, as pure code.
//!
//! Owns the rules and the state of groups and their committed offsets. Must not do I/O, read a clock, draw a number or wait: `now`
//! and fresh ids are arguments, deadlines are asked for, and what has to be kept leaves as records.
//!
//! Two forms of code stand here, side by side:
//! - What Kafka keeps in its log (committed offsets, the last stable generation of a group) is event-sourced: a request yields records,
//!   [`group::Coordinator::replay`] is the only mutator of it, live and at load, and answers wait until the records are committed.
//! - What Kafka does not keep (who waits for a rebalance, sessions) is a protocol machine, lost with a crash, as clients expect.

pub mod group;
