//! Slow readers, half-closed and reset peers, futures dropped in flight.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;

use crate::rt::net::{Listener, Received, Stream};
use crate::rt::task::{block_on, spawn, yield_now};
use crate::rt::time::{sleep, timeout};
use crate::rt::uring::reactor::Reactor;

/// A listener's stream and, on a thread, what `peer` does with the other end.
async fn pair<T: Send + 'static>(
    listener: &Listener,
    peer: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Stream, std::thread::JoinHandle<T>) {
    let address = listener.local_address();
    let thread = std::thread::spawn(move || peer(TcpStream::connect(address).unwrap()));
    (listener.accept().await.unwrap(), thread)
}

fn listen() -> Listener {
    Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap()
}

async fn read_all(stream: &Stream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let received = stream.receive().await.unwrap();
        if received.is_empty() {
            return all;
        }
        all.extend_from_slice(&received);
    }
}

#[test]
fn connections_that_nobody_reads_do_not_starve_the_others() {
    block_on(|| async {
        let listener = listen();
        let mut lazy = Vec::new();
        for _ in 0..20 {
            let (stream, peer) = pair(&listener, |mut peer| {
                peer.set_nonblocking(true).unwrap();
                // As much as the kernel takes, over and over, until the end of the stream is read.
                loop {
                    let _ = peer.write(&[7; 65536]);
                    let mut byte = [0];
                    match peer.read(&mut byte) {
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::yield_now(),
                        _ => return,
                    }
                }
            })
            .await;
            // Armed once, then never read.
            assert!(timeout(Duration::from_millis(5), stream.receive()).await.is_some());
            lazy.push((stream, peer));
        }
        let (stream, peer) = pair(&listener, |mut peer| {
            for _ in 0..100 {
                peer.write_all(&[9; 100]).unwrap();
                peer.read_exact(&mut [0; 64]).unwrap();
            }
        })
        .await;
        let mut got = 0;
        for round in 1..=100 {
            while got < round * 100 {
                let received = timeout(Duration::from_secs(5), stream.receive()).await;
                got += received.expect("starved").unwrap().len();
            }
            stream.send(vec![Bytes::from_static(&[1; 64])]).await.unwrap();
        }
        peer.join().unwrap();
        let pool = Reactor::current();
        assert!(pool.buffers().has_lent());
        for (stream, peer) in lazy {
            stream.close();
            peer.join().unwrap();
        }
    });
}

#[test]
fn a_reader_that_comes_back_gets_every_byte() {
    block_on(|| async {
        let listener = listen();
        let (stream, peer) = pair(&listener, |mut peer| {
            let bytes: Vec<u8> = (0..8u32 << 20).map(|index| (index % 251).to_le_bytes()[0]).collect();
            peer.write_all(&bytes).unwrap();
        })
        .await;
        let mut all = Vec::new();
        loop {
            let received = stream.receive().await.unwrap();
            if received.is_empty() {
                break;
            }
            all.extend_from_slice(&received);
            drop(received);
            if all.len() % 3 == 0 {
                sleep(Duration::from_micros(200)).await;
            }
        }
        peer.join().unwrap();
        assert_eq!(all.len(), 8 << 20);
        assert!(
            all.iter()
                .zip(0u32..)
                .all(|(byte, index)| *byte == (index % 251).to_le_bytes()[0])
        );
    });
}

#[test]
fn a_half_closed_peer_still_gets_its_answer() {
    block_on(|| async {
        let listener = listen();
        let (stream, peer) = pair(&listener, |mut peer| {
            peer.write_all(b"question").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            peer.read_to_end(&mut answer).unwrap();
            answer
        })
        .await;
        assert_eq!(read_all(&stream).await, b"question");
        assert!(stream.receive().await.unwrap().is_empty());
        stream
            .send(vec![
                Bytes::from_static(b"ans"),
                Bytes::new(),
                Bytes::from_static(b"wer"),
            ])
            .await
            .unwrap();
        drop(stream);
        assert_eq!(peer.join().unwrap(), b"answer");
    });
}

#[test]
fn a_peer_that_is_gone_is_an_error_and_not_a_signal() {
    block_on(|| async {
        let listener = listen();
        let (stream, peer) = pair(&listener, |peer| {
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        })
        .await;
        peer.join().unwrap();
        assert!(stream.receive().await.is_err());
        let error = stream.send(vec![Bytes::from_static(b"late")]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_send_given_up_in_flight_closes_the_connection() {
    block_on(|| async {
        let listener = listen();
        let (read, may_read) = std::sync::mpsc::channel::<()>();
        let (stream, peer) = pair(&listener, move |mut peer| {
            let _ = may_read.recv();
            let mut all = Vec::new();
            let _ = peer.read_to_end(&mut all);
            all.len()
        })
        .await;
        let large = Bytes::from(vec![5; 64 << 20]);
        assert!(
            timeout(Duration::from_millis(20), stream.send(vec![large]))
                .await
                .is_none()
        );
        let error = stream.send(vec![Bytes::from_static(b"more")]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        read.send(()).unwrap();
        assert!(peer.join().unwrap() < 64 << 20);
    });
}

#[test]
fn closing_wakes_whoever_waits() {
    block_on(|| async {
        let listener = listen();
        let (stream, peer) = pair(&listener, |mut peer| peer.read(&mut [0]).unwrap()).await;
        let closer = stream.clone();
        spawn(async move {
            sleep(Duration::from_millis(1)).await;
            closer.close();
        });
        assert!(stream.receive().await.unwrap().is_empty());
        assert_eq!(peer.join().unwrap(), 0);
        let accepting = timeout(Duration::from_millis(1), listener.accept()).await;
        assert!(accepting.is_none());
    });
}

#[test]
fn sends_of_one_connection_keep_their_order() {
    block_on(|| async {
        let listener = listen();
        let (stream, peer) = pair(&listener, |mut peer| {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        })
        .await;
        for piece in 0..40u8 {
            let stream = stream.clone();
            spawn(async move {
                // Many slices, more than one sendmsg takes, and more than the socket's buffer.
                let parts = vec![Bytes::from(vec![piece; 100]); 3000];
                stream.send(parts).await.unwrap();
            });
        }
        drop(stream);
        while Reactor::current().tasks().live() > 1 {
            yield_now().await;
        }
        let all = peer.join().unwrap();
        assert_eq!(all.len(), 40 * 300_000);
        assert!(
            all.chunks(300_000)
                .zip(0u8..)
                .all(|(chunk, piece)| chunk.iter().all(|byte| *byte == piece))
        );
    });
}

/// What a reader of frames does: takes what it needs off the front of what came.
async fn read_exactly(stream: &Stream, rest: &mut Option<Received>, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let mut received = match rest.take() {
            Some(received) => received,
            None => stream.receive().await.unwrap(),
        };
        assert!(!received.is_empty(), "the stream ended early");
        bytes.extend_from_slice(received.take(length - bytes.len()));
        *rest = (!received.is_empty()).then_some(received);
    }
    bytes
}

#[test]
fn frames_of_every_size_are_read_piece_by_piece() {
    let sizes = [
        1usize, 100, 4096, 16_383, 32_764, 32_768, 65_536, 300_000, 5_000_000, 7, 3,
    ];
    block_on(move || async move {
        let listener = listen();
        let (stream, peer) = pair(&listener, move |mut peer| {
            for (size, byte) in sizes.iter().cycle().take(60).zip(0u8..) {
                let mut frame = u32::try_from(*size).unwrap().to_be_bytes().to_vec();
                frame.resize(4 + size, byte);
                for piece in frame.chunks(frame.len().div_ceil(3)) {
                    peer.write_all(piece).unwrap();
                }
            }
        })
        .await;
        let mut rest = None;
        for (size, byte) in sizes.iter().cycle().take(60).zip(0u8..) {
            let head = read_exactly(&stream, &mut rest, 4).await;
            assert_eq!(head, u32::try_from(*size).unwrap().to_be_bytes());
            let body = read_exactly(&stream, &mut rest, *size).await;
            assert!(body.iter().all(|got| *got == byte), "{size}");
        }
        assert!(rest.is_none());
        assert!(stream.receive().await.unwrap().is_empty());
        peer.join().unwrap();
    });
}
