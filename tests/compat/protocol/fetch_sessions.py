"""Fetch sessions (KIP-227) as Kafka has them: a request says what changes, an answer what is new."""
from harness.client import (FETCH_SESSION_ID_NOT_FOUND, FETCH_SESSION_TOPIC_ID_ERROR, INVALID_FETCH_SESSION_EPOCH, NONE, UNKNOWN_TOPIC_OR_PARTITION,
                            Client)
from harness.report import check, equal

from .common import Checks, case

LARGE = b"x" * 5_000


class FetchSessions(Checks):
    prefix = "fetch-sessions"

    def fresh(self, partitions, *values):
        """A topic with these values in each partition."""
        self.topic = self.fresh_topic(partitions)
        for partition in range(partitions):
            for value in values:
                equal(self.client.produce_values(self.topic, partition, value).error, NONE, "error of Produce")

    def ask(self, partitions, session, **more):
        return self.client.fetch(self.topic, partitions, **{"max_wait": 0, "session": session, **more})

    def begin(self, partitions, **more):
        answer = self.ask(partitions, (0, 0), **more)
        check(answer.error == NONE and answer.session > 0, f"error {answer.error}, session {answer.session}")
        return answer

    @staticmethod
    def told(answer):
        """The partitions of an answer, each with its error, high watermark and number of batches."""
        return [(p.index, p.error, p.high_watermark, len(p.batches)) for p in answer.partitions]

    @case
    def only_what_is_new(self):
        for version in (7, 11, 12, 13, 17, 18):
            self.fresh(3, b"a")
            first = self.begin([(0, 0), (1, 0), (2, 1)], version=version)
            equal(self.told(first), [(0, 0, 1, 1), (1, 0, 1, 1), (2, 0, 1, 0)], f"v{version}: first answer")
            answer = self.ask([(0, 1), (1, 1)], (first.session, 1), version=version)
            equal((answer.session, self.told(answer)), (first.session, []), f"v{version}: nothing is new")
            self.client.produce_values(self.topic, 1, b"b")
            equal(self.told(self.ask([], (first.session, 2), version=version)), [(1, 0, 2, 1)], f"v{version}: records")
            equal(self.told(self.ask([], (first.session, 3), version=version)), [(1, 0, 2, 1)], f"v{version}: the same again, for the client did not go on")
            equal(self.told(self.ask([(1, 2)], (first.session, 4), version=version)), [], f"v{version}: gone on")

    @case
    def a_high_watermark_is_told_without_records(self):
        self.fresh(2, b"a")
        first = self.begin([(0, 1), (1, 1)])
        self.client.produce_values(self.topic, 0, LARGE)
        self.client.produce_values(self.topic, 1, LARGE)
        # The first batch is always whole; the second has no room.
        answer = self.ask([], (first.session, 1), max_bytes=100)
        equal(self.told(answer), [(0, 0, 2, 1), (1, 0, 2, 0)], "room for one")

    @case
    def those_that_were_served_wait(self):
        self.fresh(3, LARGE, LARGE, LARGE)
        first = self.begin([(0, 0), (1, 0), (2, 0)], max_bytes=100)
        equal([p.index for p in first.partitions if p.batches], [0], "the first answer has records of the first")
        served, offsets = [], {0: 1, 1: 0, 2: 0}
        changed = [(0, 1)]
        for epoch in range(1, 7):
            answer = self.ask(changed, (first.session, epoch), max_bytes=100)
            [index] = [p.index for p in answer.partitions if p.batches]
            served.append(index)
            offsets[index] += 1
            changed = [(index, offsets[index])]
        equal(served, [0, 1, 2, 0, 1, 2], "whose records were sent")

    @case
    def added_and_forgotten(self):
        self.fresh(3, b"a")
        first = self.begin([(0, 1)])
        equal(self.told(self.ask([(2, 0)], (first.session, 1))), [(2, 0, 1, 1)], "one more")
        self.client.produce_values(self.topic, 0, b"b")
        self.client.produce_values(self.topic, 2, b"b")
        equal(self.told(self.ask([(2, 2)], (first.session, 2), forgotten=[0])), [(2, 0, 2, 0)], "one forgotten, one told of its high watermark")
        answer = self.ask([], (first.session, 3), forgotten=[2, 1])
        equal((answer.error, answer.session, self.told(answer)), (NONE, 0, []), "an empty session ends")
        equal(self.ask([], (first.session, 4)).error, FETCH_SESSION_ID_NOT_FOUND, "after its end")

    @case
    def errors_are_told_again_and_again(self):
        self.fresh(1, b"a")
        first = self.begin([(0, 1), (7, 0)])
        equal(self.told(first), [(0, 0, 1, 0), (7, UNKNOWN_TOPIC_OR_PARTITION, -1, 0)], "first answer")
        for epoch in (1, 2):
            equal(self.told(self.ask([], (first.session, epoch))), [(7, UNKNOWN_TOPIC_OR_PARTITION, -1, 0)], f"epoch {epoch}")

    @case
    def epochs(self):
        self.fresh(1, b"a")
        session = self.begin([(0, 1)]).session
        for wrong in (2, 5, 1 << 30):
            answer = self.ask([], (session, wrong))
            equal((answer.error, answer.session, self.told(answer)), (INVALID_FETCH_SESSION_EPOCH, 0, []), f"epoch {wrong}")
        equal(self.ask([], (session, 1)).error, NONE, "the right one, still")
        equal(self.ask([], (session, 1)).error, INVALID_FETCH_SESSION_EPOCH, "a second time")
        equal(self.ask([], (session + 1 & 0x7FFFFFFF or 1, 2)).error, FETCH_SESSION_ID_NOT_FOUND, "another session")

    @case
    def names_and_ids_do_not_mix(self):
        self.fresh(1, b"a")
        for begun, gone_on in ((12, 13), (13, 12)):
            session = self.begin([(0, 1)], version=begun).session
            answer = self.ask([], (session, 1), version=gone_on)
            equal((answer.error, answer.session), (FETCH_SESSION_TOPIC_ID_ERROR, 0), f"v{begun}, then v{gone_on}")

    @case
    def a_full_request_ends_what_it_names(self):
        self.fresh(1, b"a")
        for epoch, goes_on in ((0, True), (-1, False)):
            old = self.begin([(0, 1)]).session
            answer = self.ask([(0, 0)], (old, epoch))
            equal((answer.error, answer.session not in (0, old), len(answer.partitions)), (NONE, goes_on, 1), f"epoch {epoch}")
            equal(self.ask([], (old, 1)).error, FETCH_SESSION_ID_NOT_FOUND, "the old one")

    @case
    def a_request_that_waits_is_woken(self):
        self.fresh(2, b"a")
        first = self.begin([(0, 1), (1, 1)])
        self.client.send_fetch(self.topic, [], max_wait=20_000, session=(first.session, 1))
        with Client(self.broker.bootstrap) as producer:
            equal(producer.produce_values(self.topic, 1, b"b").error, NONE, "error of Produce")
        equal(self.told(self.client.read_fetch()), [(1, 0, 2, 1)], "what woke it")
