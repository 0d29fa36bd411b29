//! The sending direction of a connection.

#![expect(unsafe_code, reason = "entries name memory that the kernel reads")]

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use io_uring::{opcode, types};
use socket2::SockRef;

use super::Stream;
use super::socket::Socket;
use crate::base::offset::FilePosition;
use crate::rt::fs::File;
use crate::rt::uring::operations::outcome;
use crate::rt::uring::task::yield_if_needed;

/// Slices of one sendmsg: the kernel's IOV_MAX.
const SLICES_MAX: usize = 1024;

/// Bytes of one send of a single piece: the kernel copies them, and over loopback receives them too, at once.
const SENT_BYTES_MAX: usize = 256 * 1024;

/// A piece of what is sent: memory, or a range of a file that goes from the page cache to the socket without a copy by us.
#[derive(Clone)]
pub enum SendPart {
    Bytes(Bytes),
    File {
        file: File,
        position: FilePosition,
        length: u64,
    },
}

impl Stream {
    /// Sends all parts in their order, as one message: no small packet leaves between two of them. See [`Stream::send`].
    ///
    /// # Errors
    /// As [`Stream::send`] and [`Stream::send_file`].
    pub async fn send_all(&self, parts: Vec<SendPart>) -> io::Result<()> {
        let socket = self.socket();
        let _turn = socket.send_turn.acquire().await;
        if socket.send_broken.get() || socket.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let unfinished = Unfinished { socket };
        let mut bytes = Vec::new();
        for part in parts {
            match part {
                SendPart::Bytes(piece) if piece.is_empty() => {}
                SendPart::Bytes(piece) => bytes.push(piece),
                SendPart::File { length: 0, .. } => {}
                SendPart::File { file, position, length } => {
                    socket.try_send_now(&mut bytes)?;
                    socket.send_bytes(std::mem::take(&mut bytes), libc::MSG_MORE).await?;
                    socket.send_range(&file, position, length).await?;
                    // A message may have hundreds of short ones.
                    yield_if_needed().await;
                }
            }
        }
        socket.send_bytes(bytes, 0).await?;
        std::mem::forget(unfinished);
        Ok(())
    }
}

/// A send that did not come to its end leaves the peer with a part of a message: nothing can follow it.
struct Unfinished<'a> {
    socket: &'a Socket,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.socket.send_broken.set(true);
        self.socket.close();
    }
}

impl Socket {
    /// Sends on the spot what the socket takes of the bytes before a file: a turn of the ring between the two would be a wait for nothing.
    fn try_send_now(&self, parts: &mut Vec<Bytes>) -> io::Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        let slices: Vec<IoSlice<'_>> = parts.iter().take(SLICES_MAX).map(|part| IoSlice::new(part)).collect();
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_MORE;
        match SockRef::from(self.descriptor()).send_vectored_with_flags(&slices, flags) {
            Ok(sent) => advance(parts, sent),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn send_bytes(self: &Rc<Self>, mut parts: Vec<Bytes>, more: i32) -> io::Result<()> {
        while !parts.is_empty() {
            let (result, rest) = if parts.len() == 1 {
                self.send_one(parts, more).await
            } else {
                self.send_some(parts, more).await
            };
            parts = rest;
            match outcome(result) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => advance(&mut parts, sent),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn send_one(self: &Rc<Self>, parts: Vec<Bytes>, more: i32) -> (i32, Vec<Bytes>) {
        let piece = &parts[0];
        let sent = piece.len().min(SENT_BYTES_MAX);
        let more = if sent < piece.len() { libc::MSG_MORE } else { more };
        let length = u32::try_from(sent).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(self.fd(), piece.as_ptr(), length)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL | more)
            .build();
        // SAFETY: the held parts own the bytes, the held socket the descriptor; neither moves its memory.
        let sending = unsafe { self.reactor.submit_copy(entry, sent, (Rc::clone(self), parts)) };
        let (result, (_, parts)) = sending.await;
        (result, parts)
    }

    async fn send_some(self: &Rc<Self>, parts: Vec<Bytes>, more: i32) -> (i32, Vec<Bytes>) {
        let more = if parts.len() > SLICES_MAX { libc::MSG_MORE } else { more };
        let bytes = parts.iter().take(SLICES_MAX).map(Bytes::len).sum();
        let message = Message::new(parts);
        let flags = (libc::MSG_NOSIGNAL | libc::MSG_WAITALL | more).unsigned_abs();
        let entry = opcode::SendMsg::new(self.fd(), &raw const *message.header)
            .flags(flags)
            .build();
        // SAFETY: the held message owns header, slices and bytes in boxes of their own, the held socket the descriptor.
        let sending = unsafe { self.reactor.submit_copy(entry, bytes, (Rc::clone(self), message)) };
        let (result, (_, message)) = sending.await;
        (result, message.parts)
    }
}

/// A `msghdr` with all that it points to.
struct Message {
    header: Box<libc::msghdr>,
    _slices: Box<[libc::iovec]>,
    parts: Vec<Bytes>,
}

impl Message {
    fn new(parts: Vec<Bytes>) -> Self {
        let mut slices: Box<[libc::iovec]> = parts
            .iter()
            .take(SLICES_MAX)
            .map(|part| libc::iovec {
                iov_base: part.as_ptr().cast_mut().cast(),
                iov_len: part.len(),
            })
            .collect();
        // SAFETY: all fields of a `msghdr` are pointers and numbers, for which zero is a value.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_iov = slices.as_mut_ptr();
        header.msg_iovlen = slices.len();
        Self {
            header,
            _slices: slices,
            parts,
        }
    }
}

/// Takes `sent` bytes off the front.
fn advance(parts: &mut Vec<Bytes>, mut sent: usize) {
    let mut whole = 0;
    for part in parts.iter_mut() {
        if sent < part.len() {
            part.advance(sent);
            break;
        }
        sent -= part.len();
        whole += 1;
    }
    parts.drain(..whole);
}

impl Socket {
    /// Waits until the connection takes more bytes, or has failed.
    pub(super) async fn wait_writable(self: &Rc<Self>) -> io::Result<()> {
        let events = u32::from(libc::POLLOUT.unsigned_abs());
        let entry = opcode::PollAdd::new(types::Fd(self.descriptor().as_raw_fd()), events).build();
        // SAFETY: the held socket owns the descriptor.
        let (result, _) = unsafe { self.reactor.submit(entry, Rc::clone(self)) }.await;
        outcome(result).map(drop)
    }
}
