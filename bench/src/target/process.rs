//! The process of a broker, with a log file, and its end.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Control;
use crate::failure::{Context, Result, fail};

use super::last_line;

/// How long a broker may take to answer, and to end.
const START_MAX: Duration = Duration::from_secs(120);
const END_MAX: Duration = Duration::from_secs(60);

/// A process that is stopped, and whose directory is removed, when it is dropped.
pub struct Process {
    child: Child,
    /// What it was started by.
    command: Command,
    directory: PathBuf,
}

impl Process {
    /// Starts a command whose output goes to `directory/broker.log`. It ends with this process, however that ends.
    pub fn start(command: &Command, directory: &Path) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        // `setpriv` (util-linux) becomes the command.
        let mut leashed = Command::new("setpriv");
        leashed
            .args(["--pdeathsig", "KILL", "--", &program])
            .args(command.get_args());
        let log = File::create(directory.join("broker.log"))?;
        leashed.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = leashed.spawn().context(|| format!("starting {program} by setpriv"))?;
        Ok(Self {
            child,
            command: leashed,
            directory: directory.to_owned(),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the broker answers.
    pub fn wait_until_it_answers(&mut self, address: SocketAddr) -> Result<()> {
        let began = Instant::now();
        loop {
            if Control::connect(address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                fail!(
                    "it ended at its start ({status}): {}",
                    last_line(&self.directory.join("broker.log"))
                );
            }
            if began.elapsed() > START_MAX {
                fail!(
                    "no answer within {} s: {}",
                    START_MAX.as_secs(),
                    last_line(&self.directory.join("broker.log"))
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The same command once more, after [`stop`](Self::stop), with what is in the directory.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = self.command.spawn()?;
        Ok(())
    }

    /// SIGTERM, and SIGKILL for one that does not end; whether it ended by itself.
    pub fn stop(&mut self) -> Result<bool> {
        let began = Instant::now();
        if let Some(pid) = Pid::from_raw(self.pid().cast_signed()) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > END_MAX {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(true)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
