//! One connection that never blocks.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::failure::{Context, Result, fail};

/// Pieces that one system call sends, at most.
const PIECES_MAX: usize = 16;

/// Room for what is received at once, unless a frame is longer.
const RECEIVE_BYTES: usize = 64 * 1024;

/// No answer is longer.
const FRAME_BYTES_MAX: usize = 1 << 30;

/// Bytes of the size in front of a frame.
const SIZE_BYTES: usize = 4;

/// Time to connect.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A socket, what waits to be sent on it, and what has come.
pub struct Connection {
    stream: TcpStream,
    outgoing: VecDeque<Bytes>,
    incoming: Vec<u8>,
}

impl Connection {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect_timeout(&address, CONNECT_MAX).context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            outgoing: VecDeque::new(),
            incoming: Vec::new(),
        })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Adds a piece to what is to be sent.
    pub fn push(&mut self, piece: Bytes) {
        self.outgoing.push_back(piece);
    }

    /// Whether everything that was pushed is with the kernel.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Sends as much as the kernel takes.
    pub fn flush(&mut self) -> Result<()> {
        while !self.outgoing.is_empty() {
            let pieces: [IoSlice<'_>; PIECES_MAX] =
                std::array::from_fn(|at| IoSlice::new(self.outgoing.get(at).map_or(&[], Bytes::as_ref)));
            let used = self.outgoing.len().min(PIECES_MAX);
            match (&self.stream).write_vectored(&pieces[..used]) {
                Ok(0) => fail!("the broker closed the connection"),
                Ok(sent) => self.sent(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    fail!("the broker closed the connection");
                }
                Err(error) => fail!("sending: {error}"),
            }
        }
        Ok(())
    }

    fn sent(&mut self, mut bytes: usize) {
        while let Some(piece) = self.outgoing.front_mut() {
            if bytes < piece.len() {
                piece.advance(bytes);
                return;
            }
            bytes -= piece.len();
            self.outgoing.pop_front();
        }
    }

    /// Receives what is there, and hands every whole frame, without its size, to `take`.
    pub fn receive(&mut self, mut take: impl FnMut(&mut Self, &Bytes) -> Result<()>) -> Result<()> {
        loop {
            let is_drained = self.receive_once()?;
            while self.has_frame()? {
                // What came is looked at where it lies; the memory comes back when nobody holds on to a frame.
                let all = Bytes::from(std::mem::take(&mut self.incoming));
                let mut rest = all.clone();
                while let Some(frame) = split_frame(&mut rest)? {
                    take(self, &frame)?;
                }
                let kept = rest.len();
                let start = all.len() - kept;
                drop(rest);
                self.incoming = reclaimed(all, start);
            }
            if is_drained {
                return Ok(());
            }
        }
    }

    /// One system call; whether nothing more is there.
    fn receive_once(&mut self) -> Result<bool> {
        let wanted = self.frame_bytes()?.unwrap_or(0).max(RECEIVE_BYTES);
        self.incoming.reserve(wanted.saturating_sub(self.incoming.len()));
        let room = self.incoming.capacity() - self.incoming.len();
        match rustix::net::recv(&self.stream, spare_capacity(&mut self.incoming), RecvFlags::empty()) {
            Ok((0, _)) | Err(Errno::CONNRESET) => fail!("the broker closed the connection"),
            Ok((received, _)) => Ok(received < room),
            Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            Err(error) => fail!("receiving: {error}"),
        }
    }

    fn has_frame(&self) -> Result<bool> {
        Ok(self.frame_bytes()?.is_some_and(|bytes| bytes <= self.incoming.len()))
    }

    /// Bytes of the frame at the front with its size, as far as they are known.
    fn frame_bytes(&self) -> Result<Option<usize>> {
        frame_bytes(&self.incoming)
    }
}

fn frame_bytes(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(size) = bytes.first_chunk::<SIZE_BYTES>() else {
        return Ok(None);
    };
    let size = i32::from_be_bytes(*size);
    match usize::try_from(size) {
        Ok(size) if size <= FRAME_BYTES_MAX => Ok(Some(SIZE_BYTES + size)),
        _ => fail!("an answer of {size} bytes: the broker does not speak Kafka's protocol"),
    }
}

fn split_frame(rest: &mut Bytes) -> Result<Option<Bytes>> {
    match frame_bytes(rest)? {
        Some(bytes) if bytes <= rest.len() => Ok(Some(rest.split_to(bytes).split_off(SIZE_BYTES))),
        _ => Ok(None),
    }
}

/// The bytes from `start` on at the front of the same memory, if it is ours alone.
fn reclaimed(mut all: Bytes, start: usize) -> Vec<u8> {
    all.advance(start);
    Vec::from(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = Connection::connect(listener.local_addr().unwrap()).unwrap();
        (connection, listener.accept().unwrap().0)
    }

    fn frames(connection: &mut Connection, number: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while frames.len() < number {
            connection
                .receive(|_, frame| {
                    frames.push(frame.to_vec());
                    Ok(())
                })
                .unwrap();
        }
        frames
    }

    #[test]
    fn frames_come_whole_however_they_were_cut() {
        let (mut connection, mut peer) = pair();
        let long = vec![7; 300_000];
        let mut sent = vec![0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 9];
        peer.write_all(&sent).unwrap();
        assert_eq!(frames(&mut connection, 2), [vec![1, 2], vec![]]);
        sent.clear();
        sent.extend_from_slice(&[9, 9]);
        sent.extend_from_slice(&300_000_u32.to_be_bytes());
        sent.extend_from_slice(&long);
        let writer = std::thread::spawn(move || peer.write_all(&sent).map(|()| peer));
        assert_eq!(frames(&mut connection, 2), [vec![9, 9, 9], long]);
        drop(writer.join().unwrap().unwrap());
        let error = loop {
            if let Err(error) = connection.receive(|_, _| Ok(())) {
                break error.to_string();
            }
        };
        assert_eq!(error, "the broker closed the connection");
    }

    #[test]
    fn pieces_leave_in_order() {
        let (mut connection, mut peer) = pair();
        let mut expected = Vec::new();
        for index in 0..200_u8 {
            let piece = vec![index; 40_000];
            expected.extend_from_slice(&piece);
            connection.push(piece.into());
        }
        let length = expected.len();
        let reader = std::thread::spawn(move || {
            let mut read = vec![0; length];
            peer.read_exact(&mut read).map(|()| read)
        });
        while !connection.is_flushed() {
            connection.flush().unwrap();
        }
        assert!(reader.join().unwrap().unwrap() == expected);
    }

    #[test]
    fn what_is_no_frame_is_told() {
        let (mut connection, mut peer) = pair();
        peer.write_all(b"HTTP/1.1 400").unwrap();
        let error = loop {
            if let Err(error) = connection.receive(|_, _| Ok(())) {
                break error.to_string();
            }
        };
        assert!(error.contains("does not speak Kafka's protocol"), "{error}");
    }
}
