//! Which handler serves which API, in which versions. What stands here is what ApiVersions tells clients.

use std::ops::RangeInclusive;
use std::rc::Rc;

use bytes::Bytes;
use duramen_wire::ApiKey;

use crate::kafka::call::{Arrival, BadRequest, Call, Peer, Preamble};
use crate::kafka::context::Context;
use crate::kafka::handlers;
use crate::net::connection::RequestFrame;
use crate::net::replies::ReplySlot;
use crate::rt;

/// Serves one request: answers its call now or keeps it until the answer is known.
pub type Handler = fn(Call) -> Result<(), BadRequest>;

/// One API that is served.
pub struct Served {
    pub key: ApiKey,
    pub handler: Handler,
}

/// All APIs that are served, by key; each in every stable version of Kafka 4.3.
pub const SERVED: &[Served] = &[
    Served {
        key: ApiKey::Produce,
        handler: handlers::produce::handle,
    },
    Served {
        key: ApiKey::Fetch,
        handler: handlers::fetch::handle,
    },
    Served {
        key: ApiKey::ListOffsets,
        handler: handlers::list_offsets::handle,
    },
    Served {
        key: ApiKey::Metadata,
        handler: handlers::metadata::handle,
    },
    Served {
        key: ApiKey::OffsetCommit,
        handler: handlers::offset_commit::handle,
    },
    Served {
        key: ApiKey::OffsetFetch,
        handler: handlers::offset_fetch::handle,
    },
    Served {
        key: ApiKey::FindCoordinator,
        handler: handlers::find_coordinator::handle,
    },
    Served {
        key: ApiKey::JoinGroup,
        handler: handlers::join_group::handle,
    },
    Served {
        key: ApiKey::Heartbeat,
        handler: handlers::heartbeat::handle,
    },
    Served {
        key: ApiKey::LeaveGroup,
        handler: handlers::leave_group::handle,
    },
    Served {
        key: ApiKey::SyncGroup,
        handler: handlers::sync_group::handle,
    },
    Served {
        key: ApiKey::DescribeGroups,
        handler: handlers::describe_groups::handle,
    },
    Served {
        key: ApiKey::ListGroups,
        handler: handlers::list_groups::handle,
    },
    Served {
        key: ApiKey::ApiVersions,
        handler: handlers::api_versions::handle,
    },
    Served {
        key: ApiKey::CreateTopics,
        handler: handlers::create_topics::handle,
    },
    Served {
        key: ApiKey::DeleteTopics,
        handler: handlers::delete_topics::handle,
    },
    Served {
        key: ApiKey::DeleteRecords,
        handler: handlers::delete_records::handle,
    },
    Served {
        key: ApiKey::InitProducerId,
        handler: handlers::init_producer_id::handle,
    },
    Served {
        key: ApiKey::OffsetForLeaderEpoch,
        handler: handlers::offset_for_leader_epoch::handle,
    },
    Served {
        key: ApiKey::DescribeConfigs,
        handler: handlers::describe_configs::handle,
    },
    Served {
        key: ApiKey::AlterConfigs,
        handler: handlers::alter_configs::handle,
    },
    Served {
        key: ApiKey::AlterReplicaLogDirs,
        handler: handlers::alter_replica_log_dirs::handle,
    },
    Served {
        key: ApiKey::DescribeLogDirs,
        handler: handlers::describe_log_dirs::handle,
    },
    Served {
        key: ApiKey::CreatePartitions,
        handler: handlers::create_partitions::handle,
    },
    Served {
        key: ApiKey::DeleteGroups,
        handler: handlers::delete_groups::handle,
    },
    Served {
        key: ApiKey::ElectLeaders,
        handler: handlers::elect_leaders::handle,
    },
    Served {
        key: ApiKey::IncrementalAlterConfigs,
        handler: handlers::incremental_alter_configs::handle,
    },
    Served {
        key: ApiKey::AlterPartitionReassignments,
        handler: handlers::alter_partition_reassignments::handle,
    },
    Served {
        key: ApiKey::ListPartitionReassignments,
        handler: handlers::list_partition_reassignments::handle,
    },
    Served {
        key: ApiKey::OffsetDelete,
        handler: handlers::offset_delete::handle,
    },
    Served {
        key: ApiKey::DescribeQuorum,
        handler: handlers::describe_quorum::handle,
    },
    Served {
        key: ApiKey::UpdateFeatures,
        handler: handlers::update_features::handle,
    },
    Served {
        key: ApiKey::DescribeCluster,
        handler: handlers::describe_cluster::handle,
    },
    Served {
        key: ApiKey::DescribeProducers,
        handler: handlers::describe_producers::handle,
    },
    Served {
        key: ApiKey::ConsumerGroupHeartbeat,
        handler: handlers::consumer_group_heartbeat::handle,
    },
    Served {
        key: ApiKey::ConsumerGroupDescribe,
        handler: handlers::consumer_group_describe::handle,
    },
    Served {
        key: ApiKey::ListConfigResources,
        handler: handlers::list_config_resources::handle,
    },
    Served {
        key: ApiKey::DescribeTopicPartitions,
        handler: handlers::describe_topic_partitions::handle,
    },
];

impl Served {
    /// The versions that are served.
    #[must_use]
    pub fn versions(&self) -> RangeInclusive<i16> {
        self.key.versions()
    }
}

/// Hands a request to its handler. A request that cannot be understood closes the connection, as Kafka does.
pub fn dispatch(context: Rc<Context>, peer: Peer, frame: RequestFrame, slot: ReplySlot) {
    let RequestFrame { body, units } = frame;
    let arrival = Arrival {
        context,
        peer,
        slot,
        units,
    };
    if let Err(error) = route(arrival, &body) {
        tracing::debug!(%error, "request refused; closing its connection");
    }
}

fn route(arrival: Arrival, frame: &Bytes) -> Result<(), BadRequest> {
    let preamble = Preamble::read(frame)?;
    let served = ApiKey::from_i16(preamble.api_key)
        .and_then(|key| SERVED.iter().find(|served| served.key == key))
        .ok_or(BadRequest::UnknownApi(preamble.api_key))?;
    let key = served.key;
    rt::task::begin_part("request");
    if served.versions().contains(&preamble.version) {
        let call = Call::new(arrival, key, preamble, frame)?;
        return (served.handler)(call);
    }
    if key == ApiKey::ApiVersions {
        handlers::api_versions::refuse_version(Call::without_header(arrival, key, preamble));
        return Ok(());
    }
    Err(BadRequest::UnknownVersion {
        key,
        version: preamble.version,
    })
}
