//! Batches that are small until they are expanded: the memory of the broker does not follow them, and other clients go on.

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen::record::varint::put_varint;
use duramen::record::{BatchHeader, Compression};

use crate::codes::NONE;
use crate::fixture::{HEADER_BYTES, PRODUCE, batch, create_topic, end_offset, produce, produce_request, seal};
use crate::harness::Broker;
use crate::round_trip::compress;

/// The front of a record whose value has `zeroes` bytes, less those that are to follow as zeroes.
fn front(zeroes: usize) -> Vec<u8> {
    let zeroes = i32::try_from(zeroes).unwrap();
    // Attributes, timestamp, offset, no key; the last zero is the number of headers.
    let mut body = vec![0, 0, 0, 1];
    put_varint(&mut body, zeroes);
    let mut record = Vec::new();
    put_varint(&mut record, i32::try_from(body.len()).unwrap() + zeroes + 1);
    record.extend_from_slice(&body);
    record
}

/// Writes a record of a value of zeroes.
fn write_zeroes(writer: &mut impl Write, zeroes: usize) {
    writer.write_all(&front(zeroes)).unwrap();
    let chunk = [0; 65_536];
    let mut left = zeroes + 1;
    while left > 0 {
        let bytes = left.min(chunk.len());
        writer.write_all(&chunk[..bytes]).unwrap();
        left -= bytes;
    }
}

/// A good batch of one record that is `zeroes` bytes long when it is expanded.
fn bomb(compression: Compression, zeroes: usize) -> Bytes {
    let mut header = BatchHeader::decode(&batch(&[b"v"])).unwrap();
    header.attributes = header.attributes.with_compression(compression);
    let records = match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            write_zeroes(&mut encoder, zeroes);
            encoder.finish().unwrap()
        }
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            write_zeroes(&mut encoder, zeroes);
            encoder.finish().unwrap()
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            write_zeroes(&mut encoder, zeroes);
            encoder.finish().unwrap()
        }
        Compression::None | Compression::Snappy => {
            let mut records = Vec::new();
            write_zeroes(&mut records, zeroes);
            compress(compression, &records)
        }
    };
    seal(header, &records)
}

/// Sends each bomb while another client measures how long it waits.
fn survives(bombs: &[(&str, Bytes)]) {
    let mut broker = Broker::start(1);
    let mut client = broker.client();
    let mut witness = broker.client();
    let topic = create_topic(&mut client, "bombs", 1);
    let quiet = create_topic(&mut client, "quiet", 1);
    produce(&mut witness, &quiet, 0, &batch(&[b"v"]));
    let before = broker.memory_bytes();
    for (what, records) in bombs {
        assert!(records.len() < 1_048_588, "{what}: {} bytes", records.len());
        let start = Instant::now();
        let sent = client.send(PRODUCE, &produce_request(&topic, &[(0, records)]));
        let witness_start = Instant::now();
        produce(&mut witness, &quiet, 0, &batch(&[b"v"]));
        let witnessed = witness_start.elapsed();
        let response = client.receive::<duramen_wire::messages::ProduceRequest>(PRODUCE, sent);
        let answer = &response.responses[0].partition_responses[0];
        eprintln!(
            "{what}: {} bytes, error {} after {:?}, another client waited {witnessed:?}",
            records.len(),
            answer.error_code,
            start.elapsed()
        );
        if broker.is_ours() {
            // More than 128 MiB is more than a batch may be.
            assert_eq!(answer.error_code == NONE, what.starts_with("small"), "{what}");
        }
        assert!(
            witnessed < Duration::from_secs(3),
            "{what}: another client waited {witnessed:?}"
        );
        broker.assert_alive();
    }
    if let (Some(before), Some(after)) = (before, broker.memory_bytes()) {
        let grown = after.saturating_sub(before);
        eprintln!("{} KiB more memory", grown / 1024);
        assert!(grown < 64 << 20, "{grown} bytes");
    }
    let end = end_offset(&mut client, &topic, 0);
    assert_eq!(produce(&mut client, &topic, 0, &batch(&[b"v"])), end);
}

#[test]
fn records_of_zeroes() {
    survives(&[
        ("gzip", bomb(Compression::Gzip, 200 << 20)),
        ("small enough: snappy", bomb(Compression::Snappy, 20 << 20)),
        ("lz4", bomb(Compression::Lz4, 200 << 20)),
        ("zstd", bomb(Compression::Zstd, 400 << 20)),
    ]);
}

/// A batch of this codec with these bytes as its records.
fn raw(compression: Compression, records: &[u8]) -> Bytes {
    let mut header = BatchHeader::decode(&batch(&[b"v"])).unwrap();
    header.attributes = header.attributes.with_compression(compression);
    seal(header, records)
}

/// Lengths that the compressed data claim, with nothing behind them. Each is refused.
#[test]
fn claims_of_length() {
    let small = compress(Compression::Zstd, &batch(&[b"v"])[HEADER_BYTES..]);
    let xerial = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
    let cases = [
        (
            "snappy of 4 GiB",
            raw(Compression::Snappy, b"\xff\xff\xff\xff\x0f\x00a"),
        ),
        (
            "snappy of 1 GiB",
            raw(Compression::Snappy, b"\x80\x80\x80\x80\x04\x00a"),
        ),
        (
            "xerial block of 2 GiB",
            raw(
                Compression::Snappy,
                &[xerial, &b"\x7f\xff\xff\xff\x01\x00a"[..]].concat(),
            ),
        ),
        (
            "xerial block of -1",
            raw(
                Compression::Snappy,
                &[xerial, &b"\xff\xff\xff\xff\x01\x00a"[..]].concat(),
            ),
        ),
        ("xerial block that claims 1 GiB", {
            let block = b"\0\0\0\x07\x80\x80\x80\x80\x04\x00a";
            raw(Compression::Snappy, &[&xerial[..], block].concat())
        }),
        // Magic, version 1 with content size, blocks of 4 MiB; a content of 2^60 bytes; the byte that checks this.
        (
            "lz4 of an exabyte",
            raw(
                Compression::Lz4,
                b"\x04\x22\x4d\x18\x68\x70\0\0\0\0\0\0\0\x10\x55\xff\xff\xff\x7f",
            ),
        ),
        (
            "lz4 cut off",
            raw(Compression::Lz4, &compress(Compression::Lz4, &[0; 100_000])[..60]),
        ),
        // A window of 2^41 bytes.
        (
            "zstd with the largest window",
            raw(Compression::Zstd, b"\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00"),
        ),
        ("zstd cut off", raw(Compression::Zstd, &small[..small.len() - 3])),
        (
            "gzip cut off",
            raw(Compression::Gzip, &compress(Compression::Gzip, &[0; 100_000])[..40]),
        ),
    ];
    let mut broker = Broker::start(1);
    let mut client = broker.client();
    let topic = create_topic(&mut client, "claims", 1);
    let before = broker.memory_bytes();
    for (what, records) in &cases {
        let answer = crate::fixture::try_produce(&mut client, &topic, 0, records);
        assert_ne!(answer.error_code, NONE, "{what}");
        broker.assert_alive();
    }
    if let (Some(before), Some(after)) = (before, broker.memory_bytes()) {
        assert!(after.saturating_sub(before) < 32 << 20, "{} bytes more", after - before);
    }
    assert_eq!(end_offset(&mut client, &topic, 0), 0);
}
