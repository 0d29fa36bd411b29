//! Every partition has one subscriber; loads are even; what need not move stays.

use std::collections::BTreeMap;

use super::*;

/// A sequence that looks random and is the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn topics(partitions: &[i32]) -> Vec<Topic> {
    let numbered = (1u8..).zip(partitions);
    numbered
        .map(|(number, partitions)| Topic {
            id: TopicId([number; 16]),
            partitions: *partitions,
        })
        .collect()
}

fn member(id: usize, subscribed: &[usize]) -> Candidate {
    Candidate {
        id: format!("m{id:03}").into(),
        instance_id: None,
        subscribed: subscribed.to_vec(),
        before: Assignment::default(),
    }
}

/// The same group with what it was assigned.
fn again(input: &Input, assigned: &[(Arc<str>, Assignment)]) -> Input {
    let mut input = input.clone();
    for member in &mut input.members {
        let found = assigned.iter().find(|(id, _)| *id == member.id);
        member.before = found.map(|(_, assigned)| assigned.clone()).unwrap_or_default();
    }
    input
}

/// Every partition of a topic with subscribers has exactly one, and nobody has anything else.
fn check_whole(input: &Input, assigned: &[(Arc<str>, Assignment)]) {
    assert_eq!(assigned.len(), input.members.len());
    let mut owners = BTreeMap::new();
    for (member, (id, assignment)) in input.members.iter().zip(assigned) {
        assert_eq!(member.id, *id);
        for (topic, partition, ()) in assignment.iter() {
            let place = input.topics.iter().position(|known| known.id == topic).unwrap();
            assert!(member.subscribed.contains(&place), "{id} is not subscribed to it");
            assert!((0..input.topics[place].partitions).contains(&partition));
            assert_eq!(owners.insert((topic, partition), id), None, "two owners");
        }
    }
    let wanted = input.topics.iter().enumerate().filter(|(place, _)| {
        let mut members = input.members.iter();
        members.any(|member| member.subscribed.contains(place))
    });
    let wanted: i32 = wanted.map(|(_, topic)| topic.partitions).sum();
    assert_eq!(owners.len(), usize::try_from(wanted).unwrap());
}

fn spread(assigned: &[(Arc<str>, Assignment)]) -> usize {
    let loads = assigned.iter().map(|(_, assignment)| assignment.len());
    loads.clone().max().unwrap_or(0) - loads.min().unwrap_or(0)
}

/// Partitions that have another member than before.
fn moved(before: &[(Arc<str>, Assignment)], after: &[(Arc<str>, Assignment)]) -> usize {
    let kept = |(id, assignment): &(Arc<str>, Assignment)| {
        let now = after.iter().find(|(other, _)| other == id);
        assignment
            .iter()
            .filter(|(topic, partition, ())| !now.is_some_and(|(_, now)| now.contains(*topic, *partition)))
            .count()
    };
    before.iter().map(kept).sum()
}

#[test]
fn one_subscription_is_spread_evenly_and_stays() {
    let mut draw = Draw(1);
    for _ in 0..300 {
        let count = 1 + draw.below(5);
        let sizes: Vec<i32> = (0..count).map(|_| i32::try_from(draw.below(12)).unwrap()).collect();
        let all: Vec<usize> = (0..count).collect();
        let members = 1 + draw.below(9);
        let mut input = Input {
            topics: topics(&sizes),
            members: (0..members).map(|id| member(id, &all)).collect(),
        };
        let first = assign(Assignor::Uniform, input.clone());
        check_whole(&input, &first);
        assert!(spread(&first) <= 1, "{first:?}");
        let second = assign(Assignor::Uniform, again(&input, &first));
        assert_eq!(first, second, "nothing has changed, nothing moves");

        // One more takes its share, and nothing else moves.
        input = again(&input, &first);
        input.members.push(member(members, &all));
        let joined = assign(Assignor::Uniform, input.clone());
        check_whole(&input, &joined);
        assert!(spread(&joined) <= 1);
        assert_eq!(moved(&first, &joined), joined.last().unwrap().1.len());

        // One goes, and only what it had moves.
        input = again(&input, &joined);
        let gone = draw.below(input.members.len());
        input.members.remove(gone);
        if input.members.is_empty() {
            continue;
        }
        let left = assign(Assignor::Uniform, input.clone());
        check_whole(&input, &left);
        assert!(spread(&left) <= 1);
        assert_eq!(moved(&joined, &left), joined[gone].1.len());
    }
}

#[test]
fn several_subscriptions_are_as_even_as_single_moves_make_them() {
    let mut draw = Draw(2);
    for _ in 0..300 {
        let count = 1 + draw.below(6);
        let sizes: Vec<i32> = (0..count).map(|_| i32::try_from(draw.below(9)).unwrap()).collect();
        let mut members = Vec::new();
        for id in 0..1 + draw.below(8) {
            let subscribed: Vec<usize> = (0..count).filter(|_| draw.below(2) == 0).collect();
            members.push(member(id, &subscribed));
        }
        let input = Input {
            topics: topics(&sizes),
            members,
        };
        let assigned = assign(Assignor::Uniform, input.clone());
        check_whole(&input, &assigned);
        assert_eq!(assign(Assignor::Uniform, again(&input, &assigned)), assigned);
        for (from, (_, has)) in assigned.iter().enumerate() {
            for (topic, _, ()) in has.iter() {
                let place = input.topics.iter().position(|known| known.id == topic).unwrap();
                let takers = input.members.iter().enumerate();
                for (to, _) in takers.filter(|(_, taker)| taker.subscribed.contains(&place)) {
                    assert!(
                        has.len() <= assigned[to].1.len() + 1,
                        "{from} could give to {to}: {assigned:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn ranges_meet() {
    // Sizes of topics, members, what each gets of each topic.
    type Row = (&'static [i32], usize, &'static [&'static [(i32, i32)]]);
    let rows: &[Row] = &[
        (&[4], 2, &[&[(0, 2)], &[(2, 4)]]),
        (&[5], 2, &[&[(0, 3)], &[(3, 5)]]),
        (&[3, 3], 2, &[&[(0, 2), (0, 2)], &[(2, 3), (2, 3)]]),
        (&[2], 3, &[&[(0, 1)], &[(1, 2)], &[(2, 2)]]),
        (&[7, 2], 3, &[&[(0, 3), (0, 1)], &[(3, 5), (1, 2)], &[(5, 7), (2, 2)]]),
        (&[0], 1, &[&[(0, 0)]]),
    ];
    for (sizes, members, expected) in rows {
        let all: Vec<usize> = (0..sizes.len()).collect();
        let input = Input {
            topics: topics(sizes),
            members: (0..*members).map(|id| member(id, &all)).collect(),
        };
        let assigned = assign(Assignor::Range, input.clone());
        check_whole(&input, &assigned);
        for ((_, assignment), ranges) in assigned.iter().zip(*expected) {
            let wanted = input.topics.iter().zip(*ranges);
            let wanted = wanted.flat_map(|(topic, (from, to))| (*from..*to).map(|partition| (topic.id, partition)));
            assert_eq!(*assignment, wanted.collect(), "{sizes:?} among {members}");
        }
    }
}

#[test]
fn static_members_come_first() {
    let mut input = Input {
        topics: topics(&[3]),
        members: vec![member(0, &[0]), member(1, &[0]), member(2, &[0])],
    };
    input.members[1].instance_id = Some("b".into());
    input.members[2].instance_id = Some("a".into());
    let assigned = assign(Assignor::Range, input.clone());
    let first: Vec<i32> = assigned
        .iter()
        .flat_map(|(_, has)| has.iter().map(|(_, partition, ())| partition))
        .collect();
    assert_eq!(first, [2, 1, 0]);
}

#[test]
fn what_was_had_twice_or_is_not_there_is_not_kept() {
    let mut input = Input {
        topics: topics(&[3]),
        members: vec![member(0, &[0]), member(1, &[0])],
    };
    for member in &mut input.members {
        member.before = [0, 1, 7, -1]
            .into_iter()
            .map(|partition| (TopicId([1; 16]), partition))
            .collect();
        member.before.insert(TopicId([9; 16]), 0, ());
    }
    let assigned = assign(Assignor::Uniform, input.clone());
    check_whole(&input, &assigned);
    assert!(spread(&assigned) <= 1);
}

#[test]
fn steps_make_no_difference() {
    let all: Vec<usize> = (0..4).collect();
    let input = Input {
        topics: topics(&[9, 1, 5, 20]),
        members: (0..6).map(|id| member(id, &all[id % 3..])).collect(),
    };
    for assignor in Assignor::ALL {
        let mut assigning = Assigning::begin(assignor, input.clone());
        let mut rounds = 1;
        while !assigning.advance(1) {
            rounds += 1;
        }
        assert!(rounds > 3);
        assert_eq!(
            assigning
                .finish()
                .into_iter()
                .map(|(id, dealt)| (id, dealt.into_iter().collect()))
                .collect::<Vec<(_, Assignment)>>(),
            assign(assignor, input.clone()),
            "{}",
            assignor.name()
        );
    }
}
