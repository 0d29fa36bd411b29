//! Produce: one batch a request, over many connections, as fast as answers come or at a fixed rate.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::batch::{BatchId, Identity, Producer, Templates};
use crate::client::{Connection, Net, ProduceRequests, Slot, TopicHandle, Versions};
use crate::failure::{Result, fail};
use crate::ledger::Ledger;
use crate::scenario::Acks;

use super::Measured;
use super::drive::{Crew, Part};
use super::layout::Layout;
use super::measure::{Meter, Phases, Schedule, Worth, share};

/// What is to be produced.
#[derive(Clone)]
pub struct ProduceLoad {
    pub name: String,
    pub topic: TopicHandle,
    pub versions: Versions,
    pub templates: Arc<Templates>,
    pub identity: Identity,
    /// The streams of this load are `[first_stream, first_stream + connections)`.
    pub first_stream: u32,
    pub connections: u32,
    pub depth: u32,
    pub acks: Acks,
    pub rate: Option<f64>,
    /// One for each connection, where batches have sequences.
    pub producers: Vec<Producer>,
    /// So many batches, over all connections, instead of a time.
    pub batches_max: Option<u64>,
    /// What a batch counts for.
    pub worth: Worth,
}

/// The share of one thread.
pub struct Producing {
    load: ProduceLoad,
    phases: Phases,
    layout: Layout,
    schedule: Option<Schedule>,
    requests: ProduceRequests,
    lines: Vec<Line>,
    /// Number in the thread of the first connection: theirs are one after another.
    first_number: usize,
    /// With a schedule: the line whose request is due next.
    next_line: usize,
    in_flight: usize,
    last_progress: Instant,
    meter: Meter,
}

/// What one connection does.
struct Line {
    /// Number of the connection over all threads.
    connection: u64,
    /// Requests that were handed to this line.
    requests: u64,
    /// Due, and not sent because too many are in flight.
    late: VecDeque<(u64, Instant)>,
    /// Sent: number of the request and when it was due.
    sent: VecDeque<(u64, Instant)>,
    /// What was acknowledged, by the turn of the partition.
    ledgers: Vec<Ledger>,
}

impl Producing {
    /// Adds the share of a thread to its crew.
    pub fn join(load: &ProduceLoad, phases: Phases, crew: &mut Crew, thread: Thread) -> Result<()> {
        let layout = Layout::new(load.connections, &load.topic.leaders)?;
        let mut lines = Vec::new();
        let mut first_number = None;
        for connection in share(load.connections, thread.index, thread.count) {
            let connection = u64::from(connection);
            let number = crew.connect(layout.address(connection))?;
            first_number.get_or_insert(number);
            lines.push(Line {
                connection,
                requests: 0,
                late: VecDeque::new(),
                sent: VecDeque::new(),
                ledgers: vec![Ledger::default(); usize::try_from(layout.period(connection))?],
            });
        }
        let Some(first_number) = first_number else {
            return Ok(());
        };
        crew.parts.push(Box::new(Self {
            requests: ProduceRequests::new(&load.versions, &load.topic, load.acks.code())?,
            schedule: load.rate.map(|rate| Schedule::new(phases.begin, rate)),
            load: load.clone(),
            phases,
            layout,
            lines,
            first_number,
            next_line: 0,
            in_flight: 0,
            last_progress: phases.begin,
            meter: Meter::new(phases)?,
        }));
        Ok(())
    }

    /// Whether a line has another request to send at all.
    fn has_more(&self, line: usize, now: Instant) -> bool {
        let line = &self.lines[line];
        match self.load.batches_max {
            Some(batches) => self.layout.position(line.connection, line.requests) < batches,
            None => now < self.phases.until,
        }
    }

    /// Hands the request that is due next to its line, if it is due by now.
    fn hand_out(&mut self, now: Instant, schedule: Schedule) -> Next {
        let at = self.next_line;
        let line = &mut self.lines[at];
        let due = schedule.due(self.layout.position(line.connection, line.requests));
        if due >= self.phases.until {
            return Next::Never;
        }
        if due > now {
            return Next::At(due);
        }
        line.late.push_back((line.requests, due));
        line.requests += 1;
        self.next_line = (at + 1) % self.lines.len();
        Next::Line(at)
    }

    /// Sends what a line has to send and may.
    fn send(&mut self, at: usize, now: Instant, connection: &mut Connection) -> Result<()> {
        let depth = usize::try_from(self.load.depth)?;
        let mut has_pushed = false;
        while self.lines[at].sent.len() < depth {
            let (request, due) = if let Some(late) = self.lines[at].late.pop_front() {
                late
            } else if self.schedule.is_none() && now >= self.phases.begin && self.has_more(at, now) {
                let line = &mut self.lines[at];
                line.requests += 1;
                (line.requests - 1, now)
            } else {
                break;
            };
            self.push(at, request, connection)?;
            self.lines[at].sent.push_back((request, due));
            self.in_flight += 1;
            has_pushed = true;
        }
        if has_pushed {
            connection.flush()?;
        }
        if self.load.acks == Acks::None && connection.is_flushed() {
            self.complete_unanswered(at)?;
        }
        Ok(())
    }

    fn push(&mut self, at: usize, request: u64, connection: &mut Connection) -> Result<()> {
        let line = &self.lines[at];
        let number = self.layout.number(line.connection, request);
        let template = self.load.templates.of(number);
        let stream = self.load.first_stream + u32::try_from(line.connection)?;
        let timestamp = self.load.identity.timestamp(BatchId { stream, number });
        let producer = self.load.producers.get(usize::try_from(line.connection)?).copied();
        let header = template.header(timestamp, producer, number);
        let slot = Slot::new(self.layout.partition(line.connection, request));
        self.requests
            .push(connection, correlation_id(request), slot, &header, template)
    }

    /// With acks=0 a request is done when it has left.
    fn complete_unanswered(&mut self, at: usize) -> Result<()> {
        let now = Instant::now();
        while let Some((request, due)) = self.lines[at].sent.pop_front() {
            self.complete(at, request, due, now, None)?;
        }
        Ok(())
    }

    fn complete(&mut self, at: usize, request: u64, due: Instant, now: Instant, offset: Option<i64>) -> Result<()> {
        self.in_flight -= 1;
        self.last_progress = now;
        let line = &mut self.lines[at];
        let number = self.layout.number(line.connection, request);
        let ledger = &mut line.ledgers[self.layout.turn(line.connection, request)];
        ledger.acknowledge(number, offset)?;
        self.meter.came(now, self.load.worth);
        self.meter.took(due, now);
        Ok(())
    }
}

/// Requests of one connection are told apart by their number.
fn correlation_id(request: u64) -> i32 {
    i32::try_from(request & 0x7fff_ffff).unwrap_or(0)
}

/// What a schedule says next.
enum Next {
    /// A request was handed to this line.
    Line(usize),
    At(Instant),
    Never,
}

/// Which thread of how many.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    pub index: usize,
    pub count: usize,
}

impl Part for Producing {
    fn name(&self) -> &str {
        &self.load.name
    }

    fn advance(&mut self, now: Instant, net: &mut Net) -> Result<Option<Instant>> {
        let next = match self.schedule {
            Some(schedule) => loop {
                match self.hand_out(now, schedule) {
                    Next::Line(at) => self.send(at, now, net.connection(self.first_number + at))?,
                    Next::At(due) => break Some(due),
                    Next::Never => break None,
                }
            },
            None => (now < self.phases.begin).then_some(self.phases.begin),
        };
        let begins = self.schedule.is_none() && self.in_flight == 0;
        if begins || self.load.acks == Acks::None {
            for at in 0..self.lines.len() {
                self.send(at, now, net.connection(self.first_number + at))?;
            }
        }
        Ok(next)
    }

    fn on_frame(&mut self, number: usize, connection: &mut Connection, frame: &Bytes) -> Result<()> {
        let at = number - self.first_number;
        let Some((request, due)) = self.lines[at].sent.pop_front() else {
            fail!("an answer came that nobody has asked for");
        };
        let slot = Slot::new(self.layout.partition(self.lines[at].connection, request));
        let offset = self.requests.base_offset(correlation_id(request), slot, frame)?;
        let now = Instant::now();
        self.complete(at, request, due, now, Some(offset))?;
        self.send(at, now, connection)
    }

    fn waits_since(&self) -> Option<Instant> {
        (self.in_flight > 0).then_some(self.last_progress)
    }

    fn is_over(&self, now: Instant) -> bool {
        let more = (0..self.lines.len()).any(|at| self.has_more(at, now));
        self.in_flight == 0 && !more && self.lines.iter().all(|line| line.late.is_empty())
    }

    fn finish(self: Box<Self>) -> Vec<Measured> {
        let mut ledgers = Vec::new();
        for line in &self.lines {
            let stream = self.load.first_stream + u32::try_from(line.connection).unwrap_or(u32::MAX);
            for (request, ledger) in (0..).zip(&line.ledgers) {
                ledgers.push((self.layout.partition(line.connection, request), stream, ledger.clone()));
            }
        }
        vec![Measured {
            name: self.load.name,
            meter: self.meter,
            ledgers,
        }]
    }
}
