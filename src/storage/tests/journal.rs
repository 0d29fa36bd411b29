//! The journal on a real disk: what only it has comes back, and what is not ours is refused. Crashes are in `tests/sim.rs`.

use super::*;
use crate::base::ids::ShardId;
use crate::log::names::CLEAN_SHUTDOWN;
use crate::rt::time::sleep;
use crate::storage::journal::Journal;
use std::collections::BTreeMap;
use std::time::Duration;

const TOPIC: TopicId = TopicId([5; 16]);
const JOURNAL_BYTES: u64 = 1 << 20;

/// A log with the journal of a core; `None` where the file system of temporary directories has none, told to the person.
pub(super) async fn journaled(directory: &LogDirectory, core: u16) -> Option<(Log, Journal)> {
    directory.begin(LeaderEpoch(1)).unwrap();
    let log = new_log(directory, TOPIC).await;
    let Some(journal) = Journal::open(directory, ShardId(core), JOURNAL_BYTES).unwrap() else {
        eprintln!("skipped: no O_DIRECT here");
        return None;
    };
    log.use_journal(journal.clone(), TOPIC);
    // Its first file is made when it is first wanted.
    append(&log, &batch(1, 0));
    log.make_durable(Offset(1)).await.unwrap();
    while journal.statistics().groups == 0 {
        sleep(Duration::from_millis(1)).await;
        let end = append(&log, &batch(1, 0)).last_offset.next();
        log.make_durable(end).await.unwrap();
    }
    Some((log, journal))
}

/// Takes the end of the active segment away, as a crash of the machine does with what was not synced.
fn lose_the_end(log: &Log, bytes: u64) {
    let path = log.path().join(file_name(Offset(0), FileKind::Log));
    let file = File::open(path, Open::ReadWrite).unwrap();
    file.truncate(file.len().unwrap() - bytes).unwrap();
}

fn journal_files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = fs::list(path).unwrap().into_iter();
    let names = names.filter_map(|entry| entry.name.into_string().ok());
    names
        .filter(|name| is_journal_file(name))
        .map(|name| (name.clone(), fs::read(path.join(&name)).unwrap()))
        .collect()
}

#[test]
fn what_only_the_journal_has_comes_back_whatever_the_number_of_cores() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let Some((log, journal)) = journaled(&directory, 3).await else {
            return;
        };
        let groups = journal.statistics().groups;
        for index in 0..20 {
            let end = append(&log, &batch(2, index)).last_offset.next();
            log.make_durable(end).await.unwrap();
        }
        assert_eq!(journal.statistics().groups, groups + 20, "each wait was a group");
        let (expected, end) = (read_all(&log, 1000), log.log_end_offset());
        lose_the_end(&log, 300);
        drop((log, journal, directory));

        let directory = open_directory(&path);
        directory.begin(LeaderEpoch(1)).unwrap();
        let (log, report) = open(&directory).await;
        assert_eq!(log.log_end_offset(), end);
        assert_eq!(read_all(&log, 1000), expected);
        assert!(report.cut.is_none());
        // A start with fewer cores has no use for the files of the others.
        assert!(!journal_files(&path).is_empty());
        directory.remove_journals_from(2).unwrap();
        assert!(journal_files(&path).is_empty());
    });
}

#[test]
fn a_journal_is_replayed_once() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let Some((log, _)) = journaled(&directory, 0).await else {
            return;
        };
        drop((log, directory));
        let directory = open_directory(&path);
        directory.begin(LeaderEpoch(1)).unwrap();
        // This crash takes what the journal had before the last start: it was on the disk then, and is void now.
        let (log, _) = open(&directory).await;
        let end = log.log_end_offset();
        lose_the_end(&log, 10);
        drop((log, directory));
        let directory = open_directory(&path);
        directory.begin(LeaderEpoch(1)).unwrap();
        let (log, report) = open(&directory).await;
        assert!(log.log_end_offset() < end);
        assert!(report.cut.is_some());
    });
}

#[test]
fn long_appends_and_what_a_full_journal_does_not_take_are_synced() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let Some((log, journal)) = journaled(&directory, 0).await else {
            return;
        };
        let before = journal.statistics();
        let large = SETTINGS.segment_bytes_max;
        let long = large_batch(usize::try_from(JOURNALED_BYTES_MAX).unwrap() + 1);
        log.set_settings(Settings {
            segment_bytes_max: 1 << 30,
            ..SETTINGS
        });
        assert!(long.len() > usize::try_from(large).unwrap());
        let end = append(&log, &long).last_offset.next();
        log.make_durable(end).await.unwrap();
        assert_eq!(journal.statistics().groups, before.groups, "it went past the journal");
        assert_eq!(log.durable_end_offset(), end);
    });
}

/// A log beside that of [`journaled`], with the same journal.
async fn beside(directory: &LogDirectory, journal: &Journal) -> Log {
    let partition = TopicPartition {
        topic: "beside".into(),
        partition: 0,
    };
    let topic_id = TopicId([6; 16]);
    let settings = Settings {
        segment_bytes_max: 1 << 24,
        ..SETTINGS
    };
    let opened = directory.open_log(&partition, topic_id, settings, TimestampMs(0));
    let (log, _) = opened.await.unwrap();
    log.use_journal(journal.clone(), topic_id);
    log
}

/// Makes batches durable until `is_enough`.
async fn fill_until(log: &Log, mut is_enough: impl FnMut() -> bool) {
    for index in 0.. {
        let end = append(log, &batch(20, index)).last_offset.next();
        log.make_durable(end).await.unwrap();
        if is_enough() {
            return;
        }
        assert!(index < 20_000, "the journal goes on as it was");
        sleep(Duration::ZERO).await;
    }
}

#[test]
fn what_cannot_be_synced_stays_in_the_journal_until_it_can() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let Some((log, journal)) = journaled(&directory, 0).await else {
            return;
        };
        let other = beside(&directory, &journal).await;
        let segment = log.path().join(file_name(Offset(0), FileKind::Log));
        let away = path.join("away");
        for is_last in [false, true] {
            let end = append(&log, &batch(1, 0)).last_offset.next();
            log.make_durable(end).await.unwrap();
            let expected = read_all(&log, 1000);
            // Nobody can open it for now, as when a process has no descriptors left.
            log.release_files();
            fs::rename(&segment, &away).unwrap();
            let before = journal.statistics();
            fill_until(&other, || journal.statistics().overflows > before.overflows).await;
            // It is tried again meanwhile.
            let full = journal.statistics();
            sleep(Duration::from_millis(1100)).await;
            let mut turns = 0..100;
            fill_until(&other, || turns.next().is_none()).await;
            assert_eq!(journal.statistics().groups, full.groups, "nothing is freed");
            fs::rename(&away, &segment).unwrap();
            assert!(!directory.health().is_offline());
            if !is_last {
                fill_until(&other, || journal.statistics().groups > full.groups + 10).await;
                continue;
            }
            lose_the_end(&log, 50);
            drop((log, other, journal, directory));
            let directory = open_directory(&path);
            directory.begin(LeaderEpoch(1)).unwrap();
            let (log, _) = open(&directory).await;
            assert_eq!(log.log_end_offset(), end);
            assert_eq!(read_all(&log, 1000), expected);
            return;
        }
    });
}

fn large_batch(bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    let value = vec![7; bytes];
    builder
        .append(&Record::new(TimestampMs(1), None, Some(&value)))
        .unwrap();
    builder.build().unwrap().to_vec()
}

#[test]
fn a_journal_that_is_not_ours_is_refused_and_left_alone() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let Some((log, _)) = journaled(&directory, 0).await else {
            return;
        };
        for index in 0..3 {
            let end = append(&log, &batch(2, index)).last_offset.next();
            log.make_durable(end).await.unwrap();
        }
        drop((log, directory));
        let whole = journal_files(&path);
        let name = whole.keys().next().unwrap().clone();
        let block = 4096;
        let hurt: [(&str, usize, &str); 4] = [
            ("another version", 8, "format version"),
            ("another directory", 16, "damaged"),
            ("no journal file", 0, "no journal file"),
            ("a group between others", block + 100, "group 0 is missing or damaged"),
        ];
        for (what, at, told) in hurt {
            let mut bytes = whole[&name].clone();
            bytes[at] ^= 0x40;
            write(&path.join(&name), &bytes);
            let refused = LogDirectory::open(&path, Claim::of(NodeId(1))).unwrap_err().to_string();
            assert!(refused.contains(told) && refused.contains(&name), "{what}: {refused}");
            assert_eq!(journal_files(&path)[&name], bytes, "{what}: nothing is written");
        }
        write(&path.join(&name), &whole[&name]);
        open_directory(&path);
    });
}

#[test]
fn a_journal_that_cannot_be_read_is_made_anew_after_a_clean_stop() {
    on_core(async |path| {
        for (what, at) in [("another version", 8), ("damaged", 40), ("no journal file", 0)] {
            let directory = open_directory(&path);
            let Some((log, journal)) = journaled(&directory, 0).await else {
                return;
            };
            let end = log.close().await.unwrap();
            directory.write_recovery_points([(&partition(), end)]).unwrap();
            directory.mark_clean_shutdown(1).unwrap();
            drop((log, journal, directory));
            let (name, mut bytes) = journal_files(&path).pop_first().unwrap();
            bytes[at] ^= 0x40;
            write(&path.join(&name), &bytes);

            let directory = open_directory(&path);
            assert_eq!(
                journal_files(&path)[&name],
                bytes,
                "{what}: nothing is written before the start"
            );
            directory.begin(LeaderEpoch(2)).unwrap();
            assert!(!journal_files(&path).contains_key(&name), "{what}");
            drop(directory);
            // A crash now finds nothing that it needs, and nothing that keeps it from starting.
            assert_eq!(open_directory(&path).shutdown(), Shutdown::Unclean, "{what}");
        }
    });
}

/// Apache Kafka may have had the directory after our crash: its batches stay, whatever the journal has.
#[test]
fn what_another_broker_has_written_since_stays() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let Some((log, _)) = journaled(&directory, 0).await else {
            return;
        };
        let last = append(&log, &batch(2, 500));
        log.make_durable(last.last_offset.next()).await.unwrap();
        let segment = log.path().join(file_name(Offset(0), FileKind::Log));
        let ours = fs::read(&segment).unwrap();
        lose_the_end(&log, batch(2, 500).len() as u64);
        let theirs = build(BatchBuilder::new().base_offset(last.base_offset), 3, 900);
        let file = File::open(&segment, Open::ReadWrite).unwrap();
        file.write_at(FilePosition(file.len().unwrap()), &[&theirs]).unwrap();
        drop((log, directory));
        let after = |controller_epoch| Claim {
            controller_epoch: Some(LeaderEpoch(controller_epoch)),
            ..Claim::of(NodeId(1))
        };
        drop(LogDirectory::open(&path, after(2)).unwrap());
        assert!(fs::read(&segment).unwrap().ends_with(&theirs));
        // Had nobody begun an epoch since, these bytes would be what our own crash left.
        drop(LogDirectory::open(&path, after(1)).unwrap());
        assert!(fs::read(&segment).unwrap().starts_with(&ours));
        // Once begun, what the journal had is void for good.
        let directory = LogDirectory::open(&path, after(2)).unwrap();
        directory.begin(LeaderEpoch(3)).unwrap();
        lose_the_end(&open(&directory).await.0, 1);
        drop(directory);
        let (log, _) = open(&LogDirectory::open(&path, after(3)).unwrap()).await;
        assert!(log.log_end_offset() <= last.base_offset);
    });
}

#[test]
fn a_journal_of_another_directory_is_refused() {
    on_core(async |path| {
        let (one, other) = (path.join("one"), path.join("other"));
        let directory = open_directory(&one);
        if journaled(&directory, 0).await.is_none() {
            return;
        }
        drop(open_directory(&other));
        for (name, bytes) in journal_files(&one) {
            write(&other.join(name), &bytes);
        }
        for is_clean in [false, true] {
            if is_clean {
                write(&other.join(CLEAN_SHUTDOWN), b"");
            }
            let refused = LogDirectory::open(&other, Claim::of(NodeId(1)));
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("another log directory"), "{refused}");
        }
    });
}

fn write(path: &Path, bytes: &[u8]) {
    let file = File::open(path, Open::Create).unwrap();
    file.truncate(0).unwrap();
    file.write_at(FilePosition::ZERO, &[bytes]).unwrap();
}

/// Hears of waits.
#[derive(Default)]
struct Told {
    ends: std::cell::RefCell<Vec<(usize, WaitEnd)>>,
    told: crate::rt::local::Event,
}

impl AwaitsDisk for Told {
    fn wait_ended(self: std::rc::Rc<Self>, number: usize, end: WaitEnd) {
        self.ends.borrow_mut().push((number, end));
        self.told.notify();
    }
}

impl Told {
    async fn of(&self, count: usize) -> Vec<(usize, WaitEnd)> {
        loop {
            let told = self.told.listen();
            if self.ends.borrow().len() >= count {
                let mut ends = self.ends.take();
                ends.sort_by_key(|(number, _)| *number);
                return ends;
            }
            told.await;
        }
    }
}

#[test]
fn who_waits_is_told_once_with_the_journal_and_without() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let Some((log, journal)) = journaled(&directory, 0).await else {
            return;
        };
        log.set_settings(Settings {
            segment_bytes_max: 1 << 20,
            ..SETTINGS
        });
        let long = vec![b'x'; usize::try_from(JOURNALED_BYTES_MAX).unwrap()];
        let mut builder = BatchBuilder::new();
        builder.append(&Record::new(TimestampMs(1), None, Some(&long))).unwrap();
        let long = builder.build().unwrap().to_vec();
        for (number, bytes) in [batch(1, 0), long, batch(3, 0)].iter().enumerate() {
            let waits = std::rc::Rc::new(Told::default());
            let wait = |end, number| {
                let waits = std::rc::Rc::clone(&waits);
                log.when_durable(end, waits, number);
            };
            let groups = journal.statistics().groups;
            let first = append(&log, bytes).last_offset.next();
            wait(first, 0);
            assert!(waits.ends.borrow().is_empty(), "the disk takes its time");
            let second = append(&log, bytes).last_offset.next();
            wait(second, 1);
            wait(Offset(0), 2);
            let ends = waits.of(3).await;
            assert_eq!(ends, [0, 1, 2].map(|number| (number, WaitEnd::OnDisk)));
            assert!(log.durable_end_offset() >= second);
            assert_eq!(
                journal.statistics().groups > groups,
                number != 1,
                "what is long is not journaled"
            );
        }
        let waits = std::rc::Rc::new(Told::default());
        let end = append(&log, &batch(1, 0)).last_offset.next();
        log.when_durable(end, std::rc::Rc::clone(&waits) as std::rc::Rc<dyn AwaitsDisk>, 5);
        log.retire();
        assert_eq!(*waits.ends.borrow(), [(5, WaitEnd::OnDisk)], "nobody needs it any more");
    });
}
