"""Every client writes with every codec, and every client reads all of it back, byte for byte; again after a restart.

A topic a writer, a partition a codec. Checks: write/WRITER, stored/WRITER/CODEC (the batches in the log are compressed as asked, dense and
sound) and read/READER/WRITER/CODEC.
"""
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import corpus
from clients import kcat
from harness import install
from harness.batch import CODECS
from harness.client import Client
from harness.report import Failed, check, equal

HERE = Path(__file__).resolve().parent
SCRIPTS = {"confluent": "confluent.py", "kafka-python": "kafka_python.py", "aiokafka": "aio.py"}
CLIENTS = ["confluent", "kafka-python", "aiokafka", "java", "kcat"]
PYTHON = {"aiokafka", "kafka-python"}
AT_ONCE = 2

# librdkafka takes FindCoordinator for the sign of a broker that knows lz4 (rdkafka_feature.c), and sends such batches as they are
# to one that does not list it.
FIND_COORDINATOR = 10
LIBRDKAFKA = {"confluent", "kcat"}


def command(client, mode, bootstrap, jobs):
    if client == "java":
        return install.java_command("RoundTrip", mode, bootstrap, jobs)
    return [install.python(), HERE / "clients" / SCRIPTS[client], mode, bootstrap, jobs]


class Matrix:
    def __init__(self, broker, report, clients=None):
        self.broker, self.report = broker, report
        self.clients = [name for name in CLIENTS if not clients or name in clients]
        self.folder = Path(tempfile.mkdtemp(prefix="duramen-matrix-"))
        self.run = f"{int(time.time() * 1000) % 10 ** 10}"
        self.written = {}  # (topic, partition) -> records
        self.writer_of = {}

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- writing -----------------------------------------------------------------------------------------------------

    def write_all(self):
        for client in self.clients:
            self.report.run(f"write/{client}", self.write, client)
        for (topic, partition), records in sorted(self.written.items()):
            self.report.run(f"stored/{self.writer_of[topic]}/{CODECS[partition]}", self.stored, topic, partition, records)

    def write(self, client):
        topic = f"compat-{client}-{self.run}"
        self.writer_of[topic] = client
        with Client(self.broker.bootstrap) as raw:
            equal(raw.create_topic(topic, len(CODECS)).error, 0, "error of CreateTopics")
        began = int(time.time() * 1000)
        work = {}
        for partition, codec in enumerate(CODECS):
            seed = f"{client}-{codec}"
            if client == "kcat":
                records = kcat.records(seed)
            else:
                records = corpus.binary(seed, began)
                if client in PYTHON:
                    records = corpus.for_python(records)
            work[topic, partition] = records
        if client == "kcat":
            for partition, codec in enumerate(CODECS):
                kcat.write(self.broker.bootstrap, topic, partition, codec, f"{client}-{codec}")
            ended = int(time.time() * 1000)
            work = {where: self.with_timestamps(where, records, began, ended) for where, records in work.items()}
        else:
            self.script(client, "write", work)
        self.written.update(work)

    def with_timestamps(self, where, records, began, ended):
        """Fills in the timestamps that kcat chose, as confluent-kafka reads them."""
        got = self.script("confluent", "read", {where: records})[where]
        equal(len(got), len(records), "number of records")
        check(all(began - 2 <= r.timestamp <= ended + 2 for r in got), f"timestamps outside {began}..{ended}: {[r.timestamp for r in got]}")
        return [replace(record, timestamp=read.timestamp) for record, read in zip(records, got)]

    def script(self, client, mode, work, limit=150):
        """Runs a client over all partitions of `work`; for reading returns what it got."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        lines, paths = [], {}
        for n, ((topic, partition), records) in enumerate(work.items()):
            path = paths[topic, partition] = folder / f"{n}.records"
            if mode == "write":
                corpus.write(path, records)
            lines.append("\t".join([topic, str(partition), CODECS[partition], str(len(records)), str(path)]) + "\n")
        jobs = folder / "jobs"
        jobs.write_text("".join(lines))
        try:
            done = subprocess.run(command(client, mode, self.broker.bootstrap, jobs), capture_output=True, text=True, errors="replace", timeout=limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"{client} did not end in {limit} s") from None
        check(done.returncode == 0, f"{client} ended with {done.returncode}: ...{(done.stderr or done.stdout)[-600:]}")
        got = {where: corpus.read(path) for where, path in paths.items()} if mode == "read" else {}
        shutil.rmtree(folder)
        return got

    def stored(self, topic, partition, records):
        with Client(self.broker.bootstrap) as raw:
            batches = raw.read_log(topic, partition)
            serves_groups = FIND_COORDINATOR in raw.api_versions().keys
            end = raw.list_offset(topic, partition).offset
        equal(end, len(records), "end offset")
        check(batches and batches[0].base_offset == 0, "the log does not start at 0")
        for one, other in zip(batches, batches[1:]):
            equal(other.base_offset, one.last_offset + 1, "base offset of the next batch")
        for batch in batches:
            check(batch.crc_holds(), f"wrong CRC at {batch.base_offset}")
            equal(batch.magic, 2, "magic")
            check(batch.leader_epoch >= 0, f"leader epoch {batch.leader_epoch} at {batch.base_offset}")
        wanted = CODECS[partition]
        if wanted == "lz4" and self.writer_of[topic] in LIBRDKAFKA and not serves_groups:
            wanted = "none"
        found = {batch.codec for batch in batches}
        # librdkafka sends a batch as it is when compressing would make it longer
        check(wanted in found and found <= {wanted, "none"}, f"batches are compressed with {found}, asked for {wanted}")

    # -- reading -----------------------------------------------------------------------------------------------------

    def read_all(self, prefix=""):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(self.read_with, self.clients))
        for client, result in zip(self.clients, results):
            for (topic, partition), difference in sorted(result.items()):
                self.report.run(f"{prefix}read/{client}/{self.writer_of[topic]}/{CODECS[partition]}", self.verdict, difference)

    @staticmethod
    def verdict(difference):
        check(difference is None, difference)

    def read_with(self, client):
        """(topic, partition) -> None or what is wrong."""
        if client == "kcat":
            return {where: self.guarded(kcat.difference, self.broker.bootstrap, *where, records) for where, records in self.written.items()}
        try:
            got = self.script(client, "read", self.written)
        except Failed as failure:
            if len(self.written) == 1:
                return {where: str(failure) for where in self.written}
            return self.read_apart(client)
        return {where: corpus.difference(got[where], records) for where, records in self.written.items()}

    def read_apart(self, client):
        """After a failure: each partition alone, to see which are unreadable; gives up after three."""
        out, bad = {}, 0
        for where, records in self.written.items():
            if bad >= 3:
                out[where] = "not tried after three failures"
                continue
            try:
                out[where] = corpus.difference(self.script(client, "read", {where: records}, 40)[where], records)
            except Failed as failure:
                out[where] = str(failure)
            bad += out[where] is not None
        return out

    @staticmethod
    def guarded(function, *arguments):
        try:
            return function(*arguments)
        except Exception as error:  # becomes the verdict of one check
            return f"{type(error).__name__}: {error}"
