//! Groups from outside: heartbeats go in, records are replayed, and a second group that is only loaded stays the same.

mod life;
mod reconcile;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assign::Topic;
use super::*;
use crate::base::ids::TopicId;
use crate::base::time::TimestampMs;

#[derive(Debug, Default)]
struct Topics(BTreeMap<&'static str, Topic>);

impl Topics {
    fn of(topics: &[(&'static str, i32)]) -> Self {
        let numbered = (1u8..).zip(topics);
        let topics = numbered.map(|(number, &(name, partitions))| {
            let id = TopicId([number; 16]);
            (name, Topic { id, partitions })
        });
        Self(topics.collect())
    }
}

impl Catalogue for Topics {
    fn topic(&self, name: &str) -> Option<Topic> {
        self.0.get(name).copied()
    }

    fn name(&self, id: TopicId) -> Option<&str> {
        let found = self.0.iter().find(|(_, topic)| topic.id == id);
        found.map(|(name, _)| *name)
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.0.keys().copied())
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

/// A group, and the same one as it would be after a restart.
struct Books {
    live: Group,
    loaded: Group,
    topics: Topics,
    config: Config,
    now: TimestampMs,
}

impl Books {
    fn new(topics: &[(&'static str, i32)]) -> Self {
        Self {
            live: Group::new("g".into()),
            loaded: Group::new("g".into()),
            topics: Topics::of(topics),
            config: Config::default(),
            now: TimestampMs(1_000_000),
        }
    }

    /// Each heartbeat comes a while after the last, and topics may have changed since.
    fn around(&self) -> Surroundings<'_> {
        Surroundings {
            catalogue: &self.topics,
            has_news: true,
            config: &self.config,
            now: self.now,
        }
    }

    fn keep(&mut self, records: &[ConsumerRecord]) {
        for record in records {
            self.live.replay(&record.what);
            let (key, value) = record.encode().unwrap();
            let number = i16::from_be_bytes([key[0], key[1]]);
            let decoded = ConsumerRecord::decode(number, &key[2..], value.as_deref())
                .unwrap()
                .unwrap();
            assert_eq!(decoded, *record, "as it stands in the log");
            self.loaded.replay(&decoded.what);
        }
        assert_eq!(self.live, self.loaded);
    }

    fn beat(&mut self, beat: &Heartbeat) -> Result<Beaten, Refused> {
        beat.check(&self.config.assignors)?;
        self.now.0 += 1000;
        let quiet = Surroundings {
            has_news: false,
            ..self.around()
        };
        let idle = self.live.idle(beat, &quiet);
        let outcome = self.live.heartbeat(beat, &self.around())?;
        if let Some(idle) = idle.filter(|_| outcome.records.is_empty()) {
            assert_eq!(idle, outcome.beaten, "the short way says the same");
        }
        self.keep(&outcome.records);
        let member = self
            .live
            .members()
            .find(|(id, _)| **id == beat.member_id)
            .map(|(_, member)| member);
        assert_eq!(member, outcome.member.as_ref(), "the records say what the outcome says");
        Ok(outcome.beaten)
    }
}

impl Books {
    /// Looks for the topics of a regular expression, one at a time.
    fn find(&self, regex: &str) -> Option<ConsumerRecord> {
        let mut resolving = Resolving::begin(regex.into()).unwrap();
        while !resolving.advance(&self.topics, 1) {}
        self.live.resolved(resolving, self.now)
    }
}

fn names(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn joining(id: &str, topics: &[&str]) -> Heartbeat {
    Heartbeat {
        group: "g".into(),
        member_id: id.into(),
        rebalance_timeout_ms: 60_000,
        subscribed_names: Some(names(topics)),
        owned: Some(Assignment::default()),
        ..Heartbeat::default()
    }
}

fn going_on(id: &str, epoch: i32) -> Heartbeat {
    Heartbeat {
        group: "g".into(),
        member_id: id.into(),
        member_epoch: epoch,
        rebalance_timeout_ms: -1,
        ..Heartbeat::default()
    }
}

fn owning(id: &str, epoch: i32, partitions: &[i32]) -> Heartbeat {
    Heartbeat {
        owned: Some(
            partitions
                .iter()
                .map(|partition| (TopicId([1; 16]), *partition))
                .collect(),
        ),
        ..going_on(id, epoch)
    }
}

fn partitions(beaten: &Beaten) -> Option<Vec<i32>> {
    let assigned = beaten.assigned.as_ref()?;
    Some(assigned.iter().map(|(_, partition, _)| partition).collect())
}

#[test]
fn two_members_share_a_topic() {
    let mut books = Books::new(&[("t", 4)]);
    assert_eq!(books.live.state(), GroupState::Empty);
    let first = books.beat(&joining("a", &["t"])).unwrap();
    assert_eq!((first.member_epoch, partitions(&first)), (2, Some(vec![0, 1, 2, 3])));
    let again = books.beat(&going_on("a", 2)).unwrap();
    assert_eq!((again.member_epoch, partitions(&again)), (2, None), "nothing new");

    // Another comes: it has to wait for what the first gives up.
    let second = books.beat(&joining("b", &["t"])).unwrap();
    assert_eq!((second.member_epoch, partitions(&second)), (3, Some(vec![])));
    assert_eq!(books.live.state(), GroupState::Reconciling);
    let first = books.beat(&owning("a", 2, &[0, 1, 2, 3])).unwrap();
    assert_eq!(
        (first.member_epoch, partitions(&first)),
        (2, Some(vec![0, 1])),
        "it stays in its epoch"
    );
    let second = books.beat(&owning("b", 3, &[])).unwrap();
    assert_eq!(partitions(&second), None, "not given up yet");
    let first = books.beat(&owning("a", 2, &[0, 1])).unwrap();
    assert_eq!((first.member_epoch, partitions(&first)), (3, None));
    let second = books.beat(&owning("b", 3, &[])).unwrap();
    assert_eq!((second.member_epoch, partitions(&second)), (3, Some(vec![2, 3])));
    assert_eq!(books.live.state(), GroupState::Stable);

    // One goes: the other gets all.
    let left = books.beat(&going_on("a", -1)).unwrap();
    assert_eq!((left.member_epoch, partitions(&left)), (-1, None));
    assert_eq!(books.live.state(), GroupState::Assigning);
    let second = books.beat(&owning("b", 3, &[2, 3])).unwrap();
    assert_eq!((second.member_epoch, partitions(&second)), (4, Some(vec![0, 1, 2, 3])));
    assert_eq!(books.beat(&going_on("b", -1)).unwrap().member_epoch, -1);
    assert_eq!(books.live.state(), GroupState::Empty);
}

#[test]
fn topics_that_change() {
    let mut books = Books::new(&[("t", 1), ("u", 1)]);
    books.beat(&joining("a", &["t", "no-such-topic"])).unwrap();
    books.topics.0.get_mut("t").unwrap().partitions = 3;
    let beaten = books.beat(&owning("a", 2, &[0])).unwrap();
    assert_eq!(
        (beaten.member_epoch, partitions(&beaten)),
        (3, Some(vec![0, 1, 2])),
        "more partitions"
    );
    books.topics.0.remove("t");
    let beaten = books.beat(&owning("a", 3, &[0, 1, 2])).unwrap();
    assert_eq!(partitions(&beaten), Some(vec![]), "they are to be given up");
    let beaten = books.beat(&owning("a", 3, &[])).unwrap();
    assert_eq!(beaten.member_epoch, 4);
}

#[test]
fn a_subscription_that_changes() {
    let mut books = Books::new(&[("t", 2), ("u", 2)]);
    books.beat(&joining("a", &["t"])).unwrap();
    let other = Heartbeat {
        subscribed_names: Some(names(&["u"])),
        ..owning("a", 2, &[0, 1])
    };
    let beaten = books.beat(&other).unwrap();
    assert_eq!(
        (beaten.member_epoch, partitions(&beaten)),
        (2, Some(vec![])),
        "the old ones first"
    );
    let beaten = books.beat(&owning("a", 2, &[])).unwrap();
    assert_eq!((beaten.member_epoch, partitions(&beaten)), (3, Some(vec![0, 1])));
    let topics: Vec<TopicId> = beaten.assigned.unwrap().topics().map(|(topic, _)| topic).collect();
    assert_eq!(topics, [TopicId([2; 16])]);
}

#[test]
fn patterns() {
    let mut books = Books::new(&[("orders-1", 1), ("orders-2", 1), ("payments", 1)]);
    let by_pattern = |id: &str, regex: &str| Heartbeat {
        subscribed_names: None,
        subscribed_regex: Some(regex.into()),
        ..joining(id, &[])
    };
    let beaten = books.beat(&by_pattern("a", "orders-.*")).unwrap();
    assert_eq!(beaten.assigned.as_ref().map(Partitions::len), Some(2));
    assert_eq!(books.live.resolved.len(), 1);
    // A new topic is found when the patterns are looked at again.
    books.topics.0.insert(
        "orders-3",
        Topic {
            id: TopicId([9; 16]),
            partitions: 1,
        },
    );
    let found = books.find("orders-.*");
    books.keep(found.as_slice());
    assert_eq!(books.find("orders-.*"), None);
    assert_eq!(books.find("nobody's"), None);
    let beaten = books.beat(&going_on("a", 2)).unwrap();
    assert_eq!(beaten.assigned.as_ref().map(Partitions::len), Some(3));
    // The whole name has to match.
    let beaten = books.beat(&by_pattern("b", "payment")).unwrap();
    assert_eq!(beaten.assigned.as_ref().map(Partitions::len), Some(0));
    assert_eq!(books.live.resolved.len(), 2);
    books.beat(&going_on("b", -1)).unwrap();
    assert_eq!(books.live.resolved.len(), 1, "nobody uses the other any more");
    let refused = books.beat(&by_pattern("c", "(")).unwrap_err();
    assert!(matches!(refused, Refused::InvalidRegex(..)), "{refused}");
    let huge = books.beat(&by_pattern("c", "([ab]{0,200}c){0,200}")).unwrap_err();
    assert!(matches!(huge, Refused::InvalidRegex(..)), "{huge}");
}

#[test]
fn static_members() {
    let mut books = Books::new(&[("t", 2)]);
    let instance = |beat: Heartbeat, instance: &str| Heartbeat {
        instance_id: Some(instance.into()),
        ..beat
    };
    books.beat(&instance(joining("a", &["t"]), "i")).unwrap();
    let refused = books.beat(&instance(joining("b", &["t"]), "i")).unwrap_err();
    assert!(matches!(refused, Refused::UnreleasedInstance { .. }), "{refused}");
    // Away for a while: nobody else gets what it has.
    let away = books.beat(&instance(going_on("a", -2), "i")).unwrap();
    assert_eq!(away.member_epoch, -2);
    let other = books.beat(&joining("c", &["t"])).unwrap();
    assert_eq!(partitions(&other), Some(vec![]));
    // It comes back as another member, in its place.
    let back = books.beat(&instance(joining("b", &["t"]), "i")).unwrap();
    assert_eq!(books.live.members().len(), 2);
    assert_eq!((back.member_epoch, partitions(&back)), (3, Some(vec![0])));
    let fenced = books.beat(&instance(going_on("a", 2), "i")).unwrap_err();
    assert!(matches!(fenced, Refused::FencedInstance { .. }), "{fenced}");
    let unknown = books.beat(&instance(going_on("a", 2), "j")).unwrap_err();
    assert!(matches!(unknown, Refused::UnknownInstance(_)), "{unknown}");
    books.beat(&instance(going_on("b", -1), "i")).unwrap();
    let other = books.beat(&owning("c", 3, &[])).unwrap();
    assert_eq!((other.member_epoch, partitions(&other)), (4, Some(vec![0, 1])));
}

#[test]
fn epochs_that_do_not_fit() {
    let mut books = Books::new(&[("t", 2)]);
    books.beat(&joining("a", &["t"])).unwrap();
    let greater = books.beat(&going_on("a", 3)).unwrap_err();
    assert!(
        matches!(
            greater,
            Refused::FencedEpoch {
                compared: "greater",
                said: 3,
                known: 2
            }
        ),
        "{greater}"
    );
    books.topics.0.get_mut("t").unwrap().partitions = 3;
    let beaten = books.beat(&owning("a", 2, &[0, 1])).unwrap();
    assert_eq!(beaten.member_epoch, 3);
    // The answer was lost: it comes with the epoch before.
    let lost = books.beat(&owning("a", 2, &[0, 1])).unwrap();
    assert_eq!(lost.member_epoch, 3);
    for beat in [going_on("a", 2), owning("a", 2, &[0, 9]), going_on("a", 0)] {
        let is_join = beat.member_epoch == 0;
        let refused = books.beat(&beat).unwrap_err();
        assert_eq!(matches!(refused, Refused::Invalid(_)), is_join, "{refused}");
    }
    let unknown = books.beat(&going_on("b", 2)).unwrap_err();
    assert!(matches!(unknown, Refused::UnknownMember(..)), "{unknown}");
    // A member that has lost all joins again with its id, and gets what it had.
    let again = books.beat(&joining("a", &["t"])).unwrap();
    assert_eq!((again.member_epoch, partitions(&again)), (3, Some(vec![0, 1, 2])));
}

#[test]
fn what_no_member_says() {
    let base = || joining("a", &["t"]);
    let empty: Option<Arc<str>> = Some("".into());
    let cases = [
        (
            "MemberId can't be empty.",
            Heartbeat {
                member_id: "".into(),
                ..base()
            },
        ),
        (
            "GroupId can't be empty.",
            Heartbeat {
                group: "".into(),
                ..base()
            },
        ),
        (
            "InstanceId can't be empty.",
            Heartbeat {
                instance_id: empty.clone(),
                ..base()
            },
        ),
        (
            "RackId can't be empty.",
            Heartbeat {
                rack_id: empty,
                ..base()
            },
        ),
        (
            "RebalanceTimeoutMs must be provided in first request.",
            Heartbeat {
                rebalance_timeout_ms: -1,
                ..base()
            },
        ),
        (
            "TopicPartitions must be empty when (re-)joining.",
            Heartbeat { owned: None, ..base() },
        ),
        (
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            Heartbeat {
                subscribed_names: None,
                ..base()
            },
        ),
        ("InstanceId can't be null.", going_on("a", -2)),
        ("MemberEpoch is invalid.", going_on("a", -3)),
        ("MemberEpoch is invalid.", going_on("a", i32::MIN)),
        (
            "ServerAssignor magic is not supported. Supported assignors: uniform, range.",
            Heartbeat {
                assignor: Some("magic".into()),
                ..base()
            },
        ),
    ];
    for (message, beat) in cases {
        assert_eq!(
            beat.check(&Config::default().assignors).unwrap_err().to_string(),
            message
        );
    }
    assert_eq!(base().check(&Config::default().assignors), Ok(()));
}

#[test]
fn a_full_group_takes_no_more() {
    let mut books = Books::new(&[("t", 2)]);
    books.config.members_max = 1;
    books.beat(&joining("a", &["t"])).unwrap();
    assert_eq!(books.beat(&joining("b", &["t"])), Err(Refused::Full(1)));
    books.beat(&joining("a", &["t"])).unwrap();
}

#[test]
fn assignors_are_voted_for() {
    let mut books = Books::new(&[("t", 2), ("u", 2)]);
    let wanting = |id: &str| Heartbeat {
        assignor: Some("range".into()),
        ..joining(id, &["t", "u"])
    };
    books.beat(&wanting("a")).unwrap();
    books.beat(&wanting("b")).unwrap();
    let of = |id: &str| {
        books
            .live
            .target(id)
            .unwrap()
            .iter()
            .map(|(_, partition, ())| partition)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (of("a"), of("b")),
        (vec![0, 0], vec![1, 1]),
        "partitions of one number go together"
    );
}

#[test]
fn large_groups_are_assigned_in_steps() {
    let mut books = Books::new(&[("t", 5000)]);
    for id in ["a", "b"] {
        let beat = joining(id, &["t"]);
        let outcome = books.live.heartbeat(&beat, &books.around()).unwrap();
        assert!(outcome.is_unassigned);
        books.keep(&outcome.records);
    }
    assert_eq!(books.live.state(), GroupState::Assigning);
    let mut gathering = Gathering::new(books.live.epoch());
    while !gathering.advance(&books.live, &books.topics, 1) {}
    let (epoch, mut assigning) = gathering.finish(&books.config);
    let mut steps = 1;
    while !assigning.advance(500) {
        steps += 1;
    }
    assert!(steps >= 10, "{steps}");
    // One has gone meanwhile, and nothing is kept for it.
    let left = books.beat(&going_on("b", -1)).unwrap();
    assert_eq!(left.member_epoch, -1);
    let records = books.live.adopt(assigning.finish());
    books.keep(&records);
    let last = books.live.adopted(epoch, books.now);
    books.keep(last.as_slice());
    assert_eq!(books.live.target("a").map(Partitions::len), Some(2500));
    assert_eq!(books.live.target("b"), None);
    assert_eq!(
        books.live.adopted(epoch, books.now),
        None,
        "older targets are of no use"
    );
}
