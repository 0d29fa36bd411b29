//! End to end: a record leaves on one connection, and a consumer that waits in a long poll gets it on another.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen::record::Batches;

use crate::batch::BatchId;
use crate::client::{Connection, FetchRequests, Net, ProduceRequests, Slot};
use crate::failure::{Failure, Result, fail};
use crate::ledger::Ledger;

use super::Measured;
use super::consume::WAIT_MS;
use super::drive::{Crew, Part};
use super::measure::{Meter, Phases, Schedule, Worth};
use super::produce::ProduceLoad;

/// With one record at a time: how long the consumer has to get its next request into the broker.
const PAUSE: Duration = Duration::from_micros(200);

/// Bytes in one answer.
const FETCH_BYTES: i32 = 1 << 20;

/// The partition that is used.
const PARTITION: i32 = 0;

/// One producer and one consumer.
pub struct EndToEnd {
    load: ProduceLoad,
    phases: Phases,
    schedule: Option<Schedule>,
    produce: ProduceRequests,
    fetch: FetchRequests,
    producer_number: usize,
    consumer_number: usize,
    /// Records sent so far.
    sent: u64,
    /// When the next one is due, with one at a time; nothing while one is on its way.
    next_due: Option<Instant>,
    /// Due times of those that were not acknowledged, and of those that did not arrive.
    unacknowledged: VecDeque<Instant>,
    underway: VecDeque<Instant>,
    offset: i64,
    fetch_id: i32,
    is_fetching: bool,
    last_progress: Instant,
    arrived: Meter,
    acknowledged: Meter,
    ledger: Ledger,
}

impl EndToEnd {
    /// Adds the part to the crew of one thread. `offset`: the end of the partition.
    pub fn join(load: &ProduceLoad, phases: Phases, crew: &mut Crew, offset: i64) -> Result<()> {
        let address = load.topic.leaders.address(PARTITION)?;
        let (producer_number, consumer_number) = (crew.connect(address)?, crew.connect(address)?);
        crew.parts.push(Box::new(Self {
            produce: ProduceRequests::new(&load.versions, &load.topic, load.acks.code())?,
            fetch: FetchRequests::new(&load.versions, &load.topic, FETCH_BYTES, WAIT_MS)?,
            schedule: load.rate.map(|rate| Schedule::new(phases.begin, rate)),
            load: load.clone(),
            phases,
            producer_number,
            consumer_number,
            sent: 0,
            next_due: Some(phases.begin),
            unacknowledged: VecDeque::new(),
            underway: VecDeque::new(),
            offset,
            fetch_id: 0,
            is_fetching: false,
            last_progress: phases.begin,
            arrived: Meter::new(phases)?,
            acknowledged: Meter::new(phases)?,
            ledger: Ledger::default(),
        }));
        Ok(())
    }

    /// When the next record is due; nothing when there is no other.
    fn due(&self) -> Option<Instant> {
        let due = match self.schedule {
            Some(schedule) => Some(schedule.due(self.sent)),
            None => self.next_due,
        };
        due.filter(|due| *due < self.phases.until)
    }

    /// With one at a time, a record that leaves late by the client's own fault did not wait for the broker.
    fn send(&mut self, due: Instant, now: Instant, connection: &mut Connection) -> Result<()> {
        let number = self.sent;
        let template = self.load.templates.of(number);
        let stream = self.load.first_stream;
        let timestamp = self.load.identity.timestamp(BatchId { stream, number });
        let header = template.header(timestamp, None, number);
        let correlation_id = i32::try_from(number & 0x7fff_ffff)?;
        self.produce
            .push(connection, correlation_id, Slot::new(PARTITION), &header, template)?;
        connection.flush()?;
        let from = if self.schedule.is_some() { due } else { now };
        self.unacknowledged.push_back(from);
        self.underway.push_back(from);
        self.sent += 1;
        self.next_due = None;
        Ok(())
    }

    fn on_acknowledgement(&mut self, frame: &Bytes) -> Result<()> {
        let number = self.ledger.batches;
        let Some(due) = self.unacknowledged.pop_front() else {
            fail!("an acknowledgement came for nothing");
        };
        let correlation_id = i32::try_from(number & 0x7fff_ffff)?;
        let offset = self.produce.base_offset(correlation_id, Slot::new(PARTITION), frame)?;
        let now = Instant::now();
        self.last_progress = now;
        self.ledger.acknowledge(number, Some(offset))?;
        // The bytes count where the record arrives.
        let worth = Worth {
            bytes: 0,
            ..self.load.worth
        };
        self.acknowledged.came(now, worth);
        self.acknowledged.took(due, now);
        self.plan_next(now);
        Ok(())
    }

    fn on_records(&mut self, frame: &Bytes) -> Result<()> {
        self.is_fetching = false;
        for (_, records) in self.fetch.answer(self.fetch_id, frame)? {
            let now = Instant::now();
            for batch in Batches::new(&records) {
                let batch = batch.map_err(|error| Failure::new(error.to_string()))?;
                let header = batch.header();
                let number = self.sent - u64::try_from(self.underway.len())?;
                let expected = BatchId {
                    stream: self.load.first_stream,
                    number,
                };
                let found = self.load.identity.id(header.max_timestamp);
                let Some(due) = self.underway.pop_front() else {
                    fail!("a record arrived twice: {found:?}");
                };
                if found != Some(expected) || header.base_offset.0 != self.offset {
                    fail!(
                        "{found:?} arrived at offset {} where {expected:?} was next at {}",
                        header.base_offset.0,
                        self.offset
                    );
                }
                self.offset = header.next_offset().0;
                self.last_progress = now;
                self.arrived.came(now, self.load.worth);
                self.arrived.took(due, now);
            }
            self.plan_next(now);
        }
        Ok(())
    }

    fn plan_next(&mut self, now: Instant) {
        if self.underway.is_empty() && self.unacknowledged.is_empty() {
            self.next_due = Some(now + PAUSE);
        }
    }
}

impl Part for EndToEnd {
    fn name(&self) -> &str {
        &self.load.name
    }

    fn advance(&mut self, now: Instant, net: &mut Net) -> Result<Option<Instant>> {
        if !self.is_fetching {
            self.is_fetching = true;
            self.fetch_id = self.fetch_id.wrapping_add(1) & i32::MAX;
            let frame = self
                .fetch
                .frame(self.fetch_id, std::iter::once((PARTITION, self.offset)))?;
            let connection = net.connection(self.consumer_number);
            connection.push(frame);
            connection.flush()?;
        }
        while let Some(due) = self.due()
            && due <= now
        {
            self.send(due, now, net.connection(self.producer_number))?;
        }
        Ok(self.due())
    }

    fn on_frame(&mut self, number: usize, _: &mut Connection, frame: &Bytes) -> Result<()> {
        if number == self.producer_number {
            self.on_acknowledgement(frame)
        } else {
            self.on_records(frame)
        }
    }

    fn waits_since(&self) -> Option<Instant> {
        let is_waiting = !self.unacknowledged.is_empty() || !self.underway.is_empty();
        is_waiting.then_some(self.last_progress)
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.phases.until && self.waits_since().is_none()
    }

    fn finish(self: Box<Self>) -> Vec<Measured> {
        let stream = self.load.first_stream;
        vec![
            Measured {
                name: self.load.name,
                meter: self.arrived,
                ledgers: vec![(PARTITION, stream, self.ledger)],
            },
            Measured {
                name: "acknowledgement".to_owned(),
                meter: self.acknowledged,
                ledgers: Vec::new(),
            },
        ]
    }
}
