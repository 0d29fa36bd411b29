//! Records that can be decoded and make no sense, as no coordinator writes them: their group may lose what it had, it can be used again
//! when its time is over, and no other group is harmed. By seed; `SEED=n` runs one.

use duramen_wire::messages::consumer_group_current_member_assignment_value::{
    ConsumerGroupCurrentMemberAssignmentValue, TopicPartitions,
};
use duramen_wire::messages::consumer_group_member_metadata_value::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupMemberMetadataValue,
};
use duramen_wire::messages::consumer_group_metadata_value::ConsumerGroupMetadataValue;
use duramen_wire::messages::consumer_group_regular_expression_value::ConsumerGroupRegularExpressionValue;
use duramen_wire::messages::consumer_group_target_assignment_member_value::{
    ConsumerGroupTargetAssignmentMemberValue, TopicPartition,
};
use duramen_wire::messages::consumer_group_target_assignment_metadata_value::ConsumerGroupTargetAssignmentMetadataValue;
use duramen_wire::messages::group_metadata_value::{GroupMetadataValue, MemberMetadata};
use duramen_wire::messages::offset_commit_value::OffsetCommitValue;

use super::consumer::{ConsumerRecord, What};
use super::consumers::{Topics, joining};
use super::simulation::Chance;
use super::*;

const SEEDS: u64 = 300;

/// The group that the records are about.
const BROKEN: &str = "broken";

/// Longer than any time that a record can name.
const ALL_TIME: Duration = Duration::from_secs(60 * 24 * 3600);

const NUMBERS: [i32; 8] = [i32::MIN, -7, -2, -1, 0, 1, 1000, i32::MAX];
const TEXTS: [&str; 8] = ["", "a", "b", "consumer", "range", "topic", "(", "\u{0}"];
const BYTES: [&[u8]; 5] = [
    b"",
    b"\0",
    b"\0\0\x7f\xff\xff\xff",
    b"\0\x01\0\0\0\x01\0\x05topic\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
];

fn one_of<T: Copy>(chance: &mut Chance, values: &[T]) -> T {
    let count = u64::try_from(values.len()).unwrap();
    values[usize::try_from(chance.below(count)).unwrap()]
}

fn number(chance: &mut Chance) -> i32 {
    one_of(chance, &NUMBERS)
}

fn long(chance: &mut Chance) -> i64 {
    one_of(chance, &[i64::MIN, -1, 0, 1, BEGIN_MS, i64::MAX])
}

fn text(chance: &mut Chance) -> String {
    one_of(chance, &TEXTS).to_owned()
}

fn bytes(chance: &mut Chance) -> Bytes {
    Bytes::from_static(one_of(chance, &BYTES))
}

fn several<T>(chance: &mut Chance, make: fn(&mut Chance) -> T) -> Vec<T> {
    (0..chance.below(4)).map(|_| make(chance)).collect()
}

fn maybe<T>(chance: &mut Chance, make: fn(&mut Chance) -> T) -> Option<T> {
    (!chance.one_in(3)).then(|| make(chance))
}

fn topic_id(chance: &mut Chance) -> [u8; 16] {
    one_of(chance, &[[0; 16], consumers::TOPIC_ID.0, [0xff; 16]])
}

fn record(chance: &mut Chance) -> Record {
    let member: Arc<str> = text(chance).into();
    let what = match chance.below(10) {
        0 => {
            let topic = text(chance).into();
            let partition = number(chance);
            let value = maybe(chance, offset);
            return Record::Offset {
                group: BROKEN.into(),
                topic,
                partition,
                value,
            };
        }
        1 | 2 => {
            let value = maybe(chance, classic_group);
            return Record::ClassicGroup {
                group: BROKEN.into(),
                value,
            };
        }
        3 => What::Group(maybe(chance, |chance| ConsumerGroupMetadataValue {
            epoch: number(chance),
            metadata_hash: long(chance),
        })),
        4 | 5 => What::Member(member, maybe(chance, consumer)),
        6 => What::TargetEpoch(maybe(chance, |chance| ConsumerGroupTargetAssignmentMetadataValue {
            assignment_epoch: number(chance),
            assignment_timestamp: long(chance),
        })),
        7 => What::Target(member, maybe(chance, target)),
        8 => What::Current(member, maybe(chance, current)),
        _ => What::Regex(
            member,
            maybe(chance, |chance| ConsumerGroupRegularExpressionValue {
                topics: several(chance, text),
                version: long(chance),
                timestamp: long(chance),
            }),
        ),
    };
    Record::Consumer(ConsumerRecord {
        group: BROKEN.into(),
        what,
    })
}

fn offset(chance: &mut Chance) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: long(chance),
        leader_epoch: number(chance),
        metadata: text(chance),
        commit_timestamp: long(chance),
        expire_timestamp: -1,
        topic_id: topic_id(chance),
    }
}

fn classic_group(chance: &mut Chance) -> GroupMetadataValue {
    GroupMetadataValue {
        protocol_type: text(chance),
        generation: number(chance),
        protocol: maybe(chance, text),
        leader: maybe(chance, text),
        current_state_timestamp: long(chance),
        members: several(chance, |chance| MemberMetadata {
            member_id: text(chance),
            group_instance_id: maybe(chance, text),
            client_id: text(chance),
            client_host: text(chance),
            rebalance_timeout: number(chance),
            session_timeout: number(chance),
            subscription: bytes(chance),
            assignment: bytes(chance),
        }),
    }
}

fn consumer(chance: &mut Chance) -> ConsumerGroupMemberMetadataValue {
    ConsumerGroupMemberMetadataValue {
        instance_id: maybe(chance, text),
        rack_id: maybe(chance, text),
        client_id: text(chance),
        client_host: text(chance),
        subscribed_topic_names: several(chance, text),
        subscribed_topic_regex: maybe(chance, text),
        rebalance_timeout_ms: number(chance),
        server_assignor: maybe(chance, text),
        classic_member_metadata: maybe(chance, |chance| ClassicMemberMetadata {
            session_timeout_ms: number(chance),
            supported_protocols: several(chance, |chance| ClassicProtocol {
                name: text(chance),
                metadata: bytes(chance),
            }),
        }),
    }
}

fn target(chance: &mut Chance) -> ConsumerGroupTargetAssignmentMemberValue {
    ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: several(chance, |chance| TopicPartition {
            topic_id: topic_id(chance),
            partitions: several(chance, number),
        }),
    }
}

fn current(chance: &mut Chance) -> ConsumerGroupCurrentMemberAssignmentValue {
    fn topic(chance: &mut Chance) -> TopicPartitions {
        let partitions = several(chance, number);
        // As many as there are partitions.
        let epochs = maybe(chance, number).map(|epoch| vec![epoch; partitions.len()]);
        TopicPartitions {
            topic_id: topic_id(chance),
            partitions,
            assignment_epochs: epochs,
        }
    }
    ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: number(chance),
        previous_member_epoch: number(chance),
        state: i8::try_from(chance.below(5)).unwrap() - 1,
        assigned_partitions: several(chance, topic),
        partitions_pending_revocation: several(chance, topic),
    }
}

fn of_broken(mut request: Join) -> Request {
    request.group = BROKEN.into();
    Request::Join(request)
}

/// What clients and tools say to the broken group; each is answered, if not at once.
fn speak_to_broken(world: &mut World) -> Vec<Ticket> {
    let group: Arc<str> = BROKEN.into();
    let mut tickets = Vec::new();
    for member in TEXTS {
        let mut request = join(member);
        request.instance_id = (member == "b").then(|| "a".into());
        tickets.push(world.ask(of_broken(request)));
        for epoch in [0, -1, 1, i32::MAX] {
            let mut beat = joining(member);
            beat.group = Arc::clone(&group);
            beat.member_epoch = epoch;
            tickets.push(world.ask(Request::ConsumerHeartbeat(Box::new(beat))));
        }
        let mut request = commit(member, 1, 5);
        request.group = Arc::clone(&group);
        tickets.push(world.ask(Request::CommitOffsets(request)));
        tickets.push(world.ask(Request::Leave(Leave {
            group: Arc::clone(&group),
            members: vec![LeavingMember {
                member_id: member.into(),
                instance_id: None,
            }],
        })));
    }
    tickets.push(world.ask(Request::Describe(vec![Arc::clone(&group)])));
    tickets.push(world.ask(Request::DescribeConsumers(vec![group])));
    world.work();
    tickets
}

fn check_healthy(world: &mut World, member: &str, seed: u64) {
    assert_eq!(world.heartbeat(member, 1), Ok(()), "seed {seed}");
    assert_eq!(world.commit(commit(member, 1, 9)), Ok(vec![]), "seed {seed}");
    assert_eq!(world.state(), "Stable", "seed {seed}");
}

fn run(seed: u64) {
    let mut chance = Chance(seed);
    let mut world = World::eager();
    let ids = world.stable(2);
    for _ in 0..=chance.below(12) {
        let (key, value) = record(&mut chance).encode().unwrap();
        world.log.push(Record::decode(Some(&key), value.as_deref()).unwrap());
    }
    let mut world = world.restarted();
    world.coordinator.on_topics(Topics::of(3, 4));
    check_healthy(&mut world, &ids[0], seed);
    let tickets = speak_to_broken(&mut world);
    check_healthy(&mut world, &ids[0], seed);
    // The same log, with what was said since.
    let mut again = world.restarted();
    again.coordinator.on_topics(Topics::of(3, 4));
    check_healthy(&mut again, &ids[0], seed);
    world.advance(ALL_TIME);
    world.work();
    let waiting = tickets.iter().filter(|ticket| world.is_waiting(**ticket)).count();
    assert_eq!(waiting, 0, "seed {seed}");
    let mut request = join("");
    request.takes_member_id = false;
    let ticket = world.ask(of_broken(request));
    world.advance(seconds(1));
    assert!(
        matches!(world.answer(ticket), Answer::Join(Ok(_))),
        "seed {seed}: {:?}",
        world.answer(ticket)
    );
}

#[test]
fn records_that_make_no_sense_harm_nobody_else() {
    let one = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in one.map_or(0..SEEDS, |seed: u64| seed..seed + 1) {
        run(seed);
    }
}
