//! Kafka's protocol, as pure code: every message of Apache Kafka 4.3.1 in every version that it still has.
//!
//! Owns the bytes of requests, responses, records of internal topics and metadata records. The modules under [`messages`]
//! and [`borrowed`] are written by `cargo run -p duramen-wire --bin generate -- LIBS_DIR` and never by hand; what they have in
//! common stands in [`Reader`] and [`Writer`].
//!
//! Must not: do I/O, know what a message means, answer with an error code.
//!
//! Invariants:
//! - No input makes a decoder panic. A length is believed only up to the bytes left, and memory is reserved only within the
//!   budget of the [`Reader`].
//! - Record data is neither copied nor looked into, in either direction.
//! - A value that a version cannot carry is an [`EncodeError`], unless Kafka declares the field ignorable.

#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod error;
mod message;
pub mod messages;
mod reader;
mod records;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{DecodeError, EncodeError};
pub use message::{Message, Request};
pub use messages::api_key::ApiKey;
pub use messages::borrowed;
pub use reader::Reader;
pub use records::Records;
pub use writer::{Part, Writer};
