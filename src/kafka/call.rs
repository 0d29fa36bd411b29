//! One request on its way through the broker: its header, its bytes, the place of its answer.

use std::rc::Rc;

use bytes::Bytes;
use duramen_wire::messages::{RequestHeader, ResponseHeader};
use duramen_wire::{ApiKey, EncodeError, Message, Part, Reader, Writer};

use crate::base::limits::ANSWER_ROWS_AT_ONCE_MAX;
use crate::kafka::context::Context;
use crate::net::admission::Units;
use crate::net::replies::{Reply, ReplySlot};
use crate::partition::turns::Source;
use crate::partition::types::ReadRange;
use crate::rt;
use crate::rt::net::SendPart;
use crate::rt::{IpAddr, SocketAddr};

/// Bytes of memory that decoding may reserve for each byte of a frame: the largest ratio between a decoded struct and its encoding.
const DECODE_BUDGET_PER_BYTE: usize = 64;

/// A request that has not been answered. Dropping it unanswered closes the connection.
pub struct Call {
    pub context: Rc<Context>,
    pub key: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: String,
    /// The connection that it came by.
    pub peer: Peer,
    /// The request after its header.
    pub body: Bytes,
    slot: ReplySlot,
    units: Units,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub source: Source,
    /// `None` when it had gone before it was asked for.
    pub address: Option<SocketAddr>,
}

impl Peer {
    /// Its address as Java prints one, which is how groups remember their members.
    #[must_use]
    pub fn host(self) -> String {
        match self.address.map(|address| address.ip().to_canonical()) {
            None => "/".to_owned(),
            Some(IpAddr::V4(address)) => format!("/{address}"),
            Some(IpAddr::V6(address)) => {
                let groups = address.segments().map(|group| format!("{group:x}"));
                format!("/{}", groups.join(":"))
            }
        }
    }
}

/// What a request brings with it beside its bytes.
pub struct Arrival {
    pub context: Rc<Context>,
    pub peer: Peer,
    pub slot: ReplySlot,
    pub units: Units,
}

/// Why a request cannot be answered by a response of its own; the connection is closed, as Kafka does.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    #[error("the frame is too short for a request header")]
    NoHeader,
    #[error("api key {0} is not served")]
    UnknownApi(i16),
    #[error("version {version} of {key:?} is not served")]
    UnknownVersion { key: ApiKey, version: i16 },
    #[error("{key:?} version {version} cannot be decoded: {source}")]
    Malformed {
        key: ApiKey,
        version: i16,
        source: duramen_wire::DecodeError,
    },
}

/// What the first eight bytes of every request say.
#[derive(Clone, Copy, Debug)]
pub struct Preamble {
    pub api_key: i16,
    pub version: i16,
    pub correlation_id: i32,
}

impl Preamble {
    /// Reads it.
    ///
    /// # Errors
    /// The frame is shorter than eight bytes.
    pub fn read(frame: &[u8]) -> Result<Self, BadRequest> {
        match frame {
            [a, b, c, d, e, f, g, h, ..] => Ok(Self {
                api_key: i16::from_be_bytes([*a, *b]),
                version: i16::from_be_bytes([*c, *d]),
                correlation_id: i32::from_be_bytes([*e, *f, *g, *h]),
            }),
            _ => Err(BadRequest::NoHeader),
        }
    }
}

impl Call {
    /// Reads the header of a request whose key and version are served.
    ///
    /// # Errors
    /// The header cannot be decoded.
    pub fn new(arrival: Arrival, key: ApiKey, preamble: Preamble, frame: &Bytes) -> Result<Self, BadRequest> {
        let version = preamble.version;
        let mut reader = Reader::new(frame, decode_budget(frame.len()));
        let header = RequestHeader::decode(&mut reader, key.request_header_version(version))
            .map_err(|source| BadRequest::Malformed { key, version, source })?;
        let body_start = frame.len() - reader.remaining();
        let body = frame.slice(body_start..);
        let client_id = header.client_id.unwrap_or_default();
        Ok(Self {
            client_id,
            body,
            ..Self::without_header(arrival, key, preamble)
        })
    }

    /// A request of a version that is not served: its header cannot be read either.
    #[must_use]
    pub fn without_header(arrival: Arrival, key: ApiKey, preamble: Preamble) -> Self {
        let Arrival {
            context,
            peer,
            slot,
            units,
        } = arrival;
        let Preamble {
            version,
            correlation_id,
            ..
        } = preamble;
        Self {
            context,
            key,
            version,
            correlation_id,
            client_id: String::new(),
            peer,
            body: Bytes::new(),
            slot,
            units,
        }
    }

    /// The request itself.
    ///
    /// # Errors
    /// The body cannot be decoded, or bytes are left over.
    pub fn decode<M: Message>(&self) -> Result<M, BadRequest> {
        let mut reader = Reader::new(&self.body, decode_budget(self.body.len()));
        M::decode(&mut reader, self.version).map_err(|source| self.malformed(source))
    }

    /// A reader over the body, for borrowed decoding.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.body, decode_budget(self.body.len()))
    }

    /// What to say of a body that cannot be decoded.
    #[must_use]
    pub fn malformed(&self, source: duramen_wire::DecodeError) -> BadRequest {
        BadRequest::Malformed {
            key: self.key,
            version: self.version,
            source,
        }
    }

    /// Answers with `response`.
    pub fn respond<M: Message>(self, response: &M) {
        let version = self.version;
        self.respond_as(response, version, Vec::new());
    }

    /// Answers with `response`, whose external parts are the ranges of files named by their index.
    pub fn respond_with_ranges<M: Message>(self, response: &M, ranges: Vec<ReadRange>) {
        let version = self.version;
        self.respond_as(response, version, ranges);
    }

    /// Answers with `response` encoded as another version than the request's: ApiVersions does so for a client that is too new.
    pub fn respond_as<M: Message>(self, response: &M, version: i16, ranges: Vec<ReadRange>) {
        rt::task::begin_part("answer");
        let encoded = encode(self.key, self.correlation_id, version, response);
        self.complete(encoded, &ranges);
    }

    /// Answers with what `make` makes, of so many rows. Many of them take longer than a step: the answer is made, and encoded, beside the core.
    pub fn respond_rows<M: Message>(self, rows: usize, make: impl FnOnce() -> M + Send + 'static) {
        if rows <= ANSWER_ROWS_AT_ONCE_MAX {
            self.respond(&make());
            return;
        }
        rt::task::spawn(async move {
            let (key, correlation_id, version) = (self.key, self.correlation_id, self.version);
            let made = rt::task::run_aside(move || encode(key, correlation_id, version, &make()));
            match made.await {
                Some(encoded) => self.complete(encoded, &[]),
                // The connection closes as the call is dropped.
                None => tracing::error!(?key, version, "cannot make a response"),
            }
        });
    }

    fn complete(self, encoded: Result<Vec<Part>, EncodeError>, ranges: &[ReadRange]) {
        let (key, version) = (self.key, self.version);
        match encoded {
            Ok(parts) => {
                let Self { slot, units, .. } = self;
                slot.complete(Reply {
                    parts: parts.into_iter().filter_map(|part| to_send(part, ranges)).collect(),
                    units: Some(units),
                    close: false,
                });
            }
            Err(error) => {
                // The connection closes as the call is dropped: the client learns that something is wrong, at once.
                let impossible = true;
                crate::never!(impossible);
                tracing::error!(?key, version, %error, "cannot encode a response");
            }
        }
    }

    /// Ends a request that has no answer (acks=0).
    pub fn finish_silently(self) {
        let Self { slot, units, .. } = self;
        slot.complete(Reply {
            units: Some(units),
            ..Reply::default()
        });
    }

    /// Closes the connection instead of answering.
    pub fn close(self) {
        let Self { slot, .. } = self;
        slot.complete(Reply::close());
    }
}

/// A response with its header, as it goes over the wire.
fn encode<M: Message>(key: ApiKey, correlation_id: i32, version: i16, response: &M) -> Result<Vec<Part>, EncodeError> {
    let mut writer = Writer::framed();
    let header = ResponseHeader { correlation_id };
    header.encode(&mut writer, key.response_header_version(version))?;
    response.encode(&mut writer, version)?;
    writer.into_parts()
}

fn to_send(part: Part, ranges: &[ReadRange]) -> Option<SendPart> {
    match part {
        Part::Bytes(bytes) => Some(SendPart::Bytes(bytes)),
        Part::External { index, length } => {
            let range = ranges.get(index as usize);
            if crate::never!(range.is_none()) {
                return None;
            }
            range.map(|range| SendPart::File {
                file: range.file.clone(),
                position: range.position,
                length: u64::from(length),
            })
        }
    }
}

fn decode_budget(frame_bytes: usize) -> usize {
    frame_bytes.saturating_mul(DECODE_BUDGET_PER_BYTE).max(4096)
}
