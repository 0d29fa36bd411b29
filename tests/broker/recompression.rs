//! `compression.type` of a topic: batches that arrive otherwise are compressed anew, and stay the same batches.

use bytes::Bytes;
use duramen::base::ids::{ProducerEpoch, ProducerId, Sequence};
use duramen::base::time::TimestampMs;
use duramen::record::{
    BatchBuilder, BatchHeader, BatchView, Batches, Compression, Decompressor, ProducerStamp, Record,
};
use duramen_wire::messages::ProduceRequest;

use crate::client::{Client, frame};
use crate::codes::{MESSAGE_TOO_LARGE, NONE};
use crate::fixture::{
    PRODUCE, Topic, batch, create_topic_with, end_offset, fetch, new_producer_id, now_ms, produce, produce_request,
    sized_batch, try_produce,
};
use crate::harness::Broker;
use crate::round_trip::{CODECS, compressed, diverse_batch};

fn named(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "uncompressed",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    }
}

/// The batches of partition 0, each found whole.
fn stored_batches(client: &mut Client, topic: &Topic) -> Vec<Bytes> {
    let mut batches = Vec::new();
    let mut offset = 0;
    while offset < end_offset(client, topic, 0) {
        let bytes = fetch(client, topic, 0, offset);
        for batch in Batches::new(&bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            offset = batch.header().next_offset().0;
            batches.push(bytes.slice_ref(batch.bytes()));
        }
    }
    batches
}

/// What the records of a batch are, whatever their codec.
fn records(batch: &Bytes) -> Vec<String> {
    let mut decompressor = Decompressor::new(64 << 20);
    let view = BatchView::parse_only(batch).unwrap();
    let records = view.records(&mut decompressor).unwrap();
    records.map(|record| format!("{:?}", record.unwrap())).collect()
}

/// The batch as it was sent, with what the broker writes into its header.
fn assert_is(stored: &Bytes, sent: &Bytes, compression: Compression, base_offset: i64, what: &str) {
    let (stored_header, sent_header) = (BatchHeader::decode(stored).unwrap(), BatchHeader::decode(sent).unwrap());
    let expected = BatchHeader {
        base_offset: duramen::base::offset::Offset(base_offset),
        leader_epoch: stored_header.leader_epoch,
        attributes: sent_header.attributes.with_compression(compression),
        length: stored_header.length,
        crc: stored_header.crc,
        ..sent_header
    };
    assert_eq!(stored_header, expected, "{what}");
    let rebased = crate::fixture::with_header(sent, |header| header.base_offset = expected.base_offset);
    assert_eq!(records(stored), records(&rebased), "{what}");
}

/// Every codec into every other, from a producer with sequences.
fn every_codec(cores: u16) {
    let broker = Broker::start(cores);
    let mut client = broker.client();
    for wanted in CODECS {
        let topic = create_topic_with(&mut client, "codec", 1, &[("compression.type", named(wanted))]);
        for (index, sent_as) in (0..).zip(CODECS) {
            let sent = compressed(&diverse_batch(), sent_as);
            assert_eq!(
                produce(&mut client, &topic, 0, &sent),
                5 * index,
                "{sent_as:?} to {wanted:?}"
            );
            let stored = stored_batches(&mut client, &topic).pop().unwrap();
            let what = format!("{sent_as:?} to {wanted:?}");
            assert_is(&stored, &sent, wanted, 5 * index, &what);
            if sent_as == wanted {
                assert_eq!(stored[61..], sent[61..], "{what}: compressed anew without need");
            }
        }
    }
}

#[test]
fn every_codec_on_1_core() {
    every_codec(1);
}

#[test]
fn every_codec_on_4_cores() {
    every_codec(4);
}

/// Pipelined, long and brief, with sequences: in order, and known when they come again.
#[test]
fn sequences_are_kept() {
    let broker = Broker::start(2);
    let mut client = broker.client();
    let topic = create_topic_with(&mut client, "sequences", 1, &[("compression.type", "zstd")]);
    let producer_id = new_producer_id(&mut client);
    let value = b"0123456789".repeat(100);
    let mut batches = Vec::new();
    let mut sequence = 0;
    for count in [1000, 1, 500, 2, 900] {
        let mut builder = BatchBuilder::new().producer(ProducerStamp {
            producer_id: ProducerId(producer_id),
            producer_epoch: ProducerEpoch(0),
            base_sequence: Sequence(sequence),
        });
        for _ in 0..count {
            builder
                .append(&Record::new(TimestampMs(5), None, Some(&value)))
                .unwrap();
        }
        batches.push((sequence, compressed(&builder.build().unwrap(), Compression::Gzip)));
        sequence += count;
    }
    for _ in 0..2 {
        let mut requests = Vec::new();
        for (index, (_, records)) in (0..).zip(&batches) {
            requests.extend_from_slice(&frame(PRODUCE, index, &produce_request(&topic, &[(0, records)])));
        }
        client.send_bytes(&requests);
        for (index, (sequence, _)) in (0..).zip(&batches) {
            let response = client.receive::<ProduceRequest>(PRODUCE, index);
            let answer = &response.responses[0].partition_responses[0];
            assert_eq!((answer.error_code, answer.base_offset), (NONE, i64::from(*sequence)));
        }
    }
    let stored = stored_batches(&mut client, &topic);
    assert_eq!(stored.len(), batches.len());
    for (stored, (sequence, sent)) in stored.iter().zip(&batches) {
        assert_is(stored, sent, Compression::Zstd, i64::from(*sequence), "a sequence");
    }
}

/// The broker's time, and records compressed anew: their own times stay in their bytes.
#[test]
fn with_the_brokers_time() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    for wanted in [Compression::None, Compression::Lz4] {
        let configs = [
            ("compression.type", named(wanted)),
            ("message.timestamp.type", "LogAppendTime"),
        ];
        let topic = create_topic_with(&mut client, "times", 1, &configs);
        for (index, sent_as) in (0..).zip(CODECS) {
            let sent = compressed(&diverse_batch(), sent_as);
            let answer = try_produce(&mut client, &topic, 0, &sent);
            assert_eq!((answer.error_code, answer.base_offset), (NONE, 5 * index));
            let stored = stored_batches(&mut client, &topic).pop().unwrap();
            let (header, before) = (
                BatchHeader::decode(&stored).unwrap(),
                BatchHeader::decode(&sent).unwrap(),
            );
            assert_eq!(header.max_timestamp.0, answer.log_append_time_ms);
            assert_eq!(header.attributes.0, 8 | before.attributes.with_compression(wanted).0);
            assert_eq!(
                header.base_timestamp, before.base_timestamp,
                "{sent_as:?} to {wanted:?}"
            );
        }
    }
}

/// Both what arrives and what would be stored must not be too large.
#[test]
fn sizes_before_and_after() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let limit = ("max.message.bytes", "10000");
    let plain = create_topic_with(&mut client, "plain", 1, &[limit, ("compression.type", "uncompressed")]);
    let small = compressed(&sized_batch(1, 100_000), Compression::Zstd);
    assert!(small.len() < 1000);
    let packed = create_topic_with(&mut client, "packed", 1, &[limit, ("compression.type", "zstd")]);
    for (topic, records) in [(&plain, &small), (&packed, &sized_batch(1, 100_000))] {
        let answer = try_produce(&mut client, topic, 0, records);
        assert_eq!((answer.error_code, answer.base_offset), (MESSAGE_TOO_LARGE, -1));
        assert_eq!(end_offset(&mut client, topic, 0), 0);
        assert_eq!(produce(&mut client, topic, 0, &batch(&[b"v"])), 0);
    }
}

/// Each end of the levels of each codec, and the slow ones: the batches behind them keep their order.
#[test]
fn levels() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let value: Vec<u8> = (0..60_000_u32).flat_map(|i| (i % 977).to_be_bytes()).collect();
    for (codec, level) in [
        ("gzip", "1"),
        ("gzip", "9"),
        ("gzip", "-1"),
        ("lz4", "1"),
        ("lz4", "17"),
        ("zstd", "-131072"),
        ("zstd", "-5"),
        ("zstd", "6"),
        ("zstd", "7"),
        ("zstd", "22"),
    ] {
        let key = format!("compression.{codec}.level");
        let topic = create_topic_with(&mut client, codec, 1, &[("compression.type", codec), (&key, level)]);
        let mut requests = Vec::new();
        for index in 0..3 {
            let mut builder = BatchBuilder::new();
            builder
                .append(&Record::new(TimestampMs(now_ms()), None, Some(&value[index * 1000..])))
                .unwrap();
            let request = produce_request(&topic, &[(0, &builder.build().unwrap())]);
            requests.extend_from_slice(&frame(PRODUCE, i32::try_from(index).unwrap(), &request));
        }
        client.send_bytes(&requests);
        for index in 0..3 {
            let response = client.receive::<ProduceRequest>(PRODUCE, index);
            let answer = &response.responses[0].partition_responses[0];
            assert_eq!(
                (answer.error_code, answer.base_offset),
                (NONE, i64::from(index)),
                "{codec} {level}"
            );
        }
        for (index, stored) in stored_batches(&mut client, &topic).iter().enumerate() {
            let bytes = 240_000 - index * 1000;
            assert!(records(stored)[0].len() > bytes, "{codec} {level}");
        }
    }
}

/// A batch that is compressed anew does not hold up others.
#[test]
fn others_go_on() {
    let Some(broker) = Broker::start_own(1, &["compression.type=zstd", "compression.zstd.level=19"]) else {
        return;
    };
    let (mut client, mut other) = (broker.client(), broker.client());
    let topic = create_topic_with(&mut client, "slow", 2, &[]);
    let value: Vec<u8> = (0..200_000_u32).flat_map(|i| i.wrapping_mul(i).to_be_bytes()).collect();
    let mut builder = BatchBuilder::new();
    builder
        .append(&Record::new(TimestampMs(1), None, Some(&value)))
        .unwrap();
    let sent = client.send(PRODUCE, &produce_request(&topic, &[(0, &builder.build().unwrap())]));
    let brief = compressed(&batch(&[b"brief"]), Compression::Zstd);
    for partition in [0, 1] {
        assert_eq!(produce(&mut other, &topic, partition, &brief), 0);
    }
    let response = client.receive::<ProduceRequest>(PRODUCE, sent);
    assert_eq!(response.responses[0].partition_responses[0].base_offset, 1);
}
