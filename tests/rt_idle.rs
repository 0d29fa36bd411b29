//! What idleness costs: connections without traffic, cores without work. A process of its own, because it measures the process.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use duramen::rt::net::Listener;
use duramen::rt::task::{block_on, spawn, yield_now};
use duramen::rt::{cores, host, probe, time};

/// Connections of the test; each has both ends in this process.
const CONNECTIONS: usize = 10_000;

/// Bytes of user memory that an idle connection may cost, with its task.
const CONNECTION_BYTES_MAX: u64 = 4096;

#[test]
fn ten_thousand_idle_connections_are_cheap_and_may_all_wake_at_once() {
    let descriptors = probe::check().unwrap().descriptors;
    let connections = CONNECTIONS.min(usize::try_from(descriptors / 2).unwrap().saturating_sub(200));
    if connections < CONNECTIONS {
        println!(
            "only {connections} of {CONNECTIONS} connections: this process may open {descriptors} files (ulimit -n)"
        );
    }
    block_on(move || async move {
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_address();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let (wrote, written) = std::sync::mpsc::channel::<()>();
        let peers = std::thread::spawn(move || {
            let streams: Vec<_> = (0..connections).map(|_| TcpStream::connect(address).unwrap()).collect();
            let _ = stopped.recv();
            // All at once: far more than there are receive buffers, and completions in the ring.
            for mut stream in &streams {
                stream.write_all(&[1; 10]).unwrap();
            }
            wrote.send(()).unwrap();
            for mut stream in &streams {
                stream.read_exact(&mut [0; 10]).unwrap();
            }
            drop(streams);
        });
        let before = host::resident_bytes().unwrap();
        for _ in 0..connections {
            let stream = listener.accept().await.unwrap();
            spawn(async move {
                while let Ok(received) = stream.receive().await
                    && !received.is_empty()
                {
                    let back = Bytes::copy_from_slice(&received);
                    drop(received);
                    stream.send(vec![back]).await.unwrap();
                }
            });
        }
        yield_now().await;
        let each = host::resident_bytes().unwrap().saturating_sub(before) / u64::try_from(connections).unwrap();
        println!("{each} bytes of user memory an idle connection");
        assert!(each <= CONNECTION_BYTES_MAX, "{each}");

        let statistics = cores::statistics().unwrap();
        time::sleep(Duration::from_millis(50)).await;
        let later = cores::statistics().unwrap();
        assert!(
            later.turns - statistics.turns < 20,
            "the core is busy with idle connections"
        );
        assert_eq!(later.receive_buffers_exhausted, 0);

        stop.send(()).unwrap();
        // The core stands still meanwhile, so that all of it comes in one turn.
        written.recv().unwrap();
        while cores::statistics().unwrap().tasks > 1 {
            time::sleep(Duration::from_millis(1)).await;
        }
        peers.join().unwrap();
        assert!(cores::statistics().unwrap().in_flight <= 2, "bell and accept only");
    });
}

#[test]
fn a_core_without_work_sleeps() {
    block_on(|| async {
        let before = cores::statistics().unwrap();
        time::sleep(Duration::from_millis(300)).await;
        let after = cores::statistics().unwrap();
        assert!(after.turns - before.turns < 20, "{} turns", after.turns - before.turns);
        assert!(after.sleeps > before.sleeps);
    });
}
