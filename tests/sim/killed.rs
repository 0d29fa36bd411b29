//! A process that is killed leaves everything in the page cache; the power may go after the next start.

use std::path::Path;

use duramen::base::ids::{LeaderEpoch, NodeId, TopicId, TopicPartition};
use duramen::base::offset::Offset;
use duramen::log::Settings;
use duramen::rt::sim::{Faults, Image, Random, Simulation};
use duramen::rt::time;
use duramen::storage::{Claim, Log, LogDirectory};

use crate::full::append_value;

const DATA: &str = "/data";
const LOGS: i32 = 3;
const SEEDS: u64 = 60;

async fn open() -> (LogDirectory, Vec<Log>) {
    let directory = LogDirectory::open(Path::new(DATA), Claim::of(NodeId(1))).expect("a log directory");
    directory.begin(LeaderEpoch(1)).expect("it begins");
    directory.health().look_at_room(0);
    let mut logs = Vec::new();
    for partition in 0..LOGS {
        let partition = TopicPartition {
            topic: "t".into(),
            partition,
        };
        let opened = directory.open_log(&partition, TopicId([1; 16]), Settings::default(), time::wall());
        logs.push(opened.await.expect("a log").0);
    }
    directory.end_opening();
    (directory, logs)
}

fn ends(logs: &[Log]) -> Vec<Offset> {
    logs.iter().map(Log::log_end_offset).collect()
}

#[test]
fn what_a_start_finds_in_the_page_cache_is_on_the_disk_before_it_is_served() {
    for seed in 0..SEEDS {
        let killed = Simulation::new(seed, &Image::default(), Faults::default()).run(async move {
            let (directory, logs) = open().await;
            let mut random = Random::new(seed);
            for log in &logs {
                for _ in 0..random.below(30) {
                    append_value(log, &[7; 100]).expect("it is appended");
                }
            }
            let written = ends(&logs);
            drop((directory, logs));
            let (_directory, logs) = open().await;
            assert_eq!(ends(&logs), written, "seed {seed}: a kill loses nothing");
            written
        });
        let found = killed.output.expect("it ends");
        let after = Simulation::new(seed, &killed.image, Faults::default()).run(async { ends(&open().await.1) });
        assert_eq!(
            after.output,
            Some(found),
            "seed {seed}: nor does the power after the next start"
        );
    }
}
