//! Very many connections.

use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::fixture::{batch, create_topic, end_offset, fetch, produce, sized_batch};
use crate::harness::{Broker, connect};

/// Lets this process, and those that it starts, have as many open files as the system allows.
fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wished = Rlimit {
        current: Some(40_000),
        maximum: Some(limit.maximum.unwrap_or(40_000).max(40_000)),
    };
    if setrlimit(Resource::Nofile, wished).is_err() {
        let most = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, most).unwrap();
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

/// Bytes by which the broker has grown since `before`; nothing is known of the target.
fn grown(broker: &Broker, before: Option<u64>) -> u64 {
    match (before, broker.memory_bytes()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => 0,
    }
}

/// Ten thousand connections that say nothing, beside one that works.
#[test]
fn silent_connections() {
    let limit = raise_file_limit();
    let count = usize::try_from(limit.saturating_sub(1000)).unwrap().min(10_000);
    if count < 10_000 {
        eprintln!("only {count} connections: a process may have {limit} open files");
    }
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "beside", 2);
    produce(&mut client, &topic, 0, &sized_batch(1, 100));
    let before = broker.memory_bytes();
    let start = Instant::now();
    let mut silent = Vec::with_capacity(count);
    for index in 0..count {
        silent.push(connect(broker.address()).unwrap());
        if index % 500 == 0 {
            produce(&mut client, &topic, 1, &batch(&[b"beside"]));
        }
    }
    let connected = start.elapsed();
    // The last of them are accepted when one that came after them is answered.
    broker.client().assert_usable();
    let grown = grown(&broker, before);
    eprintln!(
        "{count} connections in {connected:?}: {} MiB more memory",
        mebibytes(grown)
    );
    assert!(grown < 160 << 20, "{} MiB more memory", mebibytes(grown));
    for _ in 0..50 {
        produce(&mut client, &topic, 0, &sized_batch(1, 100));
        assert!(!fetch(&mut client, &topic, 0, 0).is_empty());
    }
    // Each of them still is a connection.
    for index in [0, count / 2, count - 1] {
        let stream = silent[index].try_clone().unwrap();
        crate::client::Client::from_stream(stream).assert_usable();
    }
    drop(silent);
    broker.client().assert_usable();
    assert_eq!(end_offset(&mut client, &topic, 0), 51);
    broker.assert_alive();
}
