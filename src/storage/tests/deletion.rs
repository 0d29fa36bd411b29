//! Partitions that go, and those that get their names.

use super::*;
use crate::rt::task;

#[test]
fn a_deleted_partition_is_gone() {
    on_core(async |path| {
        let directory = open_directory(&path);
        directory
            .create_partition(&partition(), TopicId([1; 16]))
            .await
            .unwrap();
        assert_eq!(directory.partitions().unwrap().len(), 1);
        let deleted = directory.begin_deletion(&partition()).await.unwrap();
        assert!(directory.partitions().unwrap().is_empty());
        assert_eq!(directory.deleted().unwrap(), std::slice::from_ref(&deleted));
        directory.remove(&[deleted]).await.unwrap();
        assert!(directory.deleted().unwrap().is_empty());
    });
}

/// A crash leaves a directory whose small files are not there, and the log directory's speak of a topic before.
#[test]
fn a_partition_that_was_half_made_is_new() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let before = partition();
        let noted = || [(&before, Some(Offset(32)))].into_iter();
        directory.write_recovery_points([(&partition(), Offset(32))]).unwrap();
        directory.write_log_start_offsets(noted()).unwrap();
        directory.write_compacted_offsets(noted()).unwrap();
        drop(directory);
        fs::create_directory_all(path.join(partition().to_string())).unwrap();
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([2; 16])).await;
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), Offset(0)));
        assert_eq!(log.compacted_to(), Some(Offset(0)));
        let request = directory.open_request(&partition(), SETTINGS, TimestampMs(0));
        assert_eq!(request.recovery_point, Offset(32), "the log directory still says so");
        append(&log, &batch(2, 0));
        drop((log, directory));
        let directory = open_directory(&path);
        assert_eq!(open(&directory).await.0.log_end_offset(), Offset(2));
    });
}

#[test]
fn a_retired_log_leaves_its_successor_alone() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([1; 16])).await;
        for index in 0..100 {
            append(&log, &batch(2, index));
        }
        log.retire();
        directory.begin_deletion(&partition()).await.unwrap();
        let successor = new_log(&directory, TopicId([2; 16])).await;
        // The rolls of the old log have left work in the background.
        log.checkpoint().await.unwrap();
        log.make_durable(log.log_end_offset()).await.unwrap();
        append(&successor, &batch(1, 0));
        successor.make_durable(Offset(1)).await.unwrap();
        assert!(!directory.health().is_offline());
        assert!(!fs::exists(successor.path().join("leader-epoch-checkpoint")).unwrap());
        assert_eq!(directory.topic_id_of(&partition()), Some(TopicId([2; 16])));
    });
}

#[test]
fn a_log_that_was_let_go_keeps_no_file_open() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([7; 16])).await;
        for index in 0..200 {
            append(&log, &batch(3, index));
        }
        let of_it = log.path();
        let syncing = log.clone();
        task::spawn(async move {
            drop(syncing.checkpoint().await);
        });
        task::yield_now().await;
        log.retire();
        log.let_go().await;
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = descriptors.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        let open: Vec<_> = targets.filter(|target| target.starts_with(&of_it)).collect();
        assert!(open.is_empty(), "{open:?}");
    });
}
