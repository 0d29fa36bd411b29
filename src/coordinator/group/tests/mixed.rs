//! Members of both protocols in one group, and groups that go from one to the other.

use std::collections::BTreeSet;

use duramen_wire::messages::consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition as Assigned};
use duramen_wire::messages::consumer_protocol_subscription::{ConsumerProtocolSubscription, TopicPartition as Owned};
use duramen_wire::{Message, Writer};

use super::consumer::{Assignment, Heartbeat as Beat, Migration, Refused};
use super::consumers::{TOPIC_ID, going_on, held, joining, world};
use super::*;

pub(super) fn written<M: Message>(message: &M) -> Bytes {
    let mut writer = Writer::new();
    writer.int16(1);
    message.encode(&mut writer, 1).unwrap();
    writer.into_bytes().unwrap()
}

/// A client of the classic protocol, that gives partitions up one by one.
struct Classic {
    id: String,
    instance: Option<&'static str>,
    /// Of the id that it is given.
    fresh: u8,
    generation: i32,
    owned: Vec<i32>,
}

impl Classic {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            instance: None,
            fresh: 0,
            generation: -1,
            owned: Vec::new(),
        }
    }

    fn join(&self) -> Join {
        let owned = Owned {
            topic: "topic".to_owned(),
            partitions: self.owned.clone(),
        };
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["topic".to_owned()],
            owned_partitions: vec![owned],
            ..ConsumerProtocolSubscription::default()
        };
        Join {
            instance_id: self.instance.map(Into::into),
            fresh_id: [self.fresh; 16],
            protocols: vec![Protocol {
                name: "range".into(),
                metadata: written(&subscription),
            }],
            ..join(&self.id)
        }
    }

    /// Joins a group that answers at once, and asks for its assignment.
    fn join_and_sync(&mut self, world: &mut World) -> Result<(), GroupError> {
        let ticket = world.ask(Request::Join(self.join()));
        let Answer::Join(answer) = world.answer(ticket).clone() else {
            panic!("no join")
        };
        let joined = match answer {
            Ok(joined) => joined,
            Err(refused) if refused.error == GroupError::MemberIdRequired => {
                self.id = refused.member_id.to_string();
                return self.join_and_sync(world);
            }
            Err(refused) => return Err(refused.error),
        };
        self.id = joined.member_id.to_string();
        self.generation = joined.generation;
        let ticket = world.ask(sync(&self.id, self.generation, &[]));
        let assignment = world.synced(ticket)?;
        self.take(&Bytes::from(assignment));
        Ok(())
    }

    fn take(&mut self, assignment: &Bytes) {
        let decoded =
            ConsumerProtocolAssignment::decode(&mut duramen_wire::Reader::new(&assignment.slice(2..), 4096), 1);
        let topics = decoded.unwrap().assigned_partitions;
        self.owned = topics.into_iter().flat_map(|topic| topic.partitions).collect();
    }

    /// One heartbeat, and what it asks for.
    fn drive(&mut self, world: &mut World) {
        match world.heartbeat(&self.id, self.generation) {
            Ok(()) => {}
            Err(GroupError::RebalanceInProgress) => drop(self.join_and_sync(world)),
            Err(error) => panic!("{}: {error}", self.id),
        }
    }
}

/// A client of the consumer protocol.
struct Modern {
    id: &'static str,
    instance: Option<&'static str>,
    epoch: i32,
    owned: Vec<i32>,
}

impl Modern {
    fn join(world: &mut World, id: &'static str) -> Self {
        Self::join_as(world, id, None)
    }

    fn join_as(world: &mut World, id: &'static str, instance: Option<&'static str>) -> Self {
        let beat = Beat {
            instance_id: instance.map(Into::into),
            ..joining(id)
        };
        let beaten = world.beat(&beat).unwrap();
        let mut member = Self {
            id,
            instance,
            epoch: 0,
            owned: Vec::new(),
        };
        member.take(&beaten);
        member
    }

    fn take(&mut self, beaten: &super::consumer::Beaten) {
        self.epoch = beaten.member_epoch;
        if let Some(assigned) = &beaten.assigned {
            self.owned = assigned.iter().map(|(_, partition, _)| partition).collect();
        }
    }

    fn drive(&mut self, world: &mut World) {
        let owned: Assignment = self.owned.iter().map(|partition| (TOPIC_ID, *partition)).collect();
        let beat = Beat {
            owned: Some(owned),
            instance_id: self.instance.map(Into::into),
            ..going_on(self.id, self.epoch)
        };
        let beaten = world.beat(&beat).unwrap();
        self.take(&beaten);
    }
}

/// Nobody has what another has; how many partitions are held.
fn count(classic: &[&Classic], modern: &[&Modern]) -> usize {
    let all = classic.iter().flat_map(|member| member.owned.clone());
    let all: Vec<i32> = all
        .chain(modern.iter().flat_map(|member| member.owned.clone()))
        .collect();
    let distinct: BTreeSet<&i32> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{all:?}");
    all.len()
}

/// A stable classic group of one member, that has all four partitions.
fn classic_group(world: &mut World) -> Classic {
    let mut member = Classic::new("");
    let ticket = world.ask(Request::Join(member.join()));
    let (_, id) = world.join_refused(ticket);
    member.id = id;
    let ticket = world.ask(Request::Join(member.join()));
    world.advance(seconds(1));
    member.generation = world.joined(ticket).generation;
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: vec![Assigned {
            topic: "topic".to_owned(),
            partitions: vec![0, 1, 2, 3],
        }],
        user_data: None,
    };
    let Request::Sync(mut request) = sync(&member.id, member.generation, &[]) else {
        panic!("a sync")
    };
    request.assignments = vec![(member.id.as_str().into(), written(&assignment))];
    let ticket = world.ask(Request::Sync(request));
    member.take(&Bytes::from(world.synced(ticket).unwrap()));
    assert_eq!((world.state(), member.owned.len()), ("Stable", 4));
    member
}

#[test]
fn a_classic_group_is_upgraded_and_downgraded() {
    let mut world = world(1, 4);
    let mut first = classic_group(&mut world);
    let mut second = Modern::join(&mut world, "modern");
    world.check_log();
    assert_eq!(world.members(), 2);
    assert!(world.coordinator.classic("g").is_none());
    assert_eq!(second.owned, [] as [i32; 0], "the first has all of them still");
    for _ in 0..6 {
        world.advance(seconds(2));
        first.drive(&mut world);
        second.drive(&mut world);
        assert!(count(&[&first], &[&second]) <= 4);
    }
    assert_eq!((first.owned.len(), second.owned.len()), (2, 2));
    assert_eq!(world.coordinator.consumer("g").unwrap().state().name(), "Stable");
    world.check_log();
    assert_eq!(world.commit(commit(&first.id, first.generation, 7)), Ok(vec![]));
    assert_eq!(
        world.commit(commit(&first.id, first.generation + 1, 7)),
        Err(GroupError::IllegalGeneration)
    );

    // The other leaves: the group is what it was, and its member joins it.
    let generation = first.generation;
    world.beat(&going_on("modern", -1)).unwrap();
    world.work();
    assert_eq!(world.state(), "PreparingRebalance");
    assert!(world.coordinator.consumer("g").is_none());
    let result = world.heartbeat(&first.id, world.group().generation());
    assert_eq!(result, Err(GroupError::RebalanceInProgress));
    let ticket = world.ask(Request::Join(first.join()));
    let joined = world.joined(ticket);
    assert!(joined.generation > generation);
    assert_eq!(joined.leader.as_deref(), Some(first.id.as_str()));
    let ticket = world.ask(sync(&first.id, joined.generation, &[]));
    assert!(world.synced(ticket).is_ok());
    assert_eq!((world.state(), world.coordinator.offsets().count()), ("Stable", 1));
    let mut loaded = Coordinator::new(Config::default());
    for record in &world.log {
        loaded.replay(record);
    }
    assert_eq!(loaded.classic("g").unwrap().generation(), joined.generation);
    assert!(loaded.consumer("g").is_none());
}

#[test]
fn classic_members_join_a_consumer_group() {
    let mut world = world(1, 4);
    let mut modern = Modern::join(&mut world, "modern");
    let mut members = [Classic::new(""), Classic::new("")];
    (members[1].instance, members[1].fresh) = (Some("one"), 1);
    for member in &mut members {
        world.advance(seconds(2));
        member.join_and_sync(&mut world).unwrap();
    }
    assert_ne!(members[0].id, members[1].id);
    for _ in 0..8 {
        world.advance(seconds(2));
        modern.drive(&mut world);
        members.iter_mut().for_each(|member| member.drive(&mut world));
        count(&[&members[0], &members[1]], &[&modern]);
    }
    assert_eq!(count(&[&members[0], &members[1]], &[&modern]), 4);
    world.check_log();

    // The static one starts again, without its id, and has what it had.
    let before = members[1].owned.clone();
    let mut again = Classic::new("");
    (again.instance, again.fresh) = (Some("one"), 2);
    again.join_and_sync(&mut world).unwrap();
    assert_ne!(again.id, members[1].id);
    assert_eq!(again.owned, before);
    let ticket = world.ask(Request::Heartbeat(Heartbeat {
        group: "g".into(),
        member_id: members[1].id.as_str().into(),
        instance_id: Some("one".into()),
        generation: members[1].generation,
    }));
    assert_eq!(
        *world.answer(ticket),
        Answer::Heartbeat(Err(GroupError::FencedInstance))
    );

    // What does not fit.
    assert_eq!(world.heartbeat("modern", modern.epoch), Err(GroupError::UnknownMember));
    assert_eq!(world.heartbeat(&again.id, 99), Err(GroupError::IllegalGeneration));
    let mut other = again.join();
    other.protocols[0].name = "other".into();
    let ticket = world.ask(Request::Join(other));
    assert_eq!(world.join_refused(ticket).0, GroupError::InconsistentProtocol);
    let mut broken = Classic::new("broken").join();
    broken.protocols[0].metadata = Bytes::from_static(b"\0\x01\xff");
    let ticket = world.ask(Request::Join(broken));
    assert_eq!(world.join_refused(ticket).0, GroupError::InconsistentProtocol);

    // Classic members leave, by id and by instance.
    for (id, instance, expected) in [
        (members[0].id.as_str(), None, Ok(())),
        ("modern", None, Err(GroupError::UnknownMember)),
        ("", Some("one"), Ok(())),
        ("", Some("one"), Err(GroupError::UnknownMember)),
    ] {
        let ticket = world.ask(leave(id, instance));
        let Answer::Leave(Ok(left)) = world.answer(ticket) else {
            panic!("{:?}", world.answer(ticket))
        };
        assert_eq!(left[0].result, expected, "{id} {instance:?}");
    }
    world.advance(seconds(2));
    let beaten = world.beat(&going_on("modern", modern.epoch)).unwrap();
    assert_eq!((world.members(), held(&beaten)), (1, 4));
    world.check_log();
}

#[test]
fn classic_members_have_their_own_time() {
    let mut world = world(1, 4);
    let mut modern = Modern::join(&mut world, "modern");
    let mut silent = Classic::new("");
    world.advance(seconds(2));
    silent.join_and_sync(&mut world).unwrap();
    world.advance(seconds(11));
    assert_eq!(world.members(), 1, "its session is of ten seconds");
    // One that joins and never asks for its assignment.
    let mut late = Classic::new("late").join();
    late.rebalance_timeout_ms = 3000;
    let ticket = world.ask(Request::Join(late));
    world.joined(ticket);
    assert_eq!(world.members(), 2);
    world.advance(seconds(4));
    assert_eq!(world.members(), 1);
    modern.drive(&mut world);
    world.check_log();
}

#[test]
fn groups_stay_what_they_are_when_told_so() {
    let mut world = world(1, 4);
    world.coordinator.config.consumer.migration = Migration {
        upgrades: false,
        downgrades: false,
    };
    let mut first = classic_group(&mut world);
    let refused = world.beat(&joining("modern")).unwrap_err();
    assert_eq!(refused, Refused::OtherProtocol("g".into()));
    assert_eq!(
        world.heartbeat(&first.id, first.generation),
        Ok(()),
        "nothing has happened"
    );
    world.coordinator.config.consumer.migration.upgrades = true;
    Modern::join(&mut world, "modern");
    world.advance(seconds(2));
    first.drive(&mut world);
    world.beat(&going_on("modern", -1)).unwrap();
    world.work();
    assert_eq!(world.members(), 1, "a consumer group still");
    world.advance(seconds(2));
    first.drive(&mut world);
    first.drive(&mut world);
    assert_eq!(first.owned.len(), 4);
}

/// A settled group of a static member of the consumer protocol, `one`, and two classic ones.
fn with_last_modern(world: &mut World) -> (Modern, [Classic; 2]) {
    let mut last = Modern::join_as(world, "modern", Some("one"));
    let mut others = [Classic::new(""), Classic::new("")];
    (others[1].instance, others[1].fresh) = (Some("two"), 1);
    for other in &mut others {
        world.advance(seconds(2));
        other.join_and_sync(world).unwrap();
    }
    for _ in 0..8 {
        world.advance(seconds(2));
        last.drive(world);
        others.iter_mut().for_each(|other| other.drive(world));
    }
    assert_eq!(count(&[&others[0], &others[1]], &[&last]), 4);
    assert!(!last.owned.is_empty());
    (last, others)
}

/// The same instance, by the classic protocol.
fn successor(instance: &'static str) -> Classic {
    let mut successor = Classic::new("");
    (successor.instance, successor.fresh) = (Some(instance), instance.as_bytes()[0]);
    successor
}

#[test]
fn a_classic_member_takes_the_place_of_the_last_of_the_other_protocol() {
    let mut world = world(1, 4);
    let (last, mut others) = with_last_modern(&mut world);

    // Of another place, the group stays what it is.
    let mut again = successor("two");
    again.join_and_sync(&mut world).unwrap();
    assert!(world.coordinator.consumer("g").is_some());
    others[1] = again;

    let mut successor = successor("one");
    successor.join_and_sync(&mut world).unwrap();
    assert_eq!(successor.owned, last.owned);
    assert_eq!(successor.generation, last.epoch);
    assert!(world.coordinator.consumer("g").is_none());
    assert_eq!((world.state(), world.group().generation()), ("Stable", last.epoch));
    // Nobody has to join: all go on as they are, and the group lives as long as they do.
    for _ in 0..5 {
        world.advance(seconds(4));
        world.work();
        for (id, instance, generation) in [
            (&others[0].id, None, others[0].generation),
            (&others[1].id, Some("two".into()), others[1].generation),
            (&successor.id, Some("one".into()), successor.generation),
        ] {
            let ticket = world.ask(Request::Heartbeat(Heartbeat {
                group: "g".into(),
                member_id: id.as_str().into(),
                instance_id: instance,
                generation,
            }));
            assert_eq!(*world.answer(ticket), Answer::Heartbeat(Ok(())), "{id}");
        }
    }
    let mut loaded = Coordinator::new(Config::default());
    for record in &world.log {
        loaded.replay(record);
    }
    let members = |coordinator: &Coordinator| -> Vec<(Arc<str>, Bytes)> {
        let group = coordinator.classic("g").unwrap();
        let members = group.members();
        members
            .map(|(id, member)| (Arc::clone(id), member.assignment().clone()))
            .collect()
    };
    assert_eq!(members(&loaded), members(&world.coordinator));
    // One that is not heard of loses its place: there is nobody without a deadline.
    world.advance(seconds(30));
    assert_eq!(world.group().members().len(), 0);
}

#[test]
fn members_join_the_classic_group_when_targets_are_not_theirs() {
    let mut world = world(2, 4);
    let (last, others) = with_last_modern(&mut world);
    let successor = successor("one");
    let mut join = successor.join();
    join.protocols[0].metadata = written(&ConsumerProtocolSubscription {
        topics: vec!["topic".to_owned(), "topic-1".to_owned()],
        ..ConsumerProtocolSubscription::default()
    });
    let ticket = world.ask(Request::Join(join));
    let joined = world.joined(ticket);
    assert_eq!(joined.generation, last.epoch);
    assert!(world.coordinator.consumer("g").is_none());
    world.work();
    assert_eq!(world.state(), "PreparingRebalance");
    let ticket = world.ask(sync(&joined.member_id, joined.generation, &[]));
    assert_eq!(world.synced(ticket), Err(GroupError::RebalanceInProgress));
    let result = world.heartbeat(&others[0].id, others[0].generation);
    assert_eq!(result, Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_group_stays_one_of_consumers_when_downgrades_are_off() {
    let mut world = world(1, 4);
    world.coordinator.config.consumer.migration.downgrades = false;
    let (last, _) = with_last_modern(&mut world);
    let mut successor = successor("one");
    successor.join_and_sync(&mut world).unwrap();
    assert_eq!(successor.owned, last.owned);
    assert!(world.coordinator.consumer("g").is_some());
}
