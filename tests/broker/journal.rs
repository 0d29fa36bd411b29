//! The journal over restarts: another size, damaged files, another broker in between.

use std::path::Path;
use std::time::Duration;

use crate::client::Client;
use crate::fixture::{batch, create_topic, end_offset, fetch, produce, stored};
use crate::harness::{Broker, poll};
use crate::restart::Expected;

const FIRST_FILE: &str = "duramen-journal-000-00";

/// Waits for the first file of the journal of core 0; false where there is none to come.
pub fn is_there(data: &Path) -> bool {
    let probe = data.join("probe");
    let can = std::process::Command::new("dd")
        .args(["if=/dev/zero", "bs=4096", "count=1", "oflag=direct", "status=none"])
        .arg(format!("of={}", probe.display()))
        .status()
        .is_ok_and(|status| status.success());
    drop(std::fs::remove_file(probe));
    can && poll("the journal's first file", Duration::from_secs(10), || {
        data.join(FIRST_FILE).exists().then_some(true)
    })
}

/// Waits until the journal of core 0, whose first file is there, takes what is appended. Until then each append is synced in its segment, where
/// what a test cuts off was on the disk.
pub fn is_in_use(client: &mut Client, data: &Path) {
    let topic = create_topic(client, "journaled", 1);
    poll("a group in the journal", Duration::from_secs(10), || {
        produce(client, &topic, 0, &batch(&[b"a record"]));
        let file = std::fs::read(data.join(FIRST_FILE)).unwrap();
        file[4096..].starts_with(b"DJG1").then_some(())
    });
}

/// A start with another `journal.bytes`, or with as many as the free space says, finds files that do not fit.
#[test]
fn another_size_at_each_start() {
    let stops: [fn(&mut Broker); 2] = [|broker| broker.kill(), Broker::terminate];
    for stop in stops {
        let Some(mut broker) = Broker::start_own(2, &["journal.bytes=8388608"]) else {
            return;
        };
        let mut client = broker.client();
        let mut expected = Expected::new(&mut client);
        expected.append(&mut client, 2);
        if !is_there(&broker.data()) {
            eprintln!("skipped: no journal on this file system");
            return;
        }
        for settings in ["journal.bytes=1048576", "journal.bytes=0", "journal.bytes=4194304"] {
            // What is acknowledged last is in the journal.
            expected.append(&mut client, 2);
            stop(&mut broker);
            broker.set(&[settings]);
            broker.start_again(2);
            client = broker.client();
            expected.assert_kept(&mut client, settings);
        }
    }
}

/// After a clean stop nobody needs the journal; after a crash it may have what nobody else has.
#[test]
fn a_damaged_file_is_made_anew_after_a_stop_and_refused_after_a_kill() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut expected = Expected::new(&mut broker.client());
    let file = broker.data().join(FIRST_FILE);
    if !is_there(&broker.data()) {
        eprintln!("skipped: no journal on this file system");
        return;
    }
    expected.append(&mut broker.client(), 2);
    broker.terminate();
    damage(&file);
    broker.start_again(2);
    assert!(broker.said().contains("made anew"), "{}", broker.said());
    expected.assert_kept(&mut broker.client(), "after the stop");
    is_there(&broker.data());
    expected.append(&mut broker.client(), 2);
    broker.kill();
    let whole = std::fs::read(&file).unwrap();
    damage(&file);
    let (said, code) = broker.refused_start(&[]);
    assert!(said.contains(FIRST_FILE) && code == Some(1), "{said}");
    std::fs::write(&file, whole).unwrap();
    broker.start_again(2);
    expected.assert_kept(&mut broker.client(), "after the kill");
}

fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// After a crash of ours Apache Kafka takes the directory: it ends a log where the segment ends, begins an epoch of the metadata log, appends,
/// and crashes too. What it has written stays, and what stands in the journal from before does not come back over it.
#[test]
fn another_broker_in_between() {
    let Some(mut broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let mut client = broker.client();
    let topic = create_topic(&mut client, "handed", 1);
    if !is_there(&broker.data()) {
        eprintln!("skipped: no journal on this file system");
        return;
    }
    let first = batch(&[b"stays"]);
    produce(&mut client, &topic, 0, &first);
    is_in_use(&mut client, &broker.data());
    produce(&mut client, &topic, 0, &batch(&[b"only in the journal"]));
    broker.kill();
    let data = broker.data();
    let segment = data.join(format!("{}-0/00000000000000000000.log", topic.name));
    let mut left = std::fs::read(&segment).unwrap();
    left.truncate(first.len());
    left.extend_from_slice(&stored(&batch(&[b"by another broker", b"and one more"]), 1, 1));
    std::fs::write(&segment, &left).unwrap();
    let state = data.join("__cluster_metadata-0/quorum-state");
    let text = std::fs::read_to_string(&state).unwrap();
    let next = text.replace("\"leaderEpoch\":1,", "\"leaderEpoch\":2,");
    assert_ne!(next, text);
    std::fs::write(&state, next).unwrap();
    broker.start_again(1);
    assert!(
        broker.said().contains("another broker had this directory"),
        "{}",
        broker.said()
    );
    let mut client = broker.client();
    assert_eq!(end_offset(&mut client, &topic, 0), 3);
    assert!(fetch(&mut client, &topic, 0, 0) == left);
    // From here on the journal is ours again.
    is_there(&data);
    is_in_use(&mut client, &data);
    assert_eq!(produce(&mut client, &topic, 0, &batch(&[b"back"])), 3);
    broker.kill();
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(u64::try_from(left.len()).unwrap()).unwrap();
    broker.start_again(1);
    assert_eq!(end_offset(&mut broker.client(), &topic, 0), 4);
}
