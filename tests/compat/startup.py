"""Starts that cannot work say in one line what, where and what to do; starts that can are quick; idle costs next to nothing."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from harness import install
from harness.broker import Duramen, answers, free_port
from harness.client import NONE, Client
from harness.report import Failed, Skip, check, equal

START_SECONDS, STOP_SECONDS = 0.2, 2.0
IDLE_RSS, IDLE_CPU = 32 << 20, 0.01
MIB = 1 << 20


class Startup:
    def __init__(self, report, folder):
        self.report, self.folder, self.number = report, folder, 0

    def fresh(self):
        self.number += 1
        path = self.folder / f"data-{self.number}"
        return path

    def settings(self, data, **more):
        return {"listeners": f"PLAINTEXT://127.0.0.1:{free_port()}", "log.dirs": data, "core.count": 1, **more}

    def launch(self, settings, *arguments, environment=None):
        pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return subprocess.Popen([install.broker_binary(), "serve", *arguments, *pairs], cwd=self.folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(environment or {})})

    def refused(self, settings, *words, arguments=(), environment=None):
        """The broker must end at once, not with 0, and one of its few lines must have all the words."""
        process = self.launch(settings, *arguments, environment=environment)
        try:
            out, _ = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
            raise Failed(f"it runs as if nothing were wrong: {out[-300:]}") from None
        check(process.returncode > 0, f"exit code {process.returncode}: {out[-300:]}")
        lines = [line for line in out.splitlines() if line.strip()]
        told = [line for line in lines if all(str(word).lower() in line.lower() for word in words)]
        check(told, f"no line has {', '.join(map(str, words))}: {out[-500:]}")
        check("panicked" not in out and "backtrace" not in out, f"a panic: {out[-500:]}")
        return told[0]

    # -- starts that cannot work -------------------------------------------------------------------------------------

    def data_is_a_file(self):
        path = self.fresh()
        path.write_text("")
        return self.refused(self.settings(path), path)

    def data_not_writable(self):
        path = self.fresh()
        path.mkdir()
        if os.geteuid() == 0:
            marked = subprocess.run(["chattr", "+i", path], capture_output=True).returncode == 0
            if not marked:
                raise Skip("root can write everywhere, and this file system has no immutable files")
            try:
                return self.refused(self.settings(path), path)
            finally:
                subprocess.run(["chattr", "-i", path], check=True)
        path.chmod(0o555)
        return self.refused(self.settings(path), path)

    def data_in_use(self):
        with Started(Duramen(1)) as broker:
            return self.refused(self.settings(broker.data), broker.data, "use")

    def another_node(self):
        with Started(Duramen(1, {"node.id": 5})) as broker:
            broker.stop()
            return self.refused(self.settings(broker.data, **{"node.id": 7}), "node", "5", "7", broker.data)

    def two_clusters(self):
        """Two data directories of different clusters."""
        one, other = self.fresh(), self.fresh()
        with Started(Duramen(1, data=one)) as first, Started(Duramen(1, data=other)) as second:
            first.stop()
            second.stop()
            return self.refused(self.settings(f"{one},{other}"), "cluster")

    def broken_meta_properties(self):
        with Started(Duramen(1)) as broker:
            broker.stop()
            (broker.data / "meta.properties").write_text("version=1\nnode.id=many\n")
            return self.refused(self.settings(broker.data), "meta.properties", broker.data)

    def port_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            return self.refused(self.settings(self.fresh(), listeners=f"PLAINTEXT://127.0.0.1:{port}"), f"127.0.0.1:{port}", "use")

    def ssl_listener(self):
        return self.refused(self.settings(self.fresh(), listeners=f"SSL://127.0.0.1:{free_port()}"), "listeners", "SSL", "PLAINTEXT")

    def zookeeper(self):
        return self.refused(self.settings(self.fresh(), **{"zookeeper.connect": "zk:2181"}), "zookeeper.connect")

    def bad_value(self):
        return self.refused(self.settings(self.fresh(), **{"num.partitions": "many"}), "num.partitions", "many")

    def no_such_file(self):
        return self.refused(self.settings(self.fresh()), "nowhere.properties", arguments=["nowhere.properties"])

    # -- starts that work --------------------------------------------------------------------------------------------

    def first_words(self):
        """One short block: version, cluster id, data directory, listeners, cores, durability."""
        with Started(Duramen(2)) as broker:
            with Client(broker.bootstrap) as client:
                cluster = client.metadata([]).cluster
            time.sleep(0.1)
            said = broker.log_path.read_text()
            for what in (cluster, str(broker.data), broker.bootstrap, "core", "acks"):
                check(what in said, f"nothing of {what} in: {said[:800]}")
            check(len(said.splitlines()) <= 20, f"{len(said.splitlines())} lines at start")

    def unknown_key(self):
        with Started(Duramen(1, {"num.partition": 3})) as broker:
            time.sleep(0.1)
            said = broker.log_path.read_text()
            line = next((line for line in said.splitlines() if "num.partitions" in line and "num.partition" in line.replace("num.partitions", "")), None)
            check(line, f"no line names num.partition and the key that is meant: {said[:600]}")
            return line

    def properties_file_and_environment(self):
        """A server.properties for a combined KRaft node works as it is; the environment wins over it, --set over both."""
        data, port = self.fresh(), free_port()
        file = self.folder / "server.properties"
        file.write_text(f"process.roles=broker,controller\nnode.id=3\ncontroller.quorum.bootstrap.servers=localhost:9093\n"
                        f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{free_port()}\ncontroller.listener.names=CONTROLLER\n"
                        f"inter.broker.listener.name=PLAINTEXT\nlog.dirs=/nonexistent\nnum.partitions=7\ncore.count=1\n")
        process = self.launch({"num.partitions": 3}, file, environment={"KAFKA_LOG_DIRS": str(data), "KAFKA_NUM_PARTITIONS": "5"})
        try:
            wait_for(process, port)
            with Client(f"127.0.0.1:{port}") as client:
                equal(client.metadata([]).brokers, [(3, "127.0.0.1", port)], "brokers")
                client.metadata(["auto"], auto_create=True)
                equal(len(client.wait_for_topic("auto").partitions), 3, "partitions of an automatic topic")
            check(data.is_dir(), "KAFKA_LOG_DIRS did not win over the file")
        finally:
            process.kill()
            process.communicate()

    def two_listeners(self):
        """Each client is told the address advertised for the listener through which it came."""
        ports = free_port(), free_port()
        process = self.launch(self.settings(self.fresh(), **{
            "listeners": f"INSIDE://127.0.0.1:{ports[0]},OUTSIDE://127.0.0.1:{ports[1]}",
            "advertised.listeners": f"INSIDE://127.0.0.1:{ports[0]},OUTSIDE://broker.example.org:19092",
            "listener.security.protocol.map": "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT", "inter.broker.listener.name": "INSIDE"}))
        try:
            for port in ports:
                wait_for(process, port)
            for port, wanted in zip(ports, (("127.0.0.1", ports[0]), ("broker.example.org", 19092))):
                with Client(f"127.0.0.1:{port}") as client:
                    equal(client.metadata([]).brokers[0][1:], wanted, f"advertised address at port {port}")
        finally:
            process.kill()
            process.communicate()

    def defaults(self):
        """No file, no setting but the port: data in ./duramen-data."""
        port = free_port()
        process = self.launch({"listeners": f"PLAINTEXT://127.0.0.1:{port}"})
        try:
            wait_for(process, port)
            check((self.folder / "duramen-data").is_dir(), "no ./duramen-data")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)
        equal(process.returncode, 0, "exit code after SIGTERM")

    # -- times and costs ---------------------------------------------------------------------------------------------

    def quick_start(self):
        """The best of five: what is measured is the broker, not the load of the machine."""
        times = []
        for _ in range(5):
            with Started(Duramen(2)) as broker:
                times.append(broker.took)
        check(min(times) <= START_SECONDS, f"the first answer came after {min(times):.3f} s at best")
        return "first answer after " + ", ".join(f"{took * 1000:.0f}" for took in sorted(times)) + " ms"

    def stop_and_start_again(self, number):
        """Under load, with a fetch that waits and clients that are silent, it stops in time; the second start has everything."""
        with Started(Duramen(2)) as broker, Client(broker.bootstrap) as client, Client(broker.bootstrap) as waiting, Client(broker.bootstrap):
            cluster = client.metadata([]).cluster
            client.create_topic("kept", 4)
            for partition in range(4):
                equal(client.produce_values("kept", partition, b"kept").error, NONE, "error of Produce")
            identity = client.topic_id("kept")
            waiting.send_fetch("kept", [(0, 1)], max_wait=30_000)
            time.sleep(0.1)
            began = time.monotonic()
            broker.process.send_signal(number)
            broker.process.wait(20)
            took = time.monotonic() - began
            equal(broker.process.returncode, 0, "exit code")
            check(took <= STOP_SECONDS, f"stopped after {took:.2f} s")
            broker.start()
            with Client(broker.bootstrap) as again:
                equal(again.metadata([]).cluster, cluster, "cluster id")
                equal(again.wait_for_topic("kept", 4).id, identity, "topic id")
                for partition in range(4):
                    equal([b.values() for b in again.read_log("kept", partition)], [[b"kept"]], f"records of partition {partition}")
            return f"stopped after {took:.2f} s"

    def sigterm(self):
        return self.stop_and_start_again(signal.SIGTERM)

    def ctrl_c(self):
        return self.stop_and_start_again(signal.SIGINT)

    def idle(self):
        with Started(Duramen(2)) as broker:
            time.sleep(1)
            before, began = broker.cpu_seconds(), time.monotonic()
            time.sleep(5)
            share = (broker.cpu_seconds() - before) / (time.monotonic() - began)
            rss = broker.rss_bytes()
            check(rss < IDLE_RSS, f"RSS {rss / MIB:.1f} MiB")
            check(share < IDLE_CPU, f"{share * 100:.1f} % of a core")
            return f"RSS {rss / MIB:.1f} MiB, {share * 100:.2f} % of a core with 2 cores"

    def idle_with_connections(self):
        """A hundred open connections, half of them with a fetch that waits, cost no CPU either."""
        with Started(Duramen(2)) as broker:
            clients = [Client(broker.bootstrap) for _ in range(100)]
            clients[0].create_topic("idle", 4)
            for n, client in enumerate(clients[:50]):
                client.send_fetch("idle", [(n % 4, 0)], max_wait=30_000)
            time.sleep(1)
            before, began = broker.cpu_seconds(), time.monotonic()
            time.sleep(3)
            share = (broker.cpu_seconds() - before) / (time.monotonic() - began)
            for client in clients:
                client.close()
            check(share < 2 * IDLE_CPU, f"{share * 100:.1f} % of a core")
            return f"RSS {broker.rss_bytes() / MIB:.1f} MiB, {share * 100:.2f} % of a core"


class Started:
    """A broker that is started on entry and gone on exit; `took` is the time to its first answer."""

    def __init__(self, broker):
        self.broker = broker

    def __enter__(self):
        try:
            self.broker.took = self.broker.start(20)
        except BaseException:
            self.broker.close()
            raise
        return self.broker

    def __exit__(self, *_):
        self.broker.close()


def wait_for(process, port, seconds=10):
    end = time.monotonic() + seconds
    while not answers("127.0.0.1", port):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise Failed(f"nothing answers at port {port}: {process.communicate()[0][-500:]}")
        time.sleep(0.01)


def run(report):
    folder = Path(tempfile.mkdtemp(prefix="duramen-startup-"))
    startup = Startup(report, folder)
    try:
        for step in (startup.data_is_a_file, startup.data_not_writable, startup.data_in_use, startup.another_node, startup.two_clusters,
                     startup.broken_meta_properties, startup.port_taken, startup.ssl_listener, startup.zookeeper, startup.bad_value,
                     startup.no_such_file, startup.first_words, startup.unknown_key, startup.properties_file_and_environment, startup.two_listeners,
                     startup.defaults, startup.quick_start, startup.sigterm, startup.ctrl_c, startup.idle, startup.idle_with_connections):
            report.run(f"startup/{step.__name__.replace('_', '-')}", step)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
