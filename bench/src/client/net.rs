//! The connections of one thread behind one epoll, edge-triggered: a connection is looked at when something has changed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::failure::{Context, Failure, Result};

use super::Connection;

/// Connections that one turn looks at, at most.
const EVENTS_MAX: usize = 256;

/// How long a turn without work sleeps, at most: time goes on without anybody saying so.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// How a turn waits when nothing is there.
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    /// Not at all.
    Busy,
    /// Until something comes or the time has come.
    Until(Option<Instant>),
}

/// The connections of a thread, numbered as they were added.
pub struct Net {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    events: Vec<epoll::Event>,
}

impl Net {
    pub fn new() -> Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// Adds a connection; its number.
    pub fn add(&mut self, connection: Connection) -> Result<usize> {
        let number = self.connections.len();
        let data = epoll::EventData::new_u64(u64::try_from(number)?);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET | epoll::EventFlags::RDHUP;
        epoll::add(&self.epoll, connection.stream(), data, flags)?;
        self.connections.push(connection);
        Ok(number)
    }

    pub fn connection(&mut self, number: usize) -> &mut Connection {
        &mut self.connections[number]
    }

    /// Looks at the connections that have changed: sends what waits, and hands each frame to `take` with the connection's number.
    pub fn turn(
        &mut self,
        wait: Wait,
        mut take: impl FnMut(usize, &mut Connection, &Bytes) -> Result<()>,
    ) -> Result<()> {
        self.events.clear();
        let timeout = timespec(wait);
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::from(error)),
        }
        for event in &self.events {
            let number = usize::try_from(event.data.u64())?;
            let connection = &mut self.connections[number];
            let looked = connection.receive(|connection, frame| take(number, connection, frame));
            looked
                .and_then(|()| connection.flush())
                .context(|| format!("connection {number}"))?;
        }
        Ok(())
    }
}

fn timespec(wait: Wait) -> Timespec {
    let sleep = match wait {
        Wait::Busy => Duration::ZERO,
        Wait::Until(None) => SLEEP_MAX,
        Wait::Until(Some(due)) => due.saturating_duration_since(Instant::now()).min(SLEEP_MAX),
    };
    Timespec {
        tv_sec: i64::try_from(sleep.as_secs()).unwrap_or(0),
        tv_nsec: sleep.subsec_nanos().into(),
    }
}
