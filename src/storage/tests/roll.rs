//! Segments that begin ahead of the append that wants them.

use bytes::Bytes;

use super::retain::names;
use super::*;
use crate::log::names::parse_file_name;

/// Fills the first segment; returns a batch that wants the next one.
fn fill(log: &Log) -> Vec<u8> {
    let mut timestamp = 0;
    loop {
        let next = batch(3, timestamp);
        if begins_segment(log, &next) {
            return next;
        }
        append(log, &next);
        timestamp += 10;
    }
}

fn begins_segment(log: &Log, bytes: &[u8]) -> bool {
    let view = BatchView::parse(bytes).unwrap();
    let batch = NewBatch::as_it_is(&view);
    log.begins_segment(&batch, Origin::Client, LeaderEpoch(3), TimestampMs(5))
}

async fn begin_ahead(log: Log, bytes: Vec<u8>) -> Result<Ahead, StorageError> {
    let bytes = Bytes::from(bytes);
    let view = BatchView::parse(&bytes).unwrap();
    let batch = NewBatch::as_it_is(&view);
    log.write_ahead(&batch, &bytes, Origin::Client, LeaderEpoch(3), TimestampMs(5))
        .await
}

fn bases(log: &Log) -> Vec<i64> {
    log.with_state(|state| state.segments().iter().map(|segment| segment.base_offset.0).collect())
}

#[test]
fn a_batch_finds_the_segment_that_it_wants() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        let next = fill(&log);
        let end = log.log_end_offset();
        let ahead = begin_ahead(log.clone(), next.clone()).await.unwrap();
        assert_eq!(bases(&log), [0, end.0]);
        assert!(!begins_segment(&log, &next));
        assert_eq!(append(&log, &next).base_offset, end);
        drop(ahead);
        assert_eq!(bases(&log), [0, end.0]);
        assert!(fs::exists(log.path().join(file_name(end, FileKind::ProducerSnapshot))).unwrap());
    });
}

#[test]
fn whoever_appends_meanwhile_begins_the_segment() {
    on_core(async |path| {
        let directory = open_directory(&path);
        directory
            .create_partition(&partition(), TopicId([7; 16]))
            .await
            .unwrap();
        let (log, _) = open(&directory).await;
        let next = fill(&log);
        let end = log.log_end_offset();
        let (begun, has_begun) = crate::rt::local::oneshot();
        let making = begin_ahead(log.clone(), next.clone());
        crate::rt::task::spawn(async move {
            let _ = begun.send(making.await.map(drop));
        });
        while !log.is_writing_ahead() {
            crate::rt::task::yield_now().await;
        }
        assert_eq!(bases(&log), [0], "its files are being made");
        // It would fit into the first one.
        let count = append(&log, &batch(1, 0)).last_offset.0 - end.0 + 1;
        assert_eq!((bases(&log), count), (vec![0, end.0], 1));
        has_begun.await.unwrap().unwrap();
        append(&log, &next);
        assert_eq!(bases(&log), [0, end.0]);
        let read = read_all(&log, 1 << 20);
        assert_eq!(read[read.len() - 2..], [end.0, end.0 + 1]);
        log.close().await.unwrap();
        drop(log);
        let (log, report) = open(&directory).await;
        assert_eq!((report.cut, bases(&log)), (None, vec![0, end.0]));
        assert_eq!(read_all(&log, 1 << 20), read);
    });
}

#[test]
fn the_log_of_a_deleted_partition_begins_no_segment() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([7; 16])).await;
        let next = fill(&log);
        log.retire();
        directory.begin_deletion(&partition()).await.unwrap();
        let outcome = begin_ahead(log.clone(), next).await.map(drop);
        assert!(matches!(outcome, Err(StorageError::Truncated)), "{outcome:?}");
        directory.health().check().unwrap();
    });
}

/// As when who waits for it goes away.
#[test]
fn a_segment_that_was_given_up_half_made_begins_before_the_log_is_taken_back() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([7; 16])).await;
        let next = fill(&log);
        let end = log.log_end_offset();
        {
            let mut making = std::pin::pin!(begin_ahead(log.clone(), next.clone()));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(
                making.as_mut().poll(&mut context).is_pending(),
                "its files are being made"
            );
        }
        assert_eq!(bases(&log), [0]);
        let kept = log.truncate_to(Offset(end.0 - 1), TimestampMs(5)).await.unwrap();
        assert_eq!((log.log_end_offset(), bases(&log)), (kept, vec![0]));
        assert_eq!(append(&log, &batch(1, 0)).base_offset, kept);
        assert_eq!(bases(&log), [0], "nothing is left of the segment");
        log.close().await.unwrap();
        drop(log);
        let (log, report) = open(&directory).await;
        assert_eq!(
            (report.cut, log.log_end_offset(), bases(&log)),
            (None, kept.next(), vec![0])
        );
    });
}

/// A batch that found no room at the end of a segment is cut off there, and a crash may lose that, where the next segment holds others by then.
#[test]
fn what_stands_behind_the_batches_of_a_closed_segment_alone_is_cut_off() {
    let whole = |end: Offset| {
        let mut bytes = batch(2, 0);
        bytes[..8].copy_from_slice(&end.0.to_be_bytes());
        bytes
    };
    for what in ["a whole batch", "half a batch", "zeroes", "noise"] {
        let surplus = move |whole: Vec<u8>| match what {
            "a whole batch" => whole,
            "half a batch" => whole[..70].to_vec(),
            "zeroes" => vec![0; 500],
            _ => vec![1; 99],
        };
        on_core(async move |path| {
            let directory = open_directory(&path);
            let (log, _) = open(&directory).await;
            let next = fill(&log);
            let end = log.log_end_offset();
            let segment = log.path().join(file_name(Offset(0), FileKind::Log));
            let length = fs::read(&segment).unwrap().len() as u64;
            append(&log, &next);
            let expected = read_all(&log, 1000);

            // As a crash leaves it, which knows of no checkpoint.
            let other = open_directory(&path.join("crashed"));
            let crashed = path.join("crashed").join(partition().to_string());
            fs::create_directory_all(&crashed).unwrap();
            let is_kept = |name: &&String| parse_file_name(name).is_some() || *name == "partition.metadata";
            for name in names(&log).iter().filter(is_kept) {
                let file = File::open(crashed.join(name), Open::Create).unwrap();
                let bytes = fs::read(log.path().join(name)).unwrap();
                file.write_at(FilePosition::ZERO, &[&bytes]).unwrap();
                if *name == file_name(Offset(0), FileKind::Log) {
                    file.write_at(FilePosition(length), &[&surplus(whole(end))]).unwrap();
                }
            }
            let (again, report) = open(&other).await;
            assert_eq!((report.surplus_cut, report.cut), (1, None), "{what}");
            let segment = crashed.join(file_name(Offset(0), FileKind::Log));
            assert_eq!(fs::read(&segment).unwrap().len() as u64, length, "{what}");
            assert_eq!(read_all(&again, 1000), expected, "{what}");
            assert_eq!(again.log_end_offset(), end.plus(3), "{what}");
        });
    }
}
