//! The machine without any broker: what sockets, the page cache, the disk and the codecs can do by themselves, in the same run.
//!
//! What a broker would do runs on the broker's processors, what a client would do on the load's.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use duramen::record::codec::compress;
use duramen::record::{Compression, CompressionLevel};
use hdrhistogram::Histogram;
use rustix::fs::{Mode, OFlags, open};

use crate::batch::Templates;
use crate::cpus::{Cpus, Placement};
use crate::failure::{Context, Failure, Result, fail};
use crate::number::{MIB, count, float, index, nanos};
use crate::report::result::{Latency, Raw};
use crate::scenario::{Codec, Metric, Records};

/// Bytes of the file that is written and read again and again.
pub const FILE_BYTES: u64 = 256 << 20;

/// What a device wants buffers, lengths and places aligned to.
const BLOCK_BYTES: usize = 4096;

/// Bytes that one system call moves between a socket and memory or a file.
const SOCKET_BYTES: usize = 256 << 10;

/// Latencies are told up to this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// What is measured, in its order.
pub const NAMES: &[&str] = &[
    "O_DIRECT|O_DSYNC write 4 KiB",
    "O_DIRECT|O_DSYNC write 16 KiB",
    "O_DIRECT|O_DSYNC write 128 KiB",
    "O_DIRECT|O_DSYNC write 1 MiB",
    "append and fdatasync 1 MiB",
    "O_DIRECT read 1 MiB",
    "page-cache write 16 KiB",
    "page-cache write 128 KiB",
    "page-cache write 1 MiB",
    "loopback TCP, one stream",
    "sendfile loop, one stream",
    "compression by lz4",
    "compression by zstd",
];

/// What is known of each, but that streams and processors have no latencies.
pub const METRICS: &[Metric] = &[Metric::MibPerSecond, Metric::P50Us, Metric::P99Us, Metric::P999Us];

/// Where, with a file of how many bytes, and for how long each thing is measured.
pub struct Settings<'a> {
    pub directory: &'a Path,
    pub placement: &'a Placement,
    pub file_bytes: u64,
    pub each: Duration,
}

/// Measures everything, or what `is_wanted` of [`NAMES`]. What goes past the page cache comes first: it would have to wait for what is in it.
pub fn measure(settings: &Settings<'_>, scenario: &str, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Raw>> {
    let directory = settings.directory;
    std::fs::create_dir_all(directory).context(|| directory.display().to_string())?;
    let probe = Probe {
        file: Scratch::new(directory, settings.file_bytes).context(|| directory.display().to_string())?,
        placement: settings.placement,
        each: settings.each,
        scenario,
    };
    let names = NAMES.iter().filter(|name| is_wanted(name));
    names.map(|name| probe.named(name)).collect()
}

struct Probe<'a> {
    file: Scratch,
    placement: &'a Placement,
    each: Duration,
    scenario: &'a str,
}

impl Probe<'_> {
    /// One of [`NAMES`].
    fn named(&self, name: &str) -> Result<Raw> {
        match name {
            "O_DIRECT|O_DSYNC write 4 KiB" => self.durable_write(name, 4 << 10),
            "O_DIRECT|O_DSYNC write 16 KiB" => self.durable_write(name, 16 << 10),
            "O_DIRECT|O_DSYNC write 128 KiB" => self.durable_write(name, 128 << 10),
            "O_DIRECT|O_DSYNC write 1 MiB" => self.durable_write(name, 1 << 20),
            "append and fdatasync 1 MiB" => self.synced_append(name),
            "O_DIRECT read 1 MiB" => self.device_read(name),
            "page-cache write 16 KiB" => self.page_cache_write(name, 16 << 10),
            "page-cache write 128 KiB" => self.page_cache_write(name, 128 << 10),
            "page-cache write 1 MiB" => self.page_cache_write(name, 1 << 20),
            "loopback TCP, one stream" => self.loopback(name),
            "sendfile loop, one stream" => self.sendfile(name),
            "compression by lz4" => self.codec(name, Compression::Lz4),
            "compression by zstd" => self.codec(name, Compression::Zstd),
            _ => fail!("{name:?} is not measured; there are {NAMES:?}"),
        }
    }

    fn result(&self, name: &str, bytes: u64, seconds: f64, latency: Option<&Histogram<u64>>) -> Raw {
        Raw {
            name: name.to_owned(),
            scenario: self.scenario.to_owned(),
            mib_per_second: float(bytes) / MIB / seconds,
            latency: latency.and_then(Latency::of),
        }
    }

    /// Repeats a step on the broker's first processor until the time is over, once at least; the bytes that it moved, and how long each step took.
    fn repeat(&self, name: &str, mut step: impl FnMut(u64) -> Result<usize>) -> Result<Raw> {
        let mut latency = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)?;
        Cpus(self.placement.broker.0[..1].to_vec()).pinned(|| {
            let began = Instant::now();
            let (mut bytes, mut number) = (0, 0);
            while number == 0 || began.elapsed() < self.each {
                let step_began = Instant::now();
                bytes += count(step(number)?);
                number += 1;
                latency.saturating_record(nanos(step_began.elapsed()));
            }
            Ok(self.result(name, bytes, began.elapsed().as_secs_f64(), Some(&latency)))
        })
    }

    fn page_cache_write(&self, name: &str, bytes: usize) -> Result<Raw> {
        let file = self.file.open(OFlags::RDWR)?;
        let buffer = vec![7; bytes];
        self.repeat(name, |number| {
            file.write_all_at(&buffer, self.file.place(number, bytes))?;
            Ok(bytes)
        })
    }

    fn durable_write(&self, name: &str, bytes: usize) -> Result<Raw> {
        let file = self.file.open(OFlags::RDWR | OFlags::DIRECT | OFlags::DSYNC)?;
        let buffer = vec![7; bytes + BLOCK_BYTES];
        let from = buffer.as_ptr().align_offset(BLOCK_BYTES);
        self.repeat(name, |number| {
            file.write_all_at(&buffer[from..from + bytes], self.file.place(number, bytes))?;
            Ok(bytes)
        })
    }

    /// A file that grows by one write at a time, each of which is on the disk before the next begins: what a log can do without a journal.
    fn synced_append(&self, name: &str) -> Result<Raw> {
        let bytes = 1 << 20;
        let path = self.file.path.with_extension("append");
        let file = File::create(&path)?;
        std::fs::remove_file(&path)?;
        let buffer = vec![7; bytes];
        self.repeat(name, |number| {
            file.write_all_at(&buffer, number * count(bytes))?;
            rustix::fs::fdatasync(&file)?;
            Ok(bytes)
        })
    }

    fn device_read(&self, name: &str) -> Result<Raw> {
        let bytes = 1 << 20;
        let file = self.file.open(OFlags::RDONLY | OFlags::DIRECT)?;
        let mut buffer = vec![0; bytes + BLOCK_BYTES];
        let from = buffer.as_ptr().align_offset(BLOCK_BYTES);
        self.repeat(name, |number| {
            file.read_exact_at(&mut buffer[from..from + bytes], self.file.place(number, bytes))?;
            Ok(bytes)
        })
    }

    /// How fast one core compresses what scenarios of codecs send.
    fn codec(&self, name: &str, codec: Compression) -> Result<Raw> {
        let records = Records {
            value_bytes: 1024,
            keys: 0,
            compressibility: 0.5,
            batch_bytes: Some(131_072),
            batch_records: None,
            codec: Codec::None,
        };
        let templates = Templates::new(&records, 1)?;
        let mut output = Vec::new();
        self.repeat(name, |number| {
            let body = templates.of(number).body();
            output.clear();
            compress(codec, CompressionLevel::Default, body, &mut output)
                .map_err(|_| Failure::new(format!("{name} failed")))?;
            Ok(body.len())
        })
    }

    fn loopback(&self, name: &str) -> Result<Raw> {
        let buffer = vec![7; SOCKET_BYTES];
        self.stream(name, |stream, _| Ok((&*stream).write(&buffer)?))
    }

    fn sendfile(&self, name: &str) -> Result<Raw> {
        let file = self.file.open(OFlags::RDONLY)?;
        self.stream(name, |stream, number| {
            let mut place = self.file.place(number, SOCKET_BYTES);
            Ok(rustix::fs::sendfile(stream, &file, Some(&mut place), SOCKET_BYTES)?)
        })
    }

    /// Sends on the broker's first processor what is received on the load's first.
    fn stream(&self, name: &str, mut send: impl FnMut(&TcpStream, u64) -> Result<usize>) -> Result<Raw> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let sender = TcpStream::connect(listener.local_addr()?)?;
        let (mut receiver, _) = listener.accept()?;
        let load = Cpus(self.placement.load.0[..1].to_vec());
        let received = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                load.pin()?;
                let mut buffer = vec![0; SOCKET_BYTES];
                loop {
                    match receiver.read(&mut buffer)? {
                        0 => return Ok(()),
                        bytes => received.fetch_add(count(bytes), Ordering::Relaxed),
                    };
                }
            });
            let sent = Cpus(self.placement.broker.0[..1].to_vec()).pinned(|| {
                let began = Instant::now();
                let mut number = 0;
                while received.load(Ordering::Relaxed) == 0 || began.elapsed() < self.each {
                    send(&sender, number)?;
                    number += 1;
                }
                let bytes = received.load(Ordering::Relaxed);
                Ok(self.result(name, bytes, began.elapsed().as_secs_f64(), None))
            });
            drop(sender);
            let done: Result<()> = receiving
                .join()
                .unwrap_or_else(|_| Err(Failure::new("the receiver has a defect")));
            done?;
            sent
        })
    }
}

/// A file that was written before, and goes with its owner.
struct Scratch {
    path: PathBuf,
    bytes: u64,
}

impl Scratch {
    fn new(directory: &Path, bytes: u64) -> Result<Self> {
        let scratch = Self {
            path: directory.join(format!("raw-{}", std::process::id())),
            bytes,
        };
        let file = File::create(&scratch.path)?;
        let buffer = vec![7; index(1 << 20)];
        for number in 0..bytes >> 20 {
            file.write_all_at(&buffer, number << 20)?;
        }
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        Ok(scratch)
    }

    fn open(&self, flags: OFlags) -> Result<File> {
        let opened = open(&self.path, flags | OFlags::CLOEXEC, Mode::empty());
        Ok(opened.context(|| self.path.display().to_string())?.into())
    }

    /// Where step `number` of so many bytes goes: around and around the file.
    fn place(&self, number: u64, bytes: usize) -> u64 {
        number * count(bytes) % self.bytes
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn everything_can_be_measured() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let settings = Settings {
        directory: directory.path(),
        placement: &Placement::new(None, None).unwrap(),
        file_bytes: 4 << 20,
        each: Duration::from_millis(5),
    };
    let all = measure(&settings, "a", |_| true).unwrap();
    assert_eq!(all.iter().map(|raw| raw.name.as_str()).collect::<Vec<_>>(), NAMES);
    for raw in &all {
        assert!(raw.mib_per_second > 0.0 && raw.scenario == "a", "{}", raw.name);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
