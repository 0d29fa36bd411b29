//! Brokers to load: started here on processors of their own, or somebody else's by address.
//!
//! Owns their processes and directories: both are gone when a target is dropped.

mod bare;
mod duramen;
mod kafka;
mod process;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cpus::{Cpus, Placement};
use crate::failure::{Context, Result, fail};
use crate::scenario::Contestant;
use crate::sink::Sink;

use process::Process;

/// What it takes to start brokers.
#[derive(Clone, Debug)]
pub struct Stable {
    /// Where their data goes: the disk that is measured.
    pub directory: PathBuf,
    pub placement: Placement,
    /// The binary.
    pub duramen: PathBuf,
    /// `KEY=VALUE` for each kind of broker.
    pub duramen_settings: Vec<String>,
    pub kafka_settings: Vec<String>,
    /// The address of somebody else's broker, and its process if it is on this machine.
    pub target: Option<String>,
    pub target_pid: Option<u32>,
}

/// A broker that answers.
pub struct Target {
    pub address: SocketAddr,
    /// The process to look at.
    pub pid: Option<u32>,
    /// Where its logs are.
    pub data: Option<PathBuf>,
    /// What it calls itself.
    pub version: String,
    running: Option<Running>,
}

/// What ends with the target.
enum Running {
    Process(Box<Process>),
    #[expect(dead_code, reason = "it is held for its end")]
    Sink(Sink),
}

impl Target {
    /// Ends the broker as an operator would; its data stays.
    pub fn stop(&mut self) -> Result<()> {
        if !self.process()?.stop()? {
            fail!("the broker did not end when it was asked to");
        }
        Ok(())
    }

    /// Starts the broker on its data once more, after [`stop`](Self::stop), and waits until it answers.
    pub fn start_again(&mut self, cpus: &Cpus) -> Result<()> {
        let address = self.address;
        let process = self.process()?;
        cpus.pinned(|| process.start_again())?;
        process.wait_until_it_answers(address)?;
        self.pid = Some(process.pid());
        Ok(())
    }

    fn process(&mut self) -> Result<&mut Process> {
        match &mut self.running {
            Some(Running::Process(process)) => Ok(process),
            Some(Running::Sink(_)) | None => fail!("only a broker that is started here can be started again"),
        }
    }
}

#[cfg(test)]
impl Target {
    /// Somebody else's broker.
    pub fn of_test(address: SocketAddr) -> Self {
        Self {
            address,
            pid: None,
            data: None,
            version: String::new(),
            running: None,
        }
    }
}

impl Stable {
    /// The broker that others are compared with.
    pub fn ours(&self) -> Contestant {
        match self.target {
            Some(_) => Contestant::Target,
            None => Contestant::Duramen,
        }
    }

    /// Starts the broker of a contestant, and waits until it answers.
    pub fn start(&self, contestant: Contestant) -> Result<Target> {
        let started = match contestant {
            Contestant::Duramen => duramen::start(self),
            Contestant::Kafka | Contestant::KafkaFlush => kafka::start(self),
            Contestant::Bare => bare::start(self),
            Contestant::Sink => self.sink(),
            Contestant::Target => self.other(),
        };
        started.context(|| contestant.name().to_owned())
    }

    fn sink(&self) -> Result<Target> {
        let sink = self.placement.broker.pinned(Sink::start)?;
        Ok(Target {
            address: sink.address(),
            pid: None,
            data: None,
            version: "sockets alone".to_owned(),
            running: Some(Running::Sink(sink)),
        })
    }

    fn other(&self) -> Result<Target> {
        let Some(text) = &self.target else {
            fail!("--target HOST:PORT is needed");
        };
        let address = text.to_socket_addrs().context(|| format!("--target {text}"))?.next();
        let Some(address) = address else {
            fail!("--target {text} has no address");
        };
        Ok(Target {
            address,
            pid: self.target_pid,
            data: None,
            version: text.clone(),
            running: None,
        })
    }

    /// Starts a broker where brokers run, and waits until it answers.
    fn process(&self, command: &Command, directory: &Path, address: SocketAddr) -> Result<Process> {
        let mut process = self.placement.broker.pinned(|| Process::start(command, directory))?;
        process.wait_until_it_answers(address)?;
        Ok(process)
    }

    /// An empty directory for a broker's data.
    fn data(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(format!("{name}-{}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path).context(|| path.display().to_string())?;
        }
        std::fs::create_dir_all(&path).context(|| path.display().to_string())?;
        path.canonicalize().context(|| path.display().to_string())
    }
}

/// An address of this machine that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The last line of a file that says something.
fn last_line(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("it said nothing").to_owned()
}
