//! Blocks that are reserved ahead of the end of a log, and given back.

use std::time::Duration;

use super::*;
use crate::rt::task::{spawn, yield_now};
use crate::rt::{local, time};

const MIB: u64 = 1 << 20;

const LARGE: Settings = Settings {
    segment_bytes_max: 40 << 20,
    ..SETTINGS
};

/// A batch of one MiB.
fn large_batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    let value = vec![7; (1 << 20) - 200];
    builder
        .append(&Record::new(TimestampMs(1), None, Some(&value)))
        .unwrap();
    builder.build().unwrap().to_vec()
}

async fn open_large(directory: &LogDirectory) -> (Log, Report) {
    let request = directory.open_request(&partition(), LARGE, TimestampMs(0));
    Log::open(directory.health(), request).await.unwrap()
}

/// Appends so many MiB in batches that wait for their turn, as those of producers do.
async fn fill(log: &Log, mebibytes: usize) {
    let bytes = bytes::Bytes::from(large_batch());
    let view = BatchView::parse(&bytes).unwrap();
    let batch = NewBatch::as_it_is(&view);
    for _ in 0..mebibytes {
        let ahead = log.write_ahead(&batch, &bytes, Origin::Client, LeaderEpoch(3), TimestampMs(5));
        let ahead = ahead.await.unwrap();
        let appended = log.append(&[batch.behind(&ahead)], Origin::Client, LeaderEpoch(3), TimestampMs(5));
        appended.unwrap().remove(0).unwrap();
    }
}

async fn until(what: impl Fn() -> bool) {
    let come = async {
        while !what() {
            yield_now().await;
        }
    };
    time::timeout(Duration::from_secs(20), come).await.expect("it comes");
}

/// Bytes that the blocks of a segment take, beyond those of its batches.
fn bytes_behind(log: &Log, index: usize) -> u64 {
    let base_offset = log.with_state(|state| state.segments()[index].base_offset);
    let file = File::open(log.path().join(file_name(base_offset, FileKind::Log)), Open::Read).unwrap();
    file.allocated_bytes().unwrap().saturating_sub(file.len().unwrap())
}

/// Whether the disk of temporary directories can do what is tested here; a directory in memory cannot.
fn reserves(directory: &LogDirectory) -> bool {
    directory.health().look_at_room(0);
    directory.health().reserves().allowance_bytes(time::now()) > 400 * MIB
}

#[test]
fn a_log_that_fills_fast_has_blocks_ahead_until_they_are_of_no_use() {
    on_core(async |path| {
        let directory = open_directory(&path);
        if !reserves(&directory) {
            return;
        }
        let (log, _) = open_large(&directory).await;
        fill(&log, 5).await;
        assert!(bytes_behind(&log, 0) < MIB);
        fill(&log, 15).await;
        until(|| bytes_behind(&log, 0) >= 19 * MIB).await;
        assert!(bytes_behind(&log, 0) <= 24 * MIB, "to the end of the segment");
        let held = directory.health().reserves().held_bytes();
        assert!((20 * MIB..=32 * MIB).contains(&held), "{held}");
        // The next one has them before it begins.
        fill(&log, 21).await;
        assert_eq!(log.with_state(|state| state.segments().len()), 2);
        assert!(bytes_behind(&log, 1) >= 36 * MIB);
        until(|| bytes_behind(&log, 0) < MIB).await;
        let read = read_all(&log, 4 << 20);
        assert_eq!(log.close().await.unwrap(), log.log_end_offset());
        assert!(bytes_behind(&log, 1) < MIB / 16);
        until(|| directory.health().reserves().held_bytes() == 0).await;
        drop(log);
        let (log, report) = open_large(&directory).await;
        assert_eq!((report.cut, read_all(&log, 4 << 20)), (None, read));
        assert_eq!(bytes_behind(&log, 0).max(bytes_behind(&log, 1)) / MIB, 0);
    });
}

#[test]
fn a_log_that_is_written_out_gives_blocks_back() {
    on_core(async |path| {
        let directory = open_directory(&path);
        if !reserves(&directory) {
            return;
        }
        let (log, _) = open_large(&directory).await;
        fill(&log, 50).await;
        until(|| bytes_behind(&log, 1) >= 8 * MIB).await;
        log.write_out().await.unwrap();
        assert!(bytes_behind(&log, 0).max(bytes_behind(&log, 1)) < MIB / 16);
    });
}

#[test]
fn a_start_gives_back_what_a_crash_has_left() {
    on_core(async |path| {
        let directory = open_directory(&path);
        if !reserves(&directory) {
            return;
        }
        let (log, _) = open_large(&directory).await;
        fill(&log, 20).await;
        until(|| bytes_behind(&log, 0) >= 19 * MIB).await;
        let (end, read) = (log.log_end_offset(), read_all(&log, 4 << 20));
        drop(log);
        until(|| directory.health().reserves().held_bytes() == 0).await;
        let (log, report) = open_large(&directory).await;
        assert_eq!((report.cut, log.log_end_offset()), (None, end));
        assert!(bytes_behind(&log, 0) < MIB / 16);
        assert_eq!(read_all(&log, 4 << 20), read);
    });
}

#[test]
fn blocks_are_given_back_where_the_room_is_little() {
    on_core(async |path| {
        let directory = open_directory(&path);
        if !reserves(&directory) {
            return;
        }
        let (log, _) = open_large(&directory).await;
        fill(&log, 20).await;
        until(|| bytes_behind(&log, 0) >= 19 * MIB).await;
        let free = fs::space(&path).unwrap().free_bytes;
        directory.health().look_at_room(free / 3 * 2);
        until(|| bytes_behind(&log, 0) < MIB).await;
        fill(&log, 10).await;
        assert_eq!(bytes_behind(&log, 0) / MIB, 0, "none are reserved there");
        // With room they are, again.
        directory.health().look_at_room(0);
        fill(&log, 9).await;
        until(|| !log.is_writing_ahead()).await;
        assert_eq!(read_all(&log, 4 << 20).len(), 39);
    });
}

#[test]
fn appends_wait_for_their_turn_while_blocks_are_given_back() {
    on_core(async |path| {
        let directory = open_directory(&path);
        if !reserves(&directory) {
            return;
        }
        let (log, _) = open_large(&directory).await;
        fill(&log, 20).await;
        until(|| bytes_behind(&log, 0) >= 19 * MIB).await;
        let (given, is_given) = local::oneshot();
        let giving = log.clone();
        spawn(async move {
            let _ = given.send(giving.give_back().await.is_ok());
        });
        until(|| log.is_writing_ahead()).await;
        fill(&log, 3).await;
        assert_eq!(is_given.await, Some(true));
        assert_eq!(read_all(&log, 4 << 20).len(), 23);
        log.close().await.unwrap();
        assert_eq!(bytes_behind(&log, 0) / MIB, 0);
    });
}

#[test]
fn a_topic_may_have_its_segments_reserved_as_a_whole() {
    on_core(async |path| {
        let directory = open_directory(&path);
        if !reserves(&directory) {
            return;
        }
        let (log, _) = open_large(&directory).await;
        log.set_settings(Settings {
            preallocate: true,
            ..LARGE
        });
        fill(&log, 1).await;
        until(|| bytes_behind(&log, 0) >= 38 * MIB).await;
        fill(&log, 40).await;
        assert_eq!(log.with_state(|state| state.segments().len()), 2);
        assert!(bytes_behind(&log, 1) >= 38 * MIB);
        log.close().await.unwrap();
        assert!(bytes_behind(&log, 0).max(bytes_behind(&log, 1)) < MIB / 16);
        // As set anew: no longer wanted.
        fill(&log, 9).await;
        until(|| bytes_behind(&log, 1) >= 28 * MIB).await;
        log.set_settings(LARGE);
        until(|| bytes_behind(&log, 1) < MIB).await;
    });
}

#[test]
fn logs_that_take_little_reserve_nothing() {
    on_core(async |path| {
        let directory = open_directory(&path);
        directory.health().look_at_room(0);
        let (log, _) = open_large(&directory).await;
        fill(&log, 7).await;
        assert_eq!(directory.health().reserves().held_bytes(), 0);
        assert!(bytes_behind(&log, 0) < MIB);
    });
}

async fn reserves_nothing(path: PathBuf, is_looked_at: bool) {
    let directory = open_directory(&path);
    if is_looked_at {
        directory.health().look_at_room(0);
    }
    let (log, _) = open_large(&directory).await;
    fill(&log, 30).await;
    assert_eq!(directory.health().reserves().held_bytes(), 0);
    assert!(bytes_behind(&log, 0) < MIB);
}

#[test]
fn nothing_is_reserved_in_memory_or_before_anybody_looked_for_room() {
    on_core(|path| reserves_nothing(path, false));
    let memory = Path::new("/dev/shm");
    if fs::exists(memory).unwrap() && !fs::is_on_disk(memory) {
        let directory = tempfile::tempdir_in(memory).unwrap();
        let path = directory.path().to_owned();
        block_on(move || reserves_nothing(path, true));
    }
}

#[test]
fn the_end_of_a_log_with_blocks_ahead_is_taken_back() {
    on_core(async |path| {
        let directory = open_directory(&path);
        if !reserves(&directory) {
            return;
        }
        let (log, _) = open_large(&directory).await;
        fill(&log, 50).await;
        until(|| bytes_behind(&log, 1) >= 8 * MIB).await;
        log.truncate_to(Offset(30), TimestampMs(5)).await.unwrap();
        assert_eq!(log.with_state(|state| state.segments().len()), 1);
        assert_eq!(bytes_behind(&log, 0) / MIB, 0);
        until(|| directory.health().reserves().held_bytes() == 0).await;
        fill(&log, 5).await;
        assert_eq!(read_all(&log, 4 << 20).len(), 35);
    });
}
