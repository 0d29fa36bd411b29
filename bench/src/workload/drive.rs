//! One thread of load: its parts take turns over one set of connections.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::{Connection, Net, Wait};
use crate::failure::{Context, Result, fail};

use super::Measured;

/// How long a broker may leave a request without an answer.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Turns between two looks at the clock for silence.
const TURNS_PER_CHECK: u32 = 1024;

/// What all threads of a run see.
#[derive(Default)]
pub struct Board {
    /// Somebody has failed: the others need not go on.
    pub is_stopped: AtomicBool,
    /// Requests that were answered, for the progress bar.
    pub answered: AtomicU64,
}

/// One kind of load on one thread.
pub trait Part {
    fn name(&self) -> &str;

    /// Sends what is due by now; when something is due next, if that is known.
    fn advance(&mut self, now: Instant, net: &mut Net) -> Result<Option<Instant>>;

    /// An answer came on connection `number` of the thread.
    fn on_frame(&mut self, number: usize, connection: &mut Connection, frame: &Bytes) -> Result<()>;

    /// Since when a request waits for its answer, as far as it is known.
    fn waits_since(&self) -> Option<Instant>;

    fn is_over(&self, now: Instant) -> bool;

    /// What was measured.
    fn finish(self: Box<Self>) -> Vec<Measured>;
}

/// The parts of a thread, and whom each connection belongs to.
pub struct Crew {
    pub net: Net,
    pub parts: Vec<Box<dyn Part>>,
    owners: Vec<usize>,
}

impl Crew {
    pub fn new() -> Result<Self> {
        Ok(Self {
            net: Net::new()?,
            parts: Vec::new(),
            owners: Vec::new(),
        })
    }

    /// Adds a connection for the part that is added next.
    pub fn connect(&mut self, address: std::net::SocketAddr) -> Result<usize> {
        self.owners.push(self.parts.len());
        self.net.add(Connection::connect(address)?)
    }

    /// Works until all parts are over.
    pub fn run(mut self, is_busy: bool, board: &Board) -> Result<Vec<Measured>> {
        let mut turns: u32 = 0;
        loop {
            let now = Instant::now();
            let mut next = None;
            let mut is_over = true;
            for part in &mut self.parts {
                let due = part.advance(now, &mut self.net).context(|| part.name().to_owned())?;
                next = next.into_iter().chain(due).min();
                is_over &= part.is_over(now);
            }
            if is_over {
                return Ok(self.parts.into_iter().flat_map(Part::finish).collect());
            }
            let wait = if is_busy { Wait::Busy } else { Wait::Until(next) };
            let (parts, owners) = (&mut self.parts, &self.owners);
            let mut answers = 0;
            self.net.turn(wait, |number, connection, frame| {
                answers += 1;
                let part = &mut parts[owners[number]];
                part.on_frame(number, connection, frame)
                    .context(|| part.name().to_owned())
            })?;
            if answers > 0 {
                board.answered.fetch_add(answers, Ordering::Relaxed);
            }
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(TURNS_PER_CHECK) || !is_busy {
                if board.is_stopped.load(Ordering::Relaxed) {
                    return Ok(Vec::new());
                }
                self.check_silence(now)?;
            }
        }
    }

    fn check_silence(&self, now: Instant) -> Result<()> {
        for part in &self.parts {
            if let Some(since) = part.waits_since()
                && now.saturating_duration_since(since) > SILENCE_MAX
            {
                fail!(
                    "{}: the broker has not answered for {} s",
                    part.name(),
                    SILENCE_MAX.as_secs()
                );
            }
        }
        Ok(())
    }
}
