//! What was committed, asked of the broker and held against what was acknowledged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use duramen_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use duramen_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use duramen_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_wire::messages::offset_commit_response::OffsetCommitResponse;
use duramen_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};

use crate::client::{Control, TopicHandle};
use crate::failure::{Result, fail};

/// The topic that keeps groups.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// How long the coordinators may take until they answer for all groups.
const READY_MAX: Duration = Duration::from_secs(120);

/// Groups that one request asks for, when all their partitions are wanted.
const GROUPS_AT_ONCE: usize = 10;

/// Errors of a coordinator that will be there: load in progress, not available, not coordinator.
pub const NOT_YET: std::ops::RangeInclusive<i16> = 14..=16;

/// In IncrementalAlterConfigs.
const TOPIC_RESOURCE: i8 = 2;
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Offsets of partitions by group.
pub type Committed = BTreeMap<String, BTreeMap<i32, i64>>;

/// What was asked for.
pub enum Fetched {
    Offsets(Committed),
    /// The first error of a group.
    Refused(i16),
}

/// A commit of one who is no member.
pub fn commit(group: &str, topic: &TopicHandle, offsets: impl Iterator<Item = (i32, i64)>) -> OffsetCommitRequest {
    let partitions = offsets.map(|(partition_index, committed_offset)| OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        ..OffsetCommitRequestPartition::default()
    });
    OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.name.clone(),
            topic_id: topic.id,
            partitions: partitions.collect(),
        }],
        ..OffsetCommitRequest::default()
    }
}

/// Fails unless every offset was taken.
pub fn check_commit(response: &OffsetCommitResponse) -> Result<()> {
    for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
        if partition.error_code != 0 {
            fail!(
                "a commit for partition {}: error {}",
                partition.partition_index,
                partition.error_code
            );
        }
    }
    Ok(())
}

/// The committed offsets of some partitions of some groups.
pub fn fetch(control: &mut Control, topic: &TopicHandle, wanted: &[(&str, Vec<i32>)]) -> Result<Fetched> {
    let groups = wanted.iter().map(|(group, partitions)| OffsetFetchRequestGroup {
        group_id: (*group).to_owned(),
        topics: Some(vec![OffsetFetchRequestTopics {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_indexes: partitions.clone(),
        }]),
        ..OffsetFetchRequestGroup::default()
    });
    let request = OffsetFetchRequest {
        groups: groups.collect(),
        ..OffsetFetchRequest::default()
    };
    let mut committed = Committed::new();
    for group in control.call(&request)?.groups {
        if group.error_code != 0 {
            return Ok(Fetched::Refused(group.error_code));
        }
        let offsets = committed.entry(group.group_id).or_default();
        for partition in group.topics.into_iter().flat_map(|topic| topic.partitions) {
            if partition.error_code != 0 {
                return Ok(Fetched::Refused(partition.error_code));
            }
            offsets.insert(partition.partition_index, partition.committed_offset);
        }
    }
    Ok(Fetched::Offsets(committed))
}

/// Asks for the offsets of everything that was acknowledged; how many are right. One that is not fails.
pub fn verify(control: &mut Control, topic: &TopicHandle, acknowledged: &Committed) -> Result<u64> {
    let mut right = 0;
    let groups: Vec<_> = acknowledged.iter().collect();
    for part in groups.chunks(GROUPS_AT_ONCE) {
        let wanted: Vec<(&str, Vec<i32>)> = part
            .iter()
            .map(|(group, offsets)| (group.as_str(), offsets.keys().copied().collect()))
            .collect();
        let found = match fetch(control, topic, &wanted)? {
            Fetched::Offsets(found) => found,
            Fetched::Refused(error) => fail!("asking for committed offsets: error {error}"),
        };
        for (group, offsets) in part {
            right += check(group, offsets, found.get(*group))?;
        }
    }
    Ok(right)
}

fn check(group: &str, acknowledged: &BTreeMap<i32, i64>, found: Option<&BTreeMap<i32, i64>>) -> Result<u64> {
    let mut right = 0;
    for (partition, offset) in acknowledged {
        let found = found.and_then(|found| found.get(partition)).copied();
        if found != Some(*offset) {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            fail!("group {group}, partition {partition}: {offset} was acknowledged, and {found} is there");
        }
        right += 1;
    }
    Ok(right)
}

/// Waits until the coordinators of all these groups answer.
pub fn wait_until_ready(control: &mut Control, topic: &TopicHandle, groups: &[String]) -> Result<()> {
    let began = Instant::now();
    // Asking for a coordinator makes the topic.
    let mut request = FindCoordinatorRequest::default();
    let first = groups.first().cloned().unwrap_or_default();
    match control.versions().of(duramen_wire::ApiKey::FindCoordinator)? {
        ..4 => request.key = first,
        _ => request.coordinator_keys = vec![first],
    }
    let wanted: Vec<(&str, Vec<i32>)> = groups.iter().map(|group| (group.as_str(), vec![0])).collect();
    loop {
        control.call(&request)?;
        match fetch(control, topic, &wanted)? {
            Fetched::Offsets(_) => return Ok(()),
            Fetched::Refused(error) if !NOT_YET.contains(&error) || began.elapsed() > READY_MAX => {
                fail!("the coordinators of the groups are not there: error {error}")
            }
            Fetched::Refused(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Whether the broker syncs what keeps groups before it answers (Kafka: `flush.messages`).
pub fn set_flush(control: &mut Control, is_flushed: bool) -> Result<()> {
    let config = AlterableConfig {
        name: "flush.messages".to_owned(),
        config_operation: if is_flushed { SET } else { DELETE },
        value: is_flushed.then(|| "1".to_owned()),
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: OFFSETS_TOPIC.to_owned(),
            configs: vec![config],
        }],
        validate_only: false,
    };
    for answer in control.call(&request)?.responses {
        if answer.error_code != 0 {
            let why = answer.error_message.unwrap_or_default();
            fail!(
                "setting flush.messages of {OFFSETS_TOPIC}: error {} {why}",
                answer.error_code
            );
        }
    }
    Ok(())
}

#[test]
fn what_is_not_as_it_was_acknowledged_is_told() {
    let offsets = |pairs: &[(i32, i64)]| pairs.iter().copied().collect::<BTreeMap<_, _>>();
    let acknowledged = offsets(&[(0, 5), (3, 7)]);
    let cases = [
        (Some(offsets(&[(0, 5), (3, 7), (4, 1)])), Ok(2)),
        (
            Some(offsets(&[(0, 5), (3, 6)])),
            Err("partition 3: 7 was acknowledged, and 6 is there"),
        ),
        (
            Some(offsets(&[(0, 5), (3, 8)])),
            Err("partition 3: 7 was acknowledged, and 8 is there"),
        ),
        (
            Some(offsets(&[(3, 7)])),
            Err("partition 0: 5 was acknowledged, and nothing is there"),
        ),
        (None, Err("partition 0: 5 was acknowledged, and nothing is there")),
    ];
    for (found, expected) in cases {
        let checked = check("g", &acknowledged, found.as_ref()).map_err(|error| error.to_string());
        match expected {
            Ok(right) => assert_eq!(checked, Ok(right)),
            Err(what) => assert_eq!(checked, Err(format!("group g, {what}"))),
        }
    }
}
