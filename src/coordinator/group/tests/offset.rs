//! Committed offsets.

use super::*;

fn fetch(world: &mut World, wanted: Option<Vec<Wanted>>) -> Vec<(String, i32, i64)> {
    let ticket = world.ask(Request::FetchOffsets(FetchOffsets {
        member_id: None,
        member_epoch: -1,
        group: "g".into(),
        wanted,
    }));
    let Answer::FetchOffsets(Ok(topics)) = world.answer(ticket) else {
        panic!("{:?}", world.answer(ticket))
    };
    let flat = topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|fetched| (topic.topic.to_string(), fetched.partition, fetched.offset.0))
    });
    flat.collect()
}

fn wanted(topic_id: TopicId) -> Option<Vec<Wanted>> {
    Some(vec![Wanted {
        topic: "topic".into(),
        topic_id,
        partitions: vec![0, 1],
    }])
}

#[test]
fn a_consumer_without_membership_commits_and_fetches() {
    let mut world = World::new();
    assert_eq!(
        fetch(&mut world, wanted(TopicId::ZERO)),
        [("topic".to_owned(), 0, -1), ("topic".to_owned(), 1, -1)]
    );
    assert_eq!(fetch(&mut world, None), []);
    assert_eq!(world.commit(commit("", -1, 5)), Ok(vec![]));
    assert_eq!(
        world.commit(commit("", -1, 3)),
        Ok(vec![]),
        "it may go back when it is asked to"
    );
    let expected = [("topic".to_owned(), 0, 3), ("topic".to_owned(), 1, -1)];
    assert_eq!(fetch(&mut world, wanted(TopicId::ZERO)), expected);
    assert_eq!(fetch(&mut world, wanted(TopicId([7; 16]))), expected);
    assert_eq!(fetch(&mut world, None), expected[..1]);
    let of_another_topic = fetch(&mut world, wanted(TopicId([8; 16])));
    assert_eq!(of_another_topic[0].2, -1);
    let listed = world.ask(Request::List);
    let Answer::List(Ok(listed)) = world.answer(listed) else {
        panic!()
    };
    assert_eq!((listed[0].state, listed[0].protocol_type.clone()), ("Empty", None));
}

#[test]
fn who_may_commit() {
    let mut world = World::new();
    let ids = world.stable(2);
    for (member, generation, expected) in [
        (&*ids[0], 1, Ok(vec![])),
        (&*ids[1], 1, Ok(vec![])),
        (&*ids[1], 0, Err(GroupError::IllegalGeneration)),
        (&*ids[1], 2, Err(GroupError::IllegalGeneration)),
        (&*ids[1], -1, Err(GroupError::IllegalGeneration)),
        ("x", 1, Err(GroupError::UnknownMember)),
        ("", 1, Err(GroupError::UnknownMember)),
        ("", -1, Err(GroupError::UnknownMember)),
    ] {
        assert_eq!(
            world.commit(commit(member, generation, 1)),
            expected,
            "{member} {generation}"
        );
    }
    // While others join, a member of the old generation may finish; while the leader assigns it may not.
    world.ask(Request::Join(join(&ids[0])));
    assert_eq!(world.commit(commit(&ids[1], 1, 9)), Ok(vec![]));
    world.ask(Request::Join(join(&ids[1])));
    assert_eq!(world.state(), "CompletingRebalance");
    assert_eq!(world.commit(commit(&ids[1], 1, 9)), Err(GroupError::IllegalGeneration));
    assert_eq!(
        world.commit(commit(&ids[1], 2, 9)),
        Err(GroupError::RebalanceInProgress)
    );
    let mut unknown = commit("x", 3, 1);
    unknown.group = "other".into();
    assert_eq!(world.commit(unknown.clone()), Err(GroupError::GroupNotFound));
    unknown.unknown_group = GroupError::IllegalGeneration;
    assert_eq!(world.commit(unknown), Err(GroupError::IllegalGeneration));
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut world = World::new();
    let ids = world.stable(1);
    for offset in 0..10 {
        world.advance(seconds(6));
        assert_eq!(world.commit(commit(&ids[0], 1, offset)), Ok(vec![]));
    }
    assert_eq!(world.state(), "Stable");
}

#[test]
fn metadata_is_measured_as_java_does() {
    let mut world = World::with(Config {
        metadata_units_max: 4,
        ..Config::default()
    });
    for (metadata, is_too_long) in [
        ("", false),
        ("abcd", false),
        ("äöüß", false),
        ("abcde", true),
        ("\u{1F600}ab", false),
        ("\u{1F600}abc", true),
    ] {
        let mut request = commit("", -1, 1);
        request.offsets[0].metadata = Some(metadata.to_owned());
        request.offsets[0].tag = 4;
        let mut second = request.offsets[0].clone();
        second.metadata = None;
        second.partition = 1;
        second.tag = 5;
        request.offsets.push(second);
        let expected = if is_too_long { vec![4] } else { vec![] };
        assert_eq!(world.commit(request), Ok(expected), "{metadata}");
    }
    assert_eq!(world.coordinator.offsets().count(), 2);
}

#[test]
fn offsets_are_deleted_unless_somebody_reads_there() {
    let mut world = World::new();
    let delete = |topic: &str| {
        Request::DeleteOffsets(DeleteOffsets {
            group: "g".into(),
            offsets: vec![OffsetToDelete {
                tag: 3,
                topic: topic.into(),
                partition: 0,
            }],
        })
    };
    let ticket = world.ask(delete("topic"));
    assert_eq!(
        world.answer(ticket),
        &Answer::DeleteOffsets(Err(GroupError::GroupNotFound))
    );
    let mut other = commit("", -1, 5);
    other.offsets[0].topic = "other".into();
    assert_eq!(world.commit(other), Ok(vec![]));
    assert_eq!(world.commit(commit("", -1, 5)), Ok(vec![]));
    let ids = world.stable(1);
    let ticket = world.ask(delete("topic"));
    assert_eq!(world.answer(ticket), &Answer::DeleteOffsets(Ok(vec![3])));
    let ticket = world.ask(delete("other"));
    assert_eq!(world.answer(ticket), &Answer::DeleteOffsets(Ok(vec![])));
    assert_eq!(world.coordinator.offsets().count(), 1);
    world.ask(leave(&ids[0], None));
    let ticket = world.ask(delete("topic"));
    assert_eq!(world.answer(ticket), &Answer::DeleteOffsets(Ok(vec![])));
    assert_eq!(world.coordinator.offsets().count(), 0);
}

#[test]
fn groups_are_deleted_when_nobody_is_in_them() {
    let mut world = World::new();
    assert_eq!(world.commit(commit("", -1, 5)), Ok(vec![]));
    let ids = world.stable(1);
    let delete = || Request::Delete(vec!["g".into(), "h".into(), "g".into()]);
    let ticket = world.ask(delete());
    let (full, missing) = (Err(GroupError::NonEmptyGroup), Err(GroupError::GroupNotFound));
    assert_eq!(world.answer(ticket), &Answer::Delete(vec![full, missing, full]));
    world.ask(leave(&ids[0], None));
    let ticket = world.ask(delete());
    assert_eq!(world.answer(ticket), &Answer::Delete(vec![Ok(()), missing, Ok(())]));
    assert_eq!(
        (world.coordinator.group_count(), world.coordinator.offsets().count()),
        (0, 0)
    );
    let ticket = world.ask(Request::Describe(vec!["g".into()]));
    assert_eq!(
        world.answer(ticket),
        &Answer::Describe(Ok(vec![Err(DescribeRefused::NotFound)]))
    );
}

/// A group without members, with 400 offsets of each of three topics.
fn with_many_offsets() -> World {
    let mut world = World::eager();
    for topic in ["a", "b", "c"] {
        let mut many = commit("", -1, 5);
        let one = many.offsets.remove(0);
        many.offsets = (0..400)
            .map(|partition| OffsetToCommit {
                topic: topic.into(),
                partition,
                ..one.clone()
            })
            .collect();
        assert_eq!(world.commit(many), Ok(vec![]));
    }
    assert_eq!(world.coordinator.offsets().count(), 1200);
    world
}

/// What all these offsets are, and two that nobody has committed.
fn all_wanted() -> Vec<Wanted> {
    let topic = |(topic, partitions): (&str, i32)| Wanted {
        topic: topic.into(),
        topic_id: TopicId::ZERO,
        partitions: (0..partitions).collect(),
    };
    [("c", 401), ("none", 1), ("a", 400), ("empty", 0), ("b", 400)]
        .map(topic)
        .to_vec()
}

fn many_fetched(wanted: Option<Vec<Wanted>>) -> Request {
    Request::FetchOffsets(FetchOffsets {
        member_id: None,
        member_epoch: -1,
        group: "g".into(),
        wanted,
    })
}

#[test]
fn many_offsets_are_told_in_slices() {
    for wanted in [None, Some(all_wanted())] {
        let mut world = with_many_offsets();
        let ticket = world.ask(many_fetched(wanted.clone()));
        assert!(world.is_waiting(ticket), "they are too many for one step");
        let expected: Vec<(String, usize, usize)> = match &wanted {
            None => ["a", "b", "c"].map(|topic| (topic.to_owned(), 400, 400)).to_vec(),
            Some(wanted) => {
                let committed = |wanted: &Wanted| {
                    if &*wanted.topic == "none" {
                        0
                    } else {
                        wanted.partitions.len().min(400)
                    }
                };
                let topics = wanted.iter();
                topics
                    .map(|wanted| (wanted.topic.to_string(), wanted.partitions.len(), committed(wanted)))
                    .collect()
            }
        };
        world.work();
        let Answer::FetchOffsets(Ok(topics)) = world.answer(ticket) else {
            panic!("{:?}", world.answer(ticket))
        };
        let told = topics.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            assert!(
                partitions
                    .clone()
                    .zip(0..)
                    .all(|(fetched, place)| fetched.partition == place)
            );
            let committed = partitions.filter(|fetched| fetched.offset == Offset(5));
            (topic.topic.to_string(), topic.partitions.len(), committed.count())
        });
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn many_groups_are_told_in_slices() {
    let mut world = World::new();
    for group in 0..2500 {
        let mut one = commit("", -1, 5);
        one.group = format!("g-{group}").as_str().into();
        assert_eq!(world.commit(one), Ok(vec![]));
    }
    let (list, fetch) = (world.ask(Request::List), world.ask(many_fetched(Some(all_wanted()))));
    assert!(world.is_waiting(list) && world.is_waiting(fetch));
    let (slices, _) = world.work();
    assert!(slices > 9, "{slices}");
    let Answer::List(Ok(listed)) = world.answer(list) else {
        panic!("{:?}", world.answer(list))
    };
    let names: std::collections::BTreeSet<_> = listed.iter().map(|listed| &listed.group).collect();
    assert_eq!((listed.len(), names.len()), (2500, 2500));
    assert!(!world.is_waiting(fetch));
    // The coordinator ends.
    let (list, fetch) = (world.ask(Request::List), world.ask(many_fetched(Some(all_wanted()))));
    let effects = world.coordinator.take_waiting();
    world.take(effects);
    let over = GroupError::NotCoordinator;
    assert_eq!(world.answer(list), &Answer::List(Err(over)));
    assert_eq!(world.answer(fetch), &Answer::FetchOffsets(Err(over)));
    assert!(!world.coordinator.has_work());
}

fn deleted(world: &mut World) -> Ticket {
    let ticket = world.ask(Request::Delete(vec!["g".into(), "h".into(), "g".into()]));
    assert!(world.is_waiting(ticket));
    ticket
}

const MISSING: Result<(), GroupError> = Err(GroupError::GroupNotFound);

#[test]
fn a_group_of_many_offsets_is_deleted_in_slices() {
    let mut world = with_many_offsets();
    let ticket = deleted(&mut world);
    let (slices, most) = world.work();
    assert!(slices > 6 && most <= 200, "{slices} slices, {most} records");
    assert_eq!(world.answer(ticket), &Answer::Delete(vec![Ok(()), MISSING, Ok(())]));
    let left = (world.coordinator.group_count(), world.coordinator.offsets().count());
    assert_eq!(left, (0, 0));
    let mut loaded = Coordinator::new(Config::default());
    for record in &world.log {
        loaded.replay(record);
    }
    assert_eq!((loaded.group_count(), loaded.offsets().count()), (0, 0));
}

#[test]
fn a_group_that_gets_members_while_it_is_deleted_stays() {
    let mut world = with_many_offsets();
    let ticket = deleted(&mut world);
    for _ in 0..2 {
        let effects = world.coordinator.work(world.now());
        world.take(effects);
    }
    let mut request = join("");
    request.takes_member_id = false;
    world.ask(Request::Join(request));
    world.work();
    let full = Err(GroupError::NonEmptyGroup);
    assert_eq!(world.answer(ticket), &Answer::Delete(vec![full, MISSING, full]));
    assert_eq!(world.coordinator.offsets().count(), 800);
}

#[test]
fn a_group_that_cannot_be_deleted_is_there_and_so_told() {
    let refused = Err(GroupError::NotAvailable);
    // The disk is full from the beginning, or for the end of the group alone.
    for slices_before in [0, 6] {
        let mut world = with_many_offsets();
        let ticket = deleted(&mut world);
        for _ in 0..slices_before {
            let effects = world.coordinator.work(world.now());
            world.take(effects);
        }
        world.is_full = true;
        world.work();
        assert_eq!(world.answer(ticket), &Answer::Delete(vec![refused, MISSING, refused]));
        assert_eq!(world.coordinator.group_count(), 1);
    }
    // The coordinator ends.
    let mut world = with_many_offsets();
    let ticket = deleted(&mut world);
    let effects = world.coordinator.take_waiting();
    world.take(effects);
    let over = Err(GroupError::NotCoordinator);
    assert_eq!(world.answer(ticket), &Answer::Delete(vec![over, over, over]));
    assert!(!world.coordinator.has_work());
}
