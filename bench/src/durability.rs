//! The price of durability.
//!
//! **At once.** Each round appends one small batch to each of P logs and waits until all of them are durable. Told is the time from the first
//! wait to the last answer: how long the appends themselves take does not depend on the way they become durable, and stands in a column
//! of its own.
//!
//! **Steady.** Appends come at a fixed rate, each to the next of the P logs. Told is the time of each from the moment it was meant to come
//! until it is durable, whatever those before it had to wait for.
//!
//! **By size** (`--batch-bytes`). As at once, for batches of several sizes, all of them through the journal and all of them by a sync: where one
//! way overtakes the other is what [`JOURNALED_BYTES_MAX`] should be. The journal's bytes are written once more, in the background: that
//! cost is in the rounds that come after.
//!
//! Ways: the journal, a sync of each partition's segment, and the device alone (one O_DIRECT write of as many bytes, flushed,
//! into a file that was written before). Journal and device take turns in every round, and so do the numbers of partitions, so that they
//! meet the same machine.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use duramen::base::ids::{LeaderEpoch, NodeId, ShardId, TopicId, TopicPartition};
use duramen::base::offset::{FilePosition, Offset};
use duramen::base::time::TimestampMs;
use duramen::log::{Origin, Settings};
use duramen::record::{BatchBuilder, BatchView, Record};
use duramen::rt::fs::{AlignedBuffer, BLOCK_BYTES, DirectFile, File, Open};
use duramen::rt::{cores, probe, task, time};
use duramen::storage::{AwaitsDisk, Claim, JOURNALED_BYTES_MAX, Journal, Log, LogDirectory, NewBatch, WaitEnd};
use hdrhistogram::Histogram;

/// Bytes that are appended for one size in each way.
const BYTES_BY_SIZE_MAX: usize = 512 << 20;

/// Longer times are told as this.
const MICROS_MAX: u64 = 60_000_000;

type Error = Box<dyn std::error::Error>;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// An empty directory on the disk that is measured; it is made, and left.
    #[arg(long, default_value = "./duramen-bench-data")]
    directory: PathBuf,
    /// Partitions that are appended to in each round.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 100, 1000])]
    partitions: Vec<i32>,
    /// Bytes of the record in each batch.
    #[arg(long, default_value_t = 200)]
    record_bytes: usize,
    /// Rounds of each way.
    #[arg(long, default_value_t = 500)]
    rounds: u32,
    /// Appends a second, over all partitions, where they come steadily.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Seconds of each way where appends come steadily, one after the other in turns.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Instead of all that: batches of these sizes, through the journal and by a sync, to find the size from which a sync is better.
    #[arg(long, value_delimiter = ',')]
    batch_bytes: Vec<usize>,
    /// Bytes of the journal.
    #[arg(long, default_value_t = 128 << 20)]
    journal_bytes: u64,
}

pub fn run(arguments: Arguments) -> Result<(), Error> {
    probe::check().map_err(|missing| missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let plans = cores::plan(1, None)?;
    let handles = cores::run(&plans, move |_| {
        let arguments = arguments.clone();
        // Errors of this program are told, not handled.
        async move { measure(&arguments).await.map_err(|error| error.to_string()) }
    })?;
    for handle in handles {
        handle.join()?;
    }
    Ok(())
}

/// Times of one way.
struct Times {
    durable: Histogram<u64>,
    appends: Histogram<u64>,
}

impl Times {
    fn new() -> Result<Self, Error> {
        Ok(Self {
            durable: Histogram::new_with_bounds(1, MICROS_MAX, 3)?,
            appends: Histogram::new_with_bounds(1, MICROS_MAX, 3)?,
        })
    }

    fn line(&self, way: &str, partitions: i32, bytes: usize) {
        let at = |quantile| self.durable.value_at_quantile(quantile);
        println!(
            "{way:<12}{partitions:>11}{:>10}{:>10}{:>10}{:>10}{:>12}{bytes:>14}",
            at(0.5),
            at(0.99),
            at(0.999),
            self.durable.max(),
            self.appends.value_at_quantile(0.5),
        );
    }
}

async fn measure(arguments: &Arguments) -> Result<(), Error> {
    if !arguments.batch_bytes.is_empty() {
        return by_size(arguments).await;
    }
    println!(
        "one core, batches of one record of {} bytes; microseconds until all partitions of a round are durable ({} rounds), and \
         with /s, until each of {} appends a second is",
        arguments.record_bytes, arguments.rounds, arguments.rate
    );
    println!(
        "{:<12}{:>11}{:>10}{:>10}{:>10}{:>10}{:>12}{:>14}",
        "way", "partitions", "p50", "p99", "p99.9", "max", "appends p50", "bytes a round"
    );
    compare(arguments).await
}

/// The logs of one number of partitions, and what their rounds took.
struct Contender {
    partitions: i32,
    journal: Journal,
    with_journal: Vec<Log>,
    with_sync: Vec<Log>,
    raw: RawFile,
    /// Of a round in the journal.
    bytes: usize,
    journaled: Times,
    synced: Times,
    device: Times,
    journaled_steady: Times,
    synced_steady: Times,
}

impl Contender {
    async fn open(arguments: &Arguments, partitions: i32, batch: &[u8]) -> Result<Self, Error> {
        let path = arguments.directory.join(format!("{partitions}-partitions"));
        let directory = LogDirectory::open(&path, Claim::of(NodeId(1)))?;
        directory.begin(LeaderEpoch(1))?;
        let journal = Journal::open(&directory, ShardId(0), arguments.journal_bytes)?;
        let journal = journal.ok_or("the file system has no O_DIRECT: there is no journal to measure")?;
        let with_journal = open_logs(&directory, "journal", partitions, Some(&journal)).await?;
        let with_sync = open_logs(&directory, "sync", partitions, None).await?;
        // The first round makes the journal's files; they are waited for, as a broker that has run for a while has them.
        round(&with_journal, batch).await?;
        time::sleep(Duration::from_millis(500)).await;
        let bytes = group_bytes(&journal, &with_journal, batch).await?;
        Ok(Self {
            partitions,
            journal,
            with_journal,
            with_sync,
            raw: RawFile::new(&path, bytes).await?,
            bytes,
            journaled: Times::new()?,
            synced: Times::new()?,
            device: Times::new()?,
            journaled_steady: Times::new()?,
            synced_steady: Times::new()?,
        })
    }

    async fn round(&mut self, index: u32, batch: &[u8]) -> Result<(), Error> {
        round_into(&self.with_journal, batch, &mut self.journaled).await?;
        self.raw.write_into(index, &mut self.device).await
    }

    async fn round_of_syncs(&mut self, index: u32, batch: &[u8]) -> Result<(), Error> {
        // Syncs of a thousand partitions take long: fewer rounds tell as much.
        let every = 1 + self.partitions / 100;
        if index.is_multiple_of(every.unsigned_abs()) {
            round_into(&self.with_sync, batch, &mut self.synced).await?;
        }
        Ok(())
    }

    /// A second of appends at a fixed rate, each way.
    async fn steady(&mut self, rate: u32, batch: &[u8]) -> Result<(), Error> {
        self.journaled_steady
            .durable
            .add(steady(rate, &self.with_journal, batch).await?)?;
        self.synced_steady
            .durable
            .add(steady(rate, &self.with_sync, batch).await?)?;
        Ok(())
    }

    fn tell(&self) {
        self.device.line("device", self.partitions, self.bytes);
        self.journaled.line("journal", self.partitions, self.bytes);
        self.synced.line("fdatasync", self.partitions, self.bytes);
        self.journaled_steady.line("journal/s", self.partitions, 0);
        self.synced_steady.line("fdatasync/s", self.partitions, 0);
        let statistics = self.journal.statistics();
        if statistics.overflows > 0 {
            println!("  the journal was full {} times", statistics.overflows);
        }
    }
}

/// All ways for each number of partitions, in turns: the rounds of the journal and of the device first, then those of syncs, after which a
/// disk is busy for a while.
async fn compare(arguments: &Arguments) -> Result<(), Error> {
    let batch = batch(arguments.record_bytes)?;
    let mut contenders = Vec::new();
    for partitions in &arguments.partitions {
        contenders.push(Contender::open(arguments, *partitions, &batch).await?);
    }
    for index in 0..arguments.rounds {
        // Another begins each time.
        let first = 1.min(contenders.len());
        contenders.rotate_left(first);
        for contender in &mut contenders {
            contender.round(index, &batch).await?;
        }
    }
    for index in 0..arguments.rounds {
        for contender in &mut contenders {
            contender.round_of_syncs(index, &batch).await?;
        }
    }
    for _ in 0..arguments.seconds {
        for contender in &mut contenders {
            contender.steady(arguments.rate, &batch).await?;
        }
    }
    contenders.sort_by_key(|contender| contender.partitions);
    contenders.iter().for_each(Contender::tell);
    Ok(())
}

/// Finds the size of batches from which a sync of the segment is better than the journal.
async fn by_size(arguments: &Arguments) -> Result<(), Error> {
    println!(
        "one core; microseconds until one batch of each partition is durable; the broker journals up to {JOURNALED_BYTES_MAX} bytes of \
         a partition at once"
    );
    println!(
        "{:>11}{:>12}{:>8}{:>13}{:>13}{:>13}{:>13}{:>18}",
        "partitions", "batch", "rounds", "journal p50", "journal p99", "sync p50", "sync p99", "journal/sync mean"
    );
    for partitions in &arguments.partitions {
        let path = arguments.directory.join(format!("{partitions}-by-size"));
        let directory = LogDirectory::open(&path, Claim::of(NodeId(1)))?;
        let journal = Journal::open(&directory, ShardId(0), arguments.journal_bytes)?;
        let journal = journal.ok_or("the file system has no O_DIRECT: there is no journal to measure")?;
        journal.set_journaled_bytes_max(u64::MAX);
        let with_journal = open_logs(&directory, "journal", *partitions, Some(&journal)).await?;
        let with_sync = open_logs(&directory, "sync", *partitions, None).await?;
        round(&with_journal, &batch(1)?).await?;
        time::sleep(Duration::from_millis(500)).await;
        for bytes in &arguments.batch_bytes {
            let batch = batch(*bytes)?;
            let rounds_max = BYTES_BY_SIZE_MAX / batch.len() / with_journal.len();
            let rounds = arguments.rounds.min(u32::try_from(rounds_max)?).max(10);
            let (mut journaled, mut synced) = (Times::new()?, Times::new()?);
            for _ in 0..rounds {
                round_into(&with_journal, &batch, &mut journaled).await?;
                round_into(&with_sync, &batch, &mut synced).await?;
            }
            let at = |times: &Times, quantile| times.durable.value_at_quantile(quantile);
            println!(
                "{partitions:>11}{bytes:>12}{rounds:>8}{:>13}{:>13}{:>13}{:>13}{:>18.2}",
                at(&journaled, 0.5),
                at(&journaled, 0.99),
                at(&synced, 0.5),
                at(&synced, 0.99),
                journaled.durable.mean() / synced.durable.mean(),
            );
        }
        let overflows = journal.statistics().overflows;
        if overflows > 0 {
            println!("  the journal was full {overflows} times");
        }
    }
    Ok(())
}

/// Bytes that the journal writes in one round.
async fn group_bytes(journal: &Journal, logs: &[Log], batch: &[u8]) -> Result<usize, Error> {
    let before = journal.statistics().bytes_written;
    round(logs, batch).await?;
    let bytes = usize::try_from(journal.statistics().bytes_written - before)?;
    Ok(bytes.max(BLOCK_BYTES))
}

async fn open_logs(
    directory: &LogDirectory,
    name: &str,
    partitions: i32,
    journal: Option<&Journal>,
) -> Result<Vec<Log>, Error> {
    let mut logs = Vec::new();
    for partition in 0..partitions {
        let partition = TopicPartition {
            topic: Arc::from(name),
            partition,
        };
        let topic_id = TopicId([u8::try_from(name.len())?; 16]);
        let opened = directory.open_log(&partition, topic_id, Settings::default(), time::wall());
        let (log, _) = opened.await?;
        if let Some(journal) = journal {
            log.use_journal(journal.clone(), topic_id);
        }
        logs.push(log);
    }
    Ok(logs)
}

fn batch(record_bytes: usize) -> Result<Vec<u8>, Error> {
    let mut builder = BatchBuilder::new();
    let value = vec![b'x'; record_bytes];
    builder.append(&Record::new(TimestampMs(1), None, Some(&value)))?;
    Ok(builder.build()?.to_vec())
}

async fn round_into(logs: &[Log], batch: &[u8], times: &mut Times) -> Result<(), Error> {
    let (appends, durable) = round(logs, batch).await?;
    times.appends.saturating_record(micros(appends));
    times.durable.saturating_record(micros(durable));
    Ok(())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Appends to every log, then waits for all; the time of each.
async fn round(logs: &[Log], batch: &[u8]) -> Result<(Duration, Duration), Error> {
    let began = time::now();
    let mut ends = Vec::with_capacity(logs.len());
    for log in logs {
        ends.push(append(log, batch)?);
    }
    let appended = time::now();
    let waits = Waits::new(|_| {});
    for (number, (log, end)) in logs.iter().zip(ends).enumerate() {
        waits.begin(log, end, number);
    }
    waits.all_ended().await?;
    Ok((appended.since(began), time::now().since(appended)))
}

/// A second of appends at a fixed rate; microseconds of each.
async fn steady(rate: u32, logs: &[Log], batch: &[u8]) -> Result<Histogram<u64>, Error> {
    let times = Rc::new(std::cell::RefCell::new(Times::new()?.durable));
    let began = time::now();
    let due = move |index: u32| began.plus(Duration::from_secs(1) * index / rate);
    let waits = {
        let times = Rc::clone(&times);
        Waits::new(move |number| {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let late = micros(time::now().since(due(number)));
            times.borrow_mut().saturating_record(late);
        })
    };
    for (index, log) in (0..rate).zip(logs.iter().cycle()) {
        time::sleep_until(due(index)).await;
        let end = append(log, batch)?;
        waits.begin(log, end, usize::try_from(index)?);
    }
    waits.all_ended().await?;
    drop(waits);
    let times = Rc::try_unwrap(times).map_err(|_| "a wait has not ended")?;
    Ok(times.into_inner())
}

/// Waits for durability, as the broker's requests do.
struct Waits {
    running: std::cell::Cell<usize>,
    have_failed: std::cell::Cell<bool>,
    ended: duramen::rt::local::Event,
    /// Hears the number of each that ends.
    then: Box<dyn Fn(usize)>,
}

impl AwaitsDisk for Waits {
    fn wait_ended(self: Rc<Self>, number: usize, end: WaitEnd) {
        if end == WaitEnd::Failed {
            self.have_failed.set(true);
        }
        (self.then)(number);
        self.running.set(self.running.get() - 1);
        if self.running.get() == 0 {
            self.ended.notify();
        }
    }
}

impl Waits {
    fn new(then: impl Fn(usize) + 'static) -> Rc<Self> {
        Rc::new(Self {
            running: std::cell::Cell::new(0),
            have_failed: std::cell::Cell::new(false),
            ended: duramen::rt::local::Event::new(),
            then: Box::new(then),
        })
    }

    fn begin(self: &Rc<Self>, log: &Log, end: Offset, number: usize) {
        self.running.set(self.running.get() + 1);
        log.when_durable(end, Rc::clone(self) as Rc<dyn AwaitsDisk>, number);
    }

    async fn all_ended(&self) -> Result<(), Error> {
        while self.running.get() > 0 {
            let ended = self.ended.listen();
            ended.await;
        }
        match self.have_failed.get() {
            true => Err("the disk failed".into()),
            false => Ok(()),
        }
    }
}

fn append(log: &Log, batch: &[u8]) -> Result<Offset, Error> {
    let view = BatchView::parse_only(batch)?;
    let outcomes = log.append(
        &[NewBatch::as_it_is(&view)],
        Origin::Client,
        LeaderEpoch(0),
        time::wall(),
    )?;
    for outcome in outcomes {
        outcome?;
    }
    Ok(log.log_end_offset())
}

/// A file that was written once, and is written again past the page cache.
struct RawFile {
    file: DirectFile,
    bytes: usize,
    places: u32,
}

impl RawFile {
    async fn new(directory: &Path, bytes: usize) -> Result<Self, Error> {
        let places = u32::try_from((64 << 20) / bytes)?.clamp(8, 512);
        let path = directory.join("device");
        let file = File::open(&path, Open::Create)?;
        let zeroes = vec![0; bytes];
        for place in 0..places {
            file.write_at(FilePosition(u64::from(place) * u64::try_from(bytes)?), &[&zeroes])?;
            task::yield_now().await;
        }
        file.sync_data().await?;
        file.evict()?;
        let file = DirectFile::open(&path)?;
        Ok(Self { file, bytes, places })
    }

    async fn write_into(&self, index: u32, times: &mut Times) -> Result<(), Error> {
        let mut buffer = AlignedBuffer::new(self.bytes);
        buffer.fill(7);
        let place = u64::from(index % self.places) * u64::try_from(self.bytes)?;
        let began = time::now();
        let (written, _) = self.file.write_durable(FilePosition(place), buffer, self.bytes).await;
        written?;
        times.durable.saturating_record(micros(time::now().since(began)));
        times.appends.saturating_record(0);
        Ok(())
    }
}
