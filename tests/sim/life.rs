//! The life of one log: rounds of work, the ways they end, and what happens to its files in between.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use duramen::base::ids::{LeaderEpoch, NodeId, ProducerEpoch, ProducerId, Sequence, ShardId, TopicId, TopicPartition};
use duramen::base::offset::Offset;
use duramen::base::time::TimestampMs;
use duramen::log::{Origin, Retention, Settings};
use duramen::record::build::ProducerStamp;
use duramen::record::{BatchBuilder, Record};
use duramen::rt::local::Event;
use duramen::rt::sim::{Faults, Image, Random, Simulation};
use duramen::rt::{fs, task, time};
use duramen::storage::{Journal, Log, LogDirectory, NewBatch, Report, Shutdown, is_journal_file};

use crate::shadow::{Shadow, view};

const ROUNDS: u64 = 4;
const DATA: &str = "/data";
const TOPIC: TopicId = TopicId([1; 16]);

/// What is wrong on purpose.
#[derive(Clone, Copy, Default)]
pub struct Plan {
    /// Records are acknowledged when they are written, not when they are durable.
    pub acknowledges_early: bool,
    pub data_syncs_lie: bool,
    pub name_syncs_lie: bool,
    /// The journal's files are gone after each round.
    pub journal_is_lost: bool,
}

/// Lives the life of a seed.
pub fn live(seed: u64, plan: &Plan) {
    run(seed, plan);
}

/// What is left on the disk at the end of a life, and how many operations its last round took.
pub fn trace(seed: u64) -> (Image, u64) {
    run(seed, &Plan::default())
}

/// One log and everything that is drawn for it.
struct Life {
    plan: Plan,
    settings: Settings,
    producers: u64,
    /// Of the journal; 0 is none. So small that its files are filled again and again.
    journal_bytes: u64,
    shadow: RefCell<Shadow>,
    random: RefCell<Random>,
    /// The next sequence of each producer, and its epoch.
    sequences: RefCell<Vec<(i16, i32)>>,
    timestamp: Cell<i64>,
    /// The log was closed, and the mark of that may be on the disk.
    may_be_marked: Cell<bool>,
}

fn run(seed: u64, plan: &Plan) -> (Image, u64) {
    let mut random = Random::salted(seed, 100);
    let settings = Settings {
        segment_bytes_max: 1000 + u32::try_from(random.below(4000)).expect("small"),
        index_interval_bytes: u32::try_from(random.below(800)).expect("small"),
        index_bytes_max: 24 + u32::try_from(random.below(400)).expect("small"),
        ..Settings::default()
    };
    let producers = 1 + random.below(3);
    let journal_bytes = [0, 8 * 2 * 4096, 8 * 3 * 4096, 8 * 9 * 4096][random.index(4)];
    let life = Rc::new(Life {
        plan: *plan,
        settings,
        producers,
        journal_bytes,
        shadow: RefCell::default(),
        random: RefCell::new(random),
        sequences: RefCell::new(vec![(0, 0); usize::try_from(producers).expect("small")]),
        timestamp: Cell::new(1000),
        may_be_marked: Cell::new(false),
    });
    let mut image = Image::default();
    let mut operations = 0;
    for round in 0..ROUNDS {
        let faults = life.draw_faults();
        let simulation = Simulation::new(seed.wrapping_mul(ROUNDS).wrapping_add(round), &image, faults);
        let outcome = simulation.run(live_round(Rc::clone(&life)));
        operations = outcome.operations;
        image = outcome.image;
        if plan.journal_is_lost {
            let is_journal = |path: &Path| {
                path.file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(is_journal_file)
            };
            image.files.retain(|path, _| !is_journal(path));
        }
        if !life.may_be_marked.get() {
            life.hurt_derived_files(&mut image);
        }
    }
    // At last, without faults: everything is there.
    let honest = Faults {
        data_syncs_lie: plan.data_syncs_lie,
        name_syncs_lie: plan.name_syncs_lie,
        ..Faults::default()
    };
    let outcome = Simulation::new(seed, &image, honest).run(live_round(life));
    assert!(outcome.output.is_some(), "a round without faults ends");
    (outcome.image, operations)
}

/// Opens the log, compares it with the shadow, works until the work is done or nothing works any more.
async fn live_round(life: Rc<Life>) {
    let Ok(directory) = LogDirectory::open(Path::new(DATA), NodeId(1), None) else {
        return;
    };
    let was_clean = directory.shutdown() == Shutdown::Clean;
    assert!(
        !was_clean || life.may_be_marked.get(),
        "the mark of a clean stop has a clean stop before it"
    );
    if directory.begin().is_err() {
        return;
    }
    if directory.create_partition(&partition(), TOPIC).is_err() {
        return;
    }
    let request = directory.open_request(&partition(), life.settings, time::wall());
    let (log, report) = match Log::open(directory.health(), request).await {
        Ok(opened) => opened,
        Err(_) if Simulation::has_crashed() || directory.health().is_offline() => return,
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
    life.may_be_marked.set(false);
    if was_clean {
        assert_eq!(report, Report::default(), "after a clean stop nothing is to be done");
        assert_eq!(
            log.log_end_offset().0,
            life.shadow.borrow().end(),
            "a clean stop loses nothing"
        );
    }
    life.shadow.borrow_mut().compare(&log, &mut life.random.borrow_mut());
    life.take_up_sequences(&log);

    let works = Rc::new(Works::default());
    for producer in 0..life.producers {
        works.running.set(works.running.get() + 1);
        let (life, log, works) = (Rc::clone(&life), log.clone(), Rc::clone(&works));
        task::spawn(async move {
            produce(&life, &log, producer).await;
            works.end_one();
        });
    }
    works.running.set(works.running.get() + 1);
    let (trimming, trimmed, ended) = (Rc::clone(&life), log.clone(), Rc::clone(&works));
    task::spawn(async move {
        trim(&trimming, &trimmed).await;
        ended.end_one();
    });
    checkpoint(&life, &log).await;
    while works.running.get() > 0 {
        let ended = works.ended.listen();
        ended.await;
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
    fn end_one(&self) {
        self.running.set(self.running.get() - 1);
        self.ended.notify();
    }
}

fn partition() -> TopicPartition {
    TopicPartition {
        topic: Arc::from("t"),
        partition: 0,
    }
}

/// One producer: appends some batches, waits for some to be durable, sends some twice.
async fn produce(life: &Life, log: &Log, producer: u64) {
    for _ in 0..life.draw(12) {
        let batches: Vec<Vec<u8>> = (0..=life.draw(3)).map(|_| life.next_batch(producer)).collect();
        let epoch = LeaderEpoch(i32::try_from(life.shadow.borrow().end() / 40).expect("small"));
        let Some(next) = append(life, log, &batches, epoch) else {
            return;
        };
        if life.percent(20) {
            assert_repeat_is_known(log, &batches[batches.len() - 1], next);
        }
        if life.percent(60) {
            let is_durable = life.plan.acknowledges_early || log.make_durable(next).await.is_ok();
            if !is_durable {
                return;
            }
            if !Simulation::has_crashed() {
                let mut shadow = life.shadow.borrow_mut();
                shadow.acknowledged = shadow.acknowledged.max(next.0);
            }
        }
        task::yield_now().await;
    }
}

/// Appends batches by one call; returns the offset after them, `None` when the disk has failed. They are noted before: a call that
/// fails, or during which the machine goes down, may leave some of them.
fn append(life: &Life, log: &Log, batches: &[Vec<u8>], epoch: LeaderEpoch) -> Option<Offset> {
    let views: Vec<_> = batches.iter().map(|bytes| view(bytes)).collect();
    let mut expected = log.log_end_offset();
    for batch in &views {
        let mut stored = batch.bytes().to_vec();
        stored[..8].copy_from_slice(&expected.0.to_be_bytes());
        stored[12..16].copy_from_slice(&epoch.0.to_be_bytes());
        life.shadow.borrow_mut().written.insert(expected.0, stored);
        expected = expected.plus(i64::from(batch.header().record_count));
    }
    let new: Vec<_> = views.iter().map(NewBatch::as_it_is).collect();
    let outcomes = log.append(&new, Origin::Client, epoch, time::wall()).ok()?;
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.is_ok_and(|appended| !appended.is_duplicate))
    );
    assert_eq!(log.log_end_offset(), expected);
    Some(expected)
}

fn assert_repeat_is_known(log: &Log, bytes: &[u8], next: Offset) {
    let batch = view(bytes);
    let outcomes = log.append(
        &[NewBatch::as_it_is(&batch)],
        Origin::Client,
        LeaderEpoch(0),
        TimestampMs(0),
    );
    if let Ok(outcomes) = outcomes {
        let appended = outcomes[0].expect("a repeat is no error");
        assert!(appended.is_duplicate, "a repeat is known");
        assert_eq!(appended.last_offset.next(), next);
    }
}

/// Checkpoints the log, now and then.
async fn checkpoint(life: &Life, log: &Log) {
    for _ in 0..life.draw(3) {
        time::sleep(std::time::Duration::from_micros(life.draw(2000))).await;
        if log.checkpoint().await.is_err() {
            return;
        }
    }
}

/// Takes segments or records from the front of the log, now and then, and removes their files or leaves them to the next start.
async fn trim(life: &Life, log: &Log) {
    if life.percent(60) {
        return;
    }
    for _ in 0..life.draw(4) {
        time::sleep(std::time::Duration::from_micros(life.draw(2000))).await;
        let end = log.log_end_offset();
        let trimmed = if life.percent(50) {
            let start = log.log_start_offset();
            let asked = start.plus(life.draw(end.distance_from(start).cast_unsigned() + 1).cast_signed());
            life.shadow.borrow_mut().may_delete_below(asked.0);
            log.advance_log_start_to(asked).await.map(Some)
        } else {
            let retention = Retention {
                deletes: true,
                age_ms_max: -1,
                bytes_max: life.draw(8000).cast_signed(),
            };
            life.shadow.borrow_mut().may_delete_below(end.0);
            log.retain(&retention, end, time::wall()).await
        };
        let Ok(trimmed) = trimmed else { return };
        let Some(trimmed) = trimmed else { continue };
        if !Simulation::has_crashed() {
            let mut shadow = life.shadow.borrow_mut();
            shadow.deleted = shadow.deleted.max(trimmed.log_start_offset.0);
        }
        for path in trimmed.files {
            if life.percent(70) && fs::unlink(path).await.is_err() {
                return;
            }
        }
    }
}

/// A clean stop, or none.
async fn stop(life: &Life, directory: &LogDirectory, log: &Log) {
    if life.percent(50) {
        return;
    }
    let Ok(end) = log.close().await else { return };
    let partition = partition();
    let noted = directory
        .write_recovery_points([(&partition, end)])
        .and_then(|()| directory.write_log_start_offsets([(&partition, log.noted_log_start())]));
    if noted.is_ok() && !Simulation::has_crashed() {
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
        match self.draw(8) {
            // Most crashes come in the middle of the work, some in the first steps: in recovery.
            0..=2 => faults.crash_at = Some(self.draw(150)),
            3 => faults.crash_at = Some(self.draw(20)),
            4 => faults.fail_write = Some(1 + self.draw(40)),
            5 => faults.fail_sync = Some(1 + self.draw(20)),
            6 => faults.full_after_bytes = Some(self.draw(8000)),
            _ => {}
        }
        faults
    }

    /// The next batch of a producer, in sequence.
    fn next_batch(&self, producer: u64) -> Vec<u8> {
        let mut sequences = self.sequences.borrow_mut();
        let (epoch, sequence) = &mut sequences[usize::try_from(producer).expect("small")];
        if self.percent(3) {
            *epoch += 1;
            *sequence = 0;
        }
        let mut builder = BatchBuilder::new().producer(ProducerStamp {
            producer_id: ProducerId(producer.cast_signed()),
            producer_epoch: ProducerEpoch(*epoch),
            base_sequence: Sequence(*sequence),
        });
        let records = 1 + i32::try_from(self.draw(4)).expect("small");
        for _ in 0..records {
            let timestamp = self.timestamp.get() + self.draw(20).cast_signed() - 5;
            self.timestamp.set(timestamp);
            let value: Vec<u8> = (0..self.draw(200)).map(|_| self.draw(250).to_le_bytes()[0]).collect();
            let record = Record::new(TimestampMs(timestamp), None, Some(&value));
            builder.append(&record).expect("a small batch");
        }
        *sequence += records;
        builder.build().expect("a small batch").to_vec()
    }

    /// Producers go on where the log is: what a crash took, they send as something new.
    fn take_up_sequences(&self, log: &Log) {
        let mut sequences = self.sequences.borrow_mut();
        log.with_state(|state| {
            for (index, slot) in sequences.iter_mut().enumerate() {
                let entry = state.producers().get(ProducerId(i64::try_from(index).expect("small")));
                *slot = entry.map_or((0, 0), |entry| (entry.epoch.0, entry.last_sequence().plus(1).0));
            }
        });
    }

    /// Removes or tears files that can be made from the batches.
    fn hurt_derived_files(&self, image: &mut Image) {
        let is_derived = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let suffixes = [
                "index",
                ".snapshot",
                "leader-epoch-checkpoint",
                "recovery-point-offset-checkpoint",
            ];
            suffixes.iter().any(|suffix| name.ends_with(suffix))
        };
        let derived: Vec<PathBuf> = image.files.keys().filter(|path| is_derived(path)).cloned().collect();
        for path in derived {
            match self.draw(12) {
                0 => {
                    image.files.remove(&path);
                }
                1 => {
                    let bytes = image.files.get_mut(&path).expect("it is there");
                    let kept = usize::try_from(self.draw(bytes.len() as u64 + 1)).expect("small");
                    // No crash ends a synced index between two entries, and nobody could see it.
                    let is_between = path.extension().is_some_and(|suffix| suffix == "timeindex") && kept % 12 == 0;
                    bytes.truncate(if is_between { kept.saturating_sub(1) } else { kept });
                }
                _ => {}
            }
        }
    }
}
