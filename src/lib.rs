//! Duramen: a Kafka-compatible event streaming broker for bare-metal Linux.
//!
//! The map of the code, its layers and its invariants are in `src/README.md`.

pub mod base;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod kafka;
pub mod log;
pub mod metadata;
pub mod net;
pub mod partition;
pub mod record;
pub mod rt;
pub mod server;
pub mod shard;
pub mod storage;
