"""What tools ask of the broker, in words that no client library shows: cursors, limits, kinds that do not exist."""
import time

from harness import batch as batches
from harness.client import (ALTER_PARTITION_REASSIGNMENTS, ALTER_REPLICA_LOG_DIRS, DESCRIBE_LOG_DIRS, DESCRIBE_PRODUCERS, DESCRIBE_TOPIC_PARTITIONS,
                            ELECT_LEADERS, INVALID_TOPIC_EXCEPTION, LIST_CONFIG_RESOURCES, LIST_PARTITION_REASSIGNMENTS, NONE, UNKNOWN_TOPIC_OR_PARTITION, UNSUPPORTED_VERSION)
from harness.report import check, equal

from .common import Checks, case

INVALID_REPLICA_ASSIGNMENT, INVALID_REQUEST, LOG_DIR_NOT_FOUND, ELECTION_NOT_NEEDED, NO_REASSIGNMENT_IN_PROGRESS = 39, 42, 57, 84, 85
BROKER, TOPIC, CLIENT_METRICS = 4, 2, 16
NOT_NEEDED = "Leader election not needed for topic partition."


class Admin(Checks):
    prefix = "admin"
    partitions = 3

    def ask_by_topic(self, api, topics, version=0, before=lambda w: w, after=lambda w: w):
        """A request that names topics, each with partitions."""
        w = before(self.client.writer(api, version))
        w.array(topics, lambda asked: w.string(asked[0]).array(asked[1], w.int32).tags())
        return self.client.request(api, version, after(w).tags().parts)

    # -- leaders and replicas ----------------------------------------------------------------------------------------

    def elect(self, topics, version=2, kind=0):
        r = self.ask_by_topic(ELECT_LEADERS, topics, version, lambda w: w.int8(kind) if version else w, lambda w: w.int32(5000))
        r.int32()
        error = r.int16() if version else NONE
        partition = lambda: (r.int32(), r.int16(), r.string(), r.tags())[:3]  # noqa: E731
        return error, r.array(lambda: (r.string(), r.array(partition), r.tags())[:2])

    @case
    def leaders_lead_already(self):
        expected = [(0, ELECTION_NOT_NEEDED, NOT_NEEDED), (7, UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {self.topic}-7")]
        for version, kind in ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1)):
            equal(self.elect([(self.topic, [0, 7])], version, kind), (NONE, [(self.topic, expected)]), f"v{version}, kind {kind}")
        unknown = [("nope", [(0, UNKNOWN_TOPIC_OR_PARTITION, "No such topic as nope")])]
        equal(self.elect([("nope", [0])]), (NONE, unknown), "unknown topic")

    @case
    def elections_of_all(self):
        error, topics = self.elect(None)
        equal((error, dict(topics)[self.topic]), (NONE, []), "all: what needs none is left out")
        equal(self.elect([]), (NONE, []), "of none")

    @case
    def elections_of_another_kind(self):
        message = "Unknown election type 2"
        equal(self.elect([(self.topic, [0])], kind=2), (INVALID_REQUEST, [(self.topic, [(0, INVALID_REQUEST, message)])]), "of one")
        equal(self.elect(None, kind=2), (INVALID_REQUEST, []), "of all")
        equal(self.elect([], kind=2), (NONE, []), "of none")

    @case
    def nothing_is_reassigned(self):
        for topics in (None, [], [(self.topic, [0, 9])], [("nope", [0])]):
            r = self.ask_by_topic(LIST_PARTITION_REASSIGNMENTS, topics, before=lambda w: w.int32(5000))
            equal((r.int32(), r.int16(), r.string(), r.array(None)), (0, NONE, None, []), f"reassignments of {topics}")

    def reassign(self, version, asked):
        """Partitions as (topic, index, replicas); the answers as (error, message) of each."""
        w = self.client.writer(ALTER_PARTITION_REASSIGNMENTS, version).int32(5000)
        if version:
            w.int8(0)  # the number of replicas stays
        w.array(asked, lambda one: w.string(one[0]).array([one], lambda p: w.int32(p[1]).array(p[2], w.int32).tags()).tags())
        r = self.client.request(ALTER_PARTITION_REASSIGNMENTS, version, w.tags().parts)
        r.int32()
        # What was asked is said again, but when nothing was: then all is as it is by default.
        if version:
            equal(r.int8(), int(not asked), "whether the number of replicas may change")
        equal((r.int16(), r.string()), (NONE, None if asked else ""), "error of the whole")
        partition = lambda: (r.int32(), r.int16(), r.string(), r.tags())[1:3]  # noqa: E731
        return [answer for answers in r.array(lambda: (r.string(), r.array(partition), r.tags())[1]) for answer in answers]

    @case
    def replicas_stay(self):
        """One broker: what can be asked for is what is."""
        own = self.client.metadata([]).brokers[0][0]
        manual = "The manual partition assignment includes"
        cases = [
            ((self.topic, 0, [own]), (NONE, None)),
            ((self.topic, 1, None), (NO_REASSIGNMENT_IN_PROGRESS, None)),
            ((self.topic, 1, []), (INVALID_REPLICA_ASSIGNMENT, f"{manual} an empty replica list.")),
            ((self.topic, 1, [own + 77]), (INVALID_REPLICA_ASSIGNMENT, f"{manual} broker {own + 77}, but no such broker is registered.")),
            ((self.topic, 1, [own, own]), (INVALID_REPLICA_ASSIGNMENT, f"{manual} the broker {own} more than once.")),
            ((self.topic, 1, [own + 77, own]), (INVALID_REPLICA_ASSIGNMENT, f"{manual} broker {own + 77}, but no such broker is registered.")),
            ((self.topic, 9, [own]), (UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {self.topic}:9.")),
            (("nope", 0, [own]), (UNKNOWN_TOPIC_OR_PARTITION, "Unable to find a topic named nope.")),
            (("nope", 0, None), (UNKNOWN_TOPIC_OR_PARTITION, "Unable to find a topic named nope.")),
        ]
        for version in (0, 1):
            for asked, expected in cases:
                equal(self.reassign(version, [asked]), [expected], f"v{version}, {asked}")
            equal(self.reassign(version, []), [], "of none")
            equal(self.reassign(version, [asked for asked, _ in cases]), [expected for _, expected in cases], f"v{version}, all at once")

    def directories(self):
        """Where each partition of this topic is, by directory."""
        r = self.ask_by_topic(DESCRIBE_LOG_DIRS, [(self.topic, list(range(self.partitions)))], 4)
        r.int32(), r.int16()
        partition = lambda: (r.int32(), r.int64(), r.int64(), r.int8(), r.tags())[0]  # noqa: E731

        def directory():
            equal(r.int16(), NONE, "error of a directory")
            path = r.string()
            topics = r.array(lambda: (r.string(), r.array(partition), r.tags())[1])
            r.int64(), r.int64(), r.tags()
            return path, [index for partitions in topics for index in partitions]

        return r.array(directory)

    def move(self, version, path, topic, partitions):
        w = self.client.writer(ALTER_REPLICA_LOG_DIRS, version)
        w.array([path], lambda _: w.string(path).array([topic], lambda name: w.string(name).array(partitions, w.int32).tags()).tags())
        r = self.client.request(ALTER_REPLICA_LOG_DIRS, version, w.tags().parts)
        r.int32()
        partition = lambda: (r.int32(), r.int16(), r.tags())[:2]  # noqa: E731
        return [sorted(answers) for answers in r.array(lambda: (r.string(), r.array(partition), r.tags())[1])]

    @case
    def logs_stay(self):
        [(path, partitions)] = self.directories()
        equal(sorted(partitions), [0, 1, 2], "partitions in the only directory")
        for version in (1, 2):
            for where, topic, asked, expected in (
                (path, self.topic, [0, 1, 2], NONE),
                ("/nowhere", self.topic, [0], LOG_DIR_NOT_FOUND),
                (f"{path}/", self.topic, [0], LOG_DIR_NOT_FOUND),
                (path, self.topic, [9], UNKNOWN_TOPIC_OR_PARTITION),
                (path, "nope", [0], UNKNOWN_TOPIC_OR_PARTITION),
            ):
                equal(self.move(version, where, topic, asked), [[(partition, expected) for partition in asked]], f"v{version}, {where}, {topic}")

    # -- producers ---------------------------------------------------------------------------------------------------

    def producers(self, topics):
        r = self.ask_by_topic(DESCRIBE_PRODUCERS, topics)
        r.int32()
        producer = lambda: (r.int64(), r.int32(), r.int32(), r.int64(), r.int32(), r.int64(), r.tags())[:6]  # noqa: E731
        partition = lambda: (r.int32(), r.int16(), r.string(), r.array(producer), r.tags())[:4]  # noqa: E731
        return r.array(lambda: (r.string(), r.array(partition), r.tags())[:2])

    @case
    def who_writes(self):
        producer = self.client.init_producer_id()
        while producer.error:
            time.sleep(0.2)
            producer = self.client.init_producer_id()
        for sequence in (0, 2):
            batch = batches.build([b"a", b"b"], producer=(producer.id, producer.epoch, sequence), timestamp=1_234_567 + sequence)
            equal(self.client.produce(self.topic, 1, batch).error, NONE, "error of Produce")
        equal(self.client.produce_values(self.topic, 2, b"a").error, NONE, "error of Produce")
        known = [(producer.id, 0, 3, 1_234_569, -1, -1)]
        expected = [(0, NONE, None, []), (1, NONE, None, known), (2, NONE, None, []), (9, UNKNOWN_TOPIC_OR_PARTITION, None, [])]
        equal(self.producers([(self.topic, [0, 1, 2, 9])]), [(self.topic, expected)], "producers")

    @case
    def producers_of_no_topic(self):
        [(_, [unknown]), (_, [invalid])] = self.producers([("nope", [0]), ("bad/name", [0])])
        equal(unknown, (0, UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition.", []), "unknown topic")
        equal(invalid[:2], (0, INVALID_TOPIC_EXCEPTION), "a name that no topic has")
        equal(self.producers([]), [], "of none")

    # -- what has settings -------------------------------------------------------------------------------------------

    def resources(self, kinds, version=1):
        w = self.client.writer(LIST_CONFIG_RESOURCES, version)
        if version:
            w.array(kinds, w.int8)
        r = self.client.request(LIST_CONFIG_RESOURCES, version, w.tags().parts)
        r.int32()
        return r.int16(), r.array(lambda: (r.string(), r.int8() if version else CLIENT_METRICS, r.tags())[:2])

    @case
    def config_resources(self):
        error, every = self.resources([])
        check(error == NONE and (self.topic, TOPIC) in every, f"error {error}, {every}")
        [broker] = [name for name, kind in every if kind == BROKER]
        equal(self.resources([BROKER, BROKER]), (NONE, [(broker, BROKER)]), "brokers")
        check((self.topic, TOPIC) in self.resources([TOPIC])[1], "topics")
        equal(self.resources([], version=0), (NONE, []), "version 0: metrics of clients")
        for kinds in ([1], [0], [TOPIC, 99]):
            equal(self.resources(kinds), (UNSUPPORTED_VERSION, []), f"kinds {kinds}")

    # -- topics, some partitions at a time ---------------------------------------------------------------------------

    def describe(self, topics, limit=2000, cursor=None):
        """Topics as (name, error, partitions), and where the rest begins."""
        w = self.client.writer(DESCRIBE_TOPIC_PARTITIONS, 0)
        w.array(topics, lambda name: w.string(name).tags()).int32(limit)
        w.int8(1).string(cursor[0]).int32(cursor[1]).tags() if cursor else w.int8(-1)
        r = self.client.request(DESCRIBE_TOPIC_PARTITIONS, 0, w.tags().parts)
        r.int32()

        def partition():
            error, index = r.int16(), r.int32()
            leader = (r.int32(), r.int32())
            replicas, in_sync, eligible, last_known, offline = (r.array(r.int32) for _ in range(5))
            equal((error, replicas, in_sync, eligible, last_known, offline), (NONE, [leader[0]], [leader[0]], [], [], []), f"partition {index}")
            r.tags()
            return index

        def topic():
            error, name, _, _ = r.int16(), r.string(), r.uuid(), r.int8()
            found = (name, error, r.array(partition))
            r.int32()
            r.tags()
            return found

        found = r.array(topic)
        rest = (r.string(), r.int32()) if r.int8() == 1 else None
        return found, rest

    @case
    def pages(self):
        first, second = self.topic, f"{self.topic}-z"
        equal(self.client.create_topic(second, 2).error, NONE, "error of CreateTopics")
        both, every = [second, first], [0, 1, 2]
        for limit, found, rest in (
            (2000, [(first, NONE, every), (second, NONE, [0, 1])], None),
            (5, [(first, NONE, every), (second, NONE, [0, 1])], None),
            (4, [(first, NONE, every), (second, NONE, [0])], (second, 1)),
            (3, [(first, NONE, every)], (second, 0)),
            (2, [(first, NONE, [0, 1])], (first, 2)),
            (0, [(first, NONE, [0])], (first, 1)),
            (-5, [(first, NONE, [0])], (first, 1)),
        ):
            equal(self.describe(both, limit), (found, rest), f"at most {limit}")
        equal(self.describe(both, 2, (first, 2)), ([(first, NONE, [2]), (second, NONE, [0])], (second, 1)), "from a cursor on")
        equal(self.describe(both, 2000, (first, 9)), ([(first, NONE, []), (second, NONE, [0, 1])], None), "from a partition that is not there")
        check({first, second} <= {name for name, _, _ in self.describe([])[0]}, "all topics")

    @case
    def cursors_that_cannot_be(self):
        for cursor in ((self.topic, -1), (f"{self.topic}-y", 0)):
            equal(self.describe([self.topic], cursor=cursor), ([(self.topic, INVALID_REQUEST, [])], None), f"cursor {cursor}")

    @case
    def topics_that_are_not_there(self):
        found, rest = self.describe(["nope", "bad/name", self.topic])
        expected = [(self.topic, NONE, [0, 1, 2]), ("bad/name", INVALID_TOPIC_EXCEPTION, []), ("nope", UNKNOWN_TOPIC_OR_PARTITION, [])]
        equal((found, rest), (expected, None), "in the order of their names")
