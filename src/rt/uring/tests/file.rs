use std::cell::{Cell, RefCell};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::base::offset::FilePosition;
use crate::rt::cores::statistics;
use crate::rt::fs::{self, Directory, File, Open};
use crate::rt::net::{Listener, SendPart};
use crate::rt::task::{block_on, spawn, yield_now};
use crate::rt::time::timeout;

fn pattern(length: usize) -> Vec<u8> {
    (0..249u8).cycle().take(length).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    block_on(move || async move {
        assert!(File::open(&path, Open::Read).is_err());
        let file = File::open(&path, Open::CreateNew).unwrap();
        assert!(File::open(&path, Open::CreateNew).is_err());
        let pieces = vec![&b"0123456789"[..]; 2500];
        file.write_at(FilePosition(0), &pieces).unwrap();
        file.write_at(FilePosition(5), &[b"", b"AB", b"", b"C", b""]).unwrap();
        file.write_at(FilePosition(5), &[]).unwrap();
        file.write_at(FilePosition(5), &[b""]).unwrap();
        file.sync_data().await.unwrap();
        assert_eq!(file.len().unwrap(), 25_000);
        let mut bytes = [0; 10];
        assert_eq!(file.read_at(FilePosition(2), &mut bytes).unwrap(), 10);
        assert_eq!(&bytes, b"234ABC8901");
        assert_eq!(file.read_at(FilePosition(24_995), &mut bytes).unwrap(), 5);
        assert_eq!(file.read_cold(FilePosition(24_995), 100).await.unwrap(), b"56789");
        assert_eq!(file.read_cold(FilePosition(3), 4).await.unwrap(), b"34AB");
        file.truncate(6).unwrap();
        assert_eq!(file.read_cold(FilePosition(0), 100).await.unwrap(), b"01234A");
        let reader = File::open(&path, Open::Read).unwrap();
        assert!(reader.write_at(FilePosition(0), &[b"x"]).is_err());
    });
}

#[test]
fn what_is_queued_at_once_is_submitted_over_many_turns() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    block_on(move || async move {
        const READS: usize = 1500;
        let file = File::open(&path, Open::CreateNew).unwrap();
        file.write_at(FilePosition(0), &[&pattern(READS)]).unwrap();
        let turns = statistics().unwrap().turns;
        let read = Rc::new(RefCell::new(vec![0; READS]));
        let left = Rc::new(Cell::new(READS));
        for position in 0..READS {
            let (file, read, left) = (file.clone(), Rc::clone(&read), Rc::clone(&left));
            spawn(async move {
                let byte = file.read_cold(FilePosition(position as u64), 1).await.unwrap();
                read.borrow_mut()[position] = byte[0];
                left.set(left.get() - 1);
            });
        }
        while left.get() > 0 {
            yield_now().await;
        }
        assert_eq!(*read.borrow(), pattern(READS));
        let turns = statistics().unwrap().turns - turns;
        assert!(turns >= READS as u64 / 32, "{turns} turns for {READS} reads");
    });
}

#[test]
fn who_closes_a_file_without_a_name_last_does_not_wait_for_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    block_on(move || async move {
        let closing = || statistics().unwrap().in_flight;
        let idle = closing();
        for (is_removed, expected) in [(false, idle), (true, idle + 1)] {
            let file = File::open(&path, Open::Create).unwrap();
            file.write_at(FilePosition(0), &[&pattern(100_000)]).unwrap();
            let other = file.clone();
            if is_removed {
                fs::remove_file(&path).unwrap();
            }
            drop(file);
            assert_eq!(closing(), idle);
            drop(other);
            assert_eq!(closing(), expected, "removed: {is_removed}");
            while closing() > idle {
                yield_now().await;
            }
        }
        File::open(&path, Open::CreateNew).unwrap();
    });
}

#[test]
fn files_and_directories_are_removed_through_the_ring() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("directory");
    block_on(move || async move {
        fs::create_directory_all(path.join("inside")).unwrap();
        for name in ["a", "b", "inside/c"] {
            File::open(path.join(name), Open::CreateNew).unwrap();
        }
        let held = File::open(path.join("a"), Open::ReadWrite).unwrap();
        fs::unlink(path.join("a")).await.unwrap();
        assert!(!fs::exists(path.join("a")).unwrap());
        held.write_at(FilePosition(0), &[b"still there"]).unwrap();
        assert_eq!(held.len().unwrap(), 11);
        assert!(held.modified().unwrap().0 > 1_600_000_000_000);
        let missing = fs::unlink(path.join("a")).await.unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
        fs::remove_directory(&path, async |file: &Path| fs::unlink(file).await)
            .await
            .unwrap();
        assert!(!fs::exists(&path).unwrap());
    });
}

#[test]
fn names_are_changed_in_a_directory_wherever_it_is() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().to_owned();
    block_on(move || async move {
        assert!(Directory::open(path.join("before")).is_err());
        fs::create_directory_all(path.join("before")).unwrap();
        let directory = Directory::open(path.join("before")).unwrap();
        let long = pattern(300_000);
        directory.write_file("a", long.clone()).await.unwrap();
        assert_eq!(fs::read(path.join("before/a")).unwrap(), long);
        let file = directory.write_file("a", b"short".to_vec()).await.unwrap();
        assert_eq!(file.len().unwrap(), 5, "it was emptied first");

        fs::rename(path.join("before"), path.join("after")).unwrap();
        fs::create_directory_all(path.join("before")).unwrap();
        directory.rename("a", "b").await.unwrap();
        directory.sync().await.unwrap();
        assert_eq!(fs::read(path.join("after/b")).unwrap(), b"short");
        directory.write_file("c", Vec::new()).await.unwrap();
        directory.unlink("b").await.unwrap();
        let missing = directory.rename("b", "d").await.unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
        assert!(directory.write_file("no\0name", Vec::new()).await.is_err());
        let names = |of| fs::list(path.join(of)).unwrap().len();
        assert_eq!((names("after"), names("before")), (1, 0));
    });
}

#[test]
fn cold_ranges_are_told_from_warm_ones_and_read_through_the_ring() {
    // On a file system of a disk: pages of tmpfs cannot be evicted.
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = directory.path().join("file");
    block_on(move || async move {
        let file = File::open(&path, Open::CreateNew).unwrap();
        let bytes = pattern(3 << 20);
        file.write_at(FilePosition(0), &[&bytes]).unwrap();
        assert!(file.is_resident(FilePosition(0), 3 << 20));
        file.sync_data().await.unwrap();
        file.evict().unwrap();
        assert!(!file.is_resident(FilePosition(1 << 20), 1 << 20));
        assert!(file.is_resident(FilePosition(5), 0));
        assert_eq!(file.read_cold(FilePosition(0), 3 << 20).await.unwrap(), bytes);
        assert!(file.is_resident(FilePosition(1 << 20), 1 << 20));
    });
}

#[test]
fn of_a_file_that_was_cold_what_comes_next_is_read_and_no_more() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = directory.path().join("file");
    block_on(move || async move {
        const PIECE: u64 = 1 << 20;
        let file = File::open(&path, Open::CreateNew).unwrap();
        let bytes = pattern(4 << 20);
        file.write_at(FilePosition(0), &[&bytes]).unwrap();
        file.sync_data().await.unwrap();
        file.evict().unwrap();
        let mut into = [0; 100];
        file.read_ahead(FilePosition(PIECE));
        assert!(!file.is_resident(FilePosition(PIECE), 1), "nobody has met a cold page");
        // What is wanted of a range, and the rest of it; nothing behind.
        file.make_resident(FilePosition(0), 4096, FilePosition(PIECE / 2))
            .await
            .unwrap();
        assert!(file.is_resident(FilePosition(0), PIECE / 2));
        assert!(!file.is_resident(FilePosition(PIECE / 2), 1));
        // A look at a page that is missing does not read it.
        let look = |at: u64, into: &mut [u8]| file.read_warm_at(FilePosition(at), into).map_err(|error| error.kind());
        assert_eq!(look(PIECE, &mut into), Err(std::io::ErrorKind::WouldBlock));
        assert!(!file.is_resident(FilePosition(PIECE), 1));
        assert_eq!(look(0, &mut into), Ok(100));
        assert_eq!(look(4 * PIECE, &mut into), Ok(0));
        file.read_ahead(FilePosition(PIECE));
        let come = async {
            while !file.is_resident(FilePosition(PIECE), PIECE) {
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), come).await.expect("it comes");
        assert!(!file.is_resident(FilePosition(2 * PIECE), PIECE));
        file.read_ahead(FilePosition(4 * PIECE));
        file.bring_in(FilePosition(PIECE / 2), 4 * PIECE).await.unwrap();
        assert!(file.is_resident(FilePosition(0), 4 * PIECE));
    });
}

/// Sends header, a range of a file and a trailer to a slow reader.
fn send_to_slow_reader(cold: bool) {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = directory.path().join("file");
    block_on(move || async move {
        let file = File::open(&path, Open::CreateNew).unwrap();
        let bytes = pattern(10 << 20);
        file.write_at(FilePosition(0), &[&bytes]).unwrap();
        if cold {
            file.sync_data().await.unwrap();
            file.evict().unwrap();
        }
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_address();
        let peer = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let mut all = Vec::new();
            let mut piece = vec![0; 100_000];
            loop {
                match stream.read(&mut piece).unwrap() {
                    0 => return all,
                    count => all.extend_from_slice(&piece[..count]),
                }
                std::thread::yield_now();
            }
        });
        let stream = listener.accept().await.unwrap();
        let range = SendPart::File {
            file: file.clone(),
            position: FilePosition(3),
            length: (10 << 20) - 3,
        };
        let parts = vec![
            SendPart::Bytes(Bytes::from_static(b"head")),
            range,
            SendPart::Bytes(Bytes::from_static(b"tail")),
        ];
        stream.send_all(parts).await.unwrap();
        drop(stream);
        let all = peer.join().unwrap();
        assert_eq!(&all[..4], b"head");
        assert!(all[4..all.len() - 4] == bytes[3..]);
        assert_eq!(&all[all.len() - 4..], b"tail");
    });
}

#[test]
fn others_have_turns_while_many_short_ranges_are_sent() {
    const PARTS: u64 = 2000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    block_on(move || async move {
        let file = File::open(&path, Open::CreateNew).unwrap();
        file.write_at(FilePosition(0), &[&pattern(10)]).unwrap();
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_address();
        let peer = std::thread::spawn(move || {
            let mut all = Vec::new();
            TcpStream::connect(address).unwrap().read_to_end(&mut all).unwrap();
            all
        });
        let stream = listener.accept().await.unwrap();
        let turns = Rc::new(Cell::new(0));
        let counted = Rc::clone(&turns);
        spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        let part = SendPart::File {
            file,
            position: FilePosition(0),
            length: 10,
        };
        let parts = (0..PARTS).map(|_| part.clone()).collect();
        stream.send_all(parts).await.unwrap();
        assert!(turns.get() > 2, "{} turns", turns.get());
        drop(stream);
        assert!(peer.join().unwrap() == pattern(10).repeat(usize::try_from(PARTS).unwrap()));
    });
}

#[test]
fn a_warm_file_reaches_a_slow_reader() {
    send_to_slow_reader(false);
}

#[test]
fn a_cold_file_reaches_a_slow_reader() {
    send_to_slow_reader(true);
}

#[test]
fn a_file_that_shrinks_under_a_send_ends_the_connection() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    block_on(move || async move {
        let file = File::open(&path, Open::CreateNew).unwrap();
        file.write_at(FilePosition(0), &[&[1; 1000]]).unwrap();
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_address();
        let peer = std::thread::spawn(move || {
            let mut all = Vec::new();
            TcpStream::connect(address).unwrap().read_to_end(&mut all).unwrap();
            all.len()
        });
        let stream = listener.accept().await.unwrap();
        let error = stream.send_file(&file, FilePosition(0), 2000).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(stream.send(vec![Bytes::from_static(b"x")]).await.is_err());
        assert!(peer.join().unwrap() <= 1000);
    });
}

#[test]
fn a_sync_given_up_in_flight_frees_nothing_early() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = directory.path().join("file");
    block_on(move || async move {
        for _ in 0..20 {
            let file = File::open(&path, Open::Create).unwrap();
            file.write_at(FilePosition(0), &[&pattern(100_000)]).unwrap();
            let _ = timeout(Duration::from_micros(10), file.sync_data()).await;
            file.evict().unwrap();
            let _ = timeout(Duration::from_micros(10), file.read_cold(FilePosition(0), 100_000)).await;
        }
    });
}

#[test]
fn directories_are_listed_locked_and_measured() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::create_directory_all(path.join("a/b")).unwrap();
    File::open(path.join("c"), Open::Create)
        .unwrap()
        .write_at(FilePosition(0), &[b"xyz"])
        .unwrap();
    fs::rename(path.join("c"), path.join("d")).unwrap();
    fs::sync_directory(path).unwrap();
    let entries: Vec<_> = fs::list(path)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.name, entry.is_directory))
        .collect();
    assert_eq!(entries, [("a".into(), true), ("d".into(), false)]);
    assert_eq!(fs::read(path.join("d")).unwrap(), b"xyz");
    let lock = fs::lock_directory(path).unwrap();
    assert_eq!(
        fs::lock_directory(path).unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
    drop(lock);
    fs::lock_directory(path).unwrap();
    assert!(fs::space(path).unwrap().free_bytes > 0);
    fs::remove_file(path.join("d")).unwrap();
    assert!(!fs::exists(path.join("d")).unwrap());
    fs::remove_directory_all(path.join("a")).unwrap();
    assert!(!fs::exists(path.join("a")).unwrap());
}
