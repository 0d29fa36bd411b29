//! A topic that Apache Kafka wrote (`tests/fixtures/kafka-topic`): our recovery makes of its batches what Kafka's broker made.

use super::*;
use crate::log::names::parse_file_name;
use crate::log::producers::snapshot;

const PARTITIONS: i32 = 5;

fn fixture(partition: i32) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kafka-topic");
    root.join(format!("kafka-topic-{partition}"))
}

/// The files that Kafka names after offsets, and its checkpoints.
fn kafkas_files(partition: i32) -> Vec<(String, Vec<u8>)> {
    let names = fs::list(fixture(partition)).unwrap();
    let names = names.into_iter().map(|entry| entry.name.into_string().unwrap());
    let ours = names.filter(|name| parse_file_name(name).is_some() || name == "leader-epoch-checkpoint");
    ours.map(|name| (name.clone(), fs::read(fixture(partition).join(name)).unwrap()))
        .collect()
}

/// Opens a copy of a partition with those files that `is_kept` says.
async fn open_copy(path: &Path, partition: i32, shutdown: Shutdown, is_kept: impl Fn(&str) -> bool) -> (Log, Report) {
    let directory = open_directory(path);
    let partition = TopicPartition {
        topic: Arc::from("kafka-topic"),
        partition,
    };
    let mut request = directory.open_request(&partition, Settings::default(), TimestampMs(0));
    request.shutdown = shutdown;
    fs::create_directory_all(&request.path).unwrap();
    for (name, bytes) in kafkas_files(partition.partition) {
        if is_kept(&name) {
            let file = File::open(request.path.join(name), Open::Create).unwrap();
            file.write_at(FilePosition::ZERO, &[&bytes]).unwrap();
        }
    }
    Log::open(directory.health(), request).await.unwrap()
}

#[test]
fn kafkas_log_opens_as_kafka_left_it() {
    on_core(async |path| {
        for partition in 0..PARTITIONS {
            let (log, report) = open_copy(&path, partition, Shutdown::Clean, |_| true).await;
            assert_eq!(
                report,
                Report::default(),
                "nothing is to be done after a clean stop of Kafka"
            );
            assert_eq!(log.log_end_offset(), Offset(24));
            let written: Vec<u8> = kafkas_files(partition)
                .into_iter()
                .filter(|(name, _)| name.ends_with(".log"))
                .flat_map(|(_, bytes)| bytes)
                .collect();
            assert_eq!(read_bytes(&log, 3000), written);
        }
    });
}

/// All bytes, read one range after another.
fn read_bytes(log: &Log, bytes_max: u32) -> Vec<u8> {
    let mut offset = log.log_start_offset();
    let mut bytes = Vec::new();
    while offset < log.log_end_offset() {
        let range = log.read(&request(offset.0, bytes_max)).unwrap().unwrap().unwrap();
        bytes.extend(range.read().unwrap());
        offset = range.next_offset;
    }
    bytes
}

#[test]
fn what_we_derive_is_what_kafka_derived() {
    on_core(async |path| {
        for partition in 0..PARTITIONS {
            let (log, report) = open_copy(&path, partition, Shutdown::Unclean, |name| name.ends_with(".log")).await;
            assert_eq!((report.segments_walked, &report.cut), (2, &None));
            log.close().await.unwrap();
            for (name, kafkas) in kafkas_files(partition) {
                let path = log.path().join(&name);
                if !name.ends_with(".snapshot") {
                    assert_eq!(fs::read(path).unwrap(), kafkas, "{name} of partition {partition}");
                }
            }
        }
    });
}

#[test]
fn producers_are_those_of_kafkas_snapshot() {
    on_core(async |path| {
        let (log, _) = open_copy(&path, 0, Shutdown::Unclean, |name| name.ends_with(".log")).await;
        let name = file_name(Offset(24), FileKind::ProducerSnapshot);
        let kafkas = snapshot::decode(&fs::read(fixture(0).join(name)).unwrap()).unwrap();
        assert!(!kafkas.is_empty());
        log.with_state(|state| {
            let ours: Vec<_> = state.producers().iter().collect();
            assert_eq!(ours.len(), kafkas.len());
            for (id, ours) in ours {
                let kafkas = kafkas.get(id).unwrap();
                assert_eq!(ours.batches().last(), kafkas.batches().last());
                assert_eq!((ours.epoch, ours.last_timestamp), (kafkas.epoch, kafkas.last_timestamp));
            }
        });
    });
}
