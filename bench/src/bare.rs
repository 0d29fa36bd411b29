//! The least that a broker does with records: it receives them, writes them and answers, and nothing else. What that takes is the share of
//! sockets and files in what a broker takes.
//!
//! One thread a processor, each with connections and files of its own. What one receive brought is written as it came, all whole requests of it
//! at once: with acks=1 into the page cache, at the end of a file that grows; with acks=all past it and flushed, one write for all connections
//! of a turn, into a file that was written before and is used again and again, as a journal is.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use duramen::rt::fs::{AlignedBuffer, BLOCK_BYTES};
use rustix::event::epoll;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::cpus::Cpus;
use crate::failure::{Context, Result, fail};
use crate::number::count;
use crate::sink::{Answers, Asked, FRONT_BYTES};

/// Bytes that one receive asks for, at least.
const RECEIVED_BYTES: usize = 1 << 20;

/// The longest request.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// Bytes of one flushed write, at most.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// Bytes of the file that flushed writes go around in.
const JOURNAL_BYTES: u64 = 128 << 20;

/// Connections that one turn looks at, at most.
const EVENTS_MAX: usize = 256;

#[derive(clap::Args)]
pub struct Arguments {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Where its files are.
    #[arg(long)]
    directory: PathBuf,
}

/// Serves until it is killed, or cannot go on.
pub fn run(arguments: &Arguments) -> Result<()> {
    let listener = TcpListener::bind(arguments.listen).context(|| arguments.listen.to_string())?;
    serve(listener, &arguments.directory, &Cpus::allowed()?)
}

/// Serves a listener with a thread on each processor, until the first cannot go on.
fn serve(listener: TcpListener, directory: &Path, cpus: &Cpus) -> Result<()> {
    let shared = Arc::new(Shared {
        answers: Answers::new(listener.local_addr()?, None),
        deletions: AtomicU64::new(0),
    });
    let (ended, end) = std::sync::mpsc::channel();
    let mut inboxes = Vec::new();
    for cpu in &cpus.0 {
        let inbox = Arc::new(Inbox {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            arrived: Mutex::default(),
        });
        let mut core = Core {
            shared: Arc::clone(&shared),
            inbox: Arc::clone(&inbox),
            connections: HashMap::new(),
            files: Files::new(directory, *cpu).context(|| directory.display().to_string())?,
            deletions: 0,
        };
        inboxes.push(inbox);
        let cpu = Cpus(vec![*cpu]);
        let ended = ended.clone();
        std::thread::spawn(move || ended.send(cpu.pin().and_then(|()| core.turns())));
    }
    std::thread::spawn(move || ended.send(accept(&listener, &inboxes)));
    end.recv().unwrap_or(Ok(()))
}

/// Gives each core its share of the connections.
fn accept(listener: &TcpListener, inboxes: &[Arc<Inbox>]) -> Result<()> {
    for inbox in inboxes.iter().cycle() {
        let (stream, _) = listener.accept()?;
        inbox.put(stream)?;
    }
    Ok(())
}

struct Shared {
    answers: Answers,
    /// Topics that are gone, and their records with them.
    deletions: AtomicU64,
}

/// Connections on their way to a core.
struct Inbox {
    epoll: OwnedFd,
    arrived: Mutex<Vec<TcpStream>>,
}

impl Inbox {
    fn put(&self, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        epoll::add(
            &self.epoll,
            &stream,
            epoll::EventData::new_u64(number_of(&stream)),
            epoll::EventFlags::IN,
        )?;
        arrived.push(stream);
        Ok(())
    }

    fn take(&self) -> Vec<TcpStream> {
        std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn number_of(stream: &TcpStream) -> u64 {
    u64::from(stream.as_raw_fd().unsigned_abs())
}

struct Core {
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    connections: HashMap<u64, Connection>,
    files: Files,
    /// Those whose records are gone here.
    deletions: u64,
}

impl Core {
    fn turns(&mut self) -> Result<()> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        loop {
            events.clear();
            match epoll::wait(&self.inbox.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            self.turn(&events)?;
        }
    }

    /// Receives from all that have something, writes all of it, and answers.
    fn turn(&mut self, events: &[epoll::Event]) -> Result<()> {
        let deletions = self.shared.deletions.load(Ordering::Relaxed);
        if deletions != self.deletions {
            self.deletions = deletions;
            self.files.forget()?;
        }
        for event in events {
            let number = event.data.u64();
            if !self.connections.contains_key(&number) {
                let arrived = self.inbox.take().into_iter();
                self.connections
                    .extend(arrived.map(|stream| (number_of(&stream), Connection::new(stream))));
            }
            let Some(connection) = self.connections.get_mut(&number) else {
                fail!("an event of nobody's connection");
            };
            // A connection that ends in an error has lost its peer, or has none that is understood.
            let is_open = connection.receive().unwrap_or(false);
            let Some(taken) = connection.answer(&self.shared).ok().filter(|_| is_open) else {
                self.connections.remove(&number);
                continue;
            };
            let requests = &connection.buffer[..taken.bytes];
            if taken.is_durable {
                self.files.gather(requests)?;
            } else if taken.is_written {
                self.files.append(requests)?;
            }
            connection.forget(taken.bytes);
        }
        self.files.flush()?;
        for event in events {
            let number = event.data.u64();
            let connection = self.connections.get_mut(&number);
            if connection.is_some_and(|connection| connection.respond().is_err()) {
                self.connections.remove(&number);
            }
        }
        Ok(())
    }
}

struct Connection {
    stream: TcpStream,
    /// What came and is no whole request yet is at its front, `filled` bytes long.
    buffer: Vec<u8>,
    filled: usize,
    responses: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            filled: 0,
            responses: Vec::new(),
        }
    }

    /// Takes what is there, once; false at the end of the stream.
    fn receive(&mut self) -> Result<bool> {
        if self.buffer.len() < self.filled + RECEIVED_BYTES {
            self.buffer
                .resize((self.filled + RECEIVED_BYTES).next_power_of_two(), 0);
        }
        let room = &mut self.buffer[self.filled..];
        let received = match rustix::net::recv(&self.stream, room, RecvFlags::DONTWAIT) {
            Ok((_, received)) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        self.filled += received;
        Ok(received > 0)
    }

    /// Answers the whole requests that are there.
    fn answer(&mut self, shared: &Shared) -> Result<Taken> {
        let mut taken = Taken::default();
        while let Some(frame) = first_frame(&self.buffer[taken.bytes..self.filled])? {
            let answer = shared.answers.answer(front(frame))?;
            match answer.asked {
                Asked::Durable => taken.is_durable = true,
                Asked::Written => taken.is_written = true,
                Asked::Deletion => drop(shared.deletions.fetch_add(1, Ordering::Relaxed)),
                Asked::Other => {}
            }
            self.responses.extend_from_slice(&answer.response.unwrap_or_default());
            taken.bytes += size_of::<i32>() + frame.len();
        }
        Ok(taken)
    }

    /// The first so many bytes are dealt with.
    fn forget(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }

    fn respond(&mut self) -> std::io::Result<()> {
        if !self.responses.is_empty() {
            self.stream.write_all(&self.responses)?;
            self.responses.clear();
        }
        Ok(())
    }
}

/// Whole requests that were answered, and what their records want.
#[derive(Default)]
struct Taken {
    bytes: usize,
    is_durable: bool,
    is_written: bool,
}

/// The first request, without its length, if it is there as a whole.
fn first_frame(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = usize::try_from(i32::from_be_bytes(*length))?;
    if length > FRAME_BYTES_MAX {
        fail!("a request of {length} bytes");
    }
    Ok(rest.get(..length))
}

/// What has to be looked at of a request: of a produce what is in front of its records.
fn front(frame: &[u8]) -> Bytes {
    let is_produce = frame.starts_with(&duramen_wire::ApiKey::Produce.to_i16().to_be_bytes());
    let length = if is_produce {
        frame.len().min(FRONT_BYTES)
    } else {
        frame.len()
    };
    Bytes::copy_from_slice(&frame[..length])
}

/// The files of a core. They have no names, and go with the process.
struct Files {
    log: File,
    log_bytes: u64,
    journal: File,
    journal_at: u64,
    group: AlignedBuffer,
    gathered: usize,
}

impl Files {
    fn new(directory: &Path, cpu: usize) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = |name: &str| directory.join(format!("{name}-{cpu}"));
        let (log_path, journal_path) = (path("log"), path("journal"));
        let log = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&log_path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::DIRECT | OFlags::DSYNC | OFlags::CLOEXEC;
        let journal = File::from(open(&journal_path, flags, Mode::RUSR | Mode::WUSR)?);
        let group = AlignedBuffer::new(GROUP_BYTES_MAX);
        for number in 0..JOURNAL_BYTES / count(GROUP_BYTES_MAX) {
            journal.write_all_at(&group, number * count(GROUP_BYTES_MAX))?;
        }
        std::fs::remove_file(&log_path)?;
        std::fs::remove_file(&journal_path)?;
        Ok(Self {
            log,
            log_bytes: 0,
            journal,
            journal_at: 0,
            group,
            gathered: 0,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.log.write_all_at(bytes, self.log_bytes)?;
        self.log_bytes += count(bytes.len());
        Ok(())
    }

    /// Puts bytes where [`flush`](Self::flush) writes them.
    fn gather(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(GROUP_BYTES_MAX - self.gathered));
            self.group[self.gathered..self.gathered + now.len()].copy_from_slice(now);
            self.gathered += now.len();
            bytes = later;
            if self.gathered == GROUP_BYTES_MAX {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// What was gathered is on the disk afterwards.
    fn flush(&mut self) -> Result<()> {
        if self.gathered == 0 {
            return Ok(());
        }
        let bytes = self.gathered.next_multiple_of(BLOCK_BYTES);
        if self.journal_at + count(bytes) > JOURNAL_BYTES {
            self.journal_at = 0;
        }
        self.journal.write_all_at(&self.group[..bytes], self.journal_at)?;
        self.journal_at += count(bytes);
        self.gathered = 0;
        Ok(())
    }

    /// Nobody wants what was appended any more.
    fn forget(&mut self) -> Result<()> {
        self.log.set_len(0)?;
        self.log_bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let whole = [0, 0, 0, 2, 7, 8, 0, 0, 0, 1];
        assert_eq!(first_frame(&whole).unwrap(), Some(&[7, 8][..]));
        assert_eq!(first_frame(&whole[6..]).unwrap(), None);
        assert_eq!(first_frame(&whole[..3]).unwrap(), None);
        assert!(first_frame(&[0x7f, 0, 0, 0]).is_err());
        assert!(first_frame(&[0xff; 8]).is_err());
        let long = [vec![0, 0], vec![1; 2 * FRONT_BYTES]].concat();
        assert_eq!(front(&long).len(), FRONT_BYTES);
        assert_eq!(front(&long[2..]).len(), long.len() - 2);
    }

    #[test]
    fn what_is_acknowledged_was_written() {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let mut files = Files::new(directory.path(), 0).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        files.append(b"one").unwrap();
        files.append(b"two").unwrap();
        let mut log = [0; 6];
        files.log.read_exact_at(&mut log, 0).unwrap();
        assert_eq!(&log, b"onetwo");
        files.forget().unwrap();
        assert_eq!(files.log.metadata().unwrap().len(), 0);

        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(GROUP_BYTES_MAX + 10).collect();
        let mut there = AlignedBuffer::new(GROUP_BYTES_MAX);
        // Far enough to begin at the front again.
        for _ in 0..JOURNAL_BYTES / count(GROUP_BYTES_MAX) + 2 {
            files.gather(&bytes).unwrap();
            let long = files.journal_at - count(GROUP_BYTES_MAX);
            files.journal.read_exact_at(&mut there, long).unwrap();
            assert!(there[..] == bytes[..GROUP_BYTES_MAX]);
            files.flush().unwrap();
            let rest = files.journal_at - count(BLOCK_BYTES);
            files.journal.read_exact_at(&mut there[..BLOCK_BYTES], rest).unwrap();
            assert_eq!(there[..10], bytes[GROUP_BYTES_MAX..]);
        }
        files.flush().unwrap();
        assert_eq!(files.gathered, 0);
    }
}
