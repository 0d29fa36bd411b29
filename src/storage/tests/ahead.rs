//! Long batches that are written ahead of their append.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::limits::APPEND_STEP_BYTES;

const ROOMY: Settings = Settings {
    segment_bytes_max: 64 << 20,
    ..SETTINGS
};

/// A batch that takes some steps.
fn long(seed: u8) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for index in 0..5u8 {
        let value = vec![seed.wrapping_add(index); APPEND_STEP_BYTES];
        builder
            .append(&Record::new(TimestampMs(1000), None, Some(&value)))
            .unwrap();
    }
    builder.build().unwrap().to_vec()
}

async fn write_ahead(log: &Log, bytes: &[u8]) -> Ahead {
    let bytes = Bytes::copy_from_slice(bytes);
    let view = BatchView::parse(&bytes).unwrap();
    let batch = NewBatch::as_it_is(&view);
    let written = log.write_ahead(&batch, &bytes, Origin::Client, LeaderEpoch(3), TimestampMs(5));
    written.await.unwrap()
}

fn append_behind(log: &Log, bytes: &[u8], ahead: &Ahead) -> Appended {
    let view = BatchView::parse(bytes).unwrap();
    let batch = NewBatch::as_it_is(&view).behind(ahead);
    let outcomes = log.append(&[batch], Origin::Client, LeaderEpoch(3), TimestampMs(5));
    outcomes.unwrap().remove(0).unwrap()
}

async fn open_roomy(directory: &LogDirectory) -> (Log, Report) {
    let request = directory.open_request(&partition(), ROOMY, TimestampMs(0));
    Log::open(directory.health(), request).await.unwrap()
}

fn file_bytes(log: &Log, base_offset: i64) -> u64 {
    let path = log.path().join(file_name(Offset(base_offset), FileKind::Log));
    File::open(path, Open::Read).unwrap().len().unwrap()
}

/// Records of the batch at `offset`, and their checksum is right.
fn records_at(log: &Log, offset: i64) -> Vec<u8> {
    let range = log.read(&request(offset, 1)).unwrap().unwrap().unwrap();
    let bytes = range.read().unwrap();
    let view = BatchView::parse(&bytes).unwrap();
    view.check_crc().unwrap();
    assert_eq!(view.header().base_offset.0, offset);
    view.record_bytes().to_vec()
}

fn records_of(bytes: &[u8]) -> Vec<u8> {
    BatchView::parse(bytes).unwrap().record_bytes().to_vec()
}

#[test]
fn nobody_sees_a_batch_before_it_is_whole() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open_roomy(&directory).await;
        append(&log, &batch(3, 0));
        let before = file_bytes(&log, 0);
        let batch = long(1);
        let ahead = write_ahead(&log, &batch).await;
        assert!(
            file_bytes(&log, 0) > before + 2 * APPEND_STEP_BYTES as u64,
            "most of it is written"
        );
        assert_eq!((log.log_end_offset(), log.bytes()), (Offset(3), before));
        assert!(log.read(&request(3, 1 << 20)).unwrap().unwrap().is_none());
        log.make_durable(log.log_end_offset()).await.unwrap();
        assert_eq!(log.durable_end_offset(), Offset(3), "nor is it durable");

        let appended = append_behind(&log, &batch, &ahead);
        assert_eq!((appended.base_offset, appended.last_offset), (Offset(3), Offset(7)));
        drop(ahead);
        assert_eq!(records_at(&log, 3), records_of(&batch));
        assert_eq!(file_bytes(&log, 0), log.bytes());
        assert_eq!(read_all(&log, 1 << 20), [0, 3]);
    });
}

#[test]
fn batches_written_ahead_wait_for_one_another() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open_roomy(&directory).await;
        let first = write_ahead(&log, &long(1)).await;
        assert!(log.is_writing_ahead());
        let (appended, has_appended) = crate::rt::local::oneshot();
        let other = log.clone();
        crate::rt::task::spawn(async move {
            let batch = long(2);
            let ahead = write_ahead(&other, &batch).await;
            let _ = appended.send(append_behind(&other, &batch, &ahead));
        });
        for _ in 0..20 {
            crate::rt::task::yield_now().await;
        }
        assert_eq!(log.log_end_offset(), Offset(0), "the second waits");
        append_behind(&log, &long(1), &first);
        drop(first);
        let second = has_appended.await.unwrap();
        assert_eq!(second.base_offset, Offset(5));
        assert_eq!(records_at(&log, 0), records_of(&long(1)));
        assert_eq!(records_at(&log, 5), records_of(&long(2)));
        assert!(!log.is_writing_ahead());
    });
}

/// Makes the disk of a log one that makes writers wait.
fn slow_down(log: &Log) {
    log.health().pace().note_wait(crate::rt::time::now());
    assert!(log.takes_steps(1));
}

#[test]
fn on_a_slow_disk_all_of_any_batch_is_written_ahead() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open_roomy(&directory).await;
        for (bytes, base_offset) in [(batch(3, 0), 0), (long(1), 3), (batch(2, 0), 8)] {
            slow_down(&log);
            let before = file_bytes(&log, 0);
            let ahead = write_ahead(&log, &bytes).await;
            assert_eq!(file_bytes(&log, 0), before + bytes.len() as u64);
            assert_eq!(log.log_end_offset(), Offset(base_offset));
            assert_eq!(append_behind(&log, &bytes, &ahead).base_offset, Offset(base_offset));
            drop(ahead);
            assert_eq!(records_at(&log, base_offset), records_of(&bytes));
            assert_eq!(file_bytes(&log, 0), log.bytes());
        }
        assert_eq!(read_all(&log, 1 << 20), [0, 3, 8]);
    });
}

#[test]
fn beside_a_sync_all_of_a_short_batch_is_written_ahead() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open_roomy(&directory).await;
        append(&log, &batch(3, 0));
        let synced = log.clone();
        let (ended, has_ended) = crate::rt::local::oneshot();
        crate::rt::task::spawn(async move {
            let _ = ended.send(synced.make_durable(Offset(3)).await);
        });
        assert!(!log.takes_steps(1));
        crate::rt::task::yield_now().await;
        assert!(log.takes_steps(1));
        has_ended.await.unwrap().unwrap();
        assert!(!log.takes_steps(1));

        let turn = log.inner.durability.syncing_active.try_enter();
        let (bytes, before) = (batch(2, 0), file_bytes(&log, 0));
        let ahead = write_ahead(&log, &bytes).await;
        assert_eq!(file_bytes(&log, 0), before + bytes.len() as u64);
        assert_eq!(append_behind(&log, &bytes, &ahead).base_offset, Offset(3));
        drop(turn);
        drop(ahead);
        assert_eq!(records_at(&log, 3), records_of(&bytes));
        assert_eq!(read_all(&log, 1 << 20), [0, 3]);
    });
}

#[test]
fn where_memory_has_to_be_found_first_fewer_bytes_are_written_at_once() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open_roomy(&directory).await;
        let place = &log.inner.place;
        for (took_us, times, at_once) in [(10, 16, 128), (300, 1, 64), (300, 2, 32), (300, 9, 32), (10, 8, 64)] {
            for _ in 0..times {
                // Of a batch twice as long as a step, and of one that tells nothing.
                let bytes = place.step_bytes.next() * 2;
                place.step_bytes.note_other(bytes, Duration::from_micros(took_us));
                place.step_bytes.note_other(200, Duration::from_millis(1));
            }
            assert!(!log.takes_steps(at_once * 1024 + 61), "{took_us} us");
            assert!(log.takes_steps(at_once * 1024 * 9 / 8), "{took_us} us");
        }
    });
}

#[test]
fn a_clean_stop_waits_for_what_the_ring_writes() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open_roomy(&directory).await;
        append(&log, &batch(3, 0));
        slow_down(&log);
        let other = log.clone();
        let (ended, has_ended) = crate::rt::local::oneshot();
        crate::rt::task::spawn(async move {
            let _ = ended.send(write_ahead(&other, &long(1)).await);
        });
        while file_bytes(&log, 0) == log.bytes() {
            crate::rt::task::yield_now().await;
        }
        log.close().await.unwrap();
        assert_eq!(file_bytes(&log, 0), log.bytes());
        let ahead = has_ended.await.unwrap();
        assert_eq!(ahead.bytes_in(&log), 0, "nothing of it stands there any more");
        drop(ahead);
        assert_eq!(file_bytes(&log, 0), log.bytes());
    });
}

#[test]
fn what_is_given_up_is_cut_off() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open_roomy(&directory).await;
        append(&log, &batch(3, 0));
        drop(write_ahead(&log, &long(1)).await);
        assert_eq!(file_bytes(&log, 0), log.bytes());
        append(&log, &batch(3, 0));
        assert_eq!(read_all(&log, 1 << 20), [0, 3]);
    });
}

#[test]
fn an_append_without_it_goes_first() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open_roomy(&directory).await;
        let ahead = write_ahead(&log, &long(1)).await;
        append(&log, &batch(3, 0));
        assert_eq!(file_bytes(&log, 0), log.bytes(), "what was written ahead is gone");
        assert_eq!(append_behind(&log, &long(1), &ahead).base_offset, Offset(3));
        drop(ahead);
        assert_eq!(records_at(&log, 3), records_of(&long(1)));
        assert_eq!(read_all(&log, 1 << 20), [0, 3]);
    });
}

#[test]
fn a_long_batch_begins_a_segment_where_it_has_to() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let request = directory.open_request(
            &partition(),
            Settings {
                segment_bytes_max: u32::try_from(8 * APPEND_STEP_BYTES).unwrap(),
                ..SETTINGS
            },
            TimestampMs(0),
        );
        let (log, _) = Log::open(directory.health(), request).await.unwrap();
        for seed in 0..3 {
            let batch = long(seed);
            let ahead = write_ahead(&log, &batch).await;
            append_behind(&log, &batch, &ahead);
        }
        let bases = log.with_state(|state| state.segments().iter().map(|one| one.base_offset.0).collect::<Vec<_>>());
        assert_eq!(bases, [0, 5, 10]);
        for seed in 0..3 {
            assert_eq!(records_at(&log, i64::from(seed) * 5), records_of(&long(seed)));
        }
    });
}

#[test]
fn a_clean_stop_in_the_midst_leaves_nothing_of_it() {
    on_core(async |path| {
        let directory = open_directory(&path);
        directory
            .create_partition(&partition(), TopicId([7; 16]))
            .await
            .unwrap();
        let (log, _) = open_roomy(&directory).await;
        append(&log, &batch(3, 0));
        let ahead = write_ahead(&log, &long(1)).await;
        log.close().await.unwrap();
        assert_eq!(file_bytes(&log, 0), log.bytes());
        drop(ahead);
        drop(log);
        let (log, report) = open_roomy(&directory).await;
        assert_eq!(report.cut, None);
        assert_eq!(read_all(&log, 1 << 20), [0]);
    });
}

#[test]
fn a_batch_that_is_not_whole_is_cut_off_after_a_crash() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open_roomy(&directory).await;
        append(&log, &batch(3, 0));
        // What a kill leaves: nobody cuts anything off.
        std::mem::forget(write_ahead(&log, &long(1)).await);
        let (log, report) = open_roomy(&directory).await;
        assert_eq!(report.cut.map(|cut| cut.offset), Some(Offset(3)));
        assert_eq!(read_all(&log, 1 << 20), [0]);
        assert_eq!(file_bytes(&log, 0), log.bytes());
    });
}
