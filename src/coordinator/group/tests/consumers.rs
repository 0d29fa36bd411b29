//! Groups of the consumer protocol in their coordinator: deadlines, offsets, slices of work, and the other protocol.

use std::collections::BTreeSet;

use super::consumer::assign::Topic;
use super::consumer::{Assignment, Beaten, Catalogue, Heartbeat as Beat, Refused, Tuning};
use super::*;

pub(super) const TOPIC_ID: TopicId = TopicId([7; 16]);

/// So many topics, `topic` the first, all with the same number of partitions.
#[derive(Debug)]
pub(super) struct Topics {
    names: Vec<String>,
    partitions: i32,
}

impl Topics {
    pub(super) fn of(count: usize, partitions: i32) -> Box<Self> {
        let others = (1..count).map(|number| format!("topic-{number}"));
        Box::new(Self {
            names: std::iter::once("topic".to_owned()).chain(others).collect(),
            partitions,
        })
    }
}

impl Catalogue for Topics {
    fn topic(&self, name: &str) -> Option<Topic> {
        let place = match name.strip_prefix("topic-") {
            Some(number) => number.parse().ok().filter(|place| *place < self.names.len())?,
            None if name == "topic" => 0,
            None => return None,
        };
        let mut id = TOPIC_ID;
        id.0[..8].copy_from_slice(&u64::try_from(place).unwrap().to_be_bytes());
        Some(Topic {
            id: if place == 0 { TOPIC_ID } else { id },
            partitions: self.partitions,
        })
    }

    fn name(&self, id: TopicId) -> Option<&str> {
        let is_same = |name: &&String| self.topic(name).is_some_and(|topic| topic.id == id);
        self.names.iter().find(is_same).map(String::as_str)
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.names.iter().map(String::as_str))
    }

    fn count(&self) -> usize {
        self.names.len()
    }
}

pub(super) fn world(topics: usize, partitions: i32) -> World {
    let mut world = World::eager();
    world.coordinator.on_topics(Topics::of(topics, partitions));
    world
}

pub(super) fn joining(id: &str) -> Beat {
    Beat {
        group: "g".into(),
        member_id: id.into(),
        rebalance_timeout_ms: 30_000,
        subscribed_names: Some(BTreeSet::from(["topic".into()])),
        owned: Some(Assignment::default()),
        ..Beat::default()
    }
}

pub(super) fn going_on(id: &str, epoch: i32) -> Beat {
    Beat {
        group: "g".into(),
        member_id: id.into(),
        member_epoch: epoch,
        rebalance_timeout_ms: -1,
        ..Beat::default()
    }
}

impl World {
    pub(super) fn beat(&mut self, beat: &Beat) -> Result<Beaten, Refused> {
        let ticket = self.ask(Request::ConsumerHeartbeat(Box::new(beat.clone())));
        let Answer::ConsumerHeartbeat(result) = self.answer(ticket) else {
            panic!("{:?}", self.answer(ticket))
        };
        result.clone()
    }

    pub(super) fn joined_consumer(&mut self, id: &str) -> i32 {
        let beaten = self.beat(&joining(id)).unwrap();
        beaten.member_epoch
    }

    /// Does all work; how many slices it took, and the most records in one.
    pub(super) fn work(&mut self) -> (usize, usize) {
        let (mut slices, mut most) = (0, 0);
        while self.coordinator.has_work() {
            let effects = self.coordinator.work(self.now());
            most = most.max(effects.records.len());
            self.take(effects);
            slices += 1;
            assert!(slices < 10_000, "work without end");
        }
        (slices, most)
    }

    /// What a coordinator that reads the log knows of the group is what this one knows.
    pub(super) fn check_log(&self) {
        let mut loaded = Coordinator::new(Config::default());
        for record in &self.log {
            loaded.replay(record);
        }
        assert_eq!(loaded.consumer("g"), self.coordinator.consumer("g"));
    }

    pub(super) fn members(&self) -> usize {
        self.coordinator.consumer("g").map_or(0, |group| group.members().len())
    }
}

pub(super) fn held(beaten: &Beaten) -> usize {
    beaten.assigned.as_ref().map_or(0, consumer::Partitions::len)
}

#[test]
fn a_member_that_is_not_heard_of_loses_its_place() {
    let mut world = world(1, 4);
    assert_eq!(world.joined_consumer("a"), 2);
    world.advance(seconds(2));
    assert_eq!(world.joined_consumer("b"), 3);
    world.advance(seconds(40));
    // A heartbeat that changes nothing counts.
    world.beat(&going_on("b", 3)).unwrap();
    world.advance(seconds(4));
    assert_eq!(world.members(), 1, "the first was silent for 46 seconds");
    world.check_log();
    let beaten = world.beat(&going_on("b", 3)).unwrap();
    assert_eq!((beaten.member_epoch, held(&beaten)), (4, 4));
    world.advance(seconds(46));
    assert_eq!(world.members(), 0);
    assert_eq!(world.coordinator.next_deadline(), None, "nobody is waited for");
    world.check_log();
}

#[test]
fn a_member_that_does_not_give_up_loses_its_place() {
    let mut world = world(1, 4);
    world.joined_consumer("a");
    world.advance(seconds(2));
    world.joined_consumer("b");
    // It is told to give two up, and goes on as if it were not.
    let told = world.beat(&going_on("a", 2)).unwrap();
    assert_eq!((told.member_epoch, held(&told)), (2, 2));
    for _ in 0..2 {
        world.advance(seconds(14));
        world.beat(&going_on("a", 2)).unwrap();
        world.beat(&going_on("b", 3)).unwrap();
    }
    world.advance(seconds(3));
    assert_eq!(world.members(), 1, "30 seconds are over");
    world.check_log();
    let refused = world.beat(&going_on("a", 2)).unwrap_err();
    assert!(matches!(refused, Refused::UnknownMember(..)), "{refused}");
}

#[test]
fn a_member_that_could_not_be_put_out_is_put_out_later() {
    let mut world = world(1, 4);
    world.joined_consumer("a");
    world.is_full = true;
    world.advance(seconds(50));
    assert_eq!(world.members(), 1);
    world.is_full = false;
    world.advance(seconds(50));
    assert_eq!(world.members(), 0);
    world.check_log();
}

#[test]
fn assignments_keep_their_distance() {
    let mut world = world(1, 4);
    world.joined_consumer("a");
    // Within a second of the first assignment there is no other: the member joins the epoch of the targets, without any.
    let beaten = world.beat(&joining("b")).unwrap();
    assert_eq!((beaten.member_epoch, held(&beaten)), (2, 0));
    world.advance(seconds(1));
    let beaten = world.beat(&going_on("b", 2)).unwrap();
    assert_eq!(beaten.member_epoch, 3);
}

#[test]
fn a_heartbeat_that_could_not_be_kept_changes_nothing() {
    let mut world = world(1, 4);
    world.is_full = true;
    let refused = world.beat(&joining("a")).unwrap_err();
    assert_eq!(refused, Refused::Coordinator(GroupError::NotAvailable));
    assert_eq!(world.members(), 0);
    world.is_full = false;
    assert_eq!(world.joined_consumer("a"), 2);
    // A topic grows while nothing can be kept: it is not forgotten.
    world.coordinator.on_topics(Topics::of(1, 5));
    world.is_full = true;
    world.beat(&going_on("a", 2)).unwrap_err();
    world.is_full = false;
    world.advance(seconds(2));
    let beaten = world.beat(&going_on("a", 2)).unwrap();
    assert_eq!((beaten.member_epoch, held(&beaten)), (3, 5));
}

#[test]
fn offsets_are_committed_by_members_of_their_epoch() {
    let mut world = world(1, 4);
    world.joined_consumer("a");
    world.advance(seconds(2));
    world.coordinator.on_topics(Topics::of(1, 5));
    world.beat(&going_on("a", 2)).unwrap();
    for (member, epoch, expected) in [
        ("a", 3, Ok(vec![])),
        // It has had this partition since then.
        ("a", 2, Ok(vec![])),
        ("a", 1, Err(GroupError::StaleMemberEpoch)),
        ("a", 4, Err(GroupError::StaleMemberEpoch)),
        ("b", 3, Err(GroupError::UnknownMember)),
        ("", -1, Err(GroupError::UnknownMember)),
    ] {
        assert_eq!(world.commit(commit(member, epoch, 5)), expected, "{member} {epoch}");
    }
    let mut other = commit("a", 2, 5);
    other.offsets[0].partition = 4;
    assert_eq!(
        world.commit(other),
        Err(GroupError::StaleMemberEpoch),
        "it got this one later"
    );
    let mut old = commit("a", 3, 5);
    old.knows_epochs = false;
    assert_eq!(world.commit(old), Err(GroupError::UnsupportedVersion));

    for (member, epoch, expected) in [
        (None, -1, Ok(1)),
        (Some("a"), 3, Ok(1)),
        (Some("a"), 2, Err(GroupError::StaleMemberEpoch)),
        (Some("b"), 3, Err(GroupError::UnknownMember)),
        (None, 3, Err(GroupError::UnknownMember)),
    ] {
        let ticket = world.ask(Request::FetchOffsets(FetchOffsets {
            group: "g".into(),
            member_id: member.map(Into::into),
            member_epoch: epoch,
            wanted: None,
        }));
        let Answer::FetchOffsets(fetched) = world.answer(ticket) else {
            panic!("{:?}", world.answer(ticket))
        };
        assert_eq!(
            fetched.as_ref().map(Vec::len).map_err(|error| *error),
            expected,
            "{member:?} {epoch}"
        );
    }
    // Without members, anybody may.
    world.beat(&going_on("a", -1)).unwrap();
    assert_eq!(world.commit(commit("", -1, 6)), Ok(vec![]));
}

#[test]
fn a_group_is_deleted_with_its_offsets() {
    let mut world = world(1, 4);
    world.joined_consumer("a");
    world.commit(commit("a", 2, 5)).unwrap();
    let delete = || Request::Delete(vec!["g".into()]);
    let ticket = world.ask(delete());
    assert_eq!(
        *world.answer(ticket),
        Answer::Delete(vec![Err(GroupError::NonEmptyGroup)])
    );
    world.beat(&going_on("a", -1)).unwrap();
    let ticket = world.ask(delete());
    assert_eq!(*world.answer(ticket), Answer::Delete(vec![Ok(())]));
    assert_eq!(
        (world.coordinator.group_count(), world.coordinator.offsets().count()),
        (0, 0)
    );
    world.check_log();
}

#[test]
fn groups_of_the_other_protocol() {
    let mut world = world(1, 4);
    world.joined_consumer("a");
    let mut other = join("");
    other.protocol_type = "other".into();
    let ticket = world.ask(Request::Join(other));
    assert_eq!(world.join_refused(ticket).0, GroupError::InconsistentProtocol);
    assert_eq!(world.heartbeat("a", 2), Err(GroupError::UnknownMember));
    world.commit(commit("a", 2, 5)).unwrap();
    // Without members, a group takes either protocol, and keeps its offsets.
    world.beat(&going_on("a", -1)).unwrap();
    world.stable(1);
    assert!(world.coordinator.consumer("g").is_none());
    // Its leader did not write what consumers write.
    let refused = world.beat(&joining("b")).unwrap_err();
    assert_eq!(refused, Refused::OtherProtocol("g".into()));
    world.advance(seconds(60));
    assert_eq!(world.state(), "Empty");
    assert_eq!(world.joined_consumer("b"), 2);
    assert!(world.coordinator.classic("g").is_none());
    assert_eq!(world.coordinator.offsets().count(), 1);
    world.check_log();
}

#[test]
fn large_groups_and_patterns_are_worked_on_in_slices() {
    let mut world = world(3000, 2);
    world.work();
    for id in ["a", "b"] {
        let beat = Beat {
            subscribed_names: None,
            subscribed_regex: Some("topic-.*5".into()),
            ..joining(id)
        };
        let beaten = world.beat(&beat).unwrap();
        assert_eq!(held(&beaten), 0, "the topics are still looked for");
        world.advance(seconds(2));
    }
    let (slices, _) = world.work();
    assert!(slices > 10, "{slices}");
    let beaten = world.beat(&going_on("a", 2)).unwrap();
    assert_eq!(held(&beaten), 300);

    world.coordinator.on_topics(Topics::of(3000, 20));
    world.advance(seconds(2));
    world.beat(&going_on("a", beaten.member_epoch)).unwrap();
    let (slices, most) = world.work();
    assert!(slices > 20 && most <= 200, "{slices} slices, {most} records");
    let state = world.coordinator.consumer("g").unwrap();
    assert_eq!(state.target_epoch(), state.epoch());
    let targets = ["a", "b"].map(|id| state.target(id).unwrap().len());
    assert_eq!(targets, [3000, 3000]);
    world.check_log();
    // A topic comes that the pattern matches.
    world.coordinator.on_topics(Topics::of(3006, 20));
    world.work();
    world.advance(seconds(2));
    world.beat(&going_on("b", 2)).unwrap_err();
    world.beat(&joining("b")).unwrap();
    world.work();
    let state = world.coordinator.consumer("g").unwrap();
    // One more of them, and `topic` itself.
    assert_eq!(["a", "b"].map(|id| state.target(id).unwrap().len()), [3020, 3020]);
}

#[test]
fn members_of_a_group_that_was_loaded_have_their_time() {
    let mut world = world(1, 4);
    world.joined_consumer("a");
    world.advance(seconds(2));
    world.joined_consumer("b");
    world.beat(&going_on("a", 2)).unwrap();
    let mut loaded = Coordinator::new(Config::default());
    for record in &world.log {
        loaded.replay(record);
    }
    loaded.on_topics(Topics::of(1, 4));
    let effects = super::restart::serve(&mut loaded, world.now());
    assert!(effects.is_empty());
    world.coordinator = loaded;
    world.check_log();
    world.beat(&going_on("b", 3)).unwrap();
    world.advance(seconds(31));
    assert_eq!(world.members(), 1, "the first did not give up what it had to");
    world.advance(seconds(15));
    assert_eq!(world.members(), 0);
}

#[test]
fn the_interval_of_all_groups_may_change() {
    let mut world = world(1, 4);
    assert!(world.coordinator.set_assignment_interval(seconds(10)));
    assert!(!world.coordinator.set_assignment_interval(seconds(10)));
    let epoch = world.joined_consumer("a");
    world.advance(seconds(20));
    world.beat(&going_on("a", epoch)).unwrap();
    let is_unassigned = |world: &World| world.coordinator.consumer("g").unwrap().is_unassigned();
    world.joined_consumer("b");
    assert!(!is_unassigned(&world));
    world.joined_consumer("c");
    world.advance(seconds(2));
    world.beat(&going_on("a", epoch)).unwrap();
    assert!(is_unassigned(&world), "two seconds are not ten");
    assert!(world.coordinator.set_assignment_interval(seconds(1)));
    world.beat(&going_on("a", epoch)).unwrap();
    assert!(!is_unassigned(&world));
}

#[test]
fn a_group_may_have_times_of_its_own() {
    let mut world = world(1, 4);
    let tuning = Tuning {
        session_timeout: Some(seconds(50)),
        assignment_interval: Some(seconds(10)),
    };
    world.coordinator.tune("g".into(), tuning);
    let epoch = world.joined_consumer("a");
    world.advance(seconds(49));
    world.beat(&going_on("a", epoch)).unwrap();
    world.advance(seconds(49));
    world.beat(&going_on("a", epoch)).unwrap();
    let is_unassigned = |world: &World| world.coordinator.consumer("g").unwrap().is_unassigned();
    world.joined_consumer("b");
    assert!(!is_unassigned(&world));
    world.joined_consumer("c");
    world.advance(seconds(2));
    world.beat(&going_on("a", epoch)).unwrap();
    assert!(is_unassigned(&world), "two seconds are not ten");
    // Without them it has those of all.
    world.coordinator.tune("g".into(), Tuning::default());
    world.beat(&going_on("a", epoch)).unwrap();
    assert!(!is_unassigned(&world));

    let epoch = world.joined_consumer("a");
    world.beat(&going_on("a", epoch)).unwrap();
    world.advance(seconds(46));
    assert!(world.coordinator.consumer("g").unwrap().member("a").is_none());
}
