//! Which sessions are kept, and for how long; what they tell is shown over the wire, beside Apache Kafka.

use duramen_wire::messages::borrowed::fetch_request::{FetchTopic, ForgottenTopic};
use duramen_wire::messages::fetch_request::ReplicaState;

use super::*;

const MINUTE: u64 = 60_000_000_000;

fn asked(partition: i32) -> FetchPartition {
    FetchPartition {
        partition,
        ..FetchPartition::default()
    }
}

/// Begins a session of so many partitions; the id is the number asked for, or 0.
fn create(sessions: &FetchSessions, id: u64, partitions: i32, minute: u64) -> i32 {
    let topic: Rc<str> = Rc::from("t");
    let asked: Vec<_> = (0..partitions).map(asked).collect();
    let data = PartitionData::default();
    let told: Vec<_> = asked
        .iter()
        .map(|asked| Told {
            topic: &topic,
            topic_id: TopicId([0; 16]),
            asked,
            data: &data,
        })
        .collect();
    sessions.create(id << 33, false, &told, Monotonic(minute * MINUTE))
}

/// A request that changes nothing.
fn request(session_id: i32, session_epoch: i32) -> FetchRequest<'static> {
    FetchRequest {
        cluster_id: None,
        replica_id: -1,
        replica_state: ReplicaState::default(),
        max_wait_ms: 0,
        min_bytes: 0,
        max_bytes: 0,
        isolation_level: 0,
        session_id,
        session_epoch,
        topics: Vec::new(),
        forgotten_topics_data: Vec::new(),
        rack_id: "",
    }
}

fn go_on(sessions: &FetchSessions, id: i32, epoch: i32, minute: u64) -> Result<FetchContext, ErrorCode> {
    sessions.begin(&request(id, epoch), false, Monotonic(minute * MINUTE))
}

/// Partitions of all sessions, which are counted right.
fn counted(sessions: &FetchSessions) -> usize {
    let by_id = sessions.by_id.borrow();
    let all = by_id.values().map(|session| session.borrow().len()).sum();
    assert_eq!(sessions.partitions.get(), all);
    all
}

#[test]
fn partitions_are_counted_as_they_come_and_go() {
    let sessions = FetchSessions::new(2);
    create(&sessions, 1, 5, 0);
    create(&sessions, 2, 7, 0);
    assert_eq!(counted(&sessions), 12);
    let grown = FetchRequest {
        topics: vec![FetchTopic {
            topic: "t",
            topic_id: [0; 16],
            partitions: vec![asked(4), asked(5)],
        }],
        forgotten_topics_data: vec![ForgottenTopic {
            topic: "t",
            topic_id: [0; 16],
            partitions: vec![0, 1, 2, 99],
        }],
        ..request(1, 1)
    };
    sessions.begin(&grown, false, Monotonic(0)).unwrap();
    assert_eq!(counted(&sessions), 10);
    // Another takes the place of the first.
    assert_eq!(create(&sessions, 3, 4, 10), 3);
    assert_eq!(counted(&sessions), 11);
    for (id, epoch, left) in [(3, EPOCH_NONE, 7), (3, EPOCH_NONE, 7), (2, EPOCH_FIRST, 0)] {
        go_on(&sessions, id, epoch, 10).unwrap();
        assert_eq!(counted(&sessions), left);
    }
}

#[test]
fn a_slot_is_taken_from_who_needs_it_less() {
    // Sessions as (id, partitions, minute of its begin, minute of its last use); a new one of so many partitions in minute 10; who goes.
    type Row = (&'static str, &'static [(u64, i32, u64, u64)], i32, Option<i32>);
    let rows: &[Row] = &[
        ("all are young", &[(1, 5, 9, 10), (2, 1, 9, 10)], 100, None),
        ("one was idle", &[(1, 500, 1, 10), (2, 500, 1, 7)], 1, Some(2)),
        (
            "the one that was idle longest",
            &[(1, 500, 1, 5), (2, 500, 1, 4)],
            1,
            Some(2),
        ),
        (
            "the smaller of the old ones",
            &[(1, 50, 1, 10), (2, 40, 1, 10)],
            100,
            Some(2),
        ),
        (
            "a young one stays, though it is smaller",
            &[(1, 50, 1, 10), (2, 40, 9, 10)],
            100,
            Some(1),
        ),
        ("none is smaller", &[(1, 50, 1, 10), (2, 40, 1, 10)], 40, None),
    ];
    for (what, known, partitions, goes) in rows {
        let sessions = FetchSessions::new(2);
        for (id, partitions, created, _) in *known {
            assert_eq!(
                create(&sessions, *id, *partitions, *created),
                i32::try_from(*id).unwrap()
            );
        }
        for (id, _, _, used) in *known {
            go_on(&sessions, i32::try_from(*id).unwrap(), 1, *used).unwrap();
        }
        let id = create(&sessions, 3, *partitions, 10);
        assert_eq!(id, if goes.is_some() { 3 } else { NO_SESSION }, "{what}");
        for (id, ..) in *known {
            let id = i32::try_from(*id).unwrap();
            let is_known = go_on(&sessions, id, 2, 10).is_ok();
            assert_eq!(is_known, *goes != Some(id), "{what}: session {id}");
        }
    }
}

#[test]
fn ids_are_positive_and_not_given_twice() {
    let sessions = FetchSessions::new(10);
    assert_eq!(create(&sessions, 7, 1, 0), 7);
    assert_eq!(create(&sessions, 7, 1, 0), NO_SESSION);
    assert_eq!(create(&sessions, 0, 1, 0), NO_SESSION);
    let largest = u64::MAX >> 33;
    assert_eq!(create(&sessions, largest, 1, 0), i32::MAX);
}

#[test]
fn no_slots_no_sessions() {
    assert_eq!(create(&FetchSessions::new(0), 1, 1, 0), NO_SESSION);
}

#[test]
fn what_all_remember_is_bounded() {
    let sessions = FetchSessions::new(10);
    let most = i32::try_from(FETCH_SESSION_PARTITIONS_PER_CORE).unwrap();
    assert_eq!(create(&sessions, 1, most - 1, 0), 1);
    assert_eq!(create(&sessions, 2, 2, 0), NO_SESSION);
    assert_eq!(create(&sessions, 3, 1, 0), 3);
    // One that grows beyond ends.
    let request = FetchRequest {
        topics: vec![FetchTopic {
            topic: "t",
            topic_id: [0; 16],
            partitions: vec![asked(1), asked(2)],
        }],
        ..request(3, 1)
    };
    let refused = sessions.begin(&request, false, Monotonic(0));
    assert_eq!(refused.unwrap_err(), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(counted(&sessions), FETCH_SESSION_PARTITIONS_PER_CORE - 1);
}

#[test]
fn epochs_come_round() {
    assert_eq!(Session::next_epoch(1), 2);
    assert_eq!(Session::next_epoch(i32::MAX), 1);
}
