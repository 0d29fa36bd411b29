"""Idempotent producers: a batch sent again gets its first offset and is in the log once; a gap is refused; also after a crash."""
import time

from harness import batch as batches
from harness.client import INVALID_PRODUCER_EPOCH, NONE, OUT_OF_ORDER_SEQUENCE_NUMBER, PRODUCE, Client
from harness.report import check, equal

from .common import Checks, case

LAST_SEQUENCE = (1 << 31) - 1


class Idempotence(Checks):
    prefix = "idempotence"
    partitions = 2

    # Of now: Kafka forgets a producer by the timestamp of its last batch when it loads a log.
    timestamp = int(time.time() * 1000)

    def producer(self):
        """A new producer id; while the broker still loads its state it says so, and is asked again."""
        for _ in range(100):
            answer = self.client.init_producer_id()
            if answer.error != 14:
                break
            time.sleep(0.1)
        equal(answer.error, NONE, "error of InitProducerId")
        check(answer.id >= 0 and answer.epoch == 0, f"producer id {answer.id}, epoch {answer.epoch}")
        return answer.id

    def send(self, topic, identity, sequence, count=2, epoch=0, partition=0):
        values = [b"%d" % (sequence + n) for n in range(count)]
        answer = self.client.produce(topic, partition, batches.build(values, producer=(identity, epoch, sequence), timestamp=self.timestamp))
        return answer.error, answer.base_offset

    def in_the_log(self, topic, partition=0):
        return [(b.base_offset, b.base_sequence, b.count) for b in self.client.read_log(topic, partition)]

    @case
    def ids_differ(self):
        ids = [self.producer() for _ in range(20)]
        equal(len(set(ids)), 20, "different producer ids of 20")

    @case
    def sent_twice(self):
        topic, identity = self.fresh_topic(), self.producer()
        equal(self.send(topic, identity, 0), (NONE, 0), "the first time")
        equal(self.send(topic, identity, 0), (NONE, 0), "the second time")
        equal(self.send(topic, identity, 2), (NONE, 2), "the next batch")
        equal(self.send(topic, identity, 0), (NONE, 0), "the third time")
        equal(self.in_the_log(topic), [(0, 0, 2), (2, 2, 2)], "base offset, base sequence, count in the log")

    @case
    def gap(self):
        topic, identity = self.fresh_topic(), self.producer()
        equal(self.send(topic, identity, 0), (NONE, 0), "the first batch")
        equal(self.send(topic, identity, 3)[0], OUT_OF_ORDER_SEQUENCE_NUMBER, "error where one sequence is left out")
        equal(self.send(topic, identity, 2), (NONE, 2), "the batch that was left out")
        equal(self.in_the_log(topic), [(0, 0, 2), (2, 2, 2)], "base offset, base sequence, count in the log")

    @case
    def last_five(self):
        """The last five batches of a producer are known by their offsets; what is older is out of order."""
        topic, identity = self.fresh_topic(), self.producer()
        for n in range(7):
            equal(self.send(topic, identity, 2 * n), (NONE, 2 * n), f"batch {n}")
        for n in range(2, 7):
            equal(self.send(topic, identity, 2 * n), (NONE, 2 * n), f"batch {n} again")
        for n in (0, 1):
            equal(self.send(topic, identity, 2 * n)[0], OUT_OF_ORDER_SEQUENCE_NUMBER, f"error of batch {n}, too old to be known")
        equal(len(self.in_the_log(topic)), 7, "batches in the log")

    @case
    def other_length(self):
        """The same first sequence with another number of records is no duplicate."""
        topic, identity = self.fresh_topic(), self.producer()
        self.send(topic, identity, 0, count=3)
        equal(self.send(topic, identity, 0, count=2)[0], OUT_OF_ORDER_SEQUENCE_NUMBER, "error")

    @case
    def partitions_apart(self):
        topic, identity = self.fresh_topic(2), self.producer()
        for partition in (0, 1):
            equal(self.send(topic, identity, 0, partition=partition), (NONE, 0), f"partition {partition}")
            equal(self.send(topic, identity, 5, partition=partition)[0], OUT_OF_ORDER_SEQUENCE_NUMBER, f"gap in partition {partition}")

    @case
    def producers_apart(self):
        topic, one, other = self.fresh_topic(), self.producer(), self.producer()
        equal([self.send(topic, one, 0), self.send(topic, other, 0), self.send(topic, one, 0), self.send(topic, other, 0)],
              [(NONE, 0), (NONE, 2), (NONE, 0), (NONE, 2)], "answers")

    @case
    def unknown_producer_starts_anywhere(self):
        topic, identity = self.fresh_topic(), self.producer()
        equal(self.send(topic, identity, 1000), (NONE, 0), "the first batch that this partition sees")

    @case
    def sequence_wraps(self):
        topic, identity = self.fresh_topic(), self.producer()
        equal(self.send(topic, identity, LAST_SEQUENCE - 1, count=2), (NONE, 0), "up to the last sequence")
        equal(self.send(topic, identity, 0, count=2), (NONE, 2), "from 0 again")
        topic, identity = self.fresh_topic(), self.producer()
        equal(self.send(topic, identity, LAST_SEQUENCE, count=3), (NONE, 0), "a batch across the wrap")
        equal(self.send(topic, identity, LAST_SEQUENCE, count=3), (NONE, 0), "the same again")
        equal(self.send(topic, identity, 2, count=1), (NONE, 3), "what follows it")

    @case
    def epochs(self):
        topic, identity = self.fresh_topic(), self.producer()
        equal(self.send(topic, identity, 0, epoch=1), (NONE, 0), "epoch 1")
        equal(self.send(topic, identity, 0, epoch=0)[0], INVALID_PRODUCER_EPOCH, "error of epoch 0 after it")
        equal(self.send(topic, identity, 7, epoch=2)[0], OUT_OF_ORDER_SEQUENCE_NUMBER, "error of a new epoch that does not start at 0")
        equal(self.send(topic, identity, 0, epoch=2), (NONE, 2), "epoch 2 from 0")
        equal(self.send(topic, identity, 2, epoch=2), (NONE, 4), "its next batch")

    @case
    def five_in_flight(self):
        """Five requests on a connection before the first answer: appended in order, answered in order."""
        topic, identity = self.fresh_topic(), self.producer()
        with Client(self.broker.bootstrap) as client:
            for n in range(5):
                batch = batches.build([b"x"], producer=(identity, 0, n))
                client.send(PRODUCE, 9, client.produce_body(topic, 0, batch))
            for n in range(5):
                answer = client.read_produce()
                equal((answer.error, answer.base_offset), (NONE, n), f"answer {n}")

    def across_a_restart(self, unclean):
        topic, identity, other = self.fresh_topic(), self.producer(), self.producer()
        for n in range(6):
            equal(self.send(topic, identity, 2 * n), (NONE, 2 * n), f"batch {n}")
        equal(self.send(topic, other, 0, count=3), (NONE, 12), "the other producer")
        self.restart(unclean)
        self.client.wait_for_topic(topic)
        equal(self.send(topic, identity, 10), (NONE, 10), "the last batch again, after the restart")
        equal(self.send(topic, other, 0, count=3), (NONE, 12), "the other producer's again")
        equal(self.send(topic, identity, 14)[0], OUT_OF_ORDER_SEQUENCE_NUMBER, "error of a gap after the restart")
        equal(self.send(topic, identity, 12), (NONE, 15), "the next batch")
        equal(self.in_the_log(topic), [(2 * n, 2 * n, 2) for n in range(6)] + [(12, 0, 3), (15, 12, 2)], "base offset, base sequence, count")
        check(self.producer() not in (identity, other), "a producer id was given twice")

    @case
    def after_a_clean_restart(self):
        self.across_a_restart(unclean=False)

    @case
    def after_kill_9(self):
        self.across_a_restart(unclean=True)
