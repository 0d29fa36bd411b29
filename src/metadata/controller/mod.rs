//! The embedded controller: decides which metadata records a request adds, and what is answered once they are durable.
//!
//! Every function here has the shape `(image, request) -> Decision { records, response }`, or an error and no record. It changes
//! nothing. Requests are decided one after the other, each on the image with all records of those before it.

mod alter_configs;
mod assignment;
mod broker;
mod broker_configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod place;
mod producer_ids;
mod reassign;
mod topic_name;
mod update_features;

use duramen_wire::messages::metadata::MetadataRecord;

pub use alter_configs::{AlterConfigError, Unnamed, alter_configs};
pub use assignment::AssignmentError;
pub use broker::{
    BrokerError, FEATURES, Feature, Registration, Restart, bootstrap, check_features, fence_broker, lead_partitions,
    register_broker,
};
pub use create_partitions::{CreatePartitionsError, create_partitions};
pub use create_topics::{CreateTopicError, CreatedTopic, NewTopic, NewTopicDefaults, create_topics};
pub use delete_topics::{DeleteTopicError, DeletedTopic, delete_topics};
pub use place::PlaceError;
pub use producer_ids::{PRODUCER_IDS_PER_BLOCK, ProducerIdBlock, ProducerIdError, allocate_producer_ids};
pub use reassign::{ReassignError, ReplicaCount, reassign};
pub use topic_name::{TopicNameError, metric_name, validate_topic_name};
pub use update_features::{UpdateFeaturesError, update_features};

/// What a request leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<R> {
    /// To be appended to the metadata log as one batch.
    pub records: Vec<MetadataRecord>,
    /// To be answered when the records are durable, or at once if there are none.
    pub response: R,
}
