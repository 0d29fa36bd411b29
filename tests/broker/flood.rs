//! Very many connections, and very large requests that never end.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use duramen_wire::ApiKey;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::header;
use crate::fixture::{batch, create_topic, end_offset, fetch, produce, sized_batch};
use crate::harness::{Broker, connect, poll};

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

/// Sends as much as the broker takes, at most `bytes_max`.
fn send_some(stream: &mut TcpStream, chunk: &[u8], bytes_max: usize) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while sent < bytes_max {
        match stream.write(&chunk[..chunk.len().min(bytes_max - sent)]) {
            Ok(bytes) => sent += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => break,
        }
    }
    sent
}

/// Requests of 100 MiB, of which a part comes: a broker that makes room for what is announced, or keeps all that comes, ends here.
#[test]
fn large_requests_that_never_end() {
    const ANNOUNCED: i32 = 100 << 20;
    // Apache Kafka makes room for what is announced.
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "beside", 2);
    produce(&mut client, &topic, 0, &sized_batch(1, 100));
    let before = broker.memory_bytes();
    let mut front = header(ApiKey::Produce, 9, 1).into_bytes().unwrap().to_vec();
    front[..4].copy_from_slice(&ANNOUNCED.to_be_bytes());
    let chunk = vec![0; 1 << 20];
    let mut senders: Vec<_> = (0..60).map(|_| connect(broker.address()).unwrap()).collect();
    for sender in &mut senders {
        sender.write_all(&front).unwrap();
    }
    let mut sent = 0;
    for _ in 0..8 {
        for sender in &mut senders {
            sent += send_some(sender, &chunk, 4 << 20);
        }
        produce(&mut client, &topic, 1, &batch(&[b"beside"]));
    }
    let most = grown(&broker, before);
    let sent = mebibytes(u64::try_from(sent).unwrap());
    eprintln!(
        "60 requests of 100 MiB, {sent} MiB of them sent: {} MiB more memory",
        mebibytes(most)
    );
    assert!(most < 768 << 20, "{} MiB more memory", mebibytes(most));
    assert!(!fetch(&mut client, &topic, 0, 0).is_empty());
    broker.client().assert_usable();
    drop(senders);
    for round in 0..20 {
        assert_eq!(produce(&mut client, &topic, 0, &sized_batch(1, 100)), 1 + round);
    }
    // What it needs no more goes back to the system, on no core's time.
    poll("the end of the memory for requests", Duration::from_secs(60), || {
        (grown(&broker, before) <= most / 4).then_some(())
    });
    broker.assert_alive();
}

/// Requests of usual size, so many of them half sent that no memory is left: those who do not go on make room for those who do.
#[test]
fn half_sent_requests_without_number() {
    const ANNOUNCED: i32 = 2_000_000;
    raise_file_limit();
    let Some(mut broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "beside", 1);
    produce(&mut client, &topic, 0, &sized_batch(1, 100));
    let before = broker.memory_bytes();
    let mut front = header(ApiKey::Produce, 9, 1).into_bytes().unwrap().to_vec();
    front[..4].copy_from_slice(&ANNOUNCED.to_be_bytes());
    let chunk = vec![0; 1 << 20];
    let mut senders: Vec<_> = (0..200).map(|_| connect(broker.address()).unwrap()).collect();
    for sender in &mut senders {
        sender.write_all(&front).unwrap();
    }
    for _ in 0..4 {
        for sender in &mut senders {
            send_some(sender, &chunk, 450_000);
        }
    }
    let start = Instant::now();
    client.set_read_timeout(Duration::from_secs(15));
    for round in 0..5 {
        assert_eq!(produce(&mut client, &topic, 0, &sized_batch(1, 100_000)), 1 + round);
    }
    let grown = grown(&broker, before);
    eprintln!(
        "200 half requests: others waited {:?}, {} MiB more memory",
        start.elapsed(),
        mebibytes(grown)
    );
    assert!(grown < 512 << 20, "{} MiB more memory", mebibytes(grown));
    broker.assert_alive();
}
