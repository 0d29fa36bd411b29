"""A topic directory that Apache Kafka wrote (tests/fixtures/kafka-topic) is served by our broker, byte for byte."""
import gzip
import shutil
import tempfile
from pathlib import Path

import corpus
from harness import install
from harness.batch import CODECS
from harness.client import NONE, Client
from harness.report import Report, check, equal
from matrix import CLIENTS, Matrix

TOPIC = "kafka-topic"
FIXTURE = install.ROOT / "tests" / "fixtures" / TOPIC
BASE_MS = 1_700_000_000_000


def expected(partition):
    with tempfile.NamedTemporaryFile() as plain:
        Path(plain.name).write_bytes(gzip.decompress((FIXTURE / f"{TOPIC}-{partition}" / "expected.records.gz").read_bytes()))
        return [corpus.replace(record, offset=n) for n, record in enumerate(corpus.read(plain.name))]


def log_bytes(partition):
    return b"".join(path.read_bytes() for path in sorted((FIXTURE / f"{TOPIC}-{partition}").glob("*.log")))


class KafkaFiles:
    def __init__(self, report, broker):
        self.report, self.broker = report, broker
        self.matrix = Matrix(self.broker, Report())
        self.matrix.writer_of[TOPIC] = "kafka"
        self.matrix.written = {(TOPIC, partition): expected(partition) for partition in range(len(CODECS))}

    def register(self):
        """Creates the topic, stops the broker and puts Kafka's files in the place of the empty ones; the topic id stays ours."""
        self.broker.start()
        with Client(self.broker.bootstrap) as client:
            # Kafka's records are of 2023; they must outlive this test
            error = client.create_topic(TOPIC, len(CODECS), {"retention.ms": -1}).error
            equal(error, NONE, "error of CreateTopics")
        self.broker.stop()
        for partition in range(len(CODECS)):
            folder = self.broker.data / f"{TOPIC}-{partition}"
            check(folder.is_dir(), f"no folder {folder}")
            for file in folder.iterdir():
                if file.name != "partition.metadata":
                    file.unlink()
            for file in (FIXTURE / folder.name).iterdir():
                if file.name not in ("partition.metadata", "expected.records.gz"):
                    shutil.copyfile(file, folder / file.name)
        self.broker.start()

    def same_bytes(self):
        with Client(self.broker.bootstrap) as client:
            client.wait_for_topic(TOPIC, len(CODECS))
            for partition, codec in enumerate(CODECS):
                got = b"".join(batch.raw for batch in client.read_log(TOPIC, partition))
                check(got == log_bytes(partition), f"{codec}: what is fetched is not what stands in Kafka's file")
                equal(client.list_offset(TOPIC, partition).offset, len(expected(partition)), f"end offset of {codec}")
        return f"{sum(len(log_bytes(p)) for p in range(len(CODECS)))} bytes"

    def same_records(self, client):
        wrong = {where: difference for where, difference in self.matrix.read_with(client).items() if difference}
        check(not wrong, str(wrong))

    def by_time(self):
        """Look-up by timestamp through Kafka's time index, or the one that is built anew."""
        with Client(self.broker.bootstrap) as client:
            for partition in range(len(CODECS)):
                for asked in sorted(record.timestamp for record in expected(partition)):
                    wanted = next(record for record in expected(partition) if record.timestamp >= asked)
                    answer = client.list_offset(TOPIC, partition, asked)
                    equal((answer.error, answer.offset, answer.timestamp), (NONE, wanted.offset, wanted.timestamp), f"partition {partition} at {asked}")

    def without_indexes(self):
        self.broker.stop()
        for partition in range(len(CODECS)):
            for index in (self.broker.data / f"{TOPIC}-{partition}").glob("*.*index"):
                index.unlink()
        self.broker.start()
        self.same_bytes()
        self.by_time()

    def goes_on(self):
        """Appends behind Kafka's records, and keeps both over a crash and with another number of cores."""
        with Client(self.broker.bootstrap) as client:
            client.wait_for_topic(TOPIC, len(CODECS))
            for partition in range(len(CODECS)):
                answer = client.produce_values(TOPIC, partition, b"ours")
                equal((answer.error, answer.base_offset), (NONE, len(expected(partition))), f"error, offset of an append to partition {partition}")
        self.broker.cores = 1
        self.broker.restart(unclean=True)
        with Client(self.broker.bootstrap) as client:
            client.wait_for_topic(TOPIC, len(CODECS))
            for partition in range(len(CODECS)):
                batches = client.read_log(TOPIC, partition)
                check(b"".join(batch.raw for batch in batches[:-1]) == log_bytes(partition), f"partition {partition} changed")
                equal(batches[-1].values(), [b"ours"], f"last record of partition {partition}")

    def run(self):
        if not self.report.run("kafka-files/register", self.register):
            return
        self.report.run("kafka-files/same-bytes", self.same_bytes)
        for client in CLIENTS:
            self.report.run(f"kafka-files/same-records/{client}", self.same_records, client)
        self.report.run("kafka-files/by-time", self.by_time)
        self.report.run("kafka-files/without-indexes", self.without_indexes)
        self.report.run("kafka-files/goes-on", self.goes_on)


def run(broker, report):
    files = KafkaFiles(report, broker)
    try:
        files.run()
    finally:
        files.matrix.close()
        files.broker.close()
