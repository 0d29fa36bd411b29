"""CreateTopics, DeleteTopics, Metadata: names, counts, ids, automatic creation."""
import time

from harness.client import INVALID_TOPIC_EXCEPTION, NONE, TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION
from harness.report import check, equal

from .common import Checks, case

INVALID_PARTITIONS = 37
BAD_NAMES = ["", ".", "..", "a" * 250, "a b", "a/b", "a\0b", "ü", "a:b"]


class Topics(Checks):
    prefix = "topics"

    @case
    def duplicate(self):
        equal(self.client.create_topic(self.topic).error, TOPIC_ALREADY_EXISTS, "error")

    @case
    def bad_names(self):
        got = {name: self.client.create_topic(name).error for name in BAD_NAMES}
        equal(got, dict.fromkeys(BAD_NAMES, INVALID_TOPIC_EXCEPTION), "errors of CreateTopics")

    @case
    def longest_name(self):
        name = self.fresh_name().ljust(249, "x")
        equal(self.client.create_topic(name).error, NONE, "error of a name of 249 characters")
        equal(self.client.produce_values(name, 0, b"x").error, NONE, "error of Produce")

    @case
    def colliding_name(self):
        """`.` and `_` are one character in the names of metrics, so names that differ only there are refused."""
        name = self.fresh_name()
        equal(self.client.create_topic(name + ".x").error, NONE, "error of the first")
        equal(self.client.create_topic(name + "_x").error, INVALID_TOPIC_EXCEPTION, "error of the second")

    @case
    def bad_counts(self):
        for count in (0, -2):
            equal(self.client.create_topic(self.fresh_name(), count).error, INVALID_PARTITIONS, f"error of {count} partitions")

    @case
    def default_count(self):
        name = self.fresh_name()
        equal(self.client.create_topic(name, -1).error, NONE, "error of -1 partitions")
        equal(len(self.client.metadata([name]).topics[0].partitions), 4, "partitions (num.partitions)")

    @case
    def metadata_of_the_unknown(self):
        name = self.fresh_name()
        topic, = self.client.metadata([name]).topics
        equal((topic.error, topic.name, topic.partitions), (UNKNOWN_TOPIC_OR_PARTITION, name, []), "error, name, partitions")
        equal(name in [t.name for t in self.client.metadata().topics], False, "listed")
        topic, = self.client.metadata(["a b"], auto_create=True).topics
        equal(topic.error, INVALID_TOPIC_EXCEPTION, "error of a bad name")

    @case
    def auto_create(self):
        name = self.fresh_name()
        topic, = self.client.metadata([name], auto_create=True).topics
        check(topic.error in (NONE, UNKNOWN_TOPIC_OR_PARTITION), f"error {topic.error}")
        equal(len(self.client.wait_for_topic(name).partitions), 4, "partitions (num.partitions)")

    @case
    def list_all_or_none(self):
        listed = [t.name for t in self.client.metadata().topics]
        check(self.topic in listed, "not all topics are listed")
        equal(self.client.metadata([]).topics, [], "topics where none was asked for")

    @case
    def every_metadata_version(self):
        for version in range(14):
            answer = self.client.metadata([self.topic], version=version)
            topic, = answer.topics
            equal((answer.error, answer.left, topic.error, topic.name, [p.index for p in topic.partitions]), (NONE, 0, NONE, self.topic, [0]),
                  f"error, bytes left over, topic's error, name, partitions in version {version}")
            check(self.topic in [t.name for t in self.client.metadata(version=version).topics], f"not all topics are listed in version {version}")

    @case
    def cluster(self):
        answer = self.client.metadata([])
        check(len(answer.cluster or "") == 22, f"cluster id {answer.cluster!r}")
        (node, host, port), = answer.brokers
        equal((host, port), (self.broker.host, self.broker.port), "advertised address")
        equal(answer.controller, node, "controller")

    @case
    def delete(self):
        name = self.fresh_topic(2)
        self.client.produce_values(name, 0, b"old")
        old = self.client.topic_id(name)
        equal(self.client.delete_topic(name), NONE, "error of DeleteTopics")
        end = time.monotonic() + 10
        while self.client.metadata([name]).topics[0].error != UNKNOWN_TOPIC_OR_PARTITION:
            check(time.monotonic() < end, "the deleted topic is still there")
            time.sleep(0.02)
        equal(self.client.delete_topic(name), UNKNOWN_TOPIC_OR_PARTITION, "error of deleting it again")
        equal(self.client.fetch_one(name, 0, 0, max_wait=0).error, UNKNOWN_TOPIC_OR_PARTITION, "error of Fetch")
        equal(self.client.fetch_one(name, 0, 0, max_wait=0, version=13).error, UNKNOWN_TOPIC_ID, "error of Fetch by id")
        equal(self.client.create_topic(name, 2).error, NONE, "error of creating it again")
        self.client.ids.clear()
        check(self.client.topic_id(name) != old, "the new topic has the old id")
        equal(self.client.list_offset(name, 0).offset, 0, "end offset of the new topic")
        equal(self.client.produce_values(name, 0, b"new").base_offset, 0, "first offset of the new topic")
        equal(self.client.read_log(name, 0)[0].values(), [b"new"], "records of the new topic")

    @case
    def survives_a_restart(self):
        before = self.client.metadata()
        self.restart(unclean=False)
        after = self.client.metadata()
        equal(sorted((t.name, t.id, len(t.partitions)) for t in after.topics), sorted((t.name, t.id, len(t.partitions)) for t in before.topics),
              "topics after a restart")
        equal(after.cluster, before.cluster, "cluster id after a restart")
