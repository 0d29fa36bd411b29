//! Long polls of consumers, with and without fetch sessions (KIP-227).
//!
//! With one, the first request names every partition, and those after it only what has changed; without, all do.

use std::time::Duration;

use duramen::record::Batches;
use duramen_wire::Records;
use duramen_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use duramen_wire::messages::fetch_response::FetchResponse;

use crate::client::TopicHandle;
use crate::failure::{Failure, Result, fail};

/// What consumers ask for by default.
pub const WAIT: Duration = Duration::from_millis(500);
const PARTITION_BYTES_MAX: i32 = 1 << 20;
const BYTES_MAX: i32 = 50 << 20;

/// In a request that opens a session, and in one without.
const FIRST_EPOCH: i32 = 0;
const NO_EPOCH: i32 = -1;

/// A consumer of some partitions.
pub struct Fetches {
    topic: TopicHandle,
    /// Partitions in their order, each with the offset that is read next.
    positions: Vec<(i32, i64)>,
    /// Where in `positions` something has changed since the last request.
    changed: Vec<usize>,
    has_session: bool,
    session_id: i32,
    epoch: i32,
    /// Records that have come.
    pub records: u64,
}

impl Fetches {
    pub fn new(topic: &TopicHandle, positions: Vec<(i32, i64)>, has_session: bool) -> Self {
        Self {
            topic: topic.clone(),
            positions,
            changed: Vec::new(),
            has_session,
            session_id: 0,
            epoch: if has_session { FIRST_EPOCH } else { NO_EPOCH },
            records: 0,
        }
    }

    /// The next request.
    pub fn request(&mut self) -> Result<FetchRequest> {
        let changed = std::mem::take(&mut self.changed);
        let named: Vec<(i32, i64)> = if self.epoch <= FIRST_EPOCH {
            self.positions.clone()
        } else {
            changed.into_iter().map(|at| self.positions[at]).collect()
        };
        let partitions = named.into_iter().map(|(partition, fetch_offset)| FetchPartition {
            partition,
            fetch_offset,
            partition_max_bytes: PARTITION_BYTES_MAX,
            ..FetchPartition::default()
        });
        let partitions: Vec<_> = partitions.collect();
        let topics = FetchTopic {
            topic: self.topic.name.clone(),
            topic_id: self.topic.id,
            partitions,
        };
        Ok(FetchRequest {
            max_wait_ms: i32::try_from(WAIT.as_millis())?,
            min_bytes: 1,
            max_bytes: BYTES_MAX,
            session_id: self.session_id,
            session_epoch: self.epoch,
            topics: if topics.partitions.is_empty() {
                Vec::new()
            } else {
                vec![topics]
            },
            ..FetchRequest::default()
        })
    }

    /// Ends the session, so that the broker has room for others.
    pub fn close(&self) -> FetchRequest {
        FetchRequest {
            max_wait_ms: 0,
            max_bytes: BYTES_MAX,
            session_id: self.session_id,
            session_epoch: NO_EPOCH,
            ..FetchRequest::default()
        }
    }

    /// Takes the answer: records have to go on where the last ones ended.
    pub fn take(&mut self, response: FetchResponse) -> Result<()> {
        if response.error_code != 0 {
            fail!("a fetch: error {}", response.error_code);
        }
        if self.has_session {
            if response.session_id == 0 {
                fail!("the broker has opened no fetch session");
            }
            self.session_id = response.session_id;
            self.epoch += 1;
        }
        for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            let index = partition.partition_index;
            if partition.error_code != 0 {
                fail!("a fetch from partition {index}: error {}", partition.error_code);
            }
            let Ok(at) = self.positions.binary_search_by_key(&index, |(partition, _)| *partition) else {
                fail!("partition {index} was answered, and not asked for");
            };
            if let Records::Bytes(bytes) = partition.records
                && !bytes.is_empty()
            {
                self.walk(at, &bytes)?;
                self.changed.push(at);
            }
        }
        Ok(())
    }

    fn walk(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        let (index, next) = &mut self.positions[at];
        for batch in Batches::new(bytes) {
            let batch = batch.map_err(|error| Failure::new(error.to_string()))?;
            let header = batch.header();
            if header.base_offset.0 != *next {
                fail!(
                    "partition {index}: offset {} came where {next} is next",
                    header.base_offset.0
                );
            }
            *next = header.next_offset().0;
            self.records += u64::from(header.record_count.unsigned_abs());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};

    fn topic() -> TopicHandle {
        TopicHandle::of_test(3)
    }

    fn batch(base: i64, records: usize) -> bytes::Bytes {
        use duramen::base::offset::Offset;
        use duramen::base::time::TimestampMs;
        use duramen::record::{BatchBuilder, Record};
        let mut builder = BatchBuilder::new().base_offset(Offset(base));
        for _ in 0..records {
            builder.append(&Record::new(TimestampMs(1), None, Some(b"x"))).unwrap();
        }
        builder.build().unwrap()
    }

    fn response(records: bytes::Bytes) -> FetchResponse {
        FetchResponse {
            session_id: 9,
            responses: vec![FetchableTopicResponse {
                partitions: vec![PartitionData {
                    partition_index: 1,
                    records: Records::Bytes(records),
                    ..PartitionData::default()
                }],
                ..FetchableTopicResponse::default()
            }],
            ..FetchResponse::default()
        }
    }

    fn named(request: &FetchRequest) -> Vec<(i32, i64)> {
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        partitions
            .map(|partition| (partition.partition, partition.fetch_offset))
            .collect()
    }

    #[test]
    fn a_session_names_what_has_changed() {
        let positions = vec![(0, 5), (1, 5), (2, 5)];
        let mut fetches = Fetches::new(&topic(), positions.clone(), true);
        let first = fetches.request().unwrap();
        assert_eq!((first.session_id, first.session_epoch, named(&first).len()), (0, 0, 3));
        fetches.take(response(batch(5, 2))).unwrap();
        let second = fetches.request().unwrap();
        assert_eq!((second.session_id, second.session_epoch), (9, 1));
        assert_eq!(named(&second), [(1, 7)]);
        assert!(named(&fetches.request().unwrap()).is_empty());
        let mut without = Fetches::new(&topic(), positions, false);
        without.take(response(batch(5, 2))).unwrap();
        let next = without.request().unwrap();
        assert_eq!((next.session_epoch, named(&next)), (-1, vec![(0, 5), (1, 7), (2, 5)]));
        assert_eq!(without.records, 2);
    }

    #[test]
    fn gaps_and_repeats_are_told() {
        for base in [4, 6] {
            let mut fetches = Fetches::new(&topic(), vec![(1, 5)], false);
            let error = fetches.take(response(batch(base, 1))).unwrap_err().to_string();
            assert_eq!(error, format!("partition 1: offset {base} came where 5 is next"));
        }
        let mut fetches = Fetches::new(&topic(), vec![(0, 5)], false);
        assert!(fetches.take(response(batch(5, 1))).is_err());
    }
}
