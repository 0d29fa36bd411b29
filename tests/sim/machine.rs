//! A machine with a disk and some logs: its rounds, the ways they end, and what happens to its files in between.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use duramen::base::ids::{LeaderEpoch, NodeId, ShardId};
use duramen::base::offset::FilePosition;
use duramen::log::names::JOURNAL_FLOOR;
use duramen::metadata::quorum::encode_quorum_state;
use duramen::rt::fs::{self, File, Open};
use duramen::rt::sim::{Faults, Image, Random, Simulation};
use duramen::shard::metadata_log::last_controller_epoch;
use duramen::storage::{Claim, Journal, Log, LogDirectory, Shutdown, is_journal_file};

use crate::life::{Life, Works};
use crate::other;

const ROUNDS: u64 = 4;
const DATA: &str = "/data";

/// The round whose faults a sweep chooses: there is something on the disk by then.
const SWEPT_ROUND: u64 = 1;

/// What is wrong on purpose, and which faults come when.
#[derive(Clone, Copy, Default)]
pub struct Plan {
    /// Records are acknowledged when they are written, not when they are durable.
    pub acknowledges_early: bool,
    pub data_syncs_lie: bool,
    pub name_syncs_lie: bool,
    /// The journal's files are gone after each round.
    pub journal_is_lost: bool,
    /// It is forgotten that a log was cut off.
    pub truncations_are_forgotten: bool,
    /// What the journal has is put back also when another broker had the directory since.
    pub overlooks_others: bool,
    /// The one fault of the life; without it, faults are drawn.
    pub fault: Option<Fault>,
}

/// A fault at one point.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    None,
    /// The machine is gone after so many operations of the disk.
    Crash(u64),
    /// This write fails, and all after it.
    Write(u64),
    /// This sync fails.
    Sync(u64),
}

/// What is left of a life.
#[derive(PartialEq, Eq, Debug)]
pub struct Trace {
    /// What is on the disk at its end.
    pub image: Image,
    /// Operations of the disk in the round that a sweep stops.
    pub operations: u64,
}

/// A machine and everything that is drawn for it.
struct Machine {
    plan: Plan,
    /// Of the journal; 0 is none. So small that its files are filled again and again.
    journal_bytes: u64,
    /// Of those who write into the page cache: more than nothing sends what they write through the ring.
    writers_wait: Duration,
    lives: Vec<Rc<Life>>,
    random: RefCell<Random>,
    /// All logs were closed, and the mark of that may be on the disk.
    may_be_marked: Cell<bool>,
}

/// Lives the life of a seed.
pub fn live(seed: u64, plan: &Plan) -> Trace {
    let mut random = Random::salted(seed, 100);
    let journal_bytes = [0, 8 * 2 * 4096, 8 * 3 * 4096, 8 * 9 * 4096][random.index(4)];
    let count = u8::try_from(1 + random.below(3)).expect("small");
    let life = |number: u8| {
        Life::new(
            number,
            plan.acknowledges_early,
            Random::salted(seed, 101 + u64::from(number)),
        )
    };
    let machine = Rc::new(Machine {
        plan: *plan,
        journal_bytes,
        writers_wait: Duration::from_millis(u64::from(Random::salted(seed, 99).percent(33))),
        lives: (0..count).map(life).collect(),
        random: RefCell::new(random),
        may_be_marked: Cell::new(false),
    });
    let mut image = Image::default();
    let mut operations = 0;
    let rounds = plan.fault.map_or(ROUNDS, |_| SWEPT_ROUND + 1);
    for round in 0..rounds {
        let faults = machine.faults(round);
        let simulation = Simulation::new(seed.wrapping_mul(ROUNDS).wrapping_add(round), &image, faults);
        let outcome = simulation.run(live_round(Rc::clone(&machine)));
        if round == SWEPT_ROUND {
            operations = outcome.operations;
        }
        image = outcome.image;
        if plan.fault.is_none() && machine.random.borrow_mut().percent(10) {
            machine.hand_over(&mut image);
        }
        machine.hurt(&mut image);
    }
    // At last, without faults: everything is there.
    let outcome = Simulation::new(seed, &image, machine.lies()).run(live_round(machine));
    assert!(outcome.output.is_some(), "a round without faults ends");
    Trace {
        image: outcome.image,
        operations,
    }
}

/// Opens the logs, works until the work is done or nothing works any more, and stops.
async fn live_round(machine: Rc<Machine>) {
    let last_epoch = last_controller_epoch([Path::new(DATA)]);
    let claim = Claim {
        controller_epoch: last_epoch.filter(|_| !machine.plan.overlooks_others),
        ..Claim::of(NodeId(1))
    };
    let Ok(directory) = LogDirectory::open(Path::new(DATA), claim) else {
        return;
    };
    directory.health().look_at_room(0);
    assert!(
        directory.shutdown() == Shutdown::Unclean || machine.may_be_marked.get(),
        "the mark of a clean stop has a clean stop before it"
    );
    let epoch = LeaderEpoch(last_epoch.map_or(1, |last| last.0 + 1));
    if directory.begin(epoch).is_err() || note_epoch(epoch).await.is_err() {
        return;
    }
    let Ok(journal) = Journal::open(&directory, ShardId(0), machine.journal_bytes) else {
        return;
    };
    let mut logs = Vec::new();
    for life in &machine.lives {
        let Some(log) = life.open(&directory).await else {
            return;
        };
        if let Some(journal) = &journal {
            log.use_journal(journal.clone(), life.topic_id.get());
        }
        logs.push(log);
    }
    if Simulation::has_crashed() {
        return;
    }
    machine.may_be_marked.set(false);
    let works = Rc::new(Works::default());
    for (life, log) in machine.lives.iter().zip(&logs) {
        life.work(log, &works);
    }
    works.all_ended().await;
    let mut kept = Vec::new();
    for (life, log) in machine.lives.iter().zip(&logs) {
        if life.survives(&directory, log).await {
            kept.push(log);
        }
    }
    machine.stop(&directory, &kept).await;
}

/// Notes the leader epoch of the metadata log, as the broker does right after the log directories have begun.
async fn note_epoch(epoch: LeaderEpoch) -> std::io::Result<()> {
    let path = Path::new(other::QUORUM_STATE);
    let directory = path.parent().expect("it is in a directory");
    fs::create_directory_all(directory)?;
    fs::sync_directory(DATA)?;
    let new = path.with_extension("tmp");
    let file = File::open(&new, Open::Create)?;
    file.truncate(0)?;
    let state = encode_quorum_state(NodeId(1), epoch);
    file.write_at(FilePosition::ZERO, &[state.as_bytes()])?;
    file.sync_data().await?;
    fs::rename(&new, path)?;
    fs::sync_directory(directory)
}

impl Machine {
    /// Another broker has the directory until the next round.
    fn hand_over(&self, image: &mut Image) {
        other::begin(image);
        self.may_be_marked.set(false);
        for life in &self.lives {
            life.hand_over(image, Path::new(DATA));
        }
    }

    fn draw(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below(bound)
    }

    /// A clean stop, or none.
    async fn stop(&self, directory: &LogDirectory, logs: &[&Log]) {
        if self.draw(2) == 0 {
            return;
        }
        let mut ends = Vec::new();
        let is_synced_at_once = self.draw(2) == 0;
        for log in logs {
            let closed = match is_synced_at_once {
                true => log.write_out().await,
                false => log.close().await,
            };
            let Ok(end) = closed else { return };
            if !Simulation::has_crashed() {
                assert_no_reserve(log);
            }
            ends.push((log.partition().clone(), end, log.noted_log_start()));
        }
        if is_synced_at_once && directory.sync_all().is_err() {
            return;
        }
        let noted = directory
            .write_recovery_points(ends.iter().map(|(partition, end, _)| (partition, *end)))
            .and_then(|()| {
                directory.write_log_start_offsets(ends.iter().map(|(partition, _, start)| (partition, *start)))
            });
        if noted.is_ok() && !Simulation::has_crashed() {
            self.may_be_marked.set(true);
            // Whether the mark is there, the next round sees.
            let _ = directory.mark_clean_shutdown(1);
        }
    }

    fn lies(&self) -> Faults {
        Faults {
            writers_wait: self.writers_wait,
            data_syncs_lie: self.plan.data_syncs_lie,
            name_syncs_lie: self.plan.name_syncs_lie,
            ..Faults::default()
        }
    }

    fn faults(&self, round: u64) -> Faults {
        let mut faults = self.lies();
        match self.plan.fault {
            None => self.draw_faults(&mut faults),
            Some(fault) if round == SWEPT_ROUND => match fault {
                Fault::None => {}
                Fault::Crash(operation) => faults.crash_at = Some(operation),
                Fault::Write(write) => faults.fail_write = Some(write),
                Fault::Sync(sync) => faults.fail_sync = Some(sync),
            },
            Some(_) => {}
        }
        faults
    }

    fn draw_faults(&self, faults: &mut Faults) {
        let logs = self.lives.len() as u64;
        match self.draw(9) {
            // Most crashes come in the middle of the work, some in the first steps: in recovery.
            0..=2 => faults.crash_at = Some(self.draw(150 * logs)),
            3 => faults.crash_at = Some(self.draw(20 * logs)),
            4 => faults.fail_write = Some(1 + self.draw(40 * logs)),
            5 => faults.fail_sync = Some(1 + self.draw(20 * logs)),
            6 => faults.full_after_bytes = Some(self.draw(8000 * logs)),
            7 => faults.fail_reserve = Some(1 + self.draw(4 * logs)),
            _ => {}
        }
    }

    /// What happens to files between two rounds.
    fn hurt(&self, image: &mut Image) {
        if self.plan.journal_is_lost {
            image.files.retain(|path, _| !is_journal_file(&name_of(path)));
        }
        if self.plan.truncations_are_forgotten {
            image.files.retain(|path, _| name_of(path) != JOURNAL_FLOOR);
        }
        if self.may_be_marked.get() {
            return;
        }
        let derived: Vec<PathBuf> = image.files.keys().filter(|path| is_derived(path)).cloned().collect();
        for path in derived {
            match self.draw(12) {
                // Where a partition has none, the log directory's recovery point counts, which may be of a topic before: one that is there
                // may be torn, but no crash takes it away.
                0 if name_of(&path) == "recovery-point-offset-checkpoint" => {
                    image.files.insert(path, Vec::new());
                }
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

/// A log that is closed has no blocks behind the ends of its segments.
fn assert_no_reserve(log: &Log) {
    for entry in fs::list(log.path()).expect("it is there") {
        let path = log.path().join(&entry.name);
        if name_of(&path).ends_with(".log") {
            let size = fs::size(&path).expect("it is there");
            assert_eq!(size.allocated_bytes, size.bytes, "{}", path.display());
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a file can be made from the batches.
fn is_derived(path: &Path) -> bool {
    let suffixes = [
        "index",
        ".snapshot",
        "leader-epoch-checkpoint",
        "recovery-point-offset-checkpoint",
    ];
    suffixes.iter().any(|suffix| name_of(path).ends_with(suffix))
}
