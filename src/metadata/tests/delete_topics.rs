//! Codes and texts were taken from an Apache Kafka 4.3.1.

use duramen_wire::messages::delete_topics_request::DeleteTopicState;

use super::{cluster, create, id, replay};
use crate::base::ids::TopicId;
use crate::metadata::controller::delete_topics;

fn state(name: Option<&str>, topic_id: TopicId) -> DeleteTopicState {
    DeleteTopicState {
        name: name.map(str::to_owned),
        topic_id: topic_id.0,
    }
}

#[test]
fn refusals_say_what_kafka_says() {
    let mut image = cluster(1);
    let known = create(&mut image, "known", 1);
    let unknown = id(77);
    let zero = TopicId::ZERO;
    let table: &[(&[DeleteTopicState], &str)] = &[
        (
            &[state(Some("nope"), zero)],
            "This server does not host this topic-partition.",
        ),
        (&[state(None, unknown)], "This server does not host this topic ID."),
        (
            &[state(Some("known"), known)],
            "You may not specify both topic name and topic id.",
        ),
        (&[state(None, zero)], "Neither topic name nor id were specified."),
        (
            &[state(Some("known"), zero), state(Some("known"), zero)],
            "Duplicate topic name.",
        ),
        (&[state(None, known), state(None, known)], "Duplicate topic id."),
        (
            &[state(None, known), state(Some("known"), zero)],
            "The provided topic name maps to an ID that was already supplied.",
        ),
    ];
    for (topics, expected) in table {
        let decision = delete_topics(&image, topics);
        assert_eq!(decision.records, []);
        for result in decision.response {
            assert_eq!(result.unwrap_err().to_string(), *expected, "{topics:?}");
        }
    }
}

#[test]
fn by_name_and_by_id_nothing_is_left() {
    let mut image = cluster(1);
    let by_id = create(&mut image, "by.id", 3);
    create(&mut image, "by-name", 3);
    let asked = [
        state(None, by_id),
        state(Some("nope"), TopicId::ZERO),
        state(Some("by-name"), TopicId::ZERO),
    ];
    let decision = delete_topics(&image, &asked);
    let names: Vec<_> = decision
        .response
        .iter()
        .map(|result| result.as_ref().ok().map(|topic| topic.name.as_str()))
        .collect();
    assert_eq!(names, [Some("by.id"), None, Some("by-name")]);
    replay(&mut image, &decision.records);
    assert_eq!(image.topic_count(), 0);
    assert!(image.topic_by_name("by.id").is_none());
    create(&mut image, "by_id", 1);
}
