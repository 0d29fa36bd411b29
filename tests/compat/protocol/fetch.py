"""Fetch as Kafka does it: long polls, limits, the first batch, positions inside, at and past the end."""
import threading
import time
import uuid

from harness import batch as batches
from harness.client import API_VERSIONS, FETCH_SESSION_ID_NOT_FOUND, NONE, OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, Client
from harness.report import check, equal

from .common import Checks, case

WAKE_MS = 5.0  # how soon after its acknowledgement an append must reach a waiting fetch


class Fetch(Checks):
    prefix = "fetch"
    partitions = 4

    def __init__(self, broker):
        super().__init__(broker)
        # partition 0: offsets 0-2, 3-4, 5 in three batches; 1: large batches; 2, 3: empty
        for values in ([b"a", b"b", b"c"], [b"d", b"e"], [b"f"]):
            equal(self.client.produce_values(self.topic, 0, *values).error, NONE, "error of Produce")
        self.large = b"x" * 100_000
        for _ in range(3):
            equal(self.client.produce_values(self.topic, 1, self.large).error, NONE, "error of Produce")

    def one(self, offset, partition=0, **more):
        return self.client.fetch_one(self.topic, partition, offset, **{"max_wait": 0, **more})

    # -- positions ---------------------------------------------------------------------------------------------------

    @case
    def from_the_start(self):
        answer = self.one(0)
        equal(answer.error, NONE, "error")
        equal([(b.base_offset, b.last_offset) for b in answer.batches], [(0, 2), (3, 4), (5, 5)], "batches")
        equal((answer.high_watermark, answer.last_stable, answer.log_start), (6, 6, 0), "high watermark, last stable offset, log start")
        check(all(b.crc_holds() for b in answer.batches), "a CRC is wrong")

    @case
    def inside_a_batch(self):
        """An offset inside a batch returns the whole batch."""
        for offset, first in ((1, 0), (2, 0), (4, 3)):
            equal(self.one(offset).batches[0].base_offset, first, f"first batch at offset {offset}")

    @case
    def at_the_end(self):
        answer = self.one(6)
        equal((answer.error, answer.high_watermark, answer.records), (NONE, 6, b""), "error, high watermark, records at the end")

    @case
    def out_of_range(self):
        for offset in (7, 1 << 60, -1, -5):
            answer = self.one(offset)
            equal((answer.error, answer.records or b""), (OFFSET_OUT_OF_RANGE, b""), f"error and records at {offset}")

    @case
    def unknown_partition(self):
        equal(self.client.fetch_one(self.topic, 99, 0).error, UNKNOWN_TOPIC_OR_PARTITION, "error of a partition that does not exist")
        equal(self.client.fetch_one("no-such-topic", 0, 0).error, UNKNOWN_TOPIC_OR_PARTITION, "error of a topic that does not exist")

    @case
    def unknown_topic_id(self):
        self.client.ids["nobody"] = uuid.UUID(int=0x1234)
        equal(self.client.fetch_one("nobody", 0, 0, version=13).error, UNKNOWN_TOPIC_ID, "error of an unknown topic id")

    @case
    def every_version(self):
        for version in range(4, 19):
            answer = self.one(3, version=version)
            equal((answer.error, [b.base_offset for b in answer.batches]), (NONE, [3, 5]), f"error, batches in version {version}")

    @case
    def records_never_null(self):
        for version in (4, 11, 12, 16):
            check(self.one(6, version=version).records is not None, f"version {version}: null records at the end of the log")

    @case
    def sessions(self):
        """A client that asks for a session gets one or is told 0; one that does not exist is not found."""
        answer = self.client.fetch(self.topic, [(0, 0)], max_wait=0, session=(0, 0))
        equal((answer.error, len(answer.partitions[0].batches)), (NONE, 3), "error, batches of the first fetch of a session")
        if answer.session:
            answer = self.client.fetch(self.topic, [(0, 6)], max_wait=0, session=(answer.session, 1))
            equal(answer.error, NONE, "error of the second fetch")
        equal(self.client.fetch(self.topic, [(0, 0)], max_wait=0, session=(1 << 30, 5)).error, FETCH_SESSION_ID_NOT_FOUND, "error of an unknown session")

    # -- limits ------------------------------------------------------------------------------------------------------

    @case
    def first_batch_rule(self):
        """The first batch comes whole even when both limits are smaller than it."""
        answer = self.one(0, partition=1, partition_max_bytes=100, max_bytes=100)
        check(answer.batches, "the first batch is not whole")
        check(answer.batches[0].size > 100_000 and len(answer.batches) == 1, f"got {answer.batches}")

    @case
    def partition_max_bytes(self):
        size = self.one(0, partition=1).batches[0].size
        answer = self.one(0, partition=1, partition_max_bytes=2 * size)
        equal([b.base_offset for b in answer.batches], [0, 1], "batches in the bytes of two")
        check(len(answer.records) <= 2 * size, f"{len(answer.records)} bytes where {2 * size} are the limit")
        answer = self.one(0, partition=1, partition_max_bytes=2 * size + 1000)
        check(len(answer.records) <= 2 * size + 1000, f"{len(answer.records)} bytes where {2 * size + 1000} are the limit")
        equal([b.base_offset for b in answer.batches], [0, 1], "whole batches in the bytes of two and a part")

    @case
    def max_bytes(self):
        """max_bytes holds for the whole answer, in the order of the request; only the very first batch may exceed it."""
        size = self.one(0, partition=1).batches[0].size
        answer = self.client.fetch(self.topic, [(1, 0), (0, 0)], max_wait=0, max_bytes=size).partitions
        by_index = {p.index: p for p in answer}
        equal([b.base_offset for b in by_index[1].batches], [0], "batches of the first partition")
        equal(by_index[0].records, b"", "records of the second partition, for which no bytes are left")
        answer = self.client.fetch(self.topic, [(0, 0), (1, 0)], max_wait=0, max_bytes=1000).partitions
        by_index = {p.index: p for p in answer}
        equal(len(by_index[0].batches), 3, "batches of the small partition")
        equal(by_index[1].batches, [], "whole batches of the large partition after it")

    # -- waiting -----------------------------------------------------------------------------------------------------

    def timed(self, function):
        began = time.monotonic()
        answer = function()
        return answer, (time.monotonic() - began) * 1000

    @case
    def max_wait(self):
        answer, took = self.timed(lambda: self.one(6, max_wait=300))
        equal(answer.records, b"", "records")
        check(290 <= took <= 600, f"answered after {took:.0f} ms where max_wait is 300")

    @case
    def enough_at_once(self):
        answer, took = self.timed(lambda: self.one(0, max_wait=5000))
        check(took < 500 and answer.batches, f"{len(answer.batches)} batches after {took:.0f} ms")

    @case
    def error_at_once(self):
        """An error in any partition ends the wait of all."""
        answer, took = self.timed(lambda: self.client.fetch(self.topic, [(2, 0), (0, 99)], max_wait=3000))
        check(took < 1000, f"answered after {took:.0f} ms")
        equal(sorted((p.index, p.error) for p in answer.partitions), [(0, OFFSET_OUT_OF_RANGE), (2, NONE)], "errors")

    @case
    def wakes_on_append(self):
        """A fetch that waits at the end of an empty partition gets an append within 5 ms of its acknowledgement."""
        delays = []
        with Client(self.broker.bootstrap) as reader:
            offset = self.client.list_offset(self.topic, 2).offset
            for n in range(30):
                reader.send_fetch(self.topic, [(2, offset)], max_wait=5000)
                time.sleep(0.03)
                came = {}
                thread = threading.Thread(target=lambda: came.update(answer=reader.read_fetch(), at=time.monotonic()))
                thread.start()
                equal(self.client.produce_values(self.topic, 2, b"%d" % n).error, NONE, "error of Produce")
                acknowledged = time.monotonic()
                thread.join(10)
                batch, = came["answer"].partitions[0].batches
                equal(batch.values(), [b"%d" % n], "values")
                offset = batch.last_offset + 1
                delays.append((came["at"] - acknowledged) * 1000)
        middle, worst = sorted(delays)[len(delays) // 2], max(delays)
        check(middle <= WAKE_MS, f"woke {middle:.1f} ms after the acknowledgement (median of {len(delays)}; worst {worst:.1f})")
        return f"median {middle:.2f} ms, worst {worst:.2f} ms after the acknowledgement"

    @case
    def min_bytes(self):
        """An append that does not reach min_bytes does not end the wait; one that does, ends it."""
        size = len(batches.build([b"y" * 1000]))
        with Client(self.broker.bootstrap) as reader:
            start = self.client.list_offset(self.topic, 3).offset
            began = time.monotonic()
            reader.send_fetch(self.topic, [(3, start)], max_wait=5000, min_bytes=2 * size)
            time.sleep(0.1)
            equal(self.client.produce_values(self.topic, 3, b"y" * 1000).error, NONE, "error of Produce")
            time.sleep(0.3)
            equal(self.client.produce_values(self.topic, 3, b"y" * 1000).error, NONE, "error of Produce")
            answer = reader.read_fetch().partitions[0]
            took = (time.monotonic() - began) * 1000
            equal(len(answer.batches), 2, "batches")
            check(390 <= took < 2000, f"answered after {took:.0f} ms; the second append came at 400")
            answer, took = self.timed(lambda: reader.fetch_one(self.topic, 3, start, max_wait=300, min_bytes=1 << 20))
            check(290 <= took < 900 and len(answer.batches) == 2, f"min_bytes out of reach: {len(answer.batches)} batches after {took:.0f} ms")

    @case
    def waits_on_many(self):
        """One fetch over all partitions wakes for an append to any of them, whichever core holds it."""
        with Client(self.broker.bootstrap) as reader:
            for partition in range(4):
                ends = [(p, self.client.list_offset(self.topic, p).offset) for p in range(4)]
                reader.send_fetch(self.topic, ends, max_wait=5000)
                time.sleep(0.05)
                began = time.monotonic()
                self.client.produce_values(self.topic, partition, b"wake")
                answer = reader.read_fetch()
                took = (time.monotonic() - began) * 1000
                equal([p.index for p in answer.partitions if p.batches], [partition], "partitions with records")
                check(took < 500, f"woke after {took:.0f} ms")

    @case
    def pipelined_in_order(self):
        """Answers come in the order of the requests, also when a later one could be answered at once."""
        with Client(self.broker.bootstrap) as reader:
            end = self.client.list_offset(self.topic, 2).offset
            reader.send_fetch(self.topic, [(2, end)], max_wait=200)
            first = reader.correlation
            reader.send(API_VERSIONS, 0, b"")
            equal([reader.receive()[0], reader.receive()[0]], [first, first + 1], "correlation ids in the order of the answers")
