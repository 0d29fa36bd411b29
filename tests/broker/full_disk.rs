//! A disk that is full: producers are refused, all else goes on, and they are served again when there is room.
//!
//! On small file systems of their own, for which the tests must be allowed to mount; where they are not, they say so and are skipped.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use duramen_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use duramen_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use duramen_wire::messages::{DeleteRecordsRequest, DescribeLogDirsRequest, IncrementalAlterConfigsRequest};

use crate::client::Client;
use crate::codes::{KAFKA_STORAGE_ERROR, NONE};
use crate::fixture::{
    Topic, create_topic, create_topic_with, end_offset, list_offset, produce, sized_batch, try_fetch, try_produce,
};
use crate::harness::{Broker, poll};

const MIB: usize = 1 << 20;

/// Bytes of a small file system, and of the floor below which producers are refused.
const DISK_BYTES: usize = 48 * MIB;
const FLOOR_BYTES: usize = 8 * MIB;

/// A file system of its own, until it is dropped.
struct Disk {
    directory: tempfile::TempDir,
    is_mounted: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    /// In memory.
    Tmpfs,
    /// In a file, as on a drive.
    Ext4,
}

impl Disk {
    /// `None`, told to the person, where this process may not mount.
    fn mount(kind: Kind) -> Option<Self> {
        let mut disk = Self {
            directory: tempfile::tempdir().unwrap(),
            is_mounted: false,
        };
        std::fs::create_dir(disk.path("disk")).unwrap();
        let size = format!("size={DISK_BYTES}");
        let mounted = match kind {
            Kind::Tmpfs => run(
                "mount",
                &["-t", "tmpfs", "-o", &size, "duramen-test", &disk.path("disk")],
            ),
            Kind::Ext4 => {
                let image = disk.path("image");
                let file = std::fs::File::create(&image).unwrap();
                file.set_len(u64::try_from(DISK_BYTES).unwrap()).unwrap();
                run("mkfs.ext4", &["-q", "-m", "0", &image])
                    .and_then(|()| run("mount", &["-o", "loop", &image, &disk.path("disk")]))
            }
        };
        if let Err(reason) = mounted {
            let thread = std::thread::current();
            eprintln!("{}: skipped on {kind:?}: {reason}", thread.name().unwrap_or_default());
            return None;
        }
        disk.is_mounted = true;
        Some(disk)
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// The setting that puts a broker's data here.
    fn log_dir(&self) -> String {
        self.path("disk/data")
    }

    /// Takes all the room that there is, and says where.
    fn blow_up(&self) -> String {
        let balloon = self.path("disk/balloon");
        let piece = vec![1; 1 << 16];
        let mut file = std::fs::File::create(&balloon).unwrap();
        for bytes in [piece.len(), 512] {
            while std::io::Write::write_all(&mut file, &piece[..bytes]).is_ok() {}
        }
        // What the file system only promised so far is taken now.
        drop(file.sync_all());
        balloon
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            // Where a broker did not end, it stays until that has.
            drop(run("umount", &["-l", &self.path("disk")]));
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn settings<'a>(log_dirs: &'a str, floor: &'a str) -> Vec<&'a str> {
    vec![
        log_dirs,
        floor,
        "journal.bytes=4194304",
        "log.retention.check.interval.ms=20",
        "log.initial.task.delay.ms=0",
    ]
}

/// Small segments, so that something can go.
fn topic_of_small_segments(client: &mut Client, prefix: &str) -> Topic {
    let configs = [("segment.bytes", "1048576"), ("segment.index.bytes", "4096")];
    create_topic_with(client, prefix, 1, &configs)
}

/// Produces to a partition until it is refused; how many records it took.
fn fill(client: &mut Client, topic: &Topic, partition: i32) -> i64 {
    let batch = sized_batch(1, 100_000);
    let mut end = end_offset(client, topic, partition);
    let began = Instant::now();
    loop {
        let answer = try_produce(client, topic, partition, &batch);
        if answer.error_code != NONE {
            assert_eq!(answer.error_code, KAFKA_STORAGE_ERROR, "{:?}", answer.error_message);
            return end;
        }
        assert_eq!(answer.base_offset, end);
        end += 1;
        assert!(began.elapsed() < Duration::from_secs(30), "the disk has no end");
    }
}

/// Every record that was acknowledged is there, and so are no others.
fn assert_readable(client: &mut Client, topic: &Topic, partition: i32, end: i64) {
    assert_eq!(end_offset(client, topic, partition), end);
    let (_, start) = list_offset(client, topic, partition, -2);
    for offset in (start..end).step_by(17).chain([end - 1]) {
        assert_eq!(try_fetch(client, topic, partition, offset).error_code, NONE, "{offset}");
    }
}

/// Produces until it is not refused any more.
fn wait_for_room(client: &mut Client, topic: &Topic, partition: i32) -> i64 {
    poll("room for a record", Duration::from_secs(20), || {
        let answer = try_produce(client, topic, partition, &sized_batch(1, 1000));
        assert!([NONE, KAFKA_STORAGE_ERROR].contains(&answer.error_code));
        (answer.error_code == NONE).then_some(answer.base_offset)
    })
}

fn delete_records(client: &mut Client, topic: &Topic, offset: i64) -> i16 {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.name.clone(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset,
            }],
        }],
        timeout_ms: 10_000,
    };
    client.call(2, &request).topics[0].partitions[0].error_code
}

fn set(client: &mut Client, topic: &Topic, key: &str, value: &str) -> i16 {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 2,
            resource_name: topic.name.clone(),
            configs: vec![AlterableConfig {
                name: key.to_owned(),
                config_operation: 0,
                value: Some(value.to_owned()),
            }],
        }],
        validate_only: false,
    };
    client.call(1, &request).responses[0].error_code
}

fn times_told(broker: &Broker, what: &str) -> usize {
    broker.said().matches(what).count()
}

fn below_the_floor(kind: Kind) {
    let Some(disk) = Disk::mount(kind) else { return };
    let log_dirs = format!("log.dirs={}", disk.log_dir());
    let floor = format!("log.dirs.free.bytes.min={FLOOR_BYTES}");
    let Some(mut broker) = Broker::start_own(2, &settings(&log_dirs, &floor)) else {
        return;
    };
    let mut client = broker.client();
    let topic = topic_of_small_segments(&mut client, "full");
    let other = create_topic(&mut client, "other", 2);
    let end = fill(&mut client, &topic, 0);
    assert!(end > 100, "{end} records");
    for _ in 0..20 {
        let refused = try_produce(&mut client, &other, 1, &sized_batch(1, 10));
        assert_eq!(refused.error_code, KAFKA_STORAGE_ERROR);
        assert!(refused.error_message.unwrap().contains("log.dirs.free.bytes.min"));
    }
    assert_readable(&mut client, &topic, 0, end);
    assert_eq!(times_told(&broker, "producers are refused"), 1, "{}", broker.said());

    // Records are deleted, and their room is given back at once.
    assert_eq!(delete_records(&mut client, &topic, end / 2 + 1), NONE);
    assert_eq!(wait_for_room(&mut client, &topic, 0), end);
    assert_eq!(times_told(&broker, "producers are served"), 1, "{}", broker.said());
    produce(&mut client, &other, 1, &sized_batch(1, 10));

    // A stop and a kill, each with a start in the full state.
    let mut end = fill(&mut client, &topic, 0);
    for restart in [Broker::restart, Broker::kill_and_restart] {
        restart(&mut broker, 1);
        client = broker.client();
        assert_readable(&mut client, &topic, 0, end);
        end = fill(&mut client, &topic, 0);
    }

    // Settings change, and retention makes room.
    assert_eq!(set(&mut client, &topic, "retention.bytes", "4000000"), NONE);
    assert_eq!(wait_for_room(&mut client, &topic, 0), end);
    let (_, start) = list_offset(&mut client, &topic, 0, -2);
    assert!(end - start < 60, "{start} to {end}");
    produce(&mut client, &other, 0, &sized_batch(1, 10));
    broker.assert_alive();
}

#[test]
fn below_the_floor_on_tmpfs() {
    below_the_floor(Kind::Tmpfs);
}

#[test]
fn below_the_floor_on_ext4() {
    below_the_floor(Kind::Ext4);
}

/// Somebody else takes all the room, faster than anybody looks: writes are refused by the disk itself.
fn without_any_room(kind: Kind) {
    let Some(disk) = Disk::mount(kind) else { return };
    let log_dirs = format!("log.dirs={}", disk.log_dir());
    let Some(mut broker) = Broker::start_own(1, &settings(&log_dirs, "log.dirs.free.bytes.min=0")) else {
        return;
    };
    let mut client = broker.client();
    let topic = topic_of_small_segments(&mut client, "balloon");
    for _ in 0..150 {
        produce(&mut client, &topic, 0, &sized_batch(1, 50_000));
    }
    let balloon = disk.blow_up();
    let end = fill(&mut client, &topic, 0);
    assert_readable(&mut client, &topic, 0, end);
    // The change of a setting is a few bytes, and may find them or not. If it does, retention makes room without a note of it.
    let code = set(&mut client, &topic, "retention.bytes", "2000000");
    assert!([NONE, KAFKA_STORAGE_ERROR].contains(&code), "{code}");
    if code == KAFKA_STORAGE_ERROR {
        std::fs::remove_file(balloon).unwrap();
    }
    assert_eq!(wait_for_room(&mut client, &topic, 0), end);
    assert_eq!(set(&mut client, &topic, "retention.bytes", "2000000"), NONE);
    poll("retention", Duration::from_secs(10), || {
        (list_offset(&mut client, &topic, 0, -2).1 >= 100).then_some(())
    });
    broker.kill_and_restart(2);
    let mut client = broker.client();
    assert_readable(&mut client, &topic, 0, end + 1);
    assert_eq!(produce(&mut client, &topic, 0, &sized_batch(1, 10)), end + 1);
    broker.restart(1);
    assert_readable(&mut broker.client(), &topic, 0, end + 2);
}

#[test]
fn without_any_room_on_tmpfs() {
    without_any_room(Kind::Tmpfs);
}

#[test]
fn without_any_room_on_ext4() {
    without_any_room(Kind::Ext4);
}

#[test]
fn a_full_disk_does_not_hinder_another() {
    let Some(disks) = [Disk::mount(Kind::Tmpfs), Disk::mount(Kind::Tmpfs)]
        .into_iter()
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let log_dirs = format!("log.dirs={},{}", disks[0].log_dir(), disks[1].log_dir());
    let floor = format!("log.dirs.free.bytes.min={FLOOR_BYTES}");
    let Some(broker) = Broker::start_own(2, &settings(&log_dirs, &floor)) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "two", 8);
    let directories = client.call(4, &DescribeLogDirsRequest { topics: None }).results;
    let partitions_of = |directory: &str| -> Vec<i32> {
        let found = directories
            .iter()
            .find(|found| Path::new(&found.log_dir) == Path::new(directory));
        let topics = &found.unwrap().topics;
        topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| partition.partition_index)
            .collect()
    };
    let [first, second] = [&disks[0], &disks[1]].map(|disk| partitions_of(&disk.log_dir()));
    assert!(!first.is_empty() && !second.is_empty(), "{first:?} {second:?}");
    fill(&mut client, &topic, first[0]);
    for partition in first {
        let refused = try_produce(&mut client, &topic, partition, &sized_batch(1, 10));
        assert_eq!(refused.error_code, KAFKA_STORAGE_ERROR);
    }
    for partition in second {
        for _ in 0..20 {
            produce(&mut client, &topic, partition, &sized_batch(1, 1000));
        }
    }
}
