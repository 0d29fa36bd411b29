//! DescribeQuorum (55): who votes on the metadata log, and how far each has come (KIP-595, KIP-836, KIP-853). Here it is this node alone.

use duramen_wire::messages::describe_quorum_request::DescribeQuorumRequest;
use duramen_wire::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};

use crate::base::time::TimestampMs;
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::metadata::{METADATA_TOPIC, MetadataImage};
use crate::rt;

/// Answers the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DescribeQuorumRequest = call.decode()?;
    let response = if asks_for_metadata(&request) {
        let node = call.context.config.broker.node_id.0;
        let full = describe(&call.context.image(), node, rt::time::wall());
        in_version(call.version, full)
    } else {
        refuse(&request)
    };
    call.respond(&response);
    Ok(())
}

/// Kafka answers to this partition and no other beside it (`KafkaRaftClient.handleDescribeQuorumRequest`).
fn asks_for_metadata(request: &DescribeQuorumRequest) -> bool {
    let [topic] = request.topics.as_slice() else {
        return false;
    };
    let [partition] = topic.partitions.as_slice() else {
        return false;
    };
    topic.topic_name == METADATA_TOPIC && partition.partition_index == 0
}

fn describe(image: &MetadataImage, node: i32, now: TimestampMs) -> DescribeQuorumResponse {
    let quorum = &image.quorum;
    let voter = quorum.voters.iter().find(|voter| voter.voter_id == node);
    // What is not committed is in no image: the high watermark is the end of the log.
    let end_offset = image.end_offset.0;
    let state = ReplicaState {
        replica_id: node,
        replica_directory_id: voter.map(|voter| voter.voter_directory_id).unwrap_or_default(),
        log_end_offset: end_offset,
        last_fetch_timestamp: now.0,
        last_caught_up_timestamp: now.0,
    };
    let partition = PartitionData {
        partition_index: 0,
        error_code: ErrorCode::NONE.0,
        leader_id: node,
        leader_epoch: quorum.leader_epoch.map_or(-1, |epoch| epoch.0),
        high_watermark: end_offset,
        current_voters: vec![state],
        ..PartitionData::default()
    };
    let nodes = voter.map(|voter| Node {
        node_id: node,
        listeners: voter
            .endpoints
            .iter()
            .map(|endpoint| Listener {
                name: endpoint.name.clone(),
                host: endpoint.host.clone(),
                port: endpoint.port,
            })
            .collect(),
    });
    DescribeQuorumResponse {
        topics: vec![TopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
        }],
        nodes: nodes.into_iter().collect(),
        ..DescribeQuorumResponse::default()
    }
}

/// Who votes from which directory, and where, is told from version 2 on.
fn in_version(version: i16, mut response: DescribeQuorumResponse) -> DescribeQuorumResponse {
    if version < 2 {
        response.nodes.clear();
        let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        for voter in partitions.flat_map(|partition| &mut partition.current_voters) {
            voter.replica_directory_id = [0; 16];
        }
    }
    response
}

fn refuse(request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.iter().map(|topic| TopicData {
        topic_name: topic.topic_name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| PartitionData {
                partition_index: partition.partition_index,
                error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0,
                ..PartitionData::default()
            })
            .collect(),
    });
    DescribeQuorumResponse {
        topics: topics.collect(),
        ..DescribeQuorumResponse::default()
    }
}
