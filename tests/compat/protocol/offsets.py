"""ListOffsets: the special times, look-up by timestamp, errors."""
from harness import batch as batches
from harness.client import NONE, UNKNOWN_TOPIC_OR_PARTITION, UNSUPPORTED_VERSION
from harness.report import equal

from .common import Checks, case

BASE = 1_700_000_000_000
LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3


class Offsets(Checks):
    prefix = "offsets"
    partitions = 2

    def __init__(self, broker):
        super().__init__(broker)
        # partition 0: four batches of two records each, all of one time; the third batch is the newest
        self.times = [BASE + 1000, BASE + 2000, BASE + 9000, BASE + 3000]
        for time in self.times:
            answer = self.client.produce(self.topic, 0, batches.build([b"1", b"2"], timestamp=time))
            equal(answer.error, NONE, "error of Produce")

    def look_up(self, timestamp, partition=0, **more):
        answer = self.client.list_offset(self.topic, partition, timestamp, **more)
        return answer.error, answer.timestamp, answer.offset

    @case
    def special_times(self):
        equal(self.look_up(LATEST), (NONE, -1, 8), "latest")
        equal(self.look_up(EARLIEST), (NONE, -1, 0), "earliest")
        equal(self.look_up(MAX_TIMESTAMP, version=7), (NONE, BASE + 9000, 4), "max timestamp")
        equal(self.look_up(LATEST, partition=1), (NONE, -1, 0), "latest of an empty partition")
        equal(self.look_up(EARLIEST, partition=1), (NONE, -1, 0), "earliest of an empty partition")
        equal(self.look_up(MAX_TIMESTAMP, partition=1, version=7), (NONE, -1, -1), "max timestamp of an empty partition")

    @case
    def by_time(self):
        """The first record whose timestamp is at or after the asked one, in the order of the log."""
        for asked, time, offset in ((0, BASE + 1000, 0), (BASE + 1000, BASE + 1000, 0), (BASE + 1001, BASE + 2000, 2), (BASE + 2001, BASE + 9000, 4),
                                    (BASE + 9000, BASE + 9000, 4), (BASE + 9001, -1, -1), (BASE * 2, -1, -1)):
            equal(self.look_up(asked), (NONE, time, offset), f"at {asked - BASE}")
        equal(self.look_up(BASE, partition=1), (NONE, -1, -1), "by time in an empty partition")

    @case
    def inside_a_batch(self):
        """The look-up finds the record, not the batch."""
        topic = self.fresh_topic()
        payload = b"".join(batches.record(n, b"v", timestamp_delta=n * 10) for n in range(10))
        batch = bytearray(batches.build([b"v"] * 10, timestamp=BASE, payload=payload))
        batch[35:43] = (BASE + 90).to_bytes(8, "big")  # max timestamp
        batch[17:21] = batches.crc32c(batch[21:]).to_bytes(4, "big")
        equal(self.client.produce(topic, 0, bytes(batch)).error, NONE, "error of Produce")
        for asked, found in ((BASE, 0), (BASE + 1, 1), (BASE + 45, 5), (BASE + 90, 9)):
            answer = self.client.list_offset(topic, 0, asked)
            equal((answer.offset, answer.timestamp), (found, BASE + found * 10), f"offset and timestamp at {asked - BASE}")

    @case
    def every_version(self):
        for version in range(4, 12):
            equal(self.look_up(LATEST, version=version), (NONE, -1, 8), f"latest in version {version}")

    @case
    def errors(self):
        equal(self.client.list_offset(self.topic, 99).error, UNKNOWN_TOPIC_OR_PARTITION, "error of an unknown partition")
        equal(self.client.list_offset("no-such-topic", 0).error, UNKNOWN_TOPIC_OR_PARTITION, "error of an unknown topic")
        equal(self.look_up(-77)[0], UNSUPPORTED_VERSION, "error of a negative time without meaning")
        equal(self.look_up(MAX_TIMESTAMP, version=5)[0], UNSUPPORTED_VERSION, "error of max timestamp in a version that has it not")
