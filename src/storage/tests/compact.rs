//! Compaction on a real disk. That crashes leave whole logs is shown in `tests/sim/compaction.rs`.

use std::cell::Cell;
use std::rc::Rc;

use super::*;
use crate::log::aborted::AbortedTransaction;
use crate::log::compaction::Rules;
use crate::log::compaction::offset_map::MapSize;
use crate::record::{Compression, CompressionLevel, ControlType, EndTxnMarker, MarkerPlace, TxnOutcome};

const RULES: Rules = Rules {
    dirty_ratio_min: 0.0,
    lag_min_ms: 0,
    lag_max_ms: i64::MAX,
    delete_retention_ms: 0,
};

fn cleaner(map_bytes: u64, bytes_per_second: f64) -> Cleaner {
    Cleaner::new(CleanerSettings {
        map: MapSize {
            bytes_max: map_bytes,
            load_factor: 0.9,
        },
        bytes_per_second,
    })
}

async fn compact_at(log: &Log, cleaner: &mut Cleaner, now: i64) -> Result<Option<Compacted>, StorageError> {
    let work = CompactionWork {
        rules: &RULES,
        stable_end: log.log_end_offset(),
        now: TimestampMs(now),
    };
    cleaner.compact(log, &work, &mut Vec::new()).await
}

fn keyed(builder: BatchBuilder, keys: &[&str]) -> Vec<u8> {
    let mut builder = builder;
    for key in keys {
        let record = Record::new(TimestampMs(1000), Some(key.as_bytes()), Some(b"0123456789"));
        builder.append(&record).unwrap();
    }
    builder.build().unwrap().to_vec()
}

/// A log of several segments, in which ten keys come again and again.
fn fill(log: &Log) {
    for number in 0..200 {
        let keys = [format!("key {}", number % 10), format!("key {}", number % 7)];
        append(log, &keyed(BatchBuilder::new(), &[&keys[0], &keys[1]]));
    }
    assert!(log.with_state(|state| state.segments().len()) > 4);
}

/// Offset, key and value of each record.
fn records_of(log: &Log) -> Vec<(i64, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut decompressor = Decompressor::new(1 << 20);
    let mut offset = log.log_start_offset();
    while let Some(range) = log.read(&request(offset.0, 10_000)).unwrap().unwrap() {
        for batch in Batches::new(&range.read().unwrap()) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            for record in batch.records(&mut decompressor).unwrap().map(Result::unwrap) {
                let key = record.key.unwrap_or_default().to_vec();
                found.push((record.offset.0, key, record.value.unwrap_or_default().to_vec()));
            }
        }
        offset = range.next_offset;
    }
    found
}

/// Offset and key of each record.
fn keys_of(log: &Log) -> Vec<(i64, String)> {
    let key = |(offset, key, _): (i64, Vec<u8>, Vec<u8>)| (offset, String::from_utf8_lossy(&key).into_owned());
    records_of(log).into_iter().map(key).collect()
}

fn leftovers(path: &Path, suffix: &str) -> usize {
    let entries = fs::list(path.join("t-0")).unwrap();
    let names = entries.iter().filter_map(|entry| entry.name.to_str());
    names.filter(|name| name.ends_with(suffix)).count()
}

#[test]
fn the_last_record_of_each_key_stays() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        fill(&log);
        let before = keys_of(&log);
        let range = log.read(&request(0, 3000)).unwrap().unwrap().unwrap();
        let bytes = range.read().unwrap();
        let compacted = compact_at(&log, &mut cleaner(1 << 20, f64::MAX), 1)
            .await
            .unwrap()
            .unwrap();
        assert!(compacted.bytes_after < compacted.bytes_before / 10);
        let end = compacted.end_offset.0;
        let is_last = |at: &(i64, String)| {
            at.0 >= end
                || !before
                    .iter()
                    .any(|other| other.1 == at.1 && (at.0 + 1..end).contains(&other.0))
        };
        let expected: Vec<_> = before.iter().filter(|at| is_last(at)).cloned().collect();
        assert_eq!(keys_of(&log), expected);
        assert_eq!(range.read().unwrap(), bytes, "who has an old file open goes on with it");
        assert_eq!((leftovers(&path, ".cleaned"), leftovers(&path, ".swap")), (0, 0));
        assert_eq!(
            compact_at(&log, &mut cleaner(1 << 20, f64::MAX), 1).await.unwrap(),
            None,
            "it is clean"
        );
    });
}

/// A batch of so many records of 1000 bytes, whose keys come again after some batches.
fn long(compression: Compression, number: usize, records: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new().compression(compression, CompressionLevel::Default);
    for index in 0..records {
        let key = format!("key {}", number % 3 * 100 + index);
        let value: Vec<u8> = (0..1000)
            .map(|at| u8::try_from(at * (index + 7) % 251).unwrap())
            .collect();
        let record = Record::new(TimestampMs(1000), Some(key.as_bytes()), Some(&value));
        builder.append(&record).unwrap();
    }
    builder.build().unwrap().to_vec()
}

#[test]
fn long_batches_come_and_go_in_slices() {
    compact_long_batches(false);
}

#[test]
fn long_batches_that_left_the_page_cache_come_past_it() {
    compact_long_batches(true);
}

fn compact_long_batches(are_cold: bool) {
    on_core(async move |path| {
        let directory = open_directory(&path);
        directory
            .create_partition(&partition(), TopicId([1; 16]))
            .await
            .unwrap();
        let settings = Settings {
            segment_bytes_max: 1 << 20,
            ..SETTINGS
        };
        let request = directory.open_request(&partition(), settings, TimestampMs(0));
        let (log, _) = Log::open(directory.health(), request).await.unwrap();
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            // Shorter than a slice, a little longer, several slices long.
            for (number, records) in [120, 131, 700, 1, 300, 150, 90, 500].into_iter().enumerate() {
                append(&log, &long(compression, number, records));
            }
        }
        let before = records_of(&log);
        if are_cold {
            log.checkpoint().await.unwrap();
            for segment in log.with_state(|state| state.segments().clone()) {
                let file = path.join("t-0").join(file_name(segment.base_offset, FileKind::Log));
                File::open(file, Open::Read).unwrap().evict().unwrap();
            }
        }
        let compacted = compact_at(&log, &mut cleaner(1 << 20, f64::MAX), 1).await;
        let end = compacted.unwrap().unwrap().end_offset.0;
        let is_last = |at: &(i64, Vec<u8>, Vec<u8>)| {
            let again = |other: &&(i64, Vec<u8>, Vec<u8>)| other.1 == at.1 && (at.0 + 1..end).contains(&other.0);
            at.0 >= end || !before.iter().any(|other| again(&other))
        };
        let expected: Vec<_> = before.iter().filter(|at| is_last(at)).cloned().collect();
        assert!(
            expected.len() < before.len() / 2,
            "{} of {}",
            expected.len(),
            before.len()
        );
        assert!(records_of(&log) == expected);
    });
}

#[test]
fn a_map_for_some_of_the_keys_gets_there_in_the_end() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        fill(&log);
        let mut cleaner = cleaner(24 * 10, f64::MAX);
        let (mut reached, mut rounds) = (0, 0);
        while let Some(compacted) = compact_at(&log, &mut cleaner, 1).await.unwrap() {
            assert!(compacted.end_offset.0 > reached);
            reached = compacted.end_offset.0;
            rounds += 1;
        }
        assert!(rounds > 2, "a map for nine keys is full again and again");
        let closed: Vec<_> = keys_of(&log)
            .into_iter()
            .filter(|(offset, _)| *offset < reached)
            .collect();
        assert_eq!(closed.len(), 10, "{closed:?}");
    });
}

/// Appends batches of transactions as a log of Kafka's has them: a committed one, an aborted one with a later value of its key.
fn append_transactions(log: &Log, directory: &Path) {
    let by = |producer_id, base_sequence| {
        BatchBuilder::new().producer(ProducerStamp {
            producer_id: ProducerId(producer_id),
            producer_epoch: ProducerEpoch(0),
            base_sequence: Sequence(base_sequence),
        })
    };
    let marker = |producer_id, outcome| {
        let place = MarkerPlace {
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch(3),
            producer_id: ProducerId(producer_id),
            producer_epoch: ProducerEpoch(0),
            now: TimestampMs(1000),
        };
        let marker = EndTxnMarker {
            outcome,
            coordinator_epoch: 0,
        };
        marker.batch(&place).unwrap()
    };
    append(log, &keyed(by(1, 0).transactional(), &["k"]));
    let first_offset = append(log, &keyed(by(2, 0).transactional(), &["k", "l"])).base_offset;
    append(log, &marker(1, TxnOutcome::Commit));
    let last_offset = append(log, &marker(2, TxnOutcome::Abort)).base_offset;
    // Their last batches are others: for their sequences nobody needs those before.
    append(log, &keyed(by(1, 1), &["m"]));
    append(log, &keyed(by(2, 2), &["m"]));
    let aborted = AbortedTransaction {
        producer_id: ProducerId(2),
        first_offset,
        last_offset,
        last_stable_offset: first_offset,
    };
    let index = File::open(
        directory.join(file_name(Offset(0), FileKind::TransactionIndex)),
        Open::Create,
    )
    .unwrap();
    index.write_at(FilePosition::ZERO, &[&aborted.encode()]).unwrap();
}

#[test]
fn aborted_records_go_and_markers_follow_them() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        append_transactions(&log, &path.join("t-0"));
        fill(&log);
        let index = path.join("t-0").join(file_name(Offset(0), FileKind::TransactionIndex));
        let mut cleaner = cleaner(1 << 20, f64::MAX);
        let mut told = Vec::new();
        for now in [1, 2, 3] {
            compact_at(&log, &mut cleaner, now).await.unwrap().unwrap();
            let front: Vec<(i64, Option<ControlType>)> = keys_of(&log)
                .into_iter()
                .filter(|(offset, _)| *offset < 5)
                .map(|(offset, key)| (offset, ControlType::from_key(Some(key.as_bytes()))))
                .collect();
            told.push((front, fs::exists(&index).unwrap()));
            fill(&log);
        }
        let (commit, abort) = (Some(ControlType::Commit), Some(ControlType::Abort));
        assert_eq!(
            told,
            [
                // The aborted records went; their marker was needed while they were there.
                (vec![(0, None), (3, commit), (4, abort)], true),
                // Nobody needs it any more, and it gets its horizon,
                (vec![(0, None), (3, commit), (4, abort)], false),
                // which has passed.
                (vec![(0, None), (3, commit)], false),
            ]
        );
    });
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        fill(&log);
        log.checkpoint().await.unwrap();
        let file = path.join("t-0").join(file_name(Offset(0), FileKind::Log));
        let damaged = File::open(file, Open::ReadWrite).unwrap();
        damaged.write_at(FilePosition(500), &[&[0xff; 8]]).unwrap();
        let segments = log.with_state(|state| state.segments().clone());
        let outcome = compact_at(&log, &mut cleaner(1 << 20, f64::MAX), 1).await;
        assert!(matches!(outcome, Err(StorageError::Damaged { .. })), "{outcome:?}");
        assert_eq!(log.with_state(|state| state.segments().clone()), segments);
        assert_eq!((leftovers(&path, ".cleaned"), leftovers(&path, ".swap")), (0, 0));
        assert!(!log.health().is_offline());
    });
}

#[test]
fn a_stop_does_not_wait_for_a_slow_round() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        fill(&log);
        let (compacting, outcome) = (log.clone(), Rc::new(Cell::new(None)));
        let told = Rc::clone(&outcome);
        // At this rate it takes hours.
        crate::rt::task::spawn_background(async move {
            let compacted = compact_at(&compacting, &mut cleaner(1 << 20, 1.0), 1).await;
            told.set(Some(compacted.unwrap()));
        });
        for _ in 0..100 {
            crate::rt::task::yield_now().await;
        }
        assert_eq!(outcome.get(), None, "it runs");
        log.close().await.unwrap();
        assert_eq!(outcome.get(), Some(None), "it was given up");
        assert_eq!(leftovers(&path, ".cleaned"), 0);
    });
}
