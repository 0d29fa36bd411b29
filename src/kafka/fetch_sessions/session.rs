//! One fetch session: what its client wants to read, and what it was last told.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use duramen_wire::messages::borrowed::fetch_request::{FetchTopic, ForgottenTopic};
use duramen_wire::messages::fetch_request::FetchPartition;
use duramen_wire::messages::fetch_response::PartitionData;

use crate::base::ids::TopicId;
use crate::base::time::Monotonic;

/// A partition as requests name it: by the topic's name, or by its id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    topic: Rc<str>,
    topic_id: TopicId,
    partition: i32,
}

/// A partition that its client wants to read.
#[derive(Clone, Debug)]
struct Remembered {
    key: Key,
    asked: FetchPartition,
    /// What the client was told; -1 before it was told, or when it was told of an error.
    high_watermark: i64,
    log_start_offset: i64,
}

/// A session. Its partitions take turns: one whose records were sent goes behind the others, so that none starves.
#[derive(Debug)]
pub struct Session {
    pub(super) id: i32,
    /// What the next request has to say.
    pub(super) epoch: i32,
    pub(super) by_topic_id: bool,
    pub(super) created: Monotonic,
    pub(super) last_used: Monotonic,
    in_turn: BTreeMap<u64, Remembered>,
    turns: HashMap<Key, u64>,
    next_turn: u64,
}

impl Session {
    pub(super) fn new(id: i32, by_topic_id: bool, now: Monotonic) -> Self {
        Self {
            id,
            epoch: 1,
            by_topic_id,
            created: now,
            last_used: now,
            in_turn: BTreeMap::new(),
            turns: HashMap::new(),
            next_turn: 0,
        }
    }

    /// Partitions.
    pub(super) fn len(&self) -> usize {
        self.in_turn.len()
    }

    /// The session epoch that follows; 0 and -1 have meanings of their own.
    pub(super) fn next_epoch(epoch: i32) -> i32 {
        epoch.checked_add(1).unwrap_or(1)
    }

    /// Takes over what a request changes: partitions that are new or read from elsewhere, and those that are wanted no more.
    pub(super) fn change(&mut self, topics: &[FetchTopic<'_>], forgotten: &[ForgottenTopic<'_>]) {
        for topic in topics {
            let name: Rc<str> = Rc::from(topic.topic);
            for asked in &topic.partitions {
                self.want(&name, TopicId(topic.topic_id), asked);
            }
        }
        for topic in forgotten {
            let name: Rc<str> = Rc::from(topic.topic);
            for &partition in &topic.partitions {
                let key = Key {
                    topic: Rc::clone(&name),
                    topic_id: TopicId(topic.topic_id),
                    partition,
                };
                if let Some(turn) = self.turns.remove(&key) {
                    self.in_turn.remove(&turn);
                }
            }
        }
    }

    /// Adds a partition, or changes what is read of it.
    pub(super) fn want(&mut self, topic: &Rc<str>, topic_id: TopicId, asked: &FetchPartition) {
        let key = Key {
            topic: Rc::clone(topic),
            topic_id,
            partition: asked.partition,
        };
        let known = self.turns.get(&key).and_then(|turn| self.in_turn.get_mut(turn));
        if let Some(remembered) = known {
            remembered.asked = asked.clone();
            return;
        }
        let remembered = Remembered {
            key,
            asked: asked.clone(),
            high_watermark: -1,
            log_start_offset: -1,
        };
        self.add_last(remembered);
    }

    fn add_last(&mut self, remembered: Remembered) {
        self.turns.insert(remembered.key.clone(), self.next_turn);
        self.in_turn.insert(self.next_turn, remembered);
        self.next_turn += 1;
    }

    /// All its partitions in turn, neighbours of one topic together.
    pub fn topics(&self) -> Vec<FetchTopic<'_>> {
        let mut topics: Vec<FetchTopic<'_>> = Vec::new();
        for remembered in self.in_turn.values() {
            let (name, id) = (&*remembered.key.topic, remembered.key.topic_id.0);
            let asked = remembered.asked.clone();
            match topics.last_mut() {
                Some(last) if last.topic == name && last.topic_id == id => last.partitions.push(asked),
                _ => topics.push(FetchTopic {
                    topic: name,
                    topic_id: id,
                    partitions: vec![asked],
                }),
            }
        }
        topics
    }

    /// Leaves of answers those that the client must be told of, and has it told (Kafka: `CachedPartition.maybeUpdateResponseData`). They are
    /// about the partitions in the order in which [`topics`](Self::topics) named them, and nothing has changed since.
    pub(super) fn retain_news<'a>(
        &mut self,
        answers: impl Iterator<Item = (&'a Rc<str>, TopicId, &'a mut Vec<PartitionData>)>,
    ) {
        let mut sent = Vec::new();
        let mut in_turn = self.in_turn.iter_mut();
        for (topic, topic_id, partitions) in answers {
            partitions.retain(|data| {
                let next = in_turn.next();
                let next = next.filter(|(_, remembered)| remembered.key.is(topic, topic_id, data.partition_index));
                let Some((turn, remembered)) = next else {
                    let is_out_of_order = true;
                    crate::never!(is_out_of_order);
                    return true;
                };
                if data.records.bytes() > 0 {
                    sent.push(*turn);
                }
                remembered.tells(data)
            });
        }
        for turn in sent {
            if let Some(remembered) = self.in_turn.remove(&turn) {
                self.add_last(remembered);
            }
        }
    }

    /// The client was told of a partition, where it stands in turn.
    pub(super) fn told(&mut self, topic: &Rc<str>, topic_id: TopicId, data: &PartitionData) {
        let turn = self.turn_of(topic, topic_id, data.partition_index);
        if let Some(remembered) = turn.and_then(|turn| self.in_turn.get_mut(&turn)) {
            remembered.was_told(data);
        }
    }

    fn turn_of(&self, topic: &Rc<str>, topic_id: TopicId, partition: i32) -> Option<u64> {
        let key = Key {
            topic: Rc::clone(topic),
            topic_id,
            partition,
        };
        self.turns.get(&key).copied()
    }
}

impl Key {
    fn is(&self, topic: &str, topic_id: TopicId, partition: i32) -> bool {
        self.partition == partition && self.topic_id == topic_id && *self.topic == *topic
    }
}

impl Remembered {
    /// Whether the client must be told of an answer, which it then was.
    fn tells(&mut self, data: &PartitionData) -> bool {
        let tells = data.records.bytes() > 0
            || data.error_code != 0
            || self.high_watermark != data.high_watermark
            || self.log_start_offset != data.log_start_offset
            || data.diverging_epoch.epoch >= 0;
        self.was_told(data);
        tells
    }

    fn was_told(&mut self, data: &PartitionData) {
        // After an error the client is told again, whatever stands there then.
        self.high_watermark = if data.error_code == 0 { data.high_watermark } else { -1 };
        self.log_start_offset = data.log_start_offset;
    }
}
