//! The front of a log goes: by retention, and because clients asked for it.

use super::*;
use crate::log::Retention;
use crate::storage::Trimmed;

const FOR_EVER: Retention = Retention {
    deletes: true,
    age_ms_max: -1,
    bytes_max: -1,
};

/// A log of a hundred batches of two records, in several segments, with timestamps that grow by a second a batch.
async fn filled(directory: &LogDirectory) -> Log {
    let log = new_log(directory, TopicId([1; 16])).await;
    for index in 0..100 {
        append(&log, &batch(2, index * 1000));
    }
    log
}

async fn retain(log: &Log, retention: Retention, now: i64) -> Option<Trimmed> {
    let trimmed = log.retain(&retention, log.log_end_offset(), TimestampMs(now)).await;
    trimmed.unwrap()
}

fn bases(log: &Log) -> Vec<i64> {
    log.with_state(|state| state.segments().iter().map(|segment| segment.base_offset.0).collect())
}

pub(super) fn names(log: &Log) -> Vec<String> {
    let entries = fs::list(log.path()).unwrap();
    entries
        .into_iter()
        .map(|entry| entry.name.into_string().unwrap())
        .collect()
}

#[test]
fn old_segments_go_and_readers_of_them_go_on() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = filled(&directory).await;
        let segments = bases(&log);
        assert!(segments.len() > 2, "{segments:?}");
        let reader = log.read(&request(0, 1000)).unwrap().unwrap().unwrap();

        let one_left = Retention {
            bytes_max: 1,
            ..FOR_EVER
        };
        assert_eq!(retain(&log, FOR_EVER, i64::MAX).await, None);
        let trimmed = retain(&log, one_left, 0).await.unwrap();
        let active = segments[segments.len() - 1];
        assert_eq!(trimmed.log_start_offset, Offset(active));
        assert_eq!((bases(&log), log.log_start_offset()), (vec![active], Offset(active)));
        assert!(matches!(
            log.read(&request(active - 1, 1)).unwrap(),
            Err(ReadError::OutOfRange { .. })
        ));
        assert_eq!(read_all(&log, 500)[0], active);
        let bytes = reader.read().unwrap();
        assert_eq!(BatchView::parse(&bytes).unwrap().header().base_offset, Offset(0));

        assert!(trimmed.files.len() >= 3 * (segments.len() - 1));
        for file in trimmed.files {
            fs::unlink(file).await.unwrap();
        }
        let left = names(&log);
        assert!(!left.iter().any(|name| name.ends_with(".deleted")), "{left:?}");
        assert!(!left.contains(&file_name(Offset(0), FileKind::Log)), "{left:?}");
        assert_eq!(reader.read().unwrap(), bytes, "it has the file open");
    });
}

#[test]
fn a_log_that_is_wholly_old_ends_empty() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = filled(&directory).await;
        let end = log.log_end_offset();
        let one_second = Retention {
            age_ms_max: 1000,
            ..FOR_EVER
        };
        assert_eq!(retain(&log, one_second, 0).await, None, "timestamps in the future keep");
        let trimmed = retain(&log, one_second, 200_000).await.unwrap();
        assert_eq!((trimmed.log_start_offset, log.log_start_offset()), (end, end));
        assert_eq!((bases(&log), log.bytes()), (vec![end.0], 0));
        assert_eq!(append(&log, &batch(1, 300_000)).base_offset, end);
        // After a kill too: neither the files that were to be removed nor the producers are what they were.
        log.make_durable(end.next()).await.unwrap();
        drop(directory);
        let directory = open_directory(&path);
        let (again, _) = open(&directory).await;
        same_state(&log, &again);
        let left = names(&again);
        assert!(!left.iter().any(|name| name.ends_with(".deleted")), "{left:?}");
    });
}

#[test]
fn producers_are_known_after_their_records_are_gone() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([1; 16])).await;
        for index in 0..100 {
            append(&log, &idempotent(index * 2, 2));
        }
        let nothing = Retention {
            bytes_max: 0,
            ..FOR_EVER
        };
        retain(&log, nothing, 0).await.unwrap();
        drop(directory);
        let directory = open_directory(&path);
        let (again, _) = open(&directory).await;
        assert_eq!(again.log_start_offset(), Offset(200));
        assert!(append(&again, &idempotent(198, 2)).is_duplicate);
        assert_eq!(append(&again, &idempotent(200, 2)).base_offset, Offset(200));
    });
}

#[test]
fn segments_without_timestamps_are_as_old_as_their_files() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([1; 16])).await;
        append(&log, &batch(1, -1));
        let one_second = Retention {
            age_ms_max: 1000,
            ..FOR_EVER
        };
        assert_eq!(retain(&log, one_second, 2000).await, None, "written long after");
        assert!(retain(&log, one_second, i64::MAX).await.is_some());
    });
}

/// Whoever had the turn before may have failed while it took back the end of the log: where the log begins on the disk nobody knows then.
#[test]
fn nothing_is_deleted_of_a_log_that_failed_meanwhile() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = filled(&directory).await;
        let turn = log.inner.durability.trimming.enter().await;
        let (waiting, reclaimed) = (log.clone(), log.clone());
        let (ended, has_ended) = crate::rt::local::oneshot();
        let (kept, is_kept) = crate::rt::local::oneshot();
        crate::rt::task::spawn(async move {
            let _ = ended.send(waiting.advance_log_start_to(Offset(0)).await);
        });
        crate::rt::task::spawn(async move {
            let end = reclaimed.log_end_offset();
            let all = Retention {
                bytes_max: 0,
                ..FOR_EVER
            };
            let _ = kept.send(reclaimed.retain(&all, end, TimestampMs(0)).await);
        });
        crate::rt::task::yield_now().await;
        let error = std::io::ErrorKind::Other.into();
        log.health().fail("truncate", &path, &error);
        drop(turn);
        assert!(matches!(has_ended.await.unwrap(), Err(StorageError::Offline { .. })));
        assert!(matches!(is_kept.await.unwrap(), Err(StorageError::Offline { .. })));
    });
}

#[test]
fn deleted_records_stay_deleted() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = filled(&directory).await;
        let first_bases = bases(&log);
        let asked = Offset(first_bases[1] + 3);
        let trimmed = log.advance_log_start_to(asked).await.unwrap();
        assert_eq!((trimmed.log_start_offset, log.log_start_offset()), (asked, asked));
        assert_eq!(bases(&log), first_bases[1..]);
        assert_eq!(log.noted_log_start(), Some(asked));
        let again = log.advance_log_start_to(Offset(1)).await.unwrap();
        assert_eq!(
            (again.log_start_offset, again.files.len()),
            (asked, 0),
            "it never goes back"
        );
        drop(directory);

        // After a kill.
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        assert_eq!(
            (log.log_start_offset(), bases(&log)),
            (asked, first_bases[1..].to_vec())
        );

        // After a clean stop, when the start stands where Kafka looks for it, and there alone.
        let end = log.close().await.unwrap();
        directory.write_recovery_points([(&partition(), end)]).unwrap();
        directory
            .write_log_start_offsets([(&partition(), log.noted_log_start())])
            .unwrap();
        directory.mark_clean_shutdown(0).unwrap();
        let text = fs::read(path.join("log-start-offset-checkpoint")).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), format!("0\n1\nt 0 {asked}\n"));
        assert!(!names(&log).contains(&"log-start-offset-checkpoint".to_owned()));
        drop(directory);
        let directory = open_directory(&path);
        let (log, report) = open(&directory).await;
        assert_eq!((log.log_start_offset(), report), (asked, Report::default()));

        // Another topic of that name has nothing to do with it.
        log.retire();
        directory.begin_deletion(&partition()).await.unwrap();
        let successor = new_log(&directory, TopicId([2; 16])).await;
        append(&successor, &batch(1, 0));
        drop(directory);
        let directory = open_directory(&path);
        let (successor, _) = open(&directory).await;
        assert_eq!(successor.log_start_offset(), Offset(0));
        assert_eq!(read_all(&successor, 100), [0]);
    });
}
