//! Logs on the real disk of a temporary directory; crashes and faults are in `tests/sim.rs`.

mod ahead;
mod checkpoint;
mod compact;
mod deletion;
mod flips;
mod journal;
mod kafka;
mod reclaim;
mod reserve;
mod retain;
mod roll;
mod truncate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::base::ids::{LeaderEpoch, NodeId, ProducerEpoch, ProducerId, Sequence, TopicId, TopicPartition};
use crate::base::offset::{FilePosition, Offset};
use crate::base::time::TimestampMs;
use crate::log::names::{FileKind, file_name};
use crate::log::read::FirstBatch;
use crate::log::{Origin, ReadError, ReadRequest, Settings};
use crate::record::build::ProducerStamp;
use crate::record::{BatchBuilder, BatchView, Batches, Decompressor, Record};
use crate::rt::fs::{self, File, Open};
use crate::rt::task::block_on;

const SETTINGS: Settings = Settings {
    segment_bytes_max: 4096,
    segment_ms_max: i64::MAX,
    segment_jitter_ms: 0,
    index_bytes_max: 1 << 20,
    index_interval_bytes: 512,
    preallocate: false,
};

fn partition() -> TopicPartition {
    TopicPartition {
        topic: Arc::from("t"),
        partition: 0,
    }
}

/// A batch of `count` records with timestamps from `timestamp` on.
fn batch(count: i32, timestamp: i64) -> Vec<u8> {
    build(BatchBuilder::new(), count, timestamp)
}

fn build(mut builder: BatchBuilder, count: i32, timestamp: i64) -> Vec<u8> {
    for index in 0..count {
        let record = Record::new(TimestampMs(timestamp + i64::from(index)), None, Some(b"0123456789"));
        builder.append(&record).unwrap();
    }
    builder.build().unwrap().to_vec()
}

fn idempotent(sequence: i32, count: i32) -> Vec<u8> {
    let stamp = ProducerStamp {
        producer_id: ProducerId(9),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(sequence),
    };
    build(BatchBuilder::new().producer(stamp), count, 1000)
}

fn append(log: &Log, bytes: &[u8]) -> Appended {
    let view = BatchView::parse(bytes).unwrap();
    let outcomes = log.append(
        &[NewBatch::as_it_is(&view)],
        Origin::Client,
        LeaderEpoch(3),
        TimestampMs(5),
    );
    outcomes.unwrap().remove(0).unwrap()
}

fn request(offset: i64, bytes_max: u32) -> ReadRequest {
    ReadRequest {
        offset: Offset(offset),
        upper: Offset(i64::MAX),
        bytes_max,
        first_batch: FirstBatch::Whole,
    }
}

/// Base offsets of all batches, read one range after another, with so many bytes each.
fn read_all(log: &Log, bytes_max: u32) -> Vec<i64> {
    let mut offset = log.log_start_offset();
    let mut bases = Vec::new();
    while offset < log.log_end_offset() {
        let range = log.read(&request(offset.0, bytes_max)).unwrap().unwrap().unwrap();
        let bytes = range.read().unwrap();
        for batch in Batches::new(&bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            bases.push(batch.header().base_offset.0);
            offset = batch.header().next_offset();
        }
        assert_eq!(offset, range.next_offset);
    }
    bases
}

fn open_directory(path: &Path) -> LogDirectory {
    LogDirectory::open(path, Claim::of(NodeId(1))).unwrap()
}

fn of_cluster(cluster_id: &str) -> Claim<'_> {
    Claim {
        cluster_id: Some(cluster_id),
        ..Claim::of(NodeId(1))
    }
}

/// The log of a partition that is made here.
async fn new_log(directory: &LogDirectory, topic_id: TopicId) -> Log {
    directory.create_partition(&partition(), topic_id).await.unwrap();
    open(directory).await.0
}

async fn open(directory: &LogDirectory) -> (Log, Report) {
    let request = directory.open_request(&partition(), SETTINGS, TimestampMs(0));
    Log::open(directory.health(), request).await.unwrap()
}

/// Runs a test on a core, in a directory of its own.
fn on_core<F: Future<Output = ()> + 'static>(test: impl FnOnce(PathBuf) -> F + Send + 'static) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    block_on(move || test(path));
}

#[test]
fn what_is_appended_is_read() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        for index in 0..200 {
            let appended = append(&log, &batch(3, index * 10));
            assert_eq!(
                (appended.base_offset.0, appended.last_offset.0),
                (index * 3, index * 3 + 2)
            );
        }
        let expected: Vec<i64> = (0..200).map(|index| index * 3).collect();
        for bytes_max in [1, 100, 500, 1000, 1_000_000] {
            assert_eq!(read_all(&log, bytes_max), expected, "{bytes_max}");
        }
        assert!(log.with_state(|state| state.segments().len()) > 3);
        let range = log.read(&request(100, 1)).unwrap().unwrap().unwrap();
        let bytes = range.read().unwrap();
        let view = BatchView::parse_only(&bytes).unwrap();
        assert_eq!(
            view.header().base_offset,
            Offset(99),
            "an offset inside a batch returns the batch"
        );
        assert_eq!(view.header().leader_epoch, LeaderEpoch(3));
        assert!(log.read(&request(600, 1)).unwrap().unwrap().is_none());
        assert!(matches!(
            log.read(&request(601, 1)).unwrap(),
            Err(ReadError::OutOfRange { .. })
        ));
    });
}

#[test]
fn reads_stop_at_the_upper_bound() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        for index in 0..20 {
            append(&log, &batch(3, index));
        }
        for upper in [0, 3, 6, 30, 57, 60] {
            let bounded = ReadRequest {
                upper: Offset(upper),
                ..request(0, 1_000_000)
            };
            let range = log.read(&bounded).unwrap().unwrap();
            assert_eq!(range.map_or(Offset(0), |range| range.next_offset), Offset(upper));
        }
        let small = ReadRequest {
            first_batch: FirstBatch::IfItFits,
            ..request(0, 50)
        };
        assert!(log.read(&small).unwrap().unwrap().is_none());
    });
}

#[test]
fn many_batches_take_one_call() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        let all: Vec<Vec<u8>> = (0..100).map(|index| batch(2, index)).collect();
        let views: Vec<_> = all.iter().map(|bytes| BatchView::parse(bytes).unwrap()).collect();
        let new: Vec<_> = views.iter().map(NewBatch::as_it_is).collect();
        let outcomes = log
            .append(&new, Origin::Client, LeaderEpoch(0), TimestampMs(0))
            .unwrap();
        let bases: Vec<i64> = outcomes.into_iter().map(|one| one.unwrap().base_offset.0).collect();
        assert_eq!(bases, read_all(&log, 700));
        assert_eq!(bases, (0..100).map(|index| index * 2).collect::<Vec<_>>());
    });
}

#[test]
fn a_log_is_the_same_after_a_clean_stop() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([7; 16])).await;
        log.begin_epoch(LeaderEpoch(3)).unwrap();
        for index in 0..100 {
            append(&log, &idempotent(index * 2, 2));
        }
        let end = log.close().await.unwrap();
        assert_eq!(end, log.log_end_offset());
        directory.write_recovery_points([(&partition(), end)]).unwrap();
        directory.mark_clean_shutdown(0).unwrap();
        drop(directory);

        let directory = open_directory(&path);
        assert_eq!(directory.shutdown(), Shutdown::Clean);
        assert_eq!(directory.partitions().unwrap(), [partition()]);
        assert_eq!(directory.topic_id_of(&partition()), Some(TopicId([7; 16])));
        let (again, report) = open(&directory).await;
        assert_eq!(report, Report::default());
        same_state(&log, &again);
        assert_eq!(read_all(&log, 1000), read_all(&again, 1000));
        assert!(append(&again, &idempotent(192, 2)).is_duplicate);
        assert_eq!(append(&again, &idempotent(200, 2)).base_offset, end);
    });
}

#[test]
fn a_log_is_the_same_after_a_kill() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        for index in 0..100 {
            append(&log, &idempotent(index * 2, 2));
        }
        log.make_durable(log.log_end_offset()).await.unwrap();
        assert_eq!(log.durable_end_offset(), log.log_end_offset());

        // What the log still does in the background must not get in the way of the next one.
        let killed = tempfile::tempdir().unwrap();
        copy_files(&path, killed.path());
        let directory = open_directory(killed.path());
        assert_eq!(directory.shutdown(), Shutdown::Unclean);
        let (again, report) = open(&directory).await;
        assert_eq!(report.cut, None);
        same_state(&log, &again);
        assert!(append(&again, &idempotent(198, 2)).is_duplicate);
    });
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_files(&from, &to);
        } else {
            match std::fs::copy(from, to) {
                // It has got its name meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

/// What two logs know is the same, but for what only the running one can know.
fn same_state(left: &Log, right: &Log) {
    left.with_state(|left| {
        right.with_state(|right| {
            assert_eq!(left.log_end_offset(), right.log_end_offset());
            assert_eq!(left.log_start_offset(), right.log_start_offset());
            assert_eq!(left.producers(), right.producers());
            assert_eq!(left.epochs(), right.epochs());
            let sizes = |state: &crate::log::LogState| {
                let sizes = state
                    .segments()
                    .iter()
                    .map(|segment| (segment.base_offset, segment.bytes));
                sizes.collect::<Vec<_>>()
            };
            assert_eq!(sizes(left), sizes(right));
            assert_eq!(left.active_segment(), right.active_segment());
        });
    });
}

#[test]
fn indexes_are_rebuilt_as_they_were_written() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        for index in 0..100 {
            append(&log, &batch(2, index % 7));
        }
        log.close().await.unwrap();
        let read_indexes = |log: &Log| -> Vec<(String, Vec<u8>)> {
            let bases: Vec<_> = log.with_state(|state| state.segments().iter().map(|one| one.base_offset).collect());
            let kinds = [FileKind::OffsetIndex, FileKind::TimeIndex];
            let names = bases.iter().flat_map(|base| kinds.map(|kind| file_name(*base, kind)));
            names
                .map(|name| (name.clone(), fs::read(log.path().join(name)).unwrap()))
                .collect()
        };
        let written = read_indexes(&log);
        assert!(
            written
                .iter()
                .any(|(name, bytes)| name.ends_with(".index") && bytes.len() > 8)
        );
        for (name, _) in &written {
            fs::remove_file(log.path().join(name)).unwrap();
        }
        let (again, _) = open(&directory).await;
        again.close().await.unwrap();
        assert_eq!(read_indexes(&again), written);
    });
}

#[test]
fn offsets_are_found_by_time() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        for index in 0..100 {
            append(&log, &batch(3, 1000 + index * 10));
        }
        for _ in 0..2 {
            for (timestamp, expected) in [
                (0, Some((0, 1000))),
                (1001, Some((1, 1001))),
                (1003, Some((3, 1010))),
                (1505, Some((153, 1510))),
                (1992, Some((299, 1992))),
                (1993, None),
            ] {
                let hit = log.offset_for_timestamp(TimestampMs(timestamp)).await.unwrap();
                assert_eq!(hit.map(|hit| (hit.offset.0, hit.timestamp.0)), expected, "{timestamp}");
            }
            let largest = log.largest_timestamp().await.unwrap().unwrap();
            assert_eq!((largest.offset.0, largest.timestamp.0), (299, 1992));
            log.close().await.unwrap();
        }
    });
}

#[cfg(not(feature = "sim"))]
#[test]
fn cold_pages_are_told_and_waited_for() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        for index in 0..2000 {
            append(&log, &batch(3, 1000 + index * 10));
        }
        log.close().await.unwrap();
        let evict = || {
            for entry in std::fs::read_dir(log.path()).unwrap() {
                let file = match crate::rt::fs::File::open(entry.unwrap().path(), crate::rt::fs::Open::Read) {
                    // Old snapshots go in the background.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    file => file.unwrap(),
                };
                file.sync_data_now().unwrap();
                file.evict().unwrap();
            }
            log.release_files();
        };
        let request = ReadRequest {
            offset: Offset(1234),
            upper: log.log_end_offset(),
            bytes_max: 1,
            first_batch: FirstBatch::Whole,
        };
        let expected = log.read(&request).unwrap().unwrap().unwrap();
        evict();
        let mut waits = 0;
        let found = loop {
            match log.read_warm(&request) {
                Err(StorageError::Cold(range)) => range.warm().await.unwrap(),
                other => break other.unwrap().unwrap().unwrap(),
            }
            waits += 1;
            assert!(waits < 20, "it gets on");
        };
        assert_eq!((found.position, found.length), (expected.position, expected.length));
        // A file system in memory has no cold pages.
        eprintln!("{waits} cold pages");
        evict();
        let hit = log.offset_for_timestamp(TimestampMs(5123)).await.unwrap();
        assert_eq!(hit.map(|hit| (hit.offset.0, hit.timestamp.0)), Some((1239, 5130)));
    });
}

#[test]
fn a_directory_knows_whose_it_is() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path();
    let first = LogDirectory::open(path, Claim::of(NodeId(1))).unwrap();
    let cluster_id = first.properties().cluster_id.clone();
    assert_eq!(cluster_id.len(), 22);
    let taken = LogDirectory::open(path, Claim::of(NodeId(1)));
    assert!(matches!(taken, Err(DirectoryError::InUse { .. })));
    drop(first);
    let other_node = LogDirectory::open(path, Claim::of(NodeId(2)));
    assert!(matches!(other_node, Err(DirectoryError::NotOurs { .. })));
    let other_cluster = LogDirectory::open(path, of_cluster("other"));
    assert!(matches!(other_cluster, Err(DirectoryError::NotOurs { .. })));
    let again = LogDirectory::open(path, of_cluster(&cluster_id)).unwrap();
    assert_eq!(again.properties().cluster_id, cluster_id);
    drop(again);
    let file = File::open(path.join("meta.properties"), Open::ReadWrite).unwrap();
    file.write_at(FilePosition::ZERO, &[b"version=9 "]).unwrap();
    let bad = LogDirectory::open(path, Claim::of(NodeId(1)));
    assert!(matches!(bad, Err(DirectoryError::BadIdentity { .. })));
}

#[test]
fn damage_of_synced_data_is_for_a_person() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([7; 16])).await;
        for index in 0..100 {
            append(&log, &batch(2, index));
        }
        log.checkpoint().await.unwrap();
        let segment = log.path().join(file_name(Offset(0), FileKind::Log));
        let before = fs::read(&segment).unwrap();
        let file = File::open(&segment, Open::ReadWrite).unwrap();
        file.write_at(FilePosition(1000), &[&[0xff; 10]]).unwrap();
        // What makes recovery look at synced data at all.
        fs::remove_file(log.path().join(file_name(Offset(0), FileKind::OffsetIndex))).unwrap();
        let request = directory.open_request(&partition(), SETTINGS, TimestampMs(0));
        let refused = Log::open(directory.health(), request).await;
        assert!(matches!(refused, Err(StorageError::Damaged { .. })), "{refused:?}");
        assert!(!directory.health().is_offline(), "the other partitions go on");
        assert_eq!(fs::read(&segment).unwrap().len(), before.len(), "nothing was cut");
    });
}

#[test]
fn a_torn_end_that_was_not_synced_is_cut_off() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        for index in 0..10 {
            append(&log, &batch(2, index));
        }
        let segment = log.path().join(file_name(Offset(0), FileKind::Log));
        let length = fs::read(&segment).unwrap().len() as u64;
        for (tail, what) in [
            (vec![0; 5000], "zeroes"),
            (batch(2, 0)[..70].to_vec(), "half a batch"),
            (vec![1; 99], "noise"),
        ] {
            let file = File::open(&segment, Open::ReadWrite).unwrap();
            file.write_at(FilePosition(length), &[&tail]).unwrap();
            let (again, report) = open(&directory).await;
            let cut = report.cut.unwrap();
            assert_eq!(
                (cut.position.0, cut.offset, cut.bytes),
                (length, Offset(20), tail.len() as u64),
                "{what}"
            );
            assert_eq!(again.log_end_offset(), Offset(20));
            assert_eq!(read_all(&again, 1000).len(), 10);
        }
    });
}

#[test]
fn an_idle_log_is_small() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        append(&log, &idempotent(0, 1));
        log.make_durable(Offset(1)).await.unwrap();
        assert!(!log.inner.files.borrow().are_closed());
        log.release_files();
        assert!(log.inner.files.borrow().are_closed());
        assert!(log.memory_bytes() < 4096, "{} bytes", log.memory_bytes());
    });
}
