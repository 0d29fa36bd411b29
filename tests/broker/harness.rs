//! Brokers: started, killed, stopped and started again on the same directory.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;

const TARGET: &str = "DURAMEN_TEST_TARGET";

/// With this variable brokers are stopped in good order after each test, and what they say of steps that were too long is told.
const STALLS: &str = "DURAMEN_TEST_STALLS";

/// How long a broker may take until it answers. Much more than it takes, since many brokers start at one time here.
const START_MAX: Duration = Duration::from_secs(20);

/// A broker that takes longer for an answer hangs, however busy the machine is.
pub const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long a test may use one start of a broker.
const WATCHDOG: Duration = Duration::from_secs(55);

/// Waits until `condition` gives a value, and returns it.
pub fn poll<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A broker to speak to: our own, or the target.
pub struct Broker {
    address: SocketAddr,
    own: Option<Own>,
}

/// What it takes to start our own broker again.
struct Own {
    process: Process,
    directory: tempfile::TempDir,
    settings: Vec<String>,
}

impl Broker {
    /// The target, or our own broker with this many cores.
    pub fn start(cores: u16) -> Self {
        match target() {
            Some(address) => Self { address, own: None },
            None => Self::launch(cores, &[]),
        }
    }

    /// The target, which has been given the settings too, or our own broker with them.
    pub fn start_with(cores: u16, settings: &[&str]) -> Self {
        match target() {
            Some(address) => Self { address, own: None },
            None => Self::launch(cores, settings),
        }
    }

    /// Our own broker, with settings; `None`, told to the person, when there is a target.
    pub fn start_own(cores: u16, settings: &[&str]) -> Option<Self> {
        if target().is_some() {
            let thread = std::thread::current();
            eprintln!(
                "{}: skipped, it needs a broker of its own",
                thread.name().unwrap_or_default()
            );
            return None;
        }
        Some(Self::launch(cores, settings))
    }

    fn launch(cores: u16, settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let (process, address) = Process::start(&directory, cores, &settings);
        Self {
            address,
            own: Some(Own {
                process,
                directory,
                settings,
            }),
        }
    }

    pub fn is_ours(&self) -> bool {
        self.own.is_some()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    fn own(&mut self) -> &mut Own {
        self.own.as_mut().expect("only our own broker can be stopped")
    }

    /// SIGKILL, then a start on the same directory.
    pub fn kill_and_restart(&mut self, cores: u16) {
        self.kill();
        self.start_again(cores);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        let own = self.own.as_ref().expect("only our own broker can be killed");
        let status = own.process.kill();
        assert_eq!(status.signal(), Some(9), "the broker had ended before: {status}");
    }

    /// SIGTERM, then a start on the same directory.
    pub fn restart(&mut self, cores: u16) {
        self.terminate();
        self.start_again(cores);
    }

    /// Stops the broker by SIGTERM; it has to end by itself, with success.
    pub fn terminate(&mut self) {
        let own = self.own();
        let start = Instant::now();
        kill_process(own.process.pid, Signal::TERM).unwrap();
        let status = poll("the end after SIGTERM", Duration::from_secs(10), || own.process.ended());
        assert!(status.success(), "after SIGTERM: {status}\n{}", own.process.output());
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_secs(2), "stopping took {elapsed:?}");
    }

    /// What our own broker has said since it was started.
    pub fn output(&self) -> String {
        let own = self.own.as_ref().expect("only what our own broker says is known");
        own.process.output()
    }

    /// The data directory of our own broker.
    pub fn data(&self) -> PathBuf {
        let own = self
            .own
            .as_ref()
            .expect("only of our own broker the directory is known");
        own.directory.path().join("data")
    }

    /// Starts the stopped broker on its directory, which it has to refuse; what it says of it, and its exit code.
    pub fn refused_start(&mut self, settings: &[&str]) -> (String, Option<i32>) {
        let own = self.own();
        let settings: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let process = Process::spawn(&own.directory, free_address(), 2, &settings);
        let status = poll("the end of a refused start", START_MAX, || process.ended());
        let output = poll("what the broker says", START_MAX, || {
            let output = process.output();
            output.contains("duramen: ").then_some(output)
        });
        (output, status.code())
    }

    /// Gives the next starts other settings.
    pub fn set(&mut self, settings: &[&str]) {
        self.own().settings = settings.iter().map(|&setting| setting.to_owned()).collect();
    }

    /// Starts the stopped broker on its directory.
    pub fn start_again(&mut self, cores: u16) {
        let own = self.own();
        let (process, address) = Process::start(&own.directory, cores, &own.settings);
        own.process = process;
        self.address = address;
    }

    /// Fails unless the process that was started still runs.
    pub fn assert_alive(&mut self) {
        if let Some(own) = self.own.as_mut() {
            let status = own.process.ended();
            assert!(
                status.is_none(),
                "the broker ended: {status:?}\n{}",
                own.process.output()
            );
        }
    }

    /// What our own broker has said since its last start.
    pub fn said(&self) -> String {
        self.own.as_ref().map_or_else(String::new, |own| own.process.output())
    }

    /// Process id of our own broker.
    pub fn pid(&self) -> Option<Pid> {
        Some(self.own.as_ref()?.process.pid)
    }

    /// Resident memory of the process in bytes, that of files not counted; `None` for the target.
    pub fn memory_bytes(&self) -> Option<u64> {
        let own = self.own.as_ref()?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", own.process.pid.as_raw_nonzero())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        Some(kibibytes * 1024)
    }
}

fn target() -> Option<SocketAddr> {
    let target = std::env::var(TARGET).ok()?;
    Some(
        target
            .to_socket_addrs()
            .unwrap()
            .next()
            .expect("the target has an address"),
    )
}

/// One process, killed when it is dropped.
struct Process {
    child: Mutex<Child>,
    pid: Pid,
    output: Arc<Mutex<String>>,
    /// Its end tells the watchdog that the test is over.
    _watchdog: Sender<()>,
}

impl Process {
    /// Starts a broker on a free port and waits until it answers.
    fn start(directory: &tempfile::TempDir, cores: u16, settings: &[String]) -> (Self, SocketAddr) {
        let mut attempts_left = 5;
        loop {
            let address = free_address();
            let process = Self::spawn(directory, address, cores, settings);
            let mut ended = None;
            poll("the start of the broker", START_MAX, || {
                ended = process.ended();
                (ended.is_some() || Client::answers(address)).then_some(())
            });
            match ended {
                None => return (process, address),
                // Somebody else may have taken the port since.
                Some(_) if attempts_left > 0 && TcpListener::bind(address).is_err() => attempts_left -= 1,
                Some(status) => panic!("the broker did not start: {status}"),
            }
        }
    }

    fn spawn(directory: &tempfile::TempDir, address: SocketAddr, cores: u16, settings: &[String]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        command.env_clear().env("RUST_BACKTRACE", "1").arg("serve");
        let fixed = [
            format!("listeners=PLAINTEXT://{address}"),
            format!("log.dirs={}", directory.path().join("data").display()),
            format!("core.count={cores}"),
            "core.stalls.report=true".to_owned(),
        ];
        for setting in fixed.iter().chain(settings) {
            command.arg("--set").arg(setting);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::default();
        collect(child.stdout.take().unwrap(), &output);
        collect(child.stderr.take().unwrap(), &output);
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        Self {
            child: Mutex::new(child),
            pid,
            output,
            _watchdog: watch(pid),
        }
    }

    /// SIGKILL, unless the process has ended; how it ended.
    fn kill(&self) -> ExitStatus {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap()
    }

    /// How the process ended, if it has.
    fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }
}

/// The lines about steps that were too long.
fn told_stalls(output: &str) -> Vec<&str> {
    output.lines().filter(|line| line.contains("stall at")).collect()
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::env::var_os(STALLS).is_some() && self.ended().is_none() && kill_process(self.pid, Signal::TERM).is_ok()
        {
            poll("the end after SIGTERM", Duration::from_secs(20), || self.ended());
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            eprintln!("{test}:\n{}", told_stalls(&self.output()).join("\n"));
        }
        let status = self.kill();
        if std::thread::panicking() {
            eprintln!("the broker ({status}) said:\n{}", self.output());
        }
    }
}

/// Kills the process after a while, unless the sender is dropped before.
fn watch(pid: Pid) -> Sender<()> {
    let (sender, receiver) = channel::<()>();
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    std::thread::spawn(move || {
        if receiver.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{test}: not over after {WATCHDOG:?}, killing the broker");
            // Where the broker has ended by itself there is nothing to kill.
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    sender
}

/// Collects what the process says, from a thread that ends with it.
fn collect(mut stream: impl Read + Send + 'static, output: &Arc<Mutex<String>>) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(bytes) = stream.read(&mut buffer)
            && bytes > 0
        {
            output
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&buffer[..bytes]));
        }
    });
}

/// An address that nobody listens on. Its port is below those that connections get for themselves: a test with thousands of them would
/// take it before the broker does.
pub fn free_address() -> SocketAddr {
    const PORTS: std::ops::Range<u32> = 10_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let drawn = std::process::id()
            .wrapping_mul(7919)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + drawn % (PORTS.end - PORTS.start);
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A connection to `address`, with the timeouts that all connections here have.
pub fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(stream)
}
