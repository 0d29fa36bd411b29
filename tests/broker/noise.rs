//! Random bytes and spoilt requests, from a seed.

use std::time::Duration;

use bytes::Bytes;
use duramen::record::{BatchHeader, Batches, Compression, Decompressor};
use duramen_wire::Request;
use duramen_wire::messages::api_versions_response::ApiVersion;
use duramen_wire::messages::create_topics_request::CreatableTopic;
use duramen_wire::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DescribeClusterRequest, InitProducerIdRequest, OffsetForLeaderEpochRequest,
};

use crate::client::{Client, frame};
use crate::codes::NONE;
use crate::fixture::{
    HEADER_BYTES, Topic, create_topic, end_offset, fetch, fetch_request, list_offsets_request, produce,
    produce_request, seal, sequenced, sized_batch, try_produce,
};
use crate::harness::Broker;
use crate::round_trip::compressed;

/// SplitMix64: enough to spoil bytes, and the same on each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_be_bytes()[7]).collect()
    }
}

#[test]
fn random_bytes() {
    let mut broker = Broker::start(2);
    let mut witness = broker.client();
    let topic = create_topic(&mut witness, "noise", 1);
    let mut random = Random(1);
    for round in 0..3000 {
        let count = 1 + random.below(400);
        let mut bytes = random.bytes(count);
        // Most bytes would be refused for their size alone; some get further, some as far as an API.
        if round % 4 > 0 && bytes.len() >= 8 {
            let size = u32::try_from(bytes.len() - 4).unwrap();
            bytes[..4].copy_from_slice(&size.to_be_bytes());
        }
        if round % 4 > 1 && bytes.len() >= 14 {
            bytes[4..8].copy_from_slice(&[0, [0, 1, 2, 3, 18, 19, 22, 60][random.below(8)], 0, 0]);
            bytes[7] = random.bytes(1)[0] % 14;
            bytes[12..14].copy_from_slice(&[0xff, 0xff]);
        }
        let mut client = broker.client();
        client.try_send_bytes(&bytes);
        // Waiting for each would take long, for none would leave it open whether the broker has looked at them.
        if round % 16 == 0 {
            client.set_read_timeout(Duration::from_millis(5));
            let _ = client.receive_frame();
        }
        if round % 100 == 0 {
            assert_eq!(produce(&mut witness, &topic, 0, &sized_batch(1, 10)), round / 100);
        }
    }
    witness.assert_usable();
    broker.assert_alive();
}

/// The request in all versions that the broker lists.
fn versions_of<R: Request>(list: &[ApiVersion], request: &R) -> Vec<Vec<u8>> {
    let listed = list.iter().find(|api| api.api_key == R::KEY.to_i16()).unwrap();
    let versions = R::KEY.versions().filter(|&version| version <= listed.max_version);
    versions.map(|version| frame(version, 1, request).to_vec()).collect()
}

/// Good requests of all kinds that say something.
fn requests(list: &[ApiVersion], topic: &Topic) -> Vec<Vec<u8>> {
    let create = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: topic.name.clone(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        // A spoilt number of partitions must not be one that takes minutes to create.
        validate_only: true,
        ..CreateTopicsRequest::default()
    };
    [
        versions_of(list, &produce_request(topic, &[(0, &sequenced(77, 0, 0, 3))])),
        versions_of(list, &fetch_request(topic, &[(0, 0), (1, 0)])),
        versions_of(list, &list_offsets_request(topic, &[(0, -1), (1, 5)])),
        versions_of(list, &ApiVersionsRequest::default()),
        versions_of(list, &DescribeClusterRequest::default()),
        versions_of(list, &InitProducerIdRequest::default()),
        versions_of(list, &OffsetForLeaderEpochRequest::default()),
        versions_of(list, &create),
    ]
    .concat()
}

/// Changes a few bytes, or drops or doubles some; the frame's size is made right again most of the time.
fn spoil(request: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = request.to_vec();
    for _ in 0..=random.below(4) {
        let at = 4 + random.below(bytes.len() - 4);
        match random.below(6) {
            0 => bytes[at] = random.bytes(1)[0],
            1 => bytes[at] = 0xff,
            2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes.truncate(at.max(12)),
            4 => bytes.insert(at, random.bytes(1)[0]),
            _ => bytes[at] = 0x7f,
        }
    }
    if random.below(8) > 0 {
        let size = u32::try_from(bytes.len() - 4).unwrap();
        bytes[..4].copy_from_slice(&size.to_be_bytes());
    }
    bytes
}

#[test]
fn spoilt_requests() {
    let mut broker = Broker::start(2);
    let mut witness = broker.client();
    let topic = create_topic(&mut witness, "spoilt", 2);
    let list = witness.call(0, &ApiVersionsRequest::default()).api_keys;
    let requests = requests(&list, &topic);
    assert!(requests.len() > 40);
    let mut random = Random(2);
    let mut answered = 0;
    let mut client: Option<Client> = None;
    for round in 0..3000 {
        let request = &requests[random.below(requests.len())];
        let mut sender = client.take().unwrap_or_else(|| broker.client());
        sender.set_read_timeout(Duration::from_millis(10));
        sender.try_send_bytes(&spoil(request, &mut random));
        // After an answer the connection is good for the next request.
        if matches!(sender.receive_frame(), Ok(Some(_))) {
            answered += 1;
            client = Some(sender);
        }
        if round % 100 == 0 {
            end_offset(&mut witness, &topic, 1);
        }
    }
    eprintln!("{answered} of 3000 spoilt requests were answered");
    assert!(answered > 100);
    witness.assert_usable();
    broker.assert_alive();
}

/// A batch of this codec with some bytes of its header fields or records changed, and the checksum that belongs to them.
fn spoilt_batch(random: &mut Random, compression: Compression) -> Bytes {
    let records = 1 + random.below(20);
    let batch = compressed(&sequenced(-1, -1, -1, records), compression);
    let mut bytes = batch.to_vec();
    // The checksum covers what follows it.
    let first = if random.below(4) == 0 { 21 } else { HEADER_BYTES };
    for _ in 0..=random.below(3) {
        let at = first + random.below(bytes.len() - first);
        bytes[at] = match random.below(3) {
            0 => random.bytes(1)[0],
            1 => bytes[at] ^ 1,
            _ => bytes[at].wrapping_add(1),
        };
    }
    let header = BatchHeader::decode(&bytes).unwrap();
    seal(header, &bytes[HEADER_BYTES..])
}

/// Whatever of them is taken can be read to the last record; what cannot is refused.
#[test]
fn spoilt_batches() {
    let Some(mut broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "spoilt-batches", 1);
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let mut random = Random(3);
    let mut taken = 0;
    for round in 0..2000 {
        let batch = spoilt_batch(&mut random, codecs[round % codecs.len()]);
        let end = end_offset(&mut client, &topic, 0);
        let answer = try_produce(&mut client, &topic, 0, &batch);
        if answer.error_code == NONE {
            assert_eq!(answer.base_offset, end, "round {round}");
            taken += 1;
        } else {
            assert_eq!(end_offset(&mut client, &topic, 0), end, "round {round}");
        }
    }
    let mut decompressor = Decompressor::new(1 << 20);
    let mut offset = 0;
    let end = end_offset(&mut client, &topic, 0);
    while offset < end {
        let records = fetch(&mut client, &topic, 0, offset);
        for batch in Batches::new(&records).map_while(Result::ok) {
            batch.check_crc().unwrap();
            assert_eq!(batch.header().base_offset.0, offset);
            let records = batch.records(&mut decompressor).unwrap();
            let offsets = records.map(|record| record.unwrap().offset.0);
            assert!(offsets.eq(offset..batch.header().next_offset().0), "at {offset}");
            offset = batch.header().next_offset().0;
        }
    }
    eprintln!("{taken} of 2000 spoilt batches were taken");
    assert!((20..1500).contains(&taken), "{taken}");
    broker.assert_alive();
}
