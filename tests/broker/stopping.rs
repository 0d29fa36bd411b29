//! The end of a broker while it is in use, and connections that it ends itself.

use std::time::{Duration, Instant};

use duramen_wire::messages::{FetchRequest, ProduceRequest};
use rustix::process::{Resource, Rlimit, prlimit};

use crate::client::{Client, frame};
use crate::codes::NONE;
use crate::fixture::{PRODUCE, create_topic, end_offset, fetch_request, produce, produce_request, sized_batch};
use crate::harness::{Broker, connect, poll};

/// Clients that wait, clients that write, and one that never reads: the broker ends in time, and has all that it acknowledged.
#[test]
fn stops_while_it_is_in_use() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "in-use", 4);
    for _ in 0..20 {
        produce(&mut client, &topic, 0, &sized_batch(1, 500_000));
    }
    let mut waiting: Vec<_> = (0..20).map(|_| broker.client()).collect();
    for waiter in &mut waiting {
        let request = FetchRequest {
            max_wait_ms: 30_000,
            ..fetch_request(&topic, &[(3, 0)])
        };
        waiter.send(12, &request);
    }
    let mut deaf = broker.client();
    deaf.send(12, &fetch_request(&topic, &[(0, 0)]));
    let (mut writer, address) = (broker.client(), broker.address());
    let topic_written = topic.clone();
    let written = std::thread::spawn(move || {
        let request = produce_request(&topic_written, &[(1, &sized_batch(1, 100))]);
        let mut end = 0;
        for id in 0.. {
            if !writer.try_send_bytes(&frame(PRODUCE, id, &request)) {
                break;
            }
            match writer.try_receive::<ProduceRequest>(PRODUCE, id) {
                Ok(response) if response.responses[0].partition_responses[0].error_code == NONE => end += 1,
                Ok(_) | Err(_) => break,
            }
        }
        end
    });
    poll("some records", Duration::from_secs(5), || {
        (end_offset(&mut client, &topic, 1) > 20).then_some(())
    });
    broker.terminate();
    let acknowledged = written.join().unwrap();
    assert!(connect(address).is_err(), "nobody listens any more");
    broker.start_again(2);
    let end = end_offset(&mut broker.client(), &topic, 1);
    assert!(end >= acknowledged, "{acknowledged} were acknowledged, {end} are there");
}

#[test]
fn idle_connections_are_closed() {
    let Some(broker) = Broker::start_own(1, &["connections.max.idle.ms=400"]) else {
        return;
    };
    let mut idle = broker.client();
    idle.assert_usable();
    let mut busy = broker.client();
    let start = Instant::now();
    idle.set_read_timeout(Duration::from_millis(20));
    poll("the end of an idle connection", Duration::from_secs(5), || {
        busy.assert_usable();
        matches!(idle.receive_frame(), Ok(None)).then_some(())
    });
    assert!(start.elapsed() >= Duration::from_millis(350), "{:?}", start.elapsed());
    busy.assert_usable();
}

/// The largest answer is bounded by the broker too, not by the client alone.
#[test]
fn the_brokers_limit_of_a_fetch() {
    let Some(broker) = Broker::start_own(2, &["fetch.max.bytes=10000"]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "bounded", 4);
    for partition in 0..4 {
        for _ in 0..10 {
            produce(&mut client, &topic, partition, &sized_batch(1, 900));
        }
    }
    let request = fetch_request(&topic, &[(0, 0), (1, 0), (2, 0), (3, 0)]);
    let answers = crate::fixture::partitions_of(client.call(12, &request));
    let bytes: usize = answers
        .iter()
        .map(|answer| crate::fixture::records_of(answer).len())
        .sum();
    assert!((9000..=10_000).contains(&bytes), "{bytes} bytes");
}

/// Without file descriptors nobody new is accepted, who is there goes on, and later others come in again.
#[test]
fn out_of_file_descriptors() {
    let Some(mut broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "beside", 1);
    produce(&mut client, &topic, 0, &sized_batch(1, 10));
    let few = Rlimit {
        current: Some(200),
        maximum: Some(200),
    };
    prlimit(broker.pid(), Resource::Nofile, few).unwrap();
    let crowd: Vec<_> = (0..300).map(|_| connect(broker.address()).unwrap()).collect();
    for round in 0..20 {
        assert_eq!(produce(&mut client, &topic, 0, &sized_batch(1, 10)), 1 + round);
    }
    broker.assert_alive();
    drop(crowd);
    poll("a connection", Duration::from_secs(5), || {
        Client::answers(broker.address()).then_some(())
    });
    assert_eq!(end_offset(&mut client, &topic, 0), 21);
}
