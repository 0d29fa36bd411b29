//! A client: requests and responses over one connection, and raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use duramen_wire::messages::request_header::RequestHeader;
use duramen_wire::messages::response_header::ResponseHeader;
use duramen_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use duramen_wire::{ApiKey, Message, Reader, Request, Writer};

use crate::harness::{ANSWER_MAX, connect};

/// No response here is longer.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// Memory that decoding may reserve.
const DECODE_BUDGET: usize = 1 << 30;

pub struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::from_stream(connect(address).unwrap())
    }

    pub fn from_stream(stream: TcpStream) -> Self {
        Self {
            stream,
            correlation_id: 0,
        }
    }

    /// Whether a broker at `address` answers ApiVersions.
    pub fn answers(address: SocketAddr) -> bool {
        let Ok(stream) = connect(address) else {
            return false;
        };
        let mut client = Self::from_stream(stream);
        client.try_send_bytes(&frame(0, 0, &ApiVersionsRequest::default()))
            && matches!(client.receive_frame(), Ok(Some(_)))
    }

    /// Whether the broker still answers on this connection.
    pub fn assert_usable(&mut self) {
        let response: ApiVersionsResponse = self.call(0, &ApiVersionsRequest::default());
        assert_eq!(response.error_code, 0);
    }

    /// Sends a request and waits for its response.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let correlation_id = self.send(version, request);
        self.receive::<R>(version, correlation_id)
    }

    /// Sends a request; its correlation id.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation_id += 1;
        self.send_bytes(&frame(version, self.correlation_id, request));
        self.correlation_id
    }

    /// Waits for the response to a request that was sent.
    pub fn receive<R: Request>(&mut self, version: i16, correlation_id: i32) -> R::Response {
        self.try_receive::<R>(version, correlation_id)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`Client::receive`]; what is wrong with the response, or why there is none.
    pub fn try_receive<R: Request>(&mut self, version: i16, correlation_id: i32) -> Result<R::Response, String> {
        match self.receive_frame() {
            Ok(Some(frame)) => response::<R>(version, correlation_id, &frame),
            Ok(None) => Err(format!("{:?} v{version}: the broker closed the connection", R::KEY)),
            Err(error) => Err(format!("{:?} v{version}: {error}", R::KEY)),
        }
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// As [`Client::send_bytes`], for a broker that may close the connection meanwhile; whether all was sent.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next frame without its size; `None` when the broker has closed the connection.
    pub fn receive_frame(&mut self) -> std::io::Result<Option<Bytes>> {
        let mut size = [0; 4];
        match self.stream.read_exact(&mut size) {
            Ok(()) => {}
            Err(error) if is_closed(error.kind()) => return Ok(None),
            Err(error) => return Err(error),
        }
        let size = usize::try_from(i32::from_be_bytes(size)).expect("the size of a response is not negative");
        assert!(size <= FRAME_BYTES_MAX, "a response of {size} bytes");
        let mut frame = vec![0; size];
        self.stream.read_exact(&mut frame)?;
        Ok(Some(frame.into()))
    }

    /// Fails unless the broker closes the connection, without a response.
    pub fn assert_closed(&mut self, what: &str) {
        match self.receive_frame() {
            Ok(None) => {}
            Ok(Some(frame)) => panic!("{what}: a response instead of a closed connection: {frame:?}"),
            Err(error) => panic!("{what}: no closed connection: {error}"),
        }
    }

    /// Fails if something comes within `wait`.
    pub fn assert_silent(&mut self, wait: Duration) {
        self.set_read_timeout(wait);
        match self.receive_frame() {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => panic!("not silent: {other:?}"),
        }
        self.set_read_timeout(ANSWER_MAX);
    }

    pub fn set_read_timeout(&mut self, timeout: Duration) {
        self.stream.set_read_timeout(Some(timeout)).unwrap();
    }

    /// The socket, for what is not a request.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

/// A request as it goes over the socket.
pub fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> Bytes {
    let mut writer = header(R::KEY, version, correlation_id);
    let encoded = request.encode(&mut writer, version);
    encoded.unwrap_or_else(|error| panic!("{:?} v{version}: {error}", R::KEY));
    writer.into_bytes().unwrap()
}

/// A frame that holds the header of a request, to be continued.
pub fn header(key: ApiKey, version: i16, correlation_id: i32) -> Writer {
    let header = RequestHeader {
        request_api_key: key.to_i16(),
        request_api_version: version,
        correlation_id,
        client_id: Some("broker-tests".to_owned()),
    };
    let mut writer = Writer::framed();
    header.encode(&mut writer, key.request_header_version(version)).unwrap();
    writer
}

/// Decodes a response, which has to take the whole frame.
pub fn response<R: Request>(version: i16, correlation_id: i32, frame: &Bytes) -> Result<R::Response, String> {
    let what = format!("{:?} v{version}", R::KEY);
    let wrong = |error: duramen_wire::DecodeError| format!("{what}: {error} in {frame:?}");
    let mut reader = Reader::new(frame, DECODE_BUDGET);
    let header = ResponseHeader::decode(&mut reader, R::KEY.response_header_version(version)).map_err(wrong)?;
    let response = R::Response::decode(&mut reader, version).map_err(wrong)?;
    if header.correlation_id != correlation_id {
        return Err(format!(
            "{what}: the response to {}, not {correlation_id}",
            header.correlation_id
        ));
    }
    if reader.remaining() > 0 {
        return Err(format!("{what}: {} bytes behind the response", reader.remaining()));
    }
    Ok(response)
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}
