//! Requests in flight over many connections, each with what its answer is for.
//!
//! A broker answers the requests of a connection in their order; an answer that is not the next one fails the run.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_wire::messages::ApiVersionsRequest;
use duramen_wire::{ApiKey, Request};

use crate::client::{Connection, Net, Versions, Wait, decode_response, frame};
use crate::failure::{Context, Result, fail};
use crate::number::count;

/// How long a broker may leave every request without an answer.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Connections that wait to be answered for the first time: fewer than any broker's backlog.
const GREETED_AT_ONCE: usize = 32;

/// Bytes of the size in front of a frame.
const SIZE_BYTES: u64 = 4;

/// One answer, and what it is for.
pub struct Answer<T> {
    pub connection: usize,
    pub what: T,
    pub sent: Instant,
    correlation_id: i32,
    version: i16,
    frame: Bytes,
}

impl<T> Answer<T> {
    pub fn decode<R: Request>(&self) -> Result<R::Response> {
        decode_response::<R>(self.version, self.correlation_id, &self.frame)
    }
}

struct Flight<T> {
    what: T,
    sent: Instant,
    correlation_id: i32,
    version: i16,
}

/// Connections that the broker has answered on, as it does to clients that ask for its versions first: one that only the kernel has taken
/// may wait for seconds, when the broker's backlog is full.
fn greeted(address: SocketAddr, versions: &Versions, connections: usize) -> Result<Net> {
    let mut net = Net::new()?;
    let hello = frame(versions.of(ApiKey::ApiVersions)?, 0, &hello())?;
    let began = Instant::now();
    let mut greeted = 0;
    for number in 0..connections {
        net.add(Connection::connect(address)?)?;
        net.connection(number).push(hello.clone());
        net.connection(number).flush()?;
        while greeted + GREETED_AT_ONCE <= number || (number + 1 == connections && greeted < connections) {
            net.turn(Wait::Until(None), |_, _, _| {
                greeted += 1;
                Ok(())
            })?;
            if began.elapsed() > SILENCE_MAX {
                fail!("{greeted} of {connections} connections were answered");
            }
        }
    }
    Ok(net)
}

fn hello() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "duramen-bench".to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Connections with their requests.
pub struct Lines<T> {
    net: Net,
    versions: Versions,
    flights: Vec<VecDeque<Flight<T>>>,
    in_flight: usize,
    /// Connections on which something was put since it was sent.
    unsent: Vec<usize>,
    last_id: i32,
    last_answer: Instant,
    sent_bytes: u64,
    received_bytes: u64,
}

impl<T> Lines<T> {
    pub fn connect(address: SocketAddr, versions: &Versions, connections: usize) -> Result<Self> {
        Ok(Self {
            net: greeted(address, versions, connections)?,
            versions: versions.clone(),
            flights: (0..connections).map(|_| VecDeque::new()).collect(),
            in_flight: 0,
            unsent: Vec::new(),
            last_id: 0,
            last_answer: Instant::now(),
            sent_bytes: 0,
            received_bytes: 0,
        })
    }

    pub fn connections(&self) -> usize {
        self.flights.len()
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Bytes of all frames, sent and received.
    pub fn bytes(&self) -> (u64, u64) {
        (self.sent_bytes, self.received_bytes)
    }

    /// Puts a request on a connection; it leaves with the next [`receive`](Self::receive).
    pub fn send<R: Request>(&mut self, connection: usize, request: &R, what: T) -> Result<()> {
        let version = self.versions.of(R::KEY)?;
        self.last_id = self.last_id.wrapping_add(1) & i32::MAX;
        let frame = frame(version, self.last_id, request)?;
        self.sent_bytes += count(frame.len());
        self.net.connection(connection).push(frame);
        let now = Instant::now();
        if self.in_flight == 0 {
            self.last_answer = now;
        }
        self.flights[connection].push_back(Flight {
            what,
            sent: now,
            correlation_id: self.last_id,
            version,
        });
        self.in_flight += 1;
        self.unsent.push(connection);
        Ok(())
    }

    /// Sends what waits, and takes the answers that have come.
    pub fn receive(&mut self, wait: Wait) -> Result<Vec<Answer<T>>> {
        for connection in self.unsent.drain(..) {
            self.net.connection(connection).flush()?;
        }
        let (flights, received_bytes) = (&mut self.flights, &mut self.received_bytes);
        let mut answers = Vec::new();
        self.net.turn(wait, |connection, _, frame| {
            let Some(flight) = flights[connection].pop_front() else {
                fail!("an answer came that nobody has asked for");
            };
            *received_bytes += SIZE_BYTES + count(frame.len());
            answers.push(Answer {
                connection,
                what: flight.what,
                sent: flight.sent,
                correlation_id: flight.correlation_id,
                version: flight.version,
                frame: frame.clone(),
            });
            Ok(())
        })?;
        self.in_flight -= answers.len();
        let now = Instant::now();
        if !answers.is_empty() {
            self.last_answer = now;
        } else if self.in_flight > 0 && now.saturating_duration_since(self.last_answer) > SILENCE_MAX {
            fail!("the broker has not answered for {} s", SILENCE_MAX.as_secs());
        }
        Ok(answers)
    }

    /// Sends a request for each item, so many in flight on each connection, and hands each answer with its item's index to `take`.
    pub fn each<R: Request>(
        &mut self,
        depth: usize,
        requests: usize,
        request: impl Fn(usize) -> R,
        what: impl Fn(usize) -> T,
        mut take: impl FnMut(T, R::Response) -> Result<()>,
    ) -> Result<()> {
        let lines = self.connections();
        let mut next = 0;
        let mut answered = 0;
        let mut rooms: Vec<usize> = (0..depth).flat_map(|_| 0..lines).collect();
        while answered < requests {
            while next < requests
                && let Some(connection) = rooms.pop()
            {
                self.send(connection, &request(next), what(next))?;
                next += 1;
            }
            for answer in self.receive(Wait::Until(None))? {
                rooms.push(answer.connection);
                let response = answer.decode::<R>().context(|| format!("{:?}", R::KEY))?;
                take(answer.what, response)?;
                answered += 1;
            }
        }
        Ok(())
    }
}
