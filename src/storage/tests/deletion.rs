//! Partitions that go, and those that get their names.

use super::*;

#[test]
fn a_deleted_partition_is_gone() {
    on_core(async |path| {
        let directory = open_directory(&path);
        directory
            .create_partition(&partition(), TopicId([1; 16]))
            .await
            .unwrap();
        assert_eq!(directory.partitions().unwrap().len(), 1);
        let deleted = directory.begin_deletion(&partition()).unwrap();
        assert!(directory.partitions().unwrap().is_empty());
        assert_eq!(directory.deleted().unwrap(), std::slice::from_ref(&deleted));
        directory.remove(&[deleted]).await.unwrap();
        assert!(directory.deleted().unwrap().is_empty());
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
        directory.begin_deletion(&partition()).unwrap();
        let successor = new_log(&directory, TopicId([2; 16])).await;
        // The rolls of the old log have left work in the background.
        log.checkpoint().await.unwrap();
        log.make_durable(log.log_end_offset()).await.unwrap();
        append(&successor, &batch(1, 0));
        successor.make_durable(Offset(1)).await.unwrap();
        assert!(!directory.health().is_offline());
        assert!(!fs::exists(successor.path().join("leader-epoch-checkpoint")).unwrap());
        assert_eq!(directory.partitions().unwrap()[0].topic_id, Some(TopicId([2; 16])));
    });
}
