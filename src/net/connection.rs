//! One connection: its requests in, its answers out.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use bytes::Bytes;

use crate::base::limits::REPLY_BYTES_PER_SEND_MAX;
use crate::net::admission::{Line, MemoryUnits, Units};
use crate::net::frame::{FrameDecoder, FrameError, FrameLimits};
use crate::net::listener::Activity;
use crate::net::replies::{Replies, Reply};
use crate::rt;
use crate::rt::net::{SendPart, Stream};

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A whole request: the body of a frame and the units of its bytes.
pub struct RequestFrame {
    pub body: Bytes,
    pub units: Units,
}

/// The reading side of a connection.
pub struct RequestReader {
    stream: Stream,
    decoder: FrameDecoder,
    memory: MemoryUnits,
    /// Units of bytes in the decoder.
    pending: Units,
    whole: VecDeque<RequestFrame>,
    activity: Rc<Activity>,
}

impl RequestReader {
    #[must_use]
    pub fn new(stream: Stream, limits: FrameLimits, memory: MemoryUnits, activity: Rc<Activity>) -> Self {
        let pending = memory.none();
        let decoder = FrameDecoder::new(limits);
        Self {
            stream,
            decoder,
            memory,
            pending,
            whole: VecDeque::new(),
            activity,
        }
    }

    /// The next request; `None` at the end of the stream.
    ///
    /// # Errors
    /// The peer broke the framing or the connection failed.
    pub async fn next(&mut self) -> Result<Option<RequestFrame>, ConnectionError> {
        loop {
            if let Some(frame) = self.whole.pop_front() {
                return Ok(Some(frame));
            }
            self.activity.set_mid_request(self.decoder.is_mid_frame());
            let received = self.stream.receive().await?;
            self.activity.set_mid_request(false);
            if received.is_empty() {
                return Ok(None);
            }
            self.activity.now();
            rt::task::begin_part("receive");
            let line = Line::of(self.decoder.frame_bytes());
            if self.memory.try_take(line, received.len(), &mut self.pending) {
                self.decode(&received)?;
            } else {
                // The receive buffer belongs to all connections of the core: it is not held while waiting.
                let copy = received.to_vec();
                drop(received);
                self.memory.take(line, copy.len(), &mut self.pending).await;
                rt::task::begin_part("receive");
                self.activity.now();
                self.decode(&copy)?;
            }
            // A long request comes in many pieces, and more may be there already.
            rt::task::yield_if_needed().await;
        }
    }

    fn decode(&mut self, mut input: &[u8]) -> Result<(), FrameError> {
        while !input.is_empty() {
            if let Some(body) = self.decoder.push(&mut input)? {
                let units = self.pending.split(body.len() + 4);
                self.whole.push_back(RequestFrame { body, units });
            }
        }
        Ok(())
    }
}

/// Sends answers until the connection closes; the reading side ends with it.
///
/// # Errors
/// The connection failed; answers that have not left are lost with it.
pub async fn write_replies(stream: Stream, replies: Replies, activity: Rc<Activity>) -> io::Result<()> {
    while let Some(ready) = replies.next().await {
        for group in grouped(ready) {
            let close = group.close;
            if !group.parts.is_empty() {
                stream.send_all(group.parts).await?;
                activity.now();
            }
            drop(group.units);
            if close {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Answers that leave in one go.
#[derive(Default)]
struct Group {
    parts: Vec<SendPart>,
    units: Vec<Units>,
    bytes: u64,
    close: bool,
}

/// Joins answers so that small ones share a send and none waits behind more than a bounded number of bytes.
fn grouped(replies: Vec<Reply>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for reply in replies {
        if groups
            .last()
            .is_none_or(|group| group.bytes >= REPLY_BYTES_PER_SEND_MAX)
        {
            groups.push(Group::default());
        }
        let Some(group) = groups.last_mut() else { break };
        group.bytes += reply.parts.iter().map(part_bytes).sum::<u64>();
        group.parts.extend(reply.parts);
        group.units.extend(reply.units);
        group.close = reply.close;
        if reply.close {
            break;
        }
    }
    groups
}

fn part_bytes(part: &SendPart) -> u64 {
    match part {
        SendPart::Bytes(bytes) => bytes.len() as u64,
        SendPart::File { length, .. } => *length,
    }
}
