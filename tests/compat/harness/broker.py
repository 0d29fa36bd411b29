"""The brokers under test: ours, Apache Kafka (to see whether a test is right), and one that runs already.

All have `bootstrap`, `host`, `port`; the first two also `start`, `stop`, `kill`, `pid`, `data`, `rss_bytes`.
A broker that we start lives on a free port of 127.0.0.1 with its files in a temporary folder.
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import install
from .report import Failed, Skip

SETTINGS = {
    "num.partitions": 4,
    "auto.create.topics.enable": "true",
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
}
API_VERSIONS = bytes.fromhex("0000000a" "0012" "0000" "00000001" "ffff")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(host, port):
    """Does something answer ApiVersions v0 there?"""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(API_VERSIONS)
            return len(connection.recv(8)) == 8
    except OSError:
        return False


class Broker:
    """A broker somebody else runs: it can be spoken to, not stopped."""
    name = "foreign"

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        host, port = bootstrap.split(",")[0].rsplit(":", 1)
        self.host, self.port = host, int(port)

    def start(self):
        if not answers(self.host, self.port):
            raise Failed(f"nothing answers at {self.bootstrap}")

    def stop(self, *_, **__):
        raise Skip("needs a broker that the test starts itself")

    kill = restart = rss_bytes = stop
    pid = None

    def close(self):
        pass


class OwnBroker(Broker):
    """A broker whose process and files belong to the test."""

    def __init__(self, settings=None, data=None):
        super().__init__(f"127.0.0.1:{free_port()}")
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-test-"))
        self.data = Path(data) if data else self.folder / "data"
        self.settings = {**SETTINGS, **(settings or {})}
        self.log_path = self.folder / "broker.log"
        self.process = None

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def running(self):
        return self.process is not None and self.process.poll() is None

    def command(self):
        raise NotImplementedError

    def start(self, seconds=60):
        """Starts the broker and returns the seconds until it answered."""
        command = self.command()
        began = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)
        while time.monotonic() - began < seconds:
            if answers(self.host, self.port):
                return time.monotonic() - began
            if not self.running():
                raise Failed(f"the broker ended with {self.process.returncode} while starting:\n{self.log_tail()}")
            time.sleep(0.005)
        raise Failed(f"the broker did not answer within {seconds} s:\n{self.log_tail()}")

    def log_tail(self, lines=20):
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def _end(self, number, seconds):
        if not self.running():
            raise Failed(f"the broker is not running (status {self.process and self.process.poll()}):\n{self.log_tail()}")
        began = time.monotonic()
        self.process.send_signal(number)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"the broker did not stop within {seconds} s of signal {number}") from None
        return time.monotonic() - began

    def stop(self):
        """SIGTERM; returns the seconds it took."""
        return self._end(signal.SIGTERM, 60)

    def kill(self):
        """SIGKILL."""
        return self._end(signal.SIGKILL, 10)

    def restart(self, unclean=False):
        self.kill() if unclean else self.stop()
        return self.start()

    def _status(self, field):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
        raise Failed(f"no {field} in /proc/{self.pid}/status")

    def rss_bytes(self):
        return self._status("VmRSS:")

    def rss_peak_bytes(self):
        return self._status("VmHWM:")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        """Ends the process, whatever its state, and removes its files (KEEP=1 leaves them)."""
        if self.running():
            self.process.kill()
            self.process.wait()
        if os.environ.get("KEEP"):
            install.say(f"kept {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Duramen(OwnBroker):
    name = "duramen"

    def __init__(self, cores=2, settings=None, data=None):
        super().__init__(settings, data)
        self.cores = cores

    def command(self):
        settings = {"listeners": f"PLAINTEXT://{self.bootstrap}", "log.dirs": self.data, "core.count": self.cores, **self.settings}
        pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return [str(install.broker_binary()), "serve", *pairs]


class Kafka(OwnBroker):
    """Apache Kafka as one KRaft node."""
    name = "kafka"

    def __init__(self, settings=None, data=None):
        super().__init__(settings, data)
        self.controller_port = free_port()

    def command(self):
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{self.controller_port}",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self.data,
            "group.initial.rebalance.delay.ms": 0,
            **self.settings,
        }
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        if not (self.data / "meta.properties").exists():
            storage = ["format", "--standalone", "-t", "ZHVyYW1lbi1jb21wYXQtMQ", "-c", properties]
            done = subprocess.run(install.java_command("kafka.tools.StorageTool", *storage), capture_output=True, text=True)
            if done.returncode:
                raise Failed(f"kafka could not format {self.data}: {done.stdout}{done.stderr}")
        return install.java_command("kafka.Kafka", properties, heap="1G")

    def start(self, seconds=60):
        took = super().start(seconds)
        # The port answers before the broker is unfenced; clients then see no leader.
        from .client import Client
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            with Client(self.bootstrap) as client:
                if client.metadata([]).brokers:
                    return took
            time.sleep(0.1)
        raise Failed("kafka registered no broker")
