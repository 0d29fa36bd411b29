//! The answer of a fetch: record data is copied when it is small, and sent from its file when it is not.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use duramen_wire::Records;
use duramen_wire::messages::fetch_response::{
    EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};

use crate::base::limits::FETCH_COPY_BYTES_MAX;
use crate::kafka::call::Call;
use crate::kafka::errors::{ErrorCode, read_error};
use crate::kafka::fetch_sessions::{FetchContext, NO_SESSION, Told};
use crate::kafka::nodes::Node;
use crate::partition::types::{ReadOutcome, ReadRange};
use crate::rt;

use super::Wanted;
use super::plan::{Budget, PartitionPlan, Plan, TOPIC_IDS_VERSION_MIN};

/// The first version that names the leader beside a fenced epoch (KIP-951).
const NEW_LEADER_VERSION_MIN: i16 = 16;

/// The first version with fetch sessions (KIP-227).
const SESSIONS_VERSION_MIN: i16 = 7;

/// Refuses the whole request.
pub(super) fn refuse_all(call: Call, code: ErrorCode, session_id: i32) {
    call.respond(&FetchResponse {
        error_code: code.0,
        session_id,
        ..FetchResponse::default()
    });
}

/// Answers with the outcomes; in a session, with what is new.
pub(super) fn respond(call: Call, session: &FetchContext, plan: &Plan, wanted: &[Wanted]) {
    let session_id = match session.check() {
        Ok(id) => id,
        Err((code, id)) => return refuse_all(call, code, id),
    };
    let mut answer = Answer {
        budget: Budget::new(plan.bytes_max),
        ranges: Vec::new(),
        read_committed: plan.read_committed,
    };
    let mut response = FetchResponse::default();
    for topic in &plan.topics {
        let by_id = call.version >= TOPIC_IDS_VERSION_MIN;
        response.responses.push(FetchableTopicResponse {
            topic: if by_id { String::new() } else { topic.name.to_string() },
            topic_id: topic.id.0,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| answer.partition(partition, wanted))
                .collect(),
        });
    }
    if call.version >= NEW_LEADER_VERSION_MIN {
        name_leaders(&call, plan, wanted, &mut response);
    }
    match session {
        FetchContext::Sessionless => {}
        FetchContext::Full => response.session_id = begin_session(&call, plan, &response),
        FetchContext::Incremental { .. } => {
            leave_out_what_is_known(session, plan, &mut response);
            response.session_id = session_id;
        }
    }
    call.respond_with_ranges(&response, answer.ranges);
}

fn begin_session(call: &Call, plan: &Plan, response: &FetchResponse) -> i32 {
    if call.version < SESSIONS_VERSION_MIN {
        return NO_SESSION;
    }
    let mut told = Vec::new();
    for (topic, answers) in plan.topics.iter().zip(&response.responses) {
        let partitions = topic.partitions.iter().zip(&answers.partitions);
        told.extend(partitions.map(|(partition, data)| Told {
            topic: &topic.name,
            topic_id: topic.id,
            asked: &partition.asked,
            data,
        }));
    }
    let by_topic_id = call.version >= TOPIC_IDS_VERSION_MIN;
    let sessions = &call.context.fetch_sessions;
    sessions.create(rt::random::u64(), by_topic_id, &told, rt::time::now())
}

fn leave_out_what_is_known(session: &FetchContext, plan: &Plan, response: &mut FetchResponse) {
    let answers = plan.topics.iter().zip(&mut response.responses);
    session.retain_news(answers.map(|(topic, answers)| (&topic.name, topic.id, &mut answers.partitions)));
    response.responses.retain(|topic| !topic.partitions.is_empty());
}

struct Answer {
    budget: Budget,
    ranges: Vec<ReadRange>,
    read_committed: bool,
}

impl Answer {
    fn partition(&mut self, partition: &PartitionPlan, wanted: &[Wanted]) -> PartitionData {
        let mut data = PartitionData {
            partition_index: partition.asked.partition,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            preferred_read_replica: -1,
            // Never null: librdkafka takes null for a broken answer (KAFKA-18646).
            records: Records::Bytes(Bytes::new()),
            ..PartitionData::default()
        };
        let wanted = match partition.wanted {
            Ok(place) => wanted.get(place),
            Err(code) => {
                data.error_code = code.0;
                return data;
            }
        };
        match wanted.and_then(|wanted| wanted.outcome.as_ref().map(|outcome| (wanted, outcome))) {
            None => data.error_code = ErrorCode::UNKNOWN_SERVER_ERROR.0,
            Some((_, Err(error))) => data.error_code = read_error(*error).0,
            Some((wanted, Ok(outcome))) => self.records(wanted, outcome, &mut data),
        }
        data
    }

    fn records(&mut self, wanted: &Wanted, outcome: &ReadOutcome, data: &mut PartitionData) {
        data.high_watermark = outcome.high_watermark.0;
        data.last_stable_offset = outcome.last_stable_offset.0;
        data.log_start_offset = outcome.log_start_offset.0;
        // Null, not empty, for a client that reads everything.
        data.aborted_transactions = self.read_committed.then(Vec::new);
        if let Some(diverging) = outcome.diverging {
            data.diverging_epoch = EpochEndOffset {
                epoch: diverging.leader_epoch.0,
                end_offset: diverging.end_offset.0,
            };
            return;
        }
        let Some((range, bytes)) = self.budget.grant(&wanted.read, outcome) else {
            return;
        };
        match copy(range, bytes) {
            Ok(Some(copied)) => data.records = Records::Bytes(copied),
            Ok(None) => {
                data.records = Records::External {
                    index: u32::try_from(self.ranges.len()).unwrap_or(u32::MAX),
                    length: bytes,
                };
                self.ranges.push(range.clone());
            }
            Err(error) => {
                tracing::error!(partition = ?wanted.id, position = %range.position, %error, "records cannot be read");
                data.error_code = ErrorCode::KAFKA_STORAGE_ERROR.0;
            }
        }
    }
}

/// A copy of a range that is small and in the page cache; `None` for one that is better sent from its file.
fn copy(range: &ReadRange, bytes: u32) -> std::io::Result<Option<Bytes>> {
    if bytes > FETCH_COPY_BYTES_MAX || !range.file.is_resident(range.position, u64::from(bytes)) {
        return Ok(None);
    }
    let mut copied = BytesMut::zeroed(bytes as usize);
    let read = range.file.read_at(range.position, &mut copied)?;
    copied.truncate(read);
    Ok(Some(copied.freeze()))
}

/// Names the leader wherever a reader's epoch was fenced.
fn name_leaders(call: &Call, plan: &Plan, wanted: &[Wanted], response: &mut FetchResponse) {
    let mut named: BTreeMap<i32, Node> = BTreeMap::new();
    for (topic, answers) in plan.topics.iter().zip(&mut response.responses) {
        for (partition, data) in topic.partitions.iter().zip(&mut answers.partitions) {
            let read = partition.wanted.ok().and_then(|place| wanted.get(place));
            if let Some(read) = read
                && data.error_code == ErrorCode::FENCED_LEADER_EPOCH.0
            {
                let owner = call.context.nodes.owner(read.id);
                data.current_leader = LeaderIdAndEpoch {
                    leader_id: owner.id,
                    leader_epoch: partition.leader_epoch.0,
                };
                named.insert(owner.id, owner);
            }
        }
    }
    let endpoints = named.into_values().map(|node| NodeEndpoint {
        node_id: node.id,
        host: node.host,
        port: node.port,
        ..NodeEndpoint::default()
    });
    response.node_endpoints = endpoints.collect();
}
