//! What the cluster is: topics, partitions, brokers, settings, features. Pure.
//!
//! The truth is a log of Kafka's own metadata records. [`MetadataImage`] is what the records up to some offset say; the
//! [`controller`] decides which records a request adds. Whoever owns the log appends them, waits until they are durable, and only
//! then has [`MetadataImage::replay`] apply them and publishes the next image as an `Arc`.
//!
//! Must not: read or write the log, know the time, draw ids. Whatever is new (topic ids, incarnations) comes in as an argument.
//!
//! Invariants:
//! - `replay` is the only way to change an image, live and at load; the same records make the same image.
//! - A published image never changes. The next one shares all that is the same, so that its cost does not grow with the number
//!   of topics.
//! - A decision that is refused adds no record.

pub mod controller;
mod image;
mod kept;
mod load;
pub mod quorum;
mod record;
mod replay;
mod shared_map;
mod snapshot;

pub use image::{Broker, BrokerEndpoint, ConfigResource, MetadataImage, Partition, Topic, TopicChange};
pub use kept::Kept;
pub use load::{LoadError, apply_batch, read_snapshot};
pub use record::{RecordError, decode_record, encode_record};
pub use replay::ReplayError;
pub use shared_map::SharedMap;
pub use snapshot::{SnapshotError, SnapshotWriter, encode_snapshot, records_of};

/// What a controller appends to a log in which another left a metadata transaction open (KIP-868).
#[must_use]
pub fn abort_transaction() -> duramen_wire::messages::metadata::MetadataRecord {
    let reason = "the controller that began it has gone".to_owned();
    duramen_wire::messages::metadata::AbortTransactionRecord { reason: Some(reason) }.into()
}

/// The topic of the metadata log (KIP-595).
pub const METADATA_TOPIC: &str = "__cluster_metadata";

#[cfg(test)]
mod tests;
