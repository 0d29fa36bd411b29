//! The life of one log: its work in each round, and what happens to its files in between.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use duramen::base::ids::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence, TopicId, TopicPartition};
use duramen::base::time::TimestampMs;
use duramen::log::names::PARTITION_METADATA;
use duramen::log::properties::decode_partition_metadata;
use duramen::log::{Retention, Settings};
use duramen::record::build::ProducerStamp;
use duramen::record::{BatchBuilder, Record};
use duramen::rt::local::Event;
use duramen::rt::sim::{Image, Random, Simulation};
use duramen::rt::{fs, task, time};
use duramen::storage::{Log, LogDirectory, Report, Shutdown, StorageError};

use self::produce::produce;
use crate::other;
use crate::shadow::{Shadow, look_up, view};

mod produce;

/// One log, under one name, and everything that is drawn for it.
pub struct Life {
    pub acknowledges_early: bool,
    pub partition: TopicPartition,
    /// Of the topic that has the name just now.
    pub topic_id: Cell<TopicId>,
    settings: Settings,
    producers: u64,
    shadow: RefCell<Shadow>,
    random: RefCell<Random>,
    /// The next sequence of each producer, and its epoch.
    sequences: RefCell<Vec<(i16, i32)>>,
    timestamp: Cell<i64>,
    /// The latest one. The metadata would tell it: a log that lost its end does not.
    leader_epoch: Cell<LeaderEpoch>,
    /// Producers between the making of batches and their append, and whether all wait for the end of a truncation.
    appending: Cell<u64>,
    truncating: Cell<bool>,
}

impl Life {
    pub fn new(number: u8, acknowledges_early: bool, mut random: Random) -> Rc<Self> {
        let settings = Settings {
            segment_bytes_max: 1000 + u32::try_from(random.below(4000)).expect("small"),
            index_interval_bytes: u32::try_from(random.below(800)).expect("small"),
            index_bytes_max: 24 + u32::try_from(random.below(400)).expect("small"),
            preallocate: random.below(4) == 0,
            ..Settings::default()
        };
        let producers = 1 + random.below(3);
        Rc::new(Self {
            acknowledges_early,
            partition: TopicPartition {
                topic: Arc::from("t"),
                partition: i32::from(number),
            },
            topic_id: Cell::new(TopicId([number + 1; 16])),
            settings,
            producers,
            shadow: RefCell::default(),
            random: RefCell::new(random),
            sequences: RefCell::new(vec![(0, 0); usize::try_from(producers).expect("small")]),
            timestamp: Cell::new(1000),
            leader_epoch: Cell::new(LeaderEpoch(0)),
            appending: Cell::new(0),
            truncating: Cell::new(false),
        })
    }

    /// Opens the log and compares it with the shadow; `None` when the machine or the disk is gone.
    pub async fn open(&self, directory: &LogDirectory) -> Option<Log> {
        // What a crash has stopped is over.
        self.truncating.set(false);
        let (partition, topic_id) = (&self.partition, self.topic_id.get());
        let opened = directory.open_log(partition, topic_id, self.settings, time::wall());
        let (log, report) = match opened.await {
            Ok(opened) => opened,
            Err(_) if Simulation::has_crashed() || directory.health().is_offline() => return None,
            Err(StorageError::Full { .. }) => return None,
            Err(error) => panic!("a log that was never damaged does not open: {error}"),
        };
        if Simulation::has_crashed() {
            return None;
        }
        if directory.shutdown() == Shutdown::Clean {
            assert_eq!(report, Report::default(), "after a clean stop nothing is to be done");
            assert_eq!(
                log.log_end_offset().0,
                self.shadow.borrow().end(),
                "a clean stop loses nothing"
            );
        }
        self.shadow.borrow_mut().compare(&log, &mut self.random.borrow_mut());
        let written = self.shadow.borrow().written.clone();
        look_up(&log, &written, &self.random).await;
        if Simulation::has_crashed() {
            return None;
        }
        self.take_up_sequences(&log);
        Some(log)
    }

    /// Begins the work on a log: producers, deletions, truncations, checkpoints.
    pub fn work(self: &Rc<Self>, log: &Log, works: &Rc<Works>) {
        for producer in 0..self.producers {
            let (life, log) = (Rc::clone(self), log.clone());
            works.begin(async move { produce(&life, &log, producer).await });
        }
        let (life, trimmed) = (Rc::clone(self), log.clone());
        works.begin(async move { trim(&life, &trimmed).await });
        let (life, truncated) = (Rc::clone(self), log.clone());
        works.begin(async move { truncate(&life, &truncated).await });
        let (life, log) = (Rc::clone(self), log.clone());
        works.begin(async move { checkpoint(&life, &log).await });
    }

    /// Another broker has the log between two rounds: what it leaves is what was written.
    pub fn hand_over(&self, image: &mut Image, data: &Path) {
        let directory = data.join(self.partition.to_string());
        let identity = image.files.get(&directory.join(PARTITION_METADATA));
        let found = identity.and_then(|text| decode_partition_metadata(text).ok());
        if found != Some(self.topic_id.get()) {
            return;
        }
        let left = other::take(image, &directory, &mut self.random.borrow_mut());
        let epochs = left.values().map(|batch| view(batch).header().leader_epoch);
        let latest = epochs.max().unwrap_or(LeaderEpoch(0));
        self.leader_epoch.set(self.leader_epoch.get().max(latest));
        self.shadow.borrow_mut().hand_over(left);
    }

    /// Deletes the topic, now and then, and gives its name to another; says whether the log is still there.
    pub async fn survives(&self, directory: &LogDirectory, log: &Log) -> bool {
        if !self.percent(12) {
            return true;
        }
        let TopicId(mut id) = self.topic_id.get();
        id[15] += 1;
        self.topic_id.set(TopicId(id));
        *self.shadow.borrow_mut() = Shadow::default();
        self.leader_epoch.set(LeaderEpoch(0));
        log.retire();
        if let Ok(deleted) = directory.begin_deletion(&self.partition).await
            && self.percent(50)
        {
            // What is left of it harms nobody.
            let _ = directory.remove(&[deleted]).await;
        }
        false
    }
}

/// How long one waits before it looks again.
const NAP: std::time::Duration = std::time::Duration::from_micros(20);

/// Tasks that still run.
#[derive(Default)]
pub struct Works {
    running: Cell<u64>,
    ended: Event,
}

impl Works {
    fn begin(self: &Rc<Self>, work: impl Future<Output = ()> + 'static) {
        self.running.set(self.running.get() + 1);
        let works = Rc::clone(self);
        task::spawn(async move {
            work.await;
            works.running.set(works.running.get() - 1);
            works.ended.notify();
        });
    }

    pub async fn all_ended(&self) {
        while self.running.get() > 0 {
            let ended = self.ended.listen();
            ended.await;
        }
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

/// Takes the end of the log back, now and then.
async fn truncate(life: &Life, log: &Log) {
    if life.percent(70) {
        return;
    }
    for _ in 0..life.draw(3) {
        time::sleep(std::time::Duration::from_micros(life.draw(2000))).await;
        life.truncating.set(true);
        while life.appending.get() > 0 {
            time::sleep(NAP).await;
        }
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let to = start.plus(life.draw(end.distance_from(start).cast_unsigned() + 1).cast_signed());
        life.shadow.borrow_mut().begin_truncation(to.0);
        let truncated = log.truncate_to(to, time::wall()).await;
        if !Simulation::has_crashed() {
            let end = truncated.as_ref().ok().map(|end| end.0);
            assert!(
                end.is_none_or(|end| end <= to.max(log.log_start_offset()).0),
                "it ends at {end:?}, not at {to}"
            );
            life.shadow.borrow_mut().end_truncation(end);
            life.take_up_sequences(log);
        }
        life.truncating.set(false);
        if truncated.is_err() {
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
            life.shadow.borrow_mut().delete_below(trimmed.log_start_offset.0);
        }
        for path in trimmed.files {
            if life.percent(70) && fs::unlink(path).await.is_err() {
                return;
            }
        }
    }
}

/// A producer that has batches, and has not appended them.
struct Appending<'a>(&'a Life);

impl Drop for Appending<'_> {
    fn drop(&mut self) {
        self.0.appending.set(self.0.appending.get() - 1);
    }
}

impl Life {
    /// Waits while the log's end is taken back.
    async fn begin_append(&self) -> Appending<'_> {
        while self.truncating.get() {
            time::sleep(NAP).await;
        }
        self.appending.set(self.appending.get() + 1);
        Appending(self)
    }

    fn draw(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below(bound)
    }

    fn percent(&self, percent: u64) -> bool {
        self.random.borrow_mut().percent(percent)
    }

    /// That of the leader, which changes now and then.
    fn leader_epoch(&self) -> LeaderEpoch {
        let epoch = LeaderEpoch(i32::try_from(self.shadow.borrow().end() / 40).expect("small"));
        self.leader_epoch.set(self.leader_epoch.get().max(epoch));
        self.leader_epoch.get()
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
                // One that the log does not know any more, because its records were deleted, begins with a new epoch (KIP-360).
                let unknown = match *slot {
                    (0, 0) => (0, 0),
                    (epoch, _) => (epoch + 1, 0),
                };
                *slot = entry.map_or(unknown, |entry| (entry.epoch.0, entry.last_sequence().plus(1).0));
            }
        });
    }
}
