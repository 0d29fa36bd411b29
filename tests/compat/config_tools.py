"""kafka-configs on brokers that run, command by command, on Apache Kafka and on ours: both print the same."""
import time

from group_tools import Scenario, side_by_side
from harness.client import NONE, Client
from harness.report import check, equal, short
from harness.shell import Shell

CONFIGS, BROKER = "kafka.admin.ConfigCommand", 4
# Two keys have values of the start, so that these stand behind what is set later.
SETTINGS = {"node.id": 1, "log.segment.bytes": 3_000_000, "log.roll.hours": 24}
ONE, EVERY, ALL = ["--entity-name", 1], ["--entity-default"], []
TOPIC = "inheriting"
# Settings of the one broker and of all that nothing else here sets.
MARKS = {"log.flush.interval.messages": "1", "log.message.timestamp.before.max.ms": ""}
SETTLED_SECONDS = 30


class Settings(Scenario):
    def __init__(self, broker):
        super().__init__(broker)
        self.marked = 0

    def all(self):
        with Shell() as self.shell:
            for part in (self.begin, self.changes, self.refusals, self.end):
                self.part = self.said.setdefault(part.__name__, {})
                part()
        return self.said

    def brokers(self, *arguments):
        self.ask(CONFIGS, "--entity-type", "brokers", *arguments)

    def settle(self):
        """Until all changes so far have taken effect: Apache Kafka answers a little before that, and takes them in order. So a mark is set last."""
        self.marked += 1_000_000
        with Client(self.broker.bootstrap) as client:
            for key, broker in MARKS.items():
                equal(client.set_config(broker, key, self.marked, BROKER), NONE, "error of IncrementalAlterConfigs")
        end = time.monotonic() + SETTLED_SECONDS
        seen = ""
        while not all(f"{key}={self.marked} " in seen for key in MARKS):
            check(time.monotonic() < end, f"no mark {self.marked} after {SETTLED_SECONDS} s in: {short(seen, 2000)}")
            seen = self.shell.run(CONFIGS, "--bootstrap-server", self.broker.bootstrap, "--entity-type", "brokers", "--describe", "--all", *ONE).out

    def describe(self):
        """What is set for brokers, and what a topic has of it: all of its settings but ours, which Kafka does not know."""
        self.settle()
        for which in (ONE, EVERY, ALL):
            self.brokers("--describe", *which)
        self.ask(CONFIGS, "--entity-type", "topics", "--entity-name", TOPIC, "--describe", "--all")
        last = list(self.part)[-1]
        self.part[last] = [line for line in self.part[last] if not line.startswith("durability=")]

    def begin(self):
        with Client(self.broker.bootstrap) as client:
            equal(client.create_topic(TOPIC, configs={"retention.bytes": 12345}).error, NONE, "error of CreateTopics")
        # Apache Kafka sets it for all brokers when it is new.
        self.brokers("--alter", *EVERY, "--add-config", "min.insync.replicas=1")
        self.describe()

    def changes(self):
        for which, *change in (
            (EVERY, "--add-config", "log.retention.ms=1000000,log.segment.bytes=2000000,compression.type=lz4"),
            (ONE, "--add-config", "log.retention.ms=900000,log.flush.interval.ms=1234,log.cleanup.policy=[compact,delete],log.roll.ms=7000"),
            (ONE, "--delete-config", "log.retention.ms,log.cleanup.policy"),
            (EVERY, "--add-config", "message.max.bytes=2000,log.cleaner.backoff.ms=5000,num.io.threads=9,leader.replication.throttled.rate=1000"),
            (ONE, "--add-config", "message.max.bytes=3000", "--delete-config", "log.roll.ms"),
            (ONE, "--add-config", "sasl.kerberos.min.time.before.relogin=58000,unknown.key=1"),
            (EVERY, "--delete-config", "log.segment.bytes"),
        ):
            self.brokers("--alter", *which, *change)
            self.describe()

    def refusals(self):
        for which in (ONE, EVERY):
            for change in ("num.partitions=3", "log.dirs=/", "log.retention.ms=abc", "log.retention.ms=0", "log.segment.bytes=1", "log.cleanup.policy=bogus",
                           "compression.type=bogus", "compression.gzip.level=0", "log.preallocate=maybe", "message.max.bytes=-1", "ssl.keystore.location=/x",
                           "log.cleaner.dedupe.buffer.size=1", "group.consumer.assignment.interval.ms=20000", "log.flush.interval.ms=7,node.id=5"):
                self.brokers("--alter", *which, "--add-config", change)
            self.brokers("--alter", *which, "--delete-config", "log.index.interval.bytes")
        self.brokers("--alter", *EVERY, "--add-config", "sasl.kerberos.min.time.before.relogin=5")
        for what in (["--alter", "--add-config", "log.retention.ms=5"], ["--describe"]):
            self.brokers("--entity-name", "x", *what)
        self.describe()

    def end(self):
        self.brokers("--alter", *ONE, "--delete-config", "log.flush.interval.ms,message.max.bytes,sasl.kerberos.min.time.before.relogin,unknown.key")
        self.brokers("--alter", *EVERY, "--delete-config",
                     "log.retention.ms,compression.type,message.max.bytes,log.cleaner.backoff.ms,num.io.threads,leader.replication.throttled.rate")
        self.describe()


def run(report, ours, reference):
    side_by_side(report, "config-tools", Settings, ours(settings=SETTINGS), reference(settings=SETTINGS))
