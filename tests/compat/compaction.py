"""Compaction beside Apache Kafka's: the same workload (clients/compacted.py), the same records left, offset by offset."""
import json
import subprocess
import time

from harness import install
from harness.broker import Duramen, Kafka
from harness.client import Client
from harness.report import Failed, equal

SEED = 7
SETTINGS = {"log.cleaner.backoff.ms": 50, "log.cleaner.min.cleanable.ratio": 0}
PROGRAM = install.HERE / "clients" / "compacted.py"


class Compaction:
    def __init__(self, report, brokers):
        self.report, self.brokers = report, brokers
        self.base_ms = int(time.time() * 1000) - 3_600_000
        self.left = {}

    def start(self, broker):
        return f"answered after {broker.start():.3f} s"

    def compact(self, broker):
        command = [str(install.python()), str(PROGRAM), broker.bootstrap, str(SEED), str(self.base_ms)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{broker.name}: {done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}")
        self.left[broker.name] = json.loads(done.stdout)
        records = sum(len(one["records"]) for one in self.left[broker.name].values())
        return f"{records} records of {sum(one['end'] for one in self.left[broker.name].values())} are left"

    def same_records(self, what):
        ours, kafkas = self.left["duramen"], self.left["kafka"]
        equal(sorted(ours), sorted(kafkas), "partitions")
        for partition in ours:
            for got, wanted in zip(ours[partition][what], kafkas[partition][what]):
                equal(got, wanted, f"{what} of {partition}")
            equal(len(ours[partition][what]), len(kafkas[partition][what]), f"{what} of {partition}")
            equal(ours[partition]["end"], kafkas[partition]["end"], f"end of {partition}")

    def restarted(self, broker, unclean):
        """Nothing comes back, and nothing is lost, when the broker starts anew."""
        def files():
            return sorted(str(path) for path in broker.data.rglob("*") if path.suffix in (".cleaned", ".swap", ".deleted"))
        broker.restart(unclean=unclean)
        with Client(broker.bootstrap) as client:
            for name, left in self.left[broker.name].items():
                topic, partition = name.rsplit("-", 1)
                client.wait_for_topic(topic)
                got = [tuple(one) for one in left["batches"]]
                now = [(batch.base_offset, batch.last_delta, batch.attributes, batch.max_timestamp, batch.base_sequence, batch.count)
                       for batch in client.read_log(topic, int(partition)) if batch.count]
                equal(now, got, f"batches of {name}")
        equal(files(), [], "files that compaction left")

    def run(self):
        for broker in self.brokers:
            if not self.report.run(f"compaction/start/{broker.name}", self.start, broker):
                return
            self.report.run(f"compaction/compact/{broker.name}", self.compact, broker)
            # Ours; Kafka takes ten seconds a time.
            if broker.name in self.left and broker.name == "duramen":
                for unclean in (True, False):
                    self.report.run(f"compaction/restart/{broker.name}/{'kill' if unclean else 'stop'}", self.restarted, broker, unclean)
            broker.stop()
        if len(self.left) == 2:
            self.report.run("compaction/same-records", self.same_records, "records")
            self.report.run("compaction/same-batches", self.same_records, "batches")


def run(report, against):
    brokers = [Kafka(SETTINGS)] if against == "kafka" else [Duramen(2, SETTINGS), Kafka(SETTINGS)]
    try:
        Compaction(report, brokers).run()
    finally:
        for broker in brokers:
            broker.close()
