//! The broker as a service: it tells systemd when it is ready and when it stops, answers in between, and ends as asked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any step takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker that ends with the test.
struct Broker {
    process: Child,
    notifications: UnixDatagram,
}

impl Broker {
    fn start(folder: &Path, name: &str) -> Self {
        let socket = folder.join(name);
        let notifications = UnixDatagram::bind(&socket).expect("a socket");
        notifications.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let data = format!("log.dirs={}", folder.join("data").display());
        let process = Command::new(env!("CARGO_BIN_EXE_duramen"))
            .args([
                "serve",
                "--set",
                "listeners=PLAINTEXT://127.0.0.1:0",
                "--set",
                "core.count=1",
                "--set",
                &data,
            ])
            .env_clear()
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        Self { process, notifications }
    }

    /// Waits until systemd is told `state`.
    fn wait_for(&self, state: &str) {
        let mut message = [0; 4096];
        loop {
            let length = self
                .notifications
                .recv(&mut message)
                .unwrap_or_else(|error| panic!("{state}: {error}"));
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            if text.lines().any(|line| line == state) {
                return;
            }
        }
    }

    /// The address that the start block names.
    fn address(&mut self) -> String {
        const SCHEME: &str = "PLAINTEXT://";
        let output = self.process.stdout.as_mut().expect("piped");
        let mut block = String::new();
        let mut byte = [0];
        while !(block.contains(SCHEME) && block.ends_with('\n')) {
            output.read_exact(&mut byte).expect("the start block");
            block.push(char::from(byte[0]));
        }
        let address = block.split(SCHEME).nth(1).expect("contained");
        address.trim_end().to_owned()
    }

    fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks for the API versions (version 0), and returns the correlation id and the error code of the answer.
fn ask_api_versions(address: &str) -> (i32, i16) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    stream.write_all(&request).expect("sent");
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).expect("answered");
    let correlation_id = i32::from_be_bytes(answer[4..8].try_into().expect("four bytes"));
    let error_code = i16::from_be_bytes(answer[8..].try_into().expect("two bytes"));
    (correlation_id, error_code)
}

#[test]
fn ready_serving_stopping() {
    let folder = tempfile::tempdir().expect("a folder");
    for start in ["first", "second"] {
        let mut broker = Broker::start(folder.path(), start);
        broker.wait_for("READY=1");
        let address = broker.address();
        assert_eq!(ask_api_versions(&address), (7, 0), "{start}");
        #[expect(clippy::disallowed_methods, reason = "the test takes a time")]
        let stopping = Instant::now();
        broker.terminate();
        broker.wait_for("STOPPING=1");
        let status = broker.process.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{start}");
        assert!(
            stopping.elapsed() < Duration::from_secs(2),
            "{start}: {:?}",
            stopping.elapsed()
        );
    }
}
