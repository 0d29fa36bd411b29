//! Listeners, connections, framing, answers in order, admission by memory. Knows no Kafka.
//!
//! Invariants worth naming:
//! - Answers leave in the order in which their slots were reserved, whatever the order in which they are completed.
//! - A byte of a request counts against the core's memory units from its arrival until its answer has left.
//! - One connection holds at most [`REQUESTS_IN_FLIGHT_MAX`](crate::base::limits::REQUESTS_IN_FLIGHT_MAX) requests; then it is not read.

pub mod admission;
pub mod connection;
pub mod frame;
pub mod listener;
pub mod replies;
