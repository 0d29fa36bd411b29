//! Consume: catching up from the start, one partition a request, or waiting at the end, all partitions in one long poll.
//!
//! Every batch that comes is held against the one before: offsets go on without a gap and without a repeat. What is in the batches is
//! looked at after the run. The latency of a fetch from the start is that of the request; at the end, where a producer has a rate, that of
//! each batch from the moment when it was due.

use std::time::Instant;

use bytes::Bytes;
use duramen::record::{BatchHeader, Batches};

use crate::batch::Identity;
use crate::client::{Connection, FetchRequests, Net, TopicHandle, Versions};
use crate::failure::{Context, Failure, Result, fail};
use crate::number::count;
use crate::scenario::{Consume, From};

use super::Measured;
use super::drive::{Crew, Part};
use super::layout::Layout;
use super::measure::{Meter, Phases, Schedule, Worth, share};
use super::produce::{ProduceLoad, Thread};

/// How long a fetch at the end of a partition waits in the broker.
pub const WAIT_MS: i32 = 500;

/// What is to be consumed.
#[derive(Clone)]
pub struct ConsumeLoad {
    pub consume: Consume,
    pub topic: TopicHandle,
    pub versions: Versions,
    /// Offsets `[starts, ends)` of the partitions when the load begins.
    pub starts: Vec<i64>,
    pub ends: Vec<i64>,
    pub arrivals: Option<Arrivals>,
}

/// When each batch of a producer with a rate was due, so that consumers at the end can tell how long it took to them.
#[derive(Clone)]
pub struct Arrivals {
    identity: Identity,
    layout: Layout,
    rate: f64,
}

impl Arrivals {
    /// Of the batches of a load; `None` where it has no rate.
    pub fn of(load: &ProduceLoad) -> Result<Option<Self>> {
        let Some(rate) = load.rate else { return Ok(None) };
        Ok(Some(Self {
            identity: load.identity,
            layout: Layout::new(load.connections, &load.topic.leaders)?,
            rate,
        }))
    }

    fn due(&self, begin: Instant, partition: i32, header: &BatchHeader) -> Option<Instant> {
        let id = self.identity.id(header.max_timestamp)?;
        let position = self.layout.position_of(id.stream.into(), partition, id.number);
        Some(Schedule::new(begin, self.rate).due(position))
    }
}

/// The share of one thread.
pub struct Consuming {
    load: ConsumeLoad,
    phases: Phases,
    requests: FetchRequests,
    lines: Vec<Line>,
    first_number: usize,
    last_progress: Instant,
    meter: Meter,
}

/// What one connection reads.
struct Line {
    partitions: Vec<Position>,
    /// The partition whose turn it is, where each request is for one.
    turn: usize,
    correlation_id: i32,
    /// When the request that waits for its answer was sent.
    sent: Option<Instant>,
    is_over: bool,
}

#[derive(Clone, Copy)]
struct Position {
    partition: i32,
    offset: i64,
}

impl Consuming {
    /// Adds the share of a thread to its crew.
    pub fn join(load: &ConsumeLoad, phases: Phases, crew: &mut Crew, thread: Thread) -> Result<()> {
        let layout = Layout::new(load.consume.connections, &load.topic.leaders)?;
        let mut lines = Vec::new();
        let mut first_number = None;
        for connection in share(load.consume.connections, thread.index, thread.count) {
            let connection = u64::from(connection);
            let number = crew.connect(layout.address(connection))?;
            first_number.get_or_insert(number);
            lines.push(Line::new(load, layout.share(connection)));
        }
        let Some(first_number) = first_number else {
            return Ok(());
        };
        let partition_bytes = i32::try_from(load.consume.partition_bytes)?;
        crew.parts.push(Box::new(Self {
            requests: FetchRequests::new(&load.versions, &load.topic, partition_bytes, WAIT_MS)?,
            load: load.clone(),
            phases,
            lines,
            first_number,
            last_progress: phases.begin,
            meter: Meter::new(phases)?,
        }));
        Ok(())
    }

    fn send(&mut self, at: usize, now: Instant, connection: &mut Connection) -> Result<()> {
        let line = &mut self.lines[at];
        if line.is_over || line.sent.is_some() || now >= self.phases.until {
            return Ok(());
        }
        line.correlation_id = line.correlation_id.wrapping_add(1) & i32::MAX;
        let wanted = match self.load.consume.from {
            From::Start => std::slice::from_ref(&line.partitions[line.turn]),
            From::End => line.partitions.as_slice(),
        };
        let positions = wanted.iter().map(|position| (position.partition, position.offset));
        connection.push(self.requests.frame(line.correlation_id, positions)?);
        line.sent = Some(now);
        connection.flush()
    }

    /// Takes the answer for one partition; what it was worth.
    fn take(&mut self, at: usize, partition: i32, records: &Bytes) -> Result<Worth> {
        let line = &mut self.lines[at];
        let Some(position) = line
            .partitions
            .iter_mut()
            .find(|position| position.partition == partition)
        else {
            fail!("partition {partition} was answered, and not asked for");
        };
        let now = Instant::now();
        let (arrivals, meter, begin) = (&self.load.arrivals, &mut self.meter, self.phases.begin);
        let arrived = |header: &BatchHeader| {
            if let Some(due) = arrivals
                .as_ref()
                .and_then(|arrivals| arrivals.due(begin, partition, header))
            {
                meter.took(due, now);
            }
        };
        let (next, worth) = walk(records, position.offset, arrived)
            .context(|| format!("partition {partition} from offset {}", position.offset))?;
        position.offset = next;
        Ok(worth)
    }

    /// After an answer: the partition that is read next, or the end.
    fn turn(&mut self, at: usize) {
        let line = &mut self.lines[at];
        if self.load.consume.from == From::End {
            return;
        }
        let ends = &self.load.ends;
        let starts = &self.load.starts;
        let place = |position: &Position| usize::try_from(position.partition).unwrap_or(0);
        let partitions = line.partitions.len();
        let is_open = |position: &Position| position.offset < ends[place(position)];
        let open = (1..=partitions)
            .map(|step| (line.turn + step) % partitions)
            .find(|turn| is_open(&line.partitions[*turn]));
        match open {
            Some(turn) => line.turn = turn,
            None if self.load.consume.again => {
                for position in &mut line.partitions {
                    position.offset = starts[place(position)];
                }
                line.turn = (line.turn + 1) % partitions;
            }
            None => line.is_over = true,
        }
    }
}

impl Line {
    fn new(load: &ConsumeLoad, partitions: impl Iterator<Item = i32>) -> Self {
        let from = match load.consume.from {
            From::Start => &load.starts,
            From::End => &load.ends,
        };
        let position = |partition: i32| {
            let offset = *from.get(usize::try_from(partition).ok()?)?;
            Some(Position { partition, offset })
        };
        let partitions: Vec<_> = partitions.filter_map(position).collect();
        Self {
            is_over: partitions.is_empty(),
            partitions,
            turn: 0,
            correlation_id: 0,
            sent: None,
        }
    }
}

/// Goes over the headers of the batches of an answer, whose last one may be cut; the offset after them, and what they are worth.
fn walk(records: &[u8], mut next: i64, mut take: impl FnMut(&BatchHeader)) -> Result<(i64, Worth)> {
    let mut worth = Worth { records: 0, bytes: 0 };
    for batch in Batches::new(records) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(duramen::record::BatchError::Truncated { .. }) if worth.records > 0 => break,
            Err(error) => return Err(Failure::new(error.to_string())),
        };
        let header = batch.header();
        // An answer begins with the batch that holds the offset; what is behind must go on from there.
        let is_first = worth.records == 0;
        let fits = if is_first {
            header.base_offset.0 <= next
        } else {
            header.base_offset.0 == next
        };
        if !fits || header.next_offset().0 <= next {
            fail!(
                "a batch of offsets {} to {} came where {next} is next",
                header.base_offset.0,
                header.last_offset().0
            );
        }
        worth.records += u64::from(header.record_count.unsigned_abs());
        worth.bytes += count(batch.bytes().len());
        next = header.next_offset().0;
        take(header);
    }
    Ok((next, worth))
}

impl Part for Consuming {
    fn name(&self) -> &str {
        &self.load.consume.name
    }

    fn advance(&mut self, now: Instant, net: &mut Net) -> Result<Option<Instant>> {
        if now < self.phases.begin {
            return Ok(Some(self.phases.begin));
        }
        if self.lines.iter().any(|line| line.sent.is_none() && !line.is_over) {
            for at in 0..self.lines.len() {
                self.send(at, now, net.connection(self.first_number + at))?;
            }
        }
        Ok(None)
    }

    fn on_frame(&mut self, number: usize, connection: &mut Connection, frame: &Bytes) -> Result<()> {
        let at = number - self.first_number;
        let Some(sent) = self.lines[at].sent.take() else {
            fail!("an answer came that nobody has asked for");
        };
        let mut worth = Worth { records: 0, bytes: 0 };
        for (partition, records) in self.requests.answer(self.lines[at].correlation_id, frame)? {
            let more = self.take(at, partition, &records)?;
            worth.records += more.records;
            worth.bytes += more.bytes;
        }
        let now = Instant::now();
        self.last_progress = now;
        if worth.records > 0 {
            self.meter.came(now, worth);
            // How long a long poll took says how long nothing came.
            if self.load.consume.from == From::Start {
                self.meter.took(sent, now);
            }
        }
        self.turn(at);
        if self.lines.iter().all(|line| line.is_over) {
            self.meter.ended = Some(now);
        }
        self.send(at, now, connection)
    }

    fn waits_since(&self) -> Option<Instant> {
        self.lines
            .iter()
            .any(|line| line.sent.is_some())
            .then_some(self.last_progress)
    }

    fn is_over(&self, now: Instant) -> bool {
        // An answer to a long poll may never come; it is not waited for.
        now >= self.phases.until || self.lines.iter().all(|line| line.is_over)
    }

    fn finish(self: Box<Self>) -> Vec<Measured> {
        vec![Measured {
            name: self.load.consume.name,
            meter: self.meter,
            ledgers: Vec::new(),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen::base::offset::Offset;
    use duramen::base::time::TimestampMs;
    use duramen::record::{BatchBuilder, Record};

    fn batch(base_offset: i64, records: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new().base_offset(Offset(base_offset));
        for _ in 0..records {
            builder.append(&Record::new(TimestampMs(1), None, Some(b"x"))).unwrap();
        }
        builder.build().unwrap().to_vec()
    }

    #[test]
    fn offsets_go_on_without_a_gap() {
        // Batches by base offset and number of records; the offset that is asked for; the one after them, or the one that is missed.
        let cases = [
            (vec![], 5, Ok(5)),
            (vec![(5, 3), (8, 1)], 5, Ok(9)),
            // The first batch holds the offset.
            (vec![(3, 4), (7, 1)], 5, Ok(8)),
            (vec![(6, 3)], 5, Err(5)),
            (vec![(3, 2)], 5, Err(5)),
            (vec![(5, 2), (8, 1)], 5, Err(7)),
            (vec![(5, 2), (5, 2)], 5, Err(7)),
        ];
        for (batches, from, expected) in cases {
            let bytes: Vec<u8> = batches
                .iter()
                .flat_map(|(base, records)| batch(*base, *records))
                .collect();
            let walked = walk(&bytes, from, |_| ())
                .map(|(next, _)| next)
                .map_err(|error| error.to_string());
            match expected {
                Ok(next) => assert_eq!(walked, Ok(next), "{batches:?}"),
                Err(missed) => {
                    let error = walked.unwrap_err();
                    assert!(
                        error.contains(&format!("came where {missed} is next")),
                        "{batches:?}: {error}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_last_batch_may_be_cut() {
        let mut bytes = batch(0, 2);
        let whole = count(bytes.len());
        bytes.extend_from_slice(&batch(2, 2)[..40]);
        let (next, worth) = walk(&bytes, 0, |_| ()).unwrap();
        assert_eq!((next, worth.records, worth.bytes), (2, 2, whole));
        assert!(walk(&bytes[..40], 0, |_| ()).is_err());
    }
}
