//! Who has which partitions: the assignment that a leader makes, and whether what members were given is whole. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use duramen_wire::messages::consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition};
use duramen_wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use duramen_wire::{Message, Reader, Writer};

use crate::failure::{Failure, Result, fail};

/// The version of Kafka's embedded consumer protocol that is spoken here.
const VERSION: i16 = 3;

/// Memory that decoding an assignment may reserve.
const DECODE_BUDGET: usize = 16 << 20;

/// A subscription to one topic, as a member sends it.
pub fn subscription(topic: &str) -> Result<Bytes> {
    encode(&ConsumerProtocolSubscription {
        topics: vec![topic.to_owned()],
        ..ConsumerProtocolSubscription::default()
    })
}

/// Kafka's range assignment of the partitions of one topic: members by their ids, each with the next partitions in a row, the first ones with
/// one more where they do not come out even.
pub fn range(members: &[String], partitions: i32) -> Vec<(String, Vec<i32>)> {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    let members = i32::try_from(sorted.len()).unwrap_or(i32::MAX).max(1);
    let (each, extra) = (partitions / members, partitions % members);
    let mut next = 0;
    let mut assigned = Vec::with_capacity(sorted.len());
    for (index, member) in (0..).zip(sorted) {
        let end = next + each + i32::from(index < extra);
        assigned.push((member, (next..end).collect()));
        next = end;
    }
    assigned
}

/// An assignment as a leader sends it.
pub fn encode_assignment(topic: &str, partitions: Vec<i32>) -> Result<Bytes> {
    encode(&ConsumerProtocolAssignment {
        assigned_partitions: vec![TopicPartition {
            topic: topic.to_owned(),
            partitions,
        }],
        user_data: None,
    })
}

/// The partitions of `topic` that an assignment gives.
pub fn decode_assignment(topic: &str, bytes: &Bytes) -> Result<Vec<i32>> {
    let Some((version, _)) = bytes.split_first_chunk::<2>() else {
        return Ok(Vec::new());
    };
    let version = i16::from_be_bytes(*version);
    let body = bytes.slice(2..);
    let wrong = |error: duramen_wire::DecodeError| Failure::new(format!("an assignment: {error}"));
    let assignment =
        ConsumerProtocolAssignment::decode(&mut Reader::new(&body, DECODE_BUDGET), version).map_err(wrong)?;
    let mut partitions = Vec::new();
    for assigned in assignment.assigned_partitions {
        if assigned.topic != topic {
            fail!(
                "an assignment gives topic {}, which nobody subscribed to",
                assigned.topic
            );
        }
        partitions.extend(assigned.partitions);
    }
    Ok(partitions)
}

/// Whether each of so many partitions has exactly one owner among the members.
pub fn check<'a>(partitions: i32, owned: impl Iterator<Item = &'a [i32]>) -> Result<()> {
    let mut owners: BTreeMap<i32, usize> = BTreeMap::new();
    for (member, owned) in owned.enumerate() {
        for partition in owned {
            if !(0..partitions).contains(partition) {
                fail!("member {member} was given partition {partition}, which is not there");
            }
            if let Some(other) = owners.insert(*partition, member) {
                fail!("partition {partition} has two owners, members {other} and {member}");
            }
        }
    }
    if let Some(free) = (0..partitions).find(|partition| !owners.contains_key(partition)) {
        fail!("partition {free} has no owner");
    }
    Ok(())
}

fn encode<M: Message>(message: &M) -> Result<Bytes> {
    let mut writer = Writer::new();
    writer.int16(VERSION);
    message.encode(&mut writer, VERSION)?;
    Ok(writer.into_bytes()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_whole_and_even() {
        let names = |count: usize| (0..count).map(|member| format!("m{member}")).collect::<Vec<_>>();
        // Members, partitions, partitions of the first and of the last member.
        let cases = [
            (1, 5, 5, 5),
            (2, 5, 3, 2),
            (3, 3, 1, 1),
            (4, 2, 1, 0),
            (1000, 1000, 1, 1),
        ];
        for (members, partitions, first, last) in cases {
            let assigned = range(&names(members), partitions);
            assert_eq!(assigned.len(), members);
            assert_eq!((assigned[0].1.len(), assigned[members - 1].1.len()), (first, last));
            check(partitions, assigned.iter().map(|(_, owned)| owned.as_slice())).unwrap();
        }
        assert_eq!(
            range(&["b".to_owned(), "a".to_owned()], 3),
            [("a".to_owned(), vec![0, 1]), ("b".to_owned(), vec![2])]
        );
    }

    #[test]
    fn what_is_not_whole_is_told() {
        let cases: &[(&[&[i32]], &str)] = &[
            (&[&[0, 1], &[1, 2]], "partition 1 has two owners, members 0 and 1"),
            (&[&[0, 0], &[1, 2]], "partition 0 has two owners, members 0 and 0"),
            (&[&[0], &[2]], "partition 1 has no owner"),
            (
                &[&[0, 1, 2], &[3]],
                "member 1 was given partition 3, which is not there",
            ),
            (&[], "partition 0 has no owner"),
        ];
        for (owned, expected) in cases {
            let error = check(3, owned.iter().copied()).unwrap_err();
            assert_eq!(error.to_string(), *expected);
        }
        check(3, [[2, 0].as_slice(), &[], &[1]].into_iter()).unwrap();
    }

    #[test]
    fn assignments_go_there_and_back() {
        let bytes = encode_assignment("t", vec![3, 1]).unwrap();
        assert_eq!(decode_assignment("t", &bytes).unwrap(), [3, 1]);
        assert!(decode_assignment("u", &bytes).is_err());
        assert!(decode_assignment("t", &bytes.slice(..5)).is_err());
        assert_eq!(decode_assignment("t", &Bytes::new()).unwrap(), Vec::<i32>::new());
        assert!(subscription("t").unwrap().len() > 2);
    }
}
