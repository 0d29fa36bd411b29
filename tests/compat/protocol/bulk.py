"""Large answers: many batches and segments in one, readers that are slow, that stop, that leave in the middle."""
import os
import time

from harness import batch as batches
from harness.bystander import Bystander
from harness.client import NONE, PRODUCE, Client
from harness.report import Skip, check, equal

from .common import Checks, case

MIB = 1 << 20
BATCHES = 48
AHEAD = 4  # requests under way
SEGMENT_BYTES = 4 * MIB
RSS_GROWTH_MAX = 128 * MIB


class Bulk(Checks):
    prefix = "bulk"

    def __init__(self, broker):
        super().__init__(broker)
        self.large = self.fresh_topic(2, **{"segment.bytes": SEGMENT_BYTES})
        self.sent = batches.build([os.urandom(1_000_000)])

    def wanted(self, offset, leader_epoch=0):
        """How the sent batch stands in the log at this offset."""
        return offset.to_bytes(8, "big") + self.sent[8:12] + leader_epoch.to_bytes(4, "big") + self.sent[16:]

    def everything(self, client, partition=0):
        """Reads the partition with answers as large as they come, and compares every byte."""
        offset, answers = 0, 0
        while offset < BATCHES:
            answer = client.fetch_one(self.large, partition, offset, max_wait=0, partition_max_bytes=50 * MIB)
            equal(answer.error, NONE, "error")
            check(answer.batches, f"nothing at offset {offset}")
            for batch in answer.batches:
                check(batch.raw == self.wanted(offset), f"the batch at {offset} is not what was sent")
                offset += 1
            answers += 1
        return answers

    @case
    def pipelined_produce(self):
        """Several requests are under way at any time; they are appended and answered in order."""
        for partition in range(2):
            with Client(self.broker.bootstrap, timeout=60) as client:
                body = client.produce_body(self.large, partition, self.sent)
                for n in range(BATCHES):
                    client.send(PRODUCE, 9, body)
                    if n >= AHEAD:
                        equal(client.read_produce().base_offset, n - AHEAD, "offset")
                for n in range(BATCHES - AHEAD, BATCHES):
                    equal(client.read_produce().base_offset, n, "offset")

    @case
    def whole_log(self):
        with Client(self.broker.bootstrap, timeout=60) as client:
            return f"{BATCHES} MB in {self.everything(client)} answers"

    @case
    def segments_rolled(self):
        if not getattr(self.broker, "data", None):
            raise Skip("needs the data directory")
        count = len(list((self.broker.data / f"{self.large}-0").glob("*.log")))
        check(count >= BATCHES * MIB // SEGMENT_BYTES, f"{count} segments")
        return f"{count} segments"

    @case
    def pipelined_fetches(self):
        with Client(self.broker.bootstrap, timeout=60) as client:
            for offset in range(20):
                client.send_fetch(self.large, [(0, offset)], max_wait=0, partition_max_bytes=100)
            for offset in range(20):
                batch, = client.read_fetch().partitions[0].batches
                check(batch.raw == self.wanted(offset), f"the answer for {offset} has another batch: {batch}")

    @case
    def slow_reader(self):
        """A reader that takes its answer in small sips gets it whole."""
        with Bystander(self.broker, self.topic) as bystander, Client(self.broker.bootstrap, timeout=60) as client:
            client.sip = 64 << 10
            answer = client.fetch_one(self.large, 0, 0, max_wait=0, partition_max_bytes=8 * MIB)
            check(len(answer.batches) > 1, f"{len(answer.batches)} batches")
            for n, batch in enumerate(answer.batches):
                check(batch.raw == self.wanted(n), f"batch {n} is damaged")
        return bystander.verdict()

    @case
    def readers_that_stop(self):
        """Thirty readers ask for 40 MB each and read nothing: nothing of it may be held in memory, others go on."""
        before = self.broker.rss_bytes() if self.broker.pid else 0
        clients = []
        with Bystander(self.broker, self.topic) as bystander:
            for _ in range(30):
                client = Client(self.broker.bootstrap)
                clients.append(client)
                client.send_fetch(self.large, [(0, 0), (1, 0)], max_wait=0, partition_max_bytes=40 * MIB)
            time.sleep(1.5)
            grown = self.broker.rss_bytes() - before if self.broker.pid else 0
        for client in clients:
            client.close()
        if self.broker.name == "duramen":
            check(grown <= RSS_GROWTH_MAX, f"RSS grew by {grown // MIB} MiB")
        return f"{bystander.verdict()}; RSS grew by {grown // MIB} MiB"

    @case
    def readers_that_leave(self):
        """Readers that close in the middle of an answer leave nothing open."""
        with Client(self.broker.bootstrap) as client:
            client.api_versions()
            files = self.files_open()
            for n in range(60):
                reader = Client(self.broker.bootstrap)
                reader.ids = self.client.ids
                reader.send_fetch(self.large, [(0, 0)], max_wait=0, partition_max_bytes=40 * MIB)
                reader.exactly(1 + n * 1000)
                reader.close()
            end = time.monotonic() + 10
            while (now := self.files_open()) > files + 3:
                check(time.monotonic() < end, f"{now} files are open in the broker, {files} before")
                time.sleep(0.1)
            equal(client.api_versions().error, NONE, "error")
            self.everything(client)

    def files_open(self):
        return len(os.listdir(f"/proc/{self.broker.pid}/fd")) if self.broker.pid else 0

    @case
    def after_kill_9(self):
        self.restart(unclean=True)
        with Client(self.broker.bootstrap, timeout=60) as client:
            client.wait_for_topic(self.large, 2)
            for partition in range(2):
                self.everything(client, partition)
