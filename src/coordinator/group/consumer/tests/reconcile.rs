//! Steps of one member, in a table; and members that reconcile against each other until all have their targets.

use crate::base::ids::TopicId;
use crate::coordinator::group::consumer::{Assignment, Current, MemberState, Owned, Reconcile};

const A: TopicId = TopicId([1; 16]);
const B: TopicId = TopicId([2; 16]);

fn set(partitions: &[(TopicId, i32)]) -> Assignment {
    partitions.iter().copied().collect()
}

fn owned(partitions: &[(TopicId, i32)], epoch: i32) -> Owned {
    let mut owned = Owned::default();
    for &(topic, partition) in partitions {
        owned.insert(topic, partition, epoch);
    }
    owned
}

fn current(state: MemberState, assigned: &[(TopicId, i32)], pending: &[(TopicId, i32)]) -> Current {
    Current {
        state,
        epoch: 5,
        previous_epoch: 4,
        assigned: owned(assigned, 5),
        pending_revocation: owned(pending, 5),
    }
}

/// State, epoch, partitions of A with the epochs in which they came, and what is to be given up.
type Then = (MemberState, i32, &'static [(i32, i32)], &'static [(TopicId, i32)]);

struct Case {
    what: &'static str,
    member: Current,
    target_epoch: i32,
    target: &'static [(TopicId, i32)],
    says: Option<&'static [(TopicId, i32)]>,
    /// Subscribed to B too.
    both: bool,
    /// What somebody else owns.
    others: &'static [(TopicId, i32)],
    then: Then,
}

#[test]
fn one_step() {
    use MemberState::{Stable, UnreleasedPartitions, UnrevokedPartitions};
    let stable = || current(Stable, &[(A, 0), (A, 1)], &[]);
    let unrevoked = || current(UnrevokedPartitions, &[(A, 0)], &[(A, 1)]);
    let base = || Case {
        what: "nothing new",
        member: stable(),
        target_epoch: 5,
        target: &[(A, 0), (A, 1)],
        says: None,
        both: true,
        others: &[],
        then: (Stable, 5, &[(0, 5), (1, 5)], &[]),
    };
    let cases = [
        base(),
        Case {
            what: "a new epoch with the same target",
            target_epoch: 6,
            then: (Stable, 6, &[(0, 5), (1, 5)], &[]),
            ..base()
        },
        Case {
            what: "one more, which is free",
            target_epoch: 6,
            target: &[(A, 0), (A, 1), (A, 2)],
            then: (Stable, 6, &[(0, 5), (1, 5), (2, 6)], &[]),
            ..base()
        },
        Case {
            what: "one more, which another owns",
            target_epoch: 6,
            target: &[(A, 0), (A, 1), (A, 2)],
            others: &[(A, 2)],
            then: (UnreleasedPartitions, 6, &[(0, 5), (1, 5)], &[]),
            ..base()
        },
        Case {
            what: "one less: it stays in its epoch until it has given up",
            target_epoch: 6,
            target: &[(A, 0), (A, 2)],
            then: (UnrevokedPartitions, 5, &[(0, 5)], &[(A, 1)]),
            ..base()
        },
        Case {
            what: "one less, which it says it does not own",
            target_epoch: 6,
            target: &[(A, 0)],
            says: Some(&[(A, 0)]),
            then: (Stable, 6, &[(0, 5)], &[]),
            ..base()
        },
        Case {
            what: "it does not say what it owns",
            member: unrevoked(),
            target_epoch: 6,
            target: &[(A, 0)],
            then: (UnrevokedPartitions, 5, &[(0, 5)], &[(A, 1)]),
            ..base()
        },
        Case {
            what: "it has not given up",
            member: unrevoked(),
            target_epoch: 6,
            target: &[(A, 0)],
            says: Some(&[(A, 0), (A, 1)]),
            then: (UnrevokedPartitions, 5, &[(0, 5)], &[(A, 1)]),
            ..base()
        },
        Case {
            what: "it has given up",
            member: unrevoked(),
            target_epoch: 6,
            target: &[(A, 0), (A, 3)],
            says: Some(&[(A, 0)]),
            then: (Stable, 6, &[(0, 5), (3, 6)], &[]),
            ..base()
        },
        Case {
            what: "what it has given up is its again",
            member: unrevoked(),
            target_epoch: 7,
            target: &[(A, 0), (A, 1)],
            says: Some(&[(A, 0)]),
            then: (Stable, 7, &[(0, 5), (1, 7)], &[]),
            ..base()
        },
        Case {
            what: "others have released what it waits for",
            member: current(UnreleasedPartitions, &[(A, 0)], &[]),
            target: &[(A, 0), (A, 1)],
            then: (Stable, 5, &[(0, 5), (1, 5)], &[]),
            ..base()
        },
        Case {
            what: "a topic that it is not subscribed to any more goes before there is another target",
            member: current(Stable, &[(A, 0), (B, 1)], &[]),
            target: &[(A, 0), (B, 1)],
            both: false,
            then: (UnrevokedPartitions, 5, &[(0, 5)], &[(B, 1)]),
            ..base()
        },
        Case {
            what: "such a topic is not taken, though it is in the target",
            target_epoch: 6,
            target: &[(A, 0), (A, 1), (B, 0)],
            both: false,
            then: (Stable, 6, &[(0, 5), (1, 5)], &[]),
            ..base()
        },
    ];
    for case in cases {
        let said = case.says.map(set);
        let next = case.member.step(&Reconcile {
            target_epoch: case.target_epoch,
            target: &set(case.target),
            owned: said.as_ref(),
            is_subscribed: &|topic| topic == A || case.both,
            is_owned: &|topic, partition| {
                case.others.contains(&(topic, partition))
                    || case.member.assigned.contains(topic, partition)
                    || case.member.pending_revocation.contains(topic, partition)
            },
        });
        let (state, epoch, assigned, pending) = case.then;
        assert_eq!((next.state, next.epoch), (state, epoch), "{}", case.what);
        let has: Vec<(i32, i32)> = next
            .assigned
            .iter()
            .map(|(_, partition, since)| (partition, *since))
            .collect();
        assert_eq!(has, assigned, "{}", case.what);
        assert!(next.pending_revocation.has_the_same(&set(pending)), "{}", case.what);
    }
}
