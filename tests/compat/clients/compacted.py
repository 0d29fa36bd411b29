"""Writes a seeded workload to compacted topics and waits until they are compacted: compacted.py BOOTSTRAP SEED BASE_MS.

Prints, as JSON, what the topics hold at last. A partition for each codec; two idempotent producers and one without an id take turns; keys,
tombstones, headers. Segments end by the timestamps of the records, hence at the same offsets on every broker. What must stay is computed
here from the rules alone: the last record of each key; tombstones while delete.retention.ms lasts; all of the active segment.
"""
import gzip
import json
import random
import struct
import sys
import time
from pathlib import Path

import cramjam
import lz4.frame

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import batch as batches  # noqa: E402
from harness.client import NONE, Client  # noqa: E402
from harness.report import check, equal  # noqa: E402

CODECS = batches.CODECS
TOPICS = {"kept-tombstones": 3_600_000, "gone-tombstones": 0}
BURSTS, BATCHES, KEYS = 3, 45, 30
# Rounds that each have something to do: what had its time in one goes in the next.
QUIET = 3
SEGMENT_MS = 1000
SECONDS_MAX = 40
XERIAL = b"\x82SNAPPY\0"


def compress(codec, data):
    if codec == "gzip":
        return gzip.compress(data, 6)
    if codec == "snappy":
        return bytes(cramjam.snappy.compress_raw(data))
    if codec == "lz4":
        # Kafka reads blocks only that do not depend on each other
        return lz4.frame.compress(data, block_linked=False)
    if codec == "zstd":
        return bytes(cramjam.zstd.compress(data))
    return data


def expand(codec, data):
    if codec == "gzip":
        return gzip.decompress(data)
    if codec == "snappy" and data.startswith(XERIAL):
        out, at = b"", 16
        while at < len(data):
            size, = struct.unpack_from(">i", data, at)
            out += bytes(cramjam.snappy.decompress_raw(data[at + 4:at + 4 + size]))
            at += 4 + size
        return out
    if codec == "snappy":
        return bytes(cramjam.snappy.decompress_raw(data))
    if codec == "lz4":
        return bytes(cramjam.lz4.decompress(data))
    if codec == "zstd":
        return bytes(cramjam.zstd.decompress(data))
    return data


class Fields:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)

    def sized(self):
        size = self.number()
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at]


def records_of(batch):
    """(offset, timestamp, key, value, headers) of each record."""
    check(batch.crc_holds(), f"checksum of the batch at {batch.base_offset}")
    fields = Fields(expand(batch.codec, batch.raw[61:])) if batch.count else None
    for _ in range(batch.count):
        fields.number()
        fields.at += 1
        timestamp = batch.base_timestamp + fields.number()
        offset = batch.base_offset + fields.number()
        key, value = fields.sized(), fields.sized()
        headers = [(fields.sized(), fields.sized()) for _ in range(fields.number())]
        yield offset, timestamp, key, value, headers


def new_producer(client):
    """Id, epoch, next sequence. A broker that has just started may have no ids yet."""
    while (given := client.init_producer_id()).error:
        time.sleep(0.05)
    return [given.id, given.epoch, 0]


class Partition:
    """One partition: what was written to it, and what must be left."""

    def __init__(self, client, topic, index, seed, base_ms):
        self.client, self.topic, self.index = client, topic, index
        self.codec, self.keeps_tombstones = CODECS[index], TOPICS[topic] > 0
        self.random = random.Random(f"{seed} {topic} {index}")
        self.now = base_ms
        self.written, self.active = [], 0
        self.producers = [new_producer(client), new_producer(client)]
        self.last_sent = {}

    def append(self, records, producer=None):
        """records: (timestamp, key, value, headers)."""
        first = records[0][0]
        payload = b"".join(batches.record(delta, value, key, headers, timestamp - first)
                           for delta, (timestamp, key, value, headers) in enumerate(records))
        stamp = tuple(producer) if producer else (-1, -1, -1)
        # The header's max timestamp must be right, as a client's is.
        data = build(records, compress(self.codec, payload), CODECS.index(self.codec), stamp)
        answer = self.client.produce(self.topic, self.index, data)
        equal((answer.error, answer.base_offset), (NONE, len(self.written)), f"answer of {self.topic}-{self.index}")
        if producer:
            self.last_sent[stamp[0]] = (data, len(self.written))
            producer[2] += len(records)
        self.written += records

    def burst(self, with_tombstones):
        for _ in range(BATCHES):
            self.now += 150
            records = []
            for _ in range(self.random.randint(1, 6)):
                key = f"key {self.random.randrange(KEYS)}".encode()
                value = None if with_tombstones and self.random.random() < 0.25 else self.random.randbytes(self.random.randrange(60)).hex().encode()
                headers = [(b"h", self.random.choice([None, b"", b"value"]))] if self.random.random() < 0.2 else []
                records.append((self.now + self.random.randrange(100), key, value, headers))
            self.append(records, self.random.choice([*self.producers, None]))
        self.end_segment()

    def end_segment(self):
        """Begins a segment with a record of its own: everything before may be compacted."""
        self.now += 3 * SEGMENT_MS
        self.active = len(self.written)
        self.append([(self.now, b"end", str(self.active).encode(), [])])
        self.now += 3 * SEGMENT_MS

    def left(self):
        return [record for batch in self.client.read_log(self.topic, self.index) for record in records_of(batch)]

    def is_compacted(self, is_final):
        """Whether what is left is what must be left; until the last round, tombstones may be there or not."""
        last = {key: offset for offset, (_, key, _, _) in enumerate(self.written[:self.active])}
        must, may = set(range(self.active, len(self.written))), set()
        for key, offset in last.items():
            if self.written[offset][2] is not None or self.keeps_tombstones:
                must.add(offset)
            elif not is_final:
                may.add(offset)
        left = self.left()
        for offset, *record in left:
            wanted = [*self.written[offset][:3], [(name, value) for name, value in self.written[offset][3]]]
            equal(record, wanted, f"record {offset} of {self.topic}-{self.index}")
        offsets = {record[0] for record in left}
        return must <= offsets <= must | may

    def check_producers(self):
        """What was sent last is known, and the next is taken."""
        for producer in self.producers:
            data, base = self.last_sent[producer[0]]
            again = self.client.produce(self.topic, self.index, data)
            equal((again.error, again.base_offset), (NONE, base), f"a repeat to {self.topic}-{self.index}")

    def told(self):
        log = self.client.read_log(self.topic, self.index)
        def plain(data):
            return None if data is None else data.decode()

        text = [(offset, timestamp, plain(key), plain(value), [(plain(name), plain(content)) for name, content in headers])
                for batch in log for offset, timestamp, key, value, headers in records_of(batch)]
        # Where a batch ends, its codec, whether it has a delete horizon, its newest timestamp, sequence and records; not those without any.
        shape = [(batch.base_offset, batch.last_delta, batch.attributes, batch.max_timestamp, batch.base_sequence, batch.count)
                 for batch in log if batch.count]
        return {"records": text, "batches": shape, "end": log[-1].last_offset + 1}


def build(records, payload, attributes, producer):
    first, newest = records[0][0], max(record[0] for record in records)
    checked = struct.pack(">hiqqqhii", attributes, len(records) - 1, first, newest, *producer, len(records)) + payload
    return struct.pack(">qiibI", 0, len(checked) + 9, -1, 2, batches.crc32c(checked)) + checked


def wait(partitions, is_final):
    end = time.monotonic() + SECONDS_MAX
    waiting = list(partitions)
    while waiting:
        waiting = [partition for partition in waiting if not partition.is_compacted(is_final)]
        if waiting:
            check(time.monotonic() < end, f"not compacted: {[(partition.topic, partition.index) for partition in waiting]}")
            time.sleep(0.05)


def main():
    bootstrap, seed, base_ms = sys.argv[1:]
    with Client(bootstrap) as client:
        partitions = []
        for topic, delete_retention_ms in TOPICS.items():
            configs = {"cleanup.policy": "compact", "segment.ms": SEGMENT_MS, "min.cleanable.dirty.ratio": 0,
                       "delete.retention.ms": delete_retention_ms, "file.delete.delay.ms": 100}
            equal(client.create_topic(topic, len(CODECS), configs).error, NONE, "error of CreateTopics")
            partitions += [Partition(client, topic, index, seed, int(base_ms)) for index in range(len(CODECS))]
        for number in range(BURSTS):
            for partition in partitions:
                partition.burst(with_tombstones=number < BURSTS - 1)
            wait(partitions, False)
        for number in range(QUIET):
            for partition in partitions:
                partition.end_segment()
            wait(partitions, number + 1 == QUIET)
        for partition in partitions:
            partition.check_producers()
        json.dump({f"{partition.topic}-{partition.index}": partition.told() for partition in partitions}, sys.stdout)


main()
