//! What is kept, and for how long.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn expire(world: &mut World) -> usize {
    let mut after = None;
    let mut count = 0;
    loop {
        let walked = world.coordinator.expire(after.as_ref(), 1, world.now().wall);
        count += walked.records.len();
        world.take(Effects {
            records: walked.records,
            ..Effects::default()
        });
        after = walked.last;
        if after.is_none() {
            return count;
        }
    }
}

#[test]
fn offsets_without_membership_end_a_week_after_their_commit() {
    let mut world = World::new();
    world.commit(commit("", -1, 5)).unwrap();
    let mut other = commit("", -1, 5);
    other.group = "h".into();
    world.advance(DAY);
    world.commit(other).unwrap();
    world.advance(DAY * 6 - seconds(1));
    assert_eq!(expire(&mut world), 0);
    world.advance(seconds(1));
    assert_eq!(expire(&mut world), 2, "an offset and its group");
    assert_eq!(world.coordinator.group_count(), 1);
    world.advance(DAY);
    assert_eq!(expire(&mut world), 2);
    assert_eq!(world.coordinator.group_count(), 0);
}

#[test]
fn offsets_of_a_group_end_a_week_after_it_became_empty() {
    let mut world = World::new();
    let ids = world.stable_with(1, 1_800_000);
    world.commit(commit(&ids[0], 1, 5)).unwrap();
    for _ in 0..30 * 24 * 3 {
        world.advance(seconds(1200));
        world.heartbeat(&ids[0], 1).unwrap();
    }
    assert_eq!(expire(&mut world), 0, "somebody reads there");
    world.ask(leave(&ids[0], None));
    world.advance(DAY * 7 - seconds(1));
    assert_eq!(expire(&mut world), 0);
    world.advance(seconds(1));
    assert_eq!(expire(&mut world), 2);
}

#[test]
fn a_stable_group_forgets_what_it_does_not_read() {
    let mut world = World::new();
    let mut other = commit("", -1, 5);
    other.offsets[0].topic = "other".into();
    world.commit(other).unwrap();
    let ids = world.stable_with(1, 1_800_000);
    for _ in 0..7 * 24 * 3 {
        world.advance(seconds(1200));
        world.heartbeat(&ids[0], 1).unwrap();
    }
    world.commit(commit(&ids[0], 1, 5)).unwrap();
    assert_eq!(expire(&mut world), 1);
    assert_eq!(world.coordinator.offsets().get("g", "other", 0), None);
    assert!(world.coordinator.offsets().get("g", "topic", 0).is_some());
}

#[test]
fn a_time_of_its_own_counts_first() {
    let mut world = World::new();
    let mut brief = commit("", -1, 5);
    brief.retention_ms = Some(1000);
    world.commit(brief).unwrap();
    world.advance(Duration::from_millis(999));
    assert_eq!(expire(&mut world), 0);
    world.advance(Duration::from_millis(1));
    assert_eq!(expire(&mut world), 2);
}

#[test]
fn topics_that_are_no_more_are_forgotten() {
    let mut world = World::new();
    world.commit(commit("", -1, 5)).unwrap();
    let forget = |world: &World, name: &str, id: u8| {
        let deleted = [(name.into(), TopicId([id; 16]))];
        world.coordinator.forget_topics(None, 10, &deleted).records.len()
    };
    assert_eq!(forget(&world, "other", 7), 0);
    assert_eq!(forget(&world, "topic", 8), 0, "a topic that had the name before");
    assert_eq!(forget(&world, "topic", 7), 1);
}
