//! The life of a compacted log: keys, tombstones, all codecs, several producers, trimmed and compacted while it is written, with a crash
//! or a fault in most rounds. After every start the log is held against the records that were written:
//!
//! 1. what stands at an offset is what was written there, and nothing that was acknowledged is beyond the end;
//! 2. a record is missing only where it was deleted, where its key has a later record, or where it is a tombstone that had its time;
//! 3. nothing is missing that no round of compaction has reached;
//! 4. the last sequence of each producer is known;
//! 5. every offset is found.
//!
//! A round of compaction that ends leaves one record of each key in what it reached.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use duramen::base::ids::{LeaderEpoch, NodeId, ProducerEpoch, ProducerId, Sequence, ShardId, TopicId, TopicPartition};
use duramen::base::time::TimestampMs;
use duramen::log::compaction::Rules;
use duramen::log::compaction::offset_map::MapSize;
use duramen::log::{Origin, Settings};
use duramen::record::build::ProducerStamp;
use duramen::record::{BatchBuilder, Compression, CompressionLevel, Record};
use duramen::rt::local::Event;
use duramen::rt::sim::{Faults, Image, Random, Simulation};
use duramen::rt::{fs, task, time};
use duramen::storage::{
    Claim, Cleaner, CleanerSettings, CompactionWork, Journal, Log, LogDirectory, NewBatch, Shutdown, StorageError,
};

use crate::compacted::{PRODUCERS, Shadow, Written, assert_one_record_a_key, look_up};
use crate::shadow::view;

/// Seeds within which a planted bug must be found: few lives end in the middle of a swap.
const SEEDS_UNTIL_FOUND: u64 = 400;
const ROUNDS: u64 = 5;
const DATA: &str = "/data";
const TOPIC: TopicId = TopicId([2; 16]);

/// What is wrong on purpose.
#[derive(Clone, Copy, Default)]
struct Plan {
    data_syncs_lie: bool,
    name_syncs_lie: bool,
    /// A segment that takes the place of others was not on the disk when they went.
    swapped_before_sync: bool,
    /// The names of the old segments were not gone for good when the new one got its own.
    named_before_old_are_gone: bool,
}

struct Life {
    plan: Plan,
    settings: Settings,
    map: MapSize,
    rules: Rules,
    journal_bytes: u64,
    shadow: RefCell<Shadow>,
    random: RefCell<Random>,
    sequences: RefCell<[i32; PRODUCERS]>,
    timestamp: Cell<i64>,
    may_be_marked: Cell<bool>,
    /// Rounds of compaction that ended, and interrupted ones that a start has finished.
    rounds_ended: Cell<u64>,
    finished_late: Cell<u64>,
}

/// The disk at the end; rounds of compaction that ended, and interrupted ones that a start has finished.
fn live(seed: u64, plan: &Plan) -> (Image, u64, u64) {
    let mut random = Random::salted(seed, 200);
    let segment_bytes = 600 + u32::try_from(random.below(2500)).expect("small");
    let rules = Rules {
        dirty_ratio_min: 0.0,
        lag_min_ms: 0,
        lag_max_ms: if random.percent(20) { 1 } else { i64::MAX },
        delete_retention_ms: if random.percent(50) { 0 } else { i64::MAX / 2 },
    };
    let life = Rc::new(Life {
        plan: *plan,
        settings: Settings {
            segment_bytes_max: segment_bytes,
            index_interval_bytes: u32::try_from(random.below(400)).expect("small"),
            ..Settings::default()
        },
        map: MapSize {
            // Now and then there is room for a few keys only.
            bytes_max: [24 * 3, 24 * 20, 1 << 20][random.index(3)],
            load_factor: 0.9,
        },
        rules,
        journal_bytes: [0, 8 * 3 * 4096][random.index(2)],
        shadow: RefCell::new(Shadow {
            tombstones_stay: rules.delete_retention_ms > 0,
            ..Shadow::default()
        }),
        random: RefCell::new(random),
        sequences: RefCell::default(),
        timestamp: Cell::new(1000),
        may_be_marked: Cell::new(false),
        rounds_ended: Cell::new(0),
        finished_late: Cell::new(0),
    });
    let mut image = Image::default();
    for round in 0..ROUNDS {
        let faults = life.draw_faults();
        let simulation = Simulation::new(seed.wrapping_mul(ROUNDS).wrapping_add(round), &image, faults);
        image = simulation.run(live_round(Rc::clone(&life))).image;
        life.plant(&mut image);
        if !life.may_be_marked.get() {
            life.hurt_derived_files(&mut image);
        }
    }
    let honest = Faults {
        data_syncs_lie: plan.data_syncs_lie,
        name_syncs_lie: plan.name_syncs_lie,
        ..Faults::default()
    };
    let outcome = Simulation::new(seed, &image, honest).run(live_round(Rc::clone(&life)));
    assert!(outcome.output.is_some(), "a round without faults ends");
    (outcome.image, life.rounds_ended.get(), life.finished_late.get())
}

fn partition() -> TopicPartition {
    TopicPartition {
        topic: "c".into(),
        partition: 0,
    }
}

async fn live_round(life: Rc<Life>) {
    let Ok(directory) = LogDirectory::open(Path::new(DATA), Claim::of(NodeId(1))) else {
        return;
    };
    if directory.begin(LeaderEpoch(1)).is_err() || directory.create_partition(&partition(), TOPIC).await.is_err() {
        return;
    }
    let was_clean = directory.shutdown() == Shutdown::Clean;
    let request = directory.open_request(&partition(), life.settings, time::wall());
    let (log, report) = match Log::open(directory.health(), request).await {
        Ok(opened) => opened,
        Err(_) if Simulation::has_crashed() || directory.health().is_offline() => return,
        Err(StorageError::Full { .. }) => return,
        Err(error) => panic!("a log that was never damaged does not open: {error}"),
    };
    let Ok(journal) = Journal::open(&directory, ShardId(0), life.journal_bytes) else {
        return;
    };
    if Simulation::has_crashed() {
        return;
    }
    if let Some(journal) = journal {
        log.use_journal(journal, TOPIC);
    }
    if was_clean {
        assert_eq!(report.compactions_finished, 0, "a clean stop waits for compaction");
    }
    let late = u64::try_from(report.compactions_finished).expect("small");
    life.finished_late.set(life.finished_late.get() + late);
    life.may_be_marked.set(false);
    let next = life.shadow.borrow_mut().compare(&log);
    look_up(&log, &life.random).await;
    if Simulation::has_crashed() {
        return;
    }
    life.sequences.replace(next);

    let works = Rc::new(Works::default());
    for producer in 0..PRODUCERS as u64 {
        works.spawn(produce(Rc::clone(&life), log.clone(), producer));
    }
    works.spawn(compact(Rc::clone(&life), log.clone()));
    works.spawn(trim(Rc::clone(&life), log.clone()));
    if life.percent(80) {
        works.wait().await;
    } else {
        // A stop in the middle of everything.
        time::sleep(Duration::from_micros(life.draw(20_000))).await;
    }
    stop(&life, &directory, &log).await;
}

/// Tasks that still run.
#[derive(Default)]
struct Works {
    running: Cell<u64>,
    ended: Event,
}

impl Works {
    fn spawn(self: &Rc<Self>, work: impl Future<Output = ()> + 'static) {
        let works = Rc::clone(self);
        works.running.set(works.running.get() + 1);
        task::spawn(async move {
            work.await;
            works.running.set(works.running.get() - 1);
            works.ended.notify();
        });
    }

    async fn wait(&self) {
        while self.running.get() > 0 {
            let ended = self.ended.listen();
            ended.await;
        }
    }
}

async fn produce(life: Rc<Life>, log: Log, producer: u64) {
    for _ in 0..4 + life.draw(20) {
        let (bytes, records) = life.next_batch(producer);
        let batch = view(&bytes);
        let base = log.log_end_offset().0;
        {
            let mut shadow = life.shadow.borrow_mut();
            for (offset, record) in (base..).zip(&records) {
                shadow.written.insert(offset, record.clone());
            }
            let end = base + i64::try_from(records.len()).expect("small");
            let id = producer.cast_signed();
            shadow
                .sequences
                .entry(id)
                .or_default()
                .insert(end, batch.header().last_sequence().0);
        }
        let appended = log.append(
            &[NewBatch::as_it_is(&batch)],
            Origin::Client,
            LeaderEpoch(0),
            time::wall(),
        );
        let Ok(outcomes) = appended else { return };
        let end = outcomes[0].expect("the batch is in sequence").last_offset.next();
        if life.percent(50) {
            if log.make_durable(end).await.is_err() {
                return;
            }
            if !Simulation::has_crashed() {
                let mut shadow = life.shadow.borrow_mut();
                shadow.acknowledged = shadow.acknowledged.max(end.0);
            }
        }
        task::yield_now().await;
    }
}

/// Rounds of compaction; the old files go at once, later, or at the next start.
async fn compact(life: Rc<Life>, log: Log) {
    let mut cleaner = Cleaner::new(CleanerSettings {
        map: life.map,
        bytes_per_second: if life.percent(20) { 1e6 } else { f64::MAX },
    });
    for _ in 0..1 + life.draw(5) {
        time::sleep(Duration::from_micros(life.draw(3000))).await;
        let end = log.log_end_offset();
        {
            let mut shadow = life.shadow.borrow_mut();
            shadow.reached = shadow.reached.max(end.0);
        }
        let work = CompactionWork {
            rules: &life.rules,
            stable_end: end,
            now: time::wall(),
        };
        let mut removed = Vec::new();
        let before = log.compacted_to();
        let compacted = cleaner.compact(&log, &work, &mut removed).await;
        let Ok(compacted) = compacted else { return };
        // Of a log that is offline nobody reads: what it believes to be there may not be.
        if Simulation::has_crashed() || log.health().is_offline() {
            return;
        }
        if let Some(compacted) = compacted {
            assert!(
                before.is_none_or(|before| compacted.end_offset > before),
                "a round goes on"
            );
            assert_eq!(log.compacted_to(), Some(compacted.end_offset));
            life.rounds_ended.set(life.rounds_ended.get() + 1);
            assert_one_record_a_key(&log, compacted.end_offset.0);
        }
        for path in removed {
            if life.percent(70) {
                let _ = fs::unlink(path).await;
            }
        }
    }
}

async fn trim(life: Rc<Life>, log: Log) {
    if life.percent(70) {
        return;
    }
    time::sleep(Duration::from_micros(life.draw(8000))).await;
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let asked = start.plus(
        life.draw(end.distance_from(start).cast_unsigned() / 2 + 1)
            .cast_signed(),
    );
    {
        let mut shadow = life.shadow.borrow_mut();
        shadow.may_be_deleted = shadow.may_be_deleted.max(asked.0);
    }
    let _ = log.advance_log_start_to(asked).await;
}

async fn stop(life: &Life, directory: &LogDirectory, log: &Log) {
    if life.percent(50) {
        return;
    }
    let Ok(end) = log.close().await else { return };
    let partition = partition();
    let noted = directory
        .write_recovery_points([(&partition, end)])
        .and_then(|()| directory.write_log_start_offsets([(&partition, log.noted_log_start())]))
        .and_then(|()| directory.write_compacted_offsets([(&partition, log.compacted_to())]));
    if noted.is_ok() && !Simulation::has_crashed() && end == log.log_end_offset() {
        life.may_be_marked.set(true);
        let _ = directory.mark_clean_shutdown(1);
    }
}

impl Life {
    fn draw(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below(bound)
    }

    fn percent(&self, percent: u64) -> bool {
        self.random.borrow_mut().percent(percent)
    }

    fn draw_faults(&self) -> Faults {
        let mut faults = Faults {
            data_syncs_lie: self.plan.data_syncs_lie,
            name_syncs_lie: self.plan.name_syncs_lie,
            ..Faults::default()
        };
        match self.draw(10) {
            0..=5 => faults.crash_at = Some(self.draw(500)),
            6 => faults.crash_at = Some(self.draw(30)),
            7 => faults.fail_write = Some(1 + self.draw(60)),
            8 => faults.fail_sync = Some(1 + self.draw(60)),
            _ => faults.full_after_bytes = Some(self.draw(12_000)),
        }
        faults
    }

    fn next_batch(&self, producer: u64) -> (Vec<u8>, Vec<Written>) {
        let codecs = [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ];
        let codec = codecs[usize::try_from(self.draw(5)).expect("small")];
        let mut sequences = self.sequences.borrow_mut();
        let sequence = &mut sequences[usize::try_from(producer).expect("small")];
        let mut builder = BatchBuilder::new()
            .compression(codec, CompressionLevel::Default)
            .producer(ProducerStamp {
                producer_id: ProducerId(producer.cast_signed()),
                producer_epoch: ProducerEpoch(0),
                base_sequence: Sequence(*sequence),
            });
        let mut records = Vec::new();
        for _ in 0..1 + self.draw(5) {
            self.timestamp
                .set(self.timestamp.get() + self.draw(20).cast_signed() - 5);
            let record = Written {
                key: format!("key {}", self.draw(12)).into_bytes(),
                value: (!self.percent(25)).then(|| vec![b'v'; usize::try_from(self.draw(100)).expect("small")]),
                timestamp: self.timestamp.get(),
            };
            let new = Record::new(
                TimestampMs(record.timestamp),
                Some(&record.key),
                record.value.as_deref(),
            );
            builder.append(&new).expect("a small batch");
            records.push(record);
        }
        *sequence += i32::try_from(records.len()).expect("small");
        (builder.build().expect("a small batch").to_vec(), records)
    }

    /// The bugs that only show on the disk.
    fn plant(&self, image: &mut Image) {
        let swaps: Vec<PathBuf> = image
            .files
            .keys()
            .filter(|path| path.to_string_lossy().ends_with(".log.swap"))
            .cloned()
            .collect();
        for path in swaps {
            if self.plan.swapped_before_sync {
                let bytes = image.files.get_mut(&path).expect("it is there");
                bytes.truncate(bytes.len() / 2);
            }
            if self.plan.named_before_old_are_gone {
                let bytes = image.files.remove(&path).expect("it is there");
                image.files.insert(path.with_extension(""), bytes);
            }
        }
    }

    fn hurt_derived_files(&self, image: &mut Image) {
        let suffixes = [
            "index",
            ".snapshot",
            "leader-epoch-checkpoint",
            "cleaner-offset-checkpoint",
        ];
        let is_derived = |path: &&PathBuf| suffixes.iter().any(|suffix| path.to_string_lossy().ends_with(suffix));
        let derived: Vec<PathBuf> = image.files.keys().filter(is_derived).cloned().collect();
        for path in derived {
            if self.percent(8) {
                image.files.remove(&path);
            }
        }
    }
}

#[test]
fn compaction_survives_crashes() {
    let (rounds, lates) = (Cell::new(0), Cell::new(0));
    crate::all_seeds("compaction_survives_crashes", |seed| {
        let (_, ended, late) = live(seed, &Plan::default());
        rounds.set(rounds.get() + ended);
        lates.set(lates.get() + late);
    });
    println!(
        "{} rounds ended, {} were finished by a start",
        rounds.get(),
        lates.get()
    );
}

#[test]
fn planted_bugs_of_compaction_are_found() {
    let honest = Plan::default();
    let planted = [
        (
            "syncs of files do nothing",
            Plan {
                data_syncs_lie: true,
                ..honest
            },
        ),
        (
            "syncs of directories do nothing",
            Plan {
                name_syncs_lie: true,
                ..honest
            },
        ),
        (
            "old segments go before the new one is synced",
            Plan {
                swapped_before_sync: true,
                ..honest
            },
        ),
        (
            "the new one is named before the old ones are gone",
            Plan {
                named_before_old_are_gone: true,
                ..honest
            },
        ),
    ];
    crate::find_each(&planted, SEEDS_UNTIL_FOUND, |seed, plan| {
        live(seed, plan);
    });
}

#[test]
fn a_life_of_compaction_repeats_itself() {
    for seed in 0..10 {
        assert_eq!(
            live(seed, &Plan::default()),
            live(seed, &Plan::default()),
            "seed {seed}"
        );
    }
}
