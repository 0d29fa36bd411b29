//! What the broker does, seen from a socket.
//!
//! Each test speaks Kafka's protocol to a running `duramen serve` of its own. With `DURAMEN_TEST_TARGET=HOST:PORT` the tests speak to
//! the broker that answers there instead: run against Apache Kafka, they say whether it is the test that is wrong. Tests that stop
//! brokers, or need settings of their own, are skipped then.
//!
//! Nothing waits for a fixed time where a condition can be polled, and nothing waits for ever: each call on a socket has a timeout,
//! and each broker a watchdog that kills it, so that a test which hangs fails.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
#![expect(
    clippy::print_stderr,
    reason = "measurements and skipped tests are told to the person who runs them"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests run outside of the broker, on a clock and files of their own"
)]

mod client;
mod codes;
mod fixture;
mod harness;

mod bad_batches;
mod bad_frames;
mod bombs;
mod broker_configs;
mod cluster;
mod config_bounds;
mod configs;
mod consumer_group_fixture;
mod consumer_groups;
mod direct;
mod directories;
mod drives;
mod durability;
mod features;
mod fetch;
mod fetch_epochs;
mod fetch_wait;
mod flood;
mod full_disk;
mod group_configs;
mod group_crowds;
mod group_fixture;
mod group_offsets;
mod group_tools;
mod groups;
mod idempotence;
mod journal;
mod large_batches;
mod list_offsets;
mod metadata;
mod mixed_groups;
mod noise;
mod partitions;
mod produce;
mod producer_ids;
mod recompression;
mod record_rules;
mod replicas;
mod requests;
mod restart;
mod retention;
mod round_trip;
mod segments;
mod stopping;
mod threads;
mod topics;
mod traffic;
mod versions;
