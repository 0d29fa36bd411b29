//! A disk without room: what makes room needs none.

use std::path::Path;

use duramen::base::ids::{LeaderEpoch, NodeId, TopicId, TopicPartition};
use duramen::base::offset::Offset;
use duramen::log::names::{FileKind, file_name};
use duramen::log::{Origin, Settings};
use duramen::record::{BatchBuilder, Record};
use duramen::rt::sim::{Faults, Image, Simulation};
use duramen::rt::{fs, time};
use duramen::storage::{Claim, Log, LogDirectory, NewBatch, StorageError};

use crate::shadow::view;

const DATA: &str = "/data";

fn partition() -> TopicPartition {
    TopicPartition {
        topic: "t".into(),
        partition: 0,
    }
}

/// Appends a batch of one record with this value.
pub fn append_value(log: &Log, value: &[u8]) -> Result<(), StorageError> {
    let mut builder = BatchBuilder::new();
    let record = Record::new(time::wall(), None, Some(value));
    builder.append(&record).expect("a record");
    let bytes = builder.build().expect("a batch");
    let view = view(&bytes);
    let batches = [NewBatch::as_it_is(&view)];
    log.append(&batches, Origin::Client, LeaderEpoch(0), time::wall())
        .map(drop)
}

/// Appends until there is no room; the first offsets of the segments.
fn fill(log: &Log) -> Vec<Offset> {
    for _ in 0..1000 {
        match append_value(log, &[7; 300]) {
            Ok(()) => {}
            Err(StorageError::Full { .. }) => {
                return log.with_state(|state| state.segments().iter().map(|segment| segment.base_offset).collect());
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the disk has no end");
}

/// Does `work` with a log on a full disk, and the first offsets of its segments.
fn on_full_disk<F: Future<Output = ()> + 'static>(work: impl FnOnce(LogDirectory, Log, Vec<Offset>) -> F + 'static) {
    let faults = Faults {
        full_after_bytes: Some(20_000),
        ..Faults::default()
    };
    let outcome = Simulation::new(1, &Image::default(), faults).run(async {
        fs::create_directory_all(DATA).expect("a directory");
        let directory = LogDirectory::open(Path::new(DATA), Claim::of(NodeId(1))).expect("a log directory");
        directory.begin(LeaderEpoch(1)).expect("it begins");
        directory.health().look_at_room(0);
        let settings = Settings {
            segment_bytes_max: 1500,
            ..Settings::default()
        };
        let partition = partition();
        let opened = directory.open_log(&partition, TopicId([1; 16]), settings, time::wall());
        let (log, _) = opened.await.expect("a log");
        let segments = fill(&log);
        work(directory.clone(), log, segments).await;
        assert!(!directory.health().is_offline());
    });
    assert!(outcome.output.is_some());
}

#[test]
fn segments_go_where_no_new_name_finds_room() {
    on_full_disk(|_, log, segments| async move {
        let start = segments[2];
        let trimmed = log.advance_log_start_to(start).await.expect("records are deleted");
        assert_eq!(trimmed.log_start_offset, start);
        let first = log
            .path()
            .join(format!("{}.deleted", file_name(segments[0], FileKind::Log)));
        assert!(
            !trimmed.files.contains(&first),
            "it gave its room to the names of the others"
        );
        let names = fs::list(log.path()).expect("names");
        let mut logs: Vec<_> = names
            .iter()
            .filter_map(|entry| entry.name.to_str()?.strip_suffix(".log")?.parse().ok().map(Offset))
            .collect();
        logs.sort_unstable();
        assert_eq!(logs, segments[2..]);
    });
}

#[test]
fn a_topic_goes_where_no_new_name_finds_room() {
    on_full_disk(|directory, log, _| async move {
        log.retire();
        let deleted = directory.begin_deletion(&partition()).await.expect("it goes");
        assert_eq!(directory.topic_id_of(&partition()), None);
        directory.remove(&[deleted]).await.expect("it is removed");
    });
}
