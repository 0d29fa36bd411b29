//! Committed offsets.

use duramen_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use duramen_wire::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use duramen_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use duramen_wire::messages::offset_fetch_response::OffsetFetchResponse;
use duramen_wire::messages::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};

use crate::codes::{
    GROUP_ID_NOT_FOUND, GROUP_SUBSCRIBED_TO_TOPIC, ILLEGAL_GENERATION, NONE, OFFSET_METADATA_TOO_LARGE,
    UNKNOWN_MEMBER_ID, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION,
};
use crate::fixture::{Topic, create_topic, wait_for_partitions};
use crate::group_fixture::{
    COMMIT, EAGER, commit, commit_request, fetch, fetch_all, new_group, stable_alone, start, wait_for_coordinator,
};
use crate::harness::Broker;

/// Partition, offset, leader epoch, text, code of each offset that is answered.
type Offsets = Vec<(i32, i64, i32, String, i16)>;

fn offsets(response: &OffsetFetchResponse) -> Offsets {
    let old = response
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|fetched| {
            (
                fetched.partition_index,
                fetched.committed_offset,
                fetched.committed_leader_epoch,
                fetched.metadata.clone().unwrap(),
                fetched.error_code,
            )
        });
    let groups = response.groups.iter().flat_map(|group| &group.topics);
    let new = groups.flat_map(|topic| &topic.partitions).map(|fetched| {
        (
            fetched.partition_index,
            fetched.committed_offset,
            fetched.committed_leader_epoch,
            fetched.metadata.clone().unwrap(),
            fetched.error_code,
        )
    });
    old.chain(new).collect()
}

fn request(version: i16, group: &str, topic: &Topic, partitions: Option<&[i32]>) -> OffsetFetchRequest {
    if version < 8 {
        return OffsetFetchRequest {
            group_id: group.to_owned(),
            topics: partitions.map(|partitions| {
                vec![OffsetFetchRequestTopic {
                    name: topic.name.clone(),
                    partition_indexes: partitions.to_vec(),
                }]
            }),
            ..OffsetFetchRequest::default()
        };
    }
    OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: partitions.map(|partitions| {
                vec![OffsetFetchRequestTopics {
                    name: topic.name.clone(),
                    topic_id: topic.id,
                    partition_indexes: partitions.to_vec(),
                }]
            }),
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    }
}

#[test]
fn every_version_commits_and_every_version_fetches() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "committed", 3);
    for version in 2..=10 {
        let group = new_group(&mut client);
        let mut asked = commit_request(&group, &topic, 1, 40 + i64::from(version));
        if version < 9 {
            asked.topics[0].topic_id = [0; 16];
        }
        let response = client.call(version, &asked);
        assert_eq!(response.topics[0].partitions[0].error_code, NONE, "v{version}");
        let offset = 40 + i64::from(version);
        let expected = (1, offset, 0, format!("at {offset}"), NONE);
        let none = (2, -1, -1, String::new(), NONE);
        for fetch_version in 1..=10 {
            let what = format!("commit v{version}, fetch v{fetch_version}");
            let epoch = if fetch_version >= 5 && version >= 6 { 0 } else { -1 };
            let expected = (expected.0, expected.1, epoch, expected.3.clone(), expected.4);
            let response = client.call(fetch_version, &request(fetch_version, &group, &topic, Some(&[1, 2])));
            assert_eq!(offsets(&response), [expected.clone(), none.clone()], "{what}");
            if fetch_version >= 2 {
                let response = client.call(fetch_version, &request(fetch_version, &group, &topic, None));
                assert_eq!(offsets(&response), [expected], "all, {what}");
                if fetch_version >= 10 {
                    assert_eq!(response.groups[0].topics[0].topic_id, topic.id, "{what}");
                }
            }
        }
    }
}

#[test]
fn topics_that_are_not_there() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "there", 1);
    let group = new_group(&mut client);
    let missing = Topic {
        name: "missing".to_owned(),
        id: [9; 16],
    };
    let mut asked = commit_request(&group, &missing, 0, 1);
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 5,
        ..OffsetCommitRequestPartition::default()
    };
    asked.topics.push(OffsetCommitRequestTopic {
        name: topic.name.clone(),
        topic_id: topic.id,
        partitions: vec![partition(0), partition(1), partition(-1)],
    });
    for (version, unknown) in [
        (2, UNKNOWN_TOPIC_OR_PARTITION),
        (9, UNKNOWN_TOPIC_OR_PARTITION),
        (10, UNKNOWN_TOPIC_ID),
    ] {
        let response = client.call(version, &asked);
        let mut codes: Vec<(i32, i16)> = response
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| (partition.partition_index, partition.error_code))
            .collect();
        codes.sort_unstable();
        let no = UNKNOWN_TOPIC_OR_PARTITION;
        let mut expected = [(0, unknown), (0, NONE), (1, no), (-1, no)];
        expected.sort_unstable();
        assert_eq!(codes, expected, "v{version}");
    }
    for (version, code) in [(9, NONE), (10, UNKNOWN_TOPIC_ID)] {
        let response = client.call(version, &request(version, &group, &missing, Some(&[0])));
        assert_eq!(offsets(&response), [(0, -1, -1, String::new(), code)], "v{version}");
    }
    // An index that is not there is no error for who fetches.
    let response = client.call(9, &request(9, &group, &topic, Some(&[7, -3])));
    assert!(
        offsets(&response)
            .iter()
            .all(|offset| offset.1 == -1 && offset.4 == NONE)
    );
}

#[test]
fn who_may_commit() {
    let (_broker, mut client) = start(2);
    let topic = create_topic(&mut client, "guarded", 1);
    let group = new_group(&mut client);
    let member = stable_alone(&mut client, &group);
    for (of, id, generation, version, expected) in [
        (group.as_str(), member.as_str(), 1, 9, NONE),
        (&group, &member, 0, 9, ILLEGAL_GENERATION),
        (&group, &member, 2, 9, ILLEGAL_GENERATION),
        (&group, &member, -1, 9, ILLEGAL_GENERATION),
        (&group, "x", 1, 9, UNKNOWN_MEMBER_ID),
        (&group, "", -1, 9, UNKNOWN_MEMBER_ID),
        ("nothing", &member, 1, 9, GROUP_ID_NOT_FOUND),
        ("nothing", &member, 1, 8, ILLEGAL_GENERATION),
    ] {
        wait_for_coordinator(&mut client, of);
        let mut asked = commit_request(of, &topic, 0, 7);
        asked.member_id = id.to_owned();
        asked.generation_id_or_member_epoch = generation;
        let response = client.call(version, &asked);
        assert_eq!(
            response.topics[0].partitions[0].error_code, expected,
            "{of} {id} {generation} v{version}"
        );
    }
    // The empty group id is that of consumers from before groups had one.
    wait_for_coordinator(&mut client, "");
    assert_eq!(commit(&mut client, "", &topic, 0, 3), NONE);
    assert_eq!(fetch(&mut client, "", &topic, 0), 3);
}

#[test]
fn text_beside_an_offset_has_a_limit() {
    let (_broker, mut client) = start(1);
    let topic = create_topic(&mut client, "wordy", 2);
    let group = new_group(&mut client);
    let mut asked = commit_request(&group, &topic, 0, 1);
    asked.topics[0].partitions[0].committed_metadata = Some("x".repeat(4097));
    asked.topics[0].partitions.push(OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 2,
        committed_metadata: Some("y".repeat(4096)),
        ..OffsetCommitRequestPartition::default()
    });
    let response = client.call(COMMIT, &asked);
    let codes: Vec<i16> = response.topics[0]
        .partitions
        .iter()
        .map(|partition| partition.error_code)
        .collect();
    assert_eq!(codes, [OFFSET_METADATA_TOO_LARGE, NONE]);
    assert_eq!(
        (
            fetch(&mut client, &group, &topic, 0),
            fetch(&mut client, &group, &topic, 1)
        ),
        (-1, 2)
    );
}

#[test]
fn many_groups_in_one_request() {
    let (_broker, mut client) = start(4);
    let topic = create_topic(&mut client, "many", 1);
    let groups: Vec<String> = (0..100).map(|_| new_group(&mut client)).collect();
    for (index, group) in groups.iter().enumerate() {
        assert_eq!(
            commit(&mut client, group, &topic, 0, i64::try_from(index).unwrap()),
            NONE
        );
    }
    let mut asked = fetch_all("");
    asked.groups.clear();
    for group in &groups {
        asked.groups.extend(fetch_all(group).groups);
    }
    let response = client.call(9, &asked);
    for (index, (group, answer)) in groups.iter().zip(&response.groups).enumerate() {
        assert_eq!((&answer.group_id, answer.error_code), (group, NONE));
        assert_eq!(
            answer.topics[0].partitions[0].committed_offset,
            i64::try_from(index).unwrap()
        );
    }
}

#[test]
fn offsets_are_deleted() {
    let (_broker, mut client) = start(2);
    // The topic that members of these tests are subscribed to.
    let name = "topic".to_owned();
    let subscribed = Topic { name, id: [0; 16] };
    let topic = create_topic(&mut client, "deleted", 1);
    let group = new_group(&mut client);
    let delete = |group: &str, topics: &[&str]| OffsetDeleteRequest {
        group_id: group.to_owned(),
        topics: topics
            .iter()
            .map(|name| OffsetDeleteRequestTopic {
                name: (*name).to_owned(),
                partitions: [0, 5]
                    .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
                    .to_vec(),
            })
            .collect(),
    };
    let response = client.call(0, &delete(&group, &[&topic.name]));
    assert_eq!((response.error_code, response.topics.len()), (GROUP_ID_NOT_FOUND, 0));
    assert_eq!(commit(&mut client, &group, &topic, 0, 9), NONE);
    stable_alone(&mut client, &group);
    let created = duramen_wire::messages::CreateTopicsRequest {
        topics: vec![duramen_wire::messages::create_topics_request::CreatableTopic {
            name: subscribed.name.clone(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }],
        timeout_ms: 10_000,
        validate_only: false,
    };
    client.call(7, &created);
    wait_for_partitions(&mut client, &subscribed, 1);
    let response = client.call(0, &delete(&group, &[&topic.name, &subscribed.name, "missing"]));
    assert_eq!(response.error_code, NONE);
    let mut codes: Vec<(String, i32, i16)> = Vec::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            codes.push((topic.name.clone(), partition.partition_index, partition.error_code));
        }
    }
    codes.sort_unstable();
    let no = UNKNOWN_TOPIC_OR_PARTITION;
    let expected = [
        (topic.name.clone(), 0, NONE),
        (topic.name.clone(), 5, no),
        ("missing".to_owned(), 0, no),
        ("missing".to_owned(), 5, no),
        (subscribed.name.clone(), 0, GROUP_SUBSCRIBED_TO_TOPIC),
        (subscribed.name.clone(), 5, no),
    ];
    assert_eq!(codes, expected);
    assert_eq!(fetch(&mut client, &group, &topic, 0), -1);
}

#[test]
fn offsets_survive_a_crash_and_another_number_of_cores() {
    let Some(mut broker) = Broker::start_own(2, EAGER) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "kept", 1);
    let groups: Vec<String> = (0..40).map(|_| new_group(&mut client)).collect();
    for round in 0..5 {
        for (index, group) in groups.iter().enumerate() {
            let offset = 1000 * round + i64::try_from(index).unwrap();
            assert_eq!(commit(&mut client, group, &topic, 0, offset), NONE);
        }
    }
    for cores in [1, 3, 2] {
        broker.kill_and_restart(cores);
        let mut client = broker.client();
        for (index, group) in groups.iter().enumerate() {
            wait_for_coordinator(&mut client, group);
            let expected = 4000 + i64::try_from(index).unwrap();
            assert_eq!(fetch(&mut client, group, &topic, 0), expected, "{cores} cores");
        }
    }
}

/// In a closed segment, which no start after a clean stop looks through.
#[test]
fn a_damaged_batch_is_passed_over() {
    const SMALL_SEGMENTS: &[&str] = &[
        "group.initial.rebalance.delay.ms=0",
        "offsets.topic.segment.bytes=1048576",
    ];
    let Some(mut broker) = Broker::start_own(1, SMALL_SEGMENTS) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "kept", 2);
    let group = new_group(&mut client);
    assert_eq!(commit(&mut client, &group, &topic, 0, 5), NONE);
    for offset in 0..300 {
        let mut request = commit_request(&group, &topic, 1, offset);
        request.topics[0].partitions[0].committed_metadata = Some("x".repeat(4000));
        let response = client.call(COMMIT, &request);
        assert_eq!(response.topics[0].partitions[0].error_code, NONE);
    }
    broker.terminate();
    let directories = std::fs::read_dir(broker.data())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let of_groups = directories.filter(|path| path.display().to_string().contains("__consumer_offsets-"));
    let logs = of_groups.map(|path| path.join("00000000000000000000.log"));
    let written: Vec<_> = logs.filter(|log| log.metadata().unwrap().len() > 0).collect();
    let [log] = &written[..] else { panic!("{written:?}") };
    let mut bytes = std::fs::read(log).unwrap();
    assert!(bytes.len() < 300 * 4000, "there is another segment");
    let first_batch_bytes = 12 + u32::from_be_bytes(bytes[8..12].try_into().unwrap());
    bytes[usize::try_from(first_batch_bytes).unwrap() - 1] ^= 1;
    std::fs::write(log, bytes).unwrap();
    broker.start_again(1);
    let mut client = broker.client();
    wait_for_coordinator(&mut client, &group);
    let fetched = [0, 1].map(|partition| fetch(&mut client, &group, &topic, partition));
    assert_eq!(fetched, [-1, 299]);
    assert!(
        broker.said().contains("is damaged and passed over"),
        "{}",
        broker.said()
    );
}

/// Commits that come together, short ones and long ones between them, count in their order, and a fetch among them sees those before it.
#[test]
fn commits_that_come_together_keep_their_order() {
    const ROUNDS: i64 = 100;
    let (mut broker, mut client) = start(1);
    let topic = create_topic(&mut client, "together", 2);
    wait_for_partitions(&mut client, &topic, 2);
    let group = new_group(&mut client);
    let mut requests = Vec::new();
    for offset in 0..ROUNDS {
        for partition in 0..2 {
            let mut commit = commit_request(&group, &topic, partition, offset);
            if offset % 10 == 7 {
                commit.topics[0].partitions[0].committed_metadata = Some("x".repeat(4000));
            }
            requests.push(crate::client::frame(COMMIT, 1, &commit));
        }
        requests.push(crate::client::frame(9, 1, &request(9, &group, &topic, Some(&[0, 1]))));
    }
    client.send_bytes(&requests.concat());
    for offset in 0..ROUNDS {
        for _ in 0..2 {
            let answer = client.receive::<OffsetCommitRequest>(COMMIT, 1);
            assert_eq!(answer.topics[0].partitions[0].error_code, NONE, "{offset}");
        }
        let fetched = offsets(&client.receive::<OffsetFetchRequest>(9, 1));
        let fetched: Vec<_> = fetched.iter().map(|fetched| (fetched.0, fetched.1)).collect();
        assert_eq!(fetched, [(0, offset), (1, offset)]);
    }
    broker.kill_and_restart(1);
    let mut client = broker.client();
    wait_for_coordinator(&mut client, &group);
    for partition in 0..2 {
        assert_eq!(fetch(&mut client, &group, &topic, partition), ROUNDS - 1);
    }
}
