//! A partition is served by one thread, whoever asks and however often.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::client::Client;
use crate::fixture::{batch, create_topic, fetch, produce};
use crate::harness::{Broker, free_address, poll};

const CORES: u16 = 4;
const PARTITIONS: i32 = 12;

/// Ends its process with it.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The threads that the log says served each partition, by operation.
fn served(log: &str) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut threads: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains("operation=")) {
        let field = |name: &str| {
            let rest = line.split(&format!("{name}=")).nth(1);
            rest.and_then(|rest| rest.split_whitespace().next())
                .map(|value| value.trim_matches('"').to_owned())
        };
        if let (Some(operation), Some(partition), Some(thread)) =
            (field("operation"), field("partition"), field("thread"))
        {
            threads.entry((partition, operation)).or_default().insert(thread);
        }
    }
    threads
}

#[test]
fn each_partition_is_served_by_one_thread() {
    let directory = tempfile::tempdir().unwrap();
    let log_path = directory.path().join("log");
    let address = free_address();
    let child = Command::new(env!("CARGO_BIN_EXE_duramen"))
        .arg("serve")
        .args(["--set", &format!("listeners=PLAINTEXT://{address}")])
        .args([
            "--set",
            &format!("log.dirs={}", directory.path().join("data").display()),
        ])
        .args(["--set", &format!("core.count={CORES}")])
        .env("DURAMEN_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(File::create(&log_path).unwrap())
        .spawn()
        .unwrap();
    let guard = Guard(child);
    poll("a broker that answers", Duration::from_secs(20), || {
        Client::answers(address).then_some(())
    });
    // Connections are spread over the cores by the kernel: twelve of them reach each partition from several cores.
    let mut clients: Vec<Client> = (0..12).map(|_| Client::connect(address)).collect();
    let topic = create_topic(&mut clients[0], "served", PARTITIONS);
    for client in &mut clients {
        for partition in 0..PARTITIONS {
            produce(client, &topic, partition, &batch(&[b"value"]));
            fetch(client, &topic, partition, 0);
        }
    }
    drop(guard);
    let log = std::fs::read_to_string(&log_path).unwrap();
    let served = served(&log);
    let mut all = BTreeSet::new();
    for partition in 0..PARTITIONS {
        let of = |operation: &str| {
            served
                .get(&(format!("{}-{partition}", topic.name), operation.to_owned()))
                .cloned()
        };
        let (appends, reads) = (of("append").unwrap(), of("read").unwrap());
        assert_eq!(appends.len(), 1, "partition {partition}: {appends:?}");
        assert_eq!(appends, reads, "partition {partition}");
        all.extend(appends);
    }
    assert!(all.len() > 1, "one of {CORES} threads owns all {PARTITIONS} partitions");
}

/// The kernel makes a core wait that opens one descriptor more than the table of the process has room for.
#[test]
fn the_table_of_descriptors_never_grows() {
    let Some(broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let pid = broker.pid().unwrap().as_raw_nonzero();
    let number = |file: &str, name: &str| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("{name} in {text}"))
    };
    let limit = number("limits", "Max open files");
    assert!(number("status", "FDSize:") >= limit.min(1 << 20), "{limit}");
}
