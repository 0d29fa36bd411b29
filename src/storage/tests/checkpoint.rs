//! How much a recovery would have to look at.

use std::time::Duration;

use super::*;
use crate::rt::task;
use crate::rt::time::sleep;

#[test]
fn what_a_rolled_segment_holds_is_not_counted_once_it_is_on_the_disk() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        for index in 0..100 {
            append(&log, &batch(3, index));
        }
        let active = log.with_state(|state| u64::from(state.active_segment().bytes));
        assert!(log.with_state(|state| state.segments().len()) > 2);
        assert!(log.bytes_to_recover() > active);
        while log.bytes_to_recover() > active {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(log.bytes_to_recover(), active);
        log.checkpoint().await.unwrap();
        assert_eq!(log.bytes_to_recover(), 0);
        append(&log, &batch(3, 0));
        assert_eq!(log.bytes_to_recover(), batch(3, 0).len() as u64);
    });
}

/// The files of all indexes and the log, with their bytes.
fn files_of(log: &Log) -> Vec<(String, Vec<u8>)> {
    let entries = fs::list(log.path()).unwrap();
    let names = entries.into_iter().filter_map(|entry| entry.name.into_string().ok());
    let of_segments = names.filter(|name| [".log", ".index", ".timeindex"].iter().any(|kind| name.ends_with(kind)));
    of_segments
        .map(|name| {
            let bytes = fs::read(log.path().join(&name)).unwrap();
            (name, bytes)
        })
        .collect()
}

#[test]
fn indexes_are_the_same_whatever_was_appended_during_checkpoints() {
    on_core(async |path| {
        let settings = Settings {
            segment_bytes_max: 64 * 1024,
            index_interval_bytes: 1,
            ..SETTINGS
        };
        let mut written = Vec::new();
        for (name, with_checkpoints) in [("with", true), ("without", false)] {
            let directory = open_directory(&path.join(name));
            let log = new_log(&directory, TopicId([7; 16])).await;
            log.set_settings(settings);
            for index in 0..2000 {
                if with_checkpoints && index % 25 == 0 {
                    let log = log.clone();
                    task::spawn(async move {
                        log.checkpoint().await.unwrap();
                    });
                }
                append(&log, &batch(3, index * 10));
                if index % 7 == 0 {
                    task::yield_now().await;
                }
            }
            log.close().await.unwrap();
            assert!(log.with_state(|state| state.segments().len()) > 2);
            written.push(files_of(&log));
        }
        assert!(written[0] == written[1]);
    });
}
