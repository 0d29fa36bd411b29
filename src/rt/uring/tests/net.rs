use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use std::rc::Rc;

use bytes::Bytes;

use crate::rt::cores;
use crate::rt::local::Event;
use crate::rt::net::{Listener, claim};
use crate::rt::task::{block_on, spawn};

fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Runs a listener that sends back whatever comes, for `connections` connections one after the other or at once, and `client` beside it.
fn with_echo(connections: usize, client: impl FnOnce(SocketAddr) + Send + 'static) {
    block_on(move || async move {
        let listener = Listener::bind(anywhere()).unwrap();
        let address = listener.local_address();
        let client = std::thread::spawn(move || client(address));
        let gate = Rc::new(Event::new());
        let ended = Rc::new(std::cell::Cell::new(0));
        for _ in 0..connections {
            let stream = listener.accept().await.unwrap();
            let (gate, ended) = (Rc::clone(&gate), Rc::clone(&ended));
            spawn(async move {
                loop {
                    let received = stream.receive().await.unwrap();
                    if received.is_empty() {
                        break;
                    }
                    let bytes = Bytes::copy_from_slice(&received);
                    drop(received);
                    stream.send(vec![bytes]).await.unwrap();
                }
                ended.set(ended.get() + 1);
                gate.notify();
            });
        }
        while ended.get() < connections {
            gate.wait().await;
        }
        client.join().unwrap();
    });
}

#[test]
fn echo_of_many_connections_and_pieces() {
    with_echo(50, |address| {
        let mut streams: Vec<_> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
        for round in 0..20u8 {
            for stream in &mut streams {
                stream.write_all(&[round; 10]).unwrap();
                stream.write_all(&[round; 90]).unwrap();
            }
            for stream in &mut streams {
                let mut back = [0; 100];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(back, [round; 100]);
            }
        }
    });
}

#[test]
fn echo_of_a_large_message_to_a_half_closed_peer() {
    with_echo(1, |address| {
        let stream = TcpStream::connect(address).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            for piece in 0..160u8 {
                writer.write_all(&[piece; 65536]).unwrap();
            }
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut reader = stream;
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        writing.join().unwrap();
        assert_eq!(back.len(), 160 * 65536);
        assert!(
            back.chunks(65536)
                .zip(0u8..)
                .all(|(chunk, piece)| chunk.iter().all(|byte| *byte == piece))
        );
    });
}

#[test]
fn claim_waits_for_a_port_that_is_given_up() {
    let taken = std::net::TcpListener::bind(anywhere()).unwrap();
    let address = taken.local_addr().unwrap();
    let (claimed, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || claimed.send(claim(address)));
    assert!(
        wait.recv_timeout(std::time::Duration::from_millis(50)).is_err(),
        "claimed what was taken"
    );
    drop(taken);
    assert_eq!(wait.recv().unwrap().unwrap(), address);
}

#[test]
fn a_taken_port_is_an_error() {
    let taken = std::net::TcpListener::bind(anywhere()).unwrap();
    let error = claim(taken.local_addr().unwrap()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    drop(taken);
    let free = claim(anywhere()).unwrap();
    assert_ne!(free.port(), 0);
}

#[test]
fn cores_share_a_port() {
    let address = claim(anywhere()).unwrap();
    let (accepted, told) = std::sync::mpsc::channel();
    let cores = cores::run(&cores::plan(2, None).unwrap(), move |shard| {
        let accepted = accepted.clone();
        async move {
            let listener = Listener::bind(address).unwrap();
            accepted.send(None).unwrap();
            let stop = Rc::new(Event::new());
            let stopped = stop.listen();
            let stopper = Rc::clone(&stop);
            spawn(async move {
                loop {
                    let stream = listener.accept().await.unwrap();
                    accepted.send(Some(shard)).unwrap();
                    let stopper = Rc::clone(&stopper);
                    spawn(async move {
                        if stream.receive().await.unwrap().as_ref() == b"stop" {
                            stopper.notify();
                        }
                    });
                }
            });
            stopped.await;
        }
    })
    .unwrap();
    // Both listen before the first connection: the kernel spreads by the listeners that it knows.
    assert_eq!((told.recv(), told.recv()), (Ok(None), Ok(None)));
    let mut streams = BTreeMap::new();
    while streams.len() < 2 {
        let stream = TcpStream::connect(address).unwrap();
        streams.insert(told.recv().unwrap(), stream);
    }
    for stream in streams.values_mut() {
        stream.write_all(b"stop").unwrap();
    }
    cores.into_iter().for_each(cores::CoreHandle::join);
}
