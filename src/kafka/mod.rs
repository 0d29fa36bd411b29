//! Speaks the Kafka protocol: sessions, the router, one handler for each API, the mapping of errors.
//!
//! Knows the wire and the shard below it; decides nothing about logs or metadata. Kafka's numbers for errors stand in `errors` and
//! nowhere else.

pub mod call;
pub mod context;
pub mod errors;
pub mod fetch_sessions;
pub mod gather;
pub mod groups;
pub mod handlers;
pub mod nodes;
pub mod router;
pub mod session;
