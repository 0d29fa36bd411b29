"""One data directory, served by Apache Kafka and by our broker in turns, each after a clean stop of the other."""
import shutil
import subprocess
import time

from harness import install
from harness.batch import build, record
from harness.broker import Duramen, Kafka
from harness.client import NONE, OUT_OF_ORDER_SEQUENCE_NUMBER, Client
from harness.report import Report, check, equal
from harness.wire import Writer
from matrix import Matrix
from tools import Tools

DESCRIBE_CONFIGS = 32
TOPIC, BROKER = 2, 4
ALL_BROKERS, ONE_BROKER = "", "1"
COMPACTED, CONFIGURED, SEQUENCED = "compacted", "configured.topic", "sequenced"
CONFIGS = {"retention.ms": "-1", "max.message.bytes": "2000000", "message.timestamp.type": "LogAppendTime", "segment.bytes": "1048576"}
COMPACTION = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "1000", "delete.retention.ms": "86400000"}
# Kafka cleans soon, so that the test need not wait, and both put the metadata into snapshots.
EAGER = {"log.cleaner.backoff.ms": 100, "log.initial.task.delay.ms": 100, "metadata.log.max.record.bytes.between.snapshots": 1500}
ROUNDS, KEYS = 8, 20


class OnKafkasFile(Duramen):
    """Our broker with Kafka's server.properties, on Kafka's data and port."""

    def __init__(self, kafka):
        super().__init__(data=kafka.data)
        self.bootstrap, self.host, self.port = kafka.bootstrap, kafka.host, kafka.port
        self.properties = kafka.folder / "server.properties"

    def command(self):
        return [str(install.broker_binary()), "serve", str(self.properties), "--set", f"core.count={self.cores}"]


def keyed(number, pairs, timestamp):
    """A batch of records with keys; `number` tells the batches apart."""
    payload = b"".join(
        record(delta, None if value is None else b"%d %s" % (number, value), b"key %d" % key) for delta, (key, value) in enumerate(pairs))
    return build([b""] * len(pairs), payload=payload, timestamp=timestamp)


def topic_configs(client, topic):
    """What is set for a topic itself."""
    return own_configs(client, TOPIC, topic, 1)


def broker_configs(client):
    """What was set for brokers while they ran."""
    return own_configs(client, BROKER, ONE_BROKER, 2), own_configs(client, BROKER, ALL_BROKERS, 3)


def own_configs(client, kind, resource, wanted_source):
    w = Writer()
    w.array([resource], lambda name: w.int8(kind).string(name).array(None, None)).int8(0)
    r = client.request(DESCRIBE_CONFIGS, 1, w.parts)
    r.int32()

    def config():
        name, value, _read_only, source, _sensitive = r.string(), r.string(), r.int8(), r.int8(), r.int8()
        r.array(lambda: (r.string(), r.string(), r.int8()))
        return name, value, source

    (error, *_, configs), = r.array(lambda: (r.int16(), r.string(), r.int8(), r.string(), r.array(config)))
    equal(error, NONE, "error of DescribeConfigs")
    return {name: value for name, value, source in configs if source == wanted_source}


def topic_ids(client):
    return {topic.name: (topic.id, len(topic.partitions)) for topic in client.metadata().topics}


def content(client, topic, partition):
    """All batches; of the compacted topic, which may be compacted at any time, the last value of each key."""
    batches = client.read_log(topic, partition, client.list_offset(topic, partition, timestamp=-2).offset)
    if topic == COMPACTED:
        return {key: value for batch in batches for key, value in batch.pairs()}
    return [batch.raw for batch in batches]


class Sequenced:
    """An idempotent producer that goes on over the brokers."""

    def __init__(self, client):
        self.producer, self.sent = client.init_producer_id(), []
        for _ in range(3):
            self.send(client)

    def batch(self, number):
        return build([b"sequenced %d" % number], producer=(self.producer.id, self.producer.epoch, number), timestamp=self.began + number)

    began = int(time.time() * 1000)

    def send(self, client):
        answer = client.produce(SEQUENCED, 0, self.batch(len(self.sent)))
        equal(answer.error, NONE, f"error of sequence {len(self.sent)}")
        self.sent.append(answer.base_offset)

    def goes_on(self, client):
        last = len(self.sent) - 1
        again = client.produce(SEQUENCED, 0, self.batch(last))
        equal((again.error, again.base_offset), (NONE, self.sent[last]), "error, offset of a repeat of the last batch")
        equal(client.produce(SEQUENCED, 0, self.batch(last + 2)).error, OUT_OF_ORDER_SEQUENCE_NUMBER, "error of a batch that leaves one out")
        self.send(client)


class KafkaDirectory:
    def __init__(self, report):
        self.report = report
        self.kafka = Kafka(settings=EAGER)
        self.ours = OnKafkasFile(self.kafka)
        self.matrices = []
        self.logs, self.configs, self.ids, self.broker_configs = {}, {}, {}, ({}, {})

    def close(self):
        for matrix in self.matrices:
            matrix.close()
        self.ours.close()
        self.kafka.close()

    # -- what both do ------------------------------------------------------------------------------------------------

    def write(self, broker):
        """All codecs, by the Java client."""
        matrix = Matrix(broker, Report())
        matrix.run += f"-{len(self.matrices)}"
        self.matrices.append(matrix)
        matrix.write("java")

    def remember(self, client):
        """Everything that the other broker must find."""
        self.ids = topic_ids(client)
        partitions = [(name, partition) for name, (_, count) in self.ids.items() if not name.startswith("__") for partition in range(count)]
        self.logs = {where: content(client, *where) for where in partitions}
        self.configs = {name: topic_configs(client, name) for name in self.ids}
        self.broker_configs = broker_configs(client)

    def same(self, broker):
        with Client(broker.bootstrap) as client:
            for name, (_, count) in self.ids.items():
                client.wait_for_topic(name, count)
            equal(topic_ids(client), self.ids, "topics")
            for name, wanted in self.configs.items():
                got = topic_configs(client, name)
                # Kafka shows this one as set for every topic when eligible leader replicas are in force.
                got.pop("min.insync.replicas", None), wanted.pop("min.insync.replicas", None)
                equal(got, wanted, f"configs of {name}")
            equal(broker_configs(client), self.broker_configs, "settings of brokers")
            for where, wanted in self.logs.items():
                got = content(client, *where)
                check(got == wanted, f"{where} has {len(got)} batches or keys, and they are not the {len(wanted)} that were there")
        for matrix in self.matrices:
            matrix.broker = broker
            wrong = {where: difference for where, difference in matrix.read_with("confluent").items() if difference}
            check(not wrong, str(wrong))

    def made_snapshot(self, epoch):
        """Waits for a snapshot of the metadata that the controller of this epoch has made."""
        end = time.monotonic() + 10
        while not list(self.kafka.data.glob(f"__cluster_metadata-0/*-{epoch:010}.checkpoint")):
            check(time.monotonic() < end, f"no metadata snapshot of epoch {epoch}")
            time.sleep(0.1)

    def hand_over(self, before, after):
        with Client(before.bootstrap) as client:
            self.remember(client)
        before.stop()
        found = subprocess.run([install.broker_binary(), "log", "verify", before.data], capture_output=True, text=True)
        check(found.returncode == 0, f"files of {before.name} have faults: {found.stdout[-1000:]}{found.stderr}")
        after.start()

    # -- the turns ---------------------------------------------------------------------------------------------------

    def kafka_writes(self):
        self.kafka.start()
        self.write(self.kafka)
        with Client(self.kafka.bootstrap) as client:
            for name, configs in ((COMPACTED, COMPACTION), (CONFIGURED, CONFIGS), (SEQUENCED, {})):
                equal(client.create_topic(name, 1, configs).error, NONE, f"error of CreateTopics of {name}")
            client.produce_values(CONFIGURED, 0, b"configured")
            for name, key, value in ((ALL_BROKERS, "log.roll.jitter.ms", 77), (ONE_BROKER, "log.retention.bytes", 10**12), (ONE_BROKER, "num.io.threads", 9)):
                equal(client.set_config(name, key, value, BROKER), NONE, f"{key} of brokers")
            self.sequenced = Sequenced(client)
            # What Kafka stamps lies 2 s apart, so that each batch begins a segment.
            began = int(time.time() * 1000) - 2000 * ROUNDS
            for number in range(ROUNDS):
                pairs = [(key, None if (key, number) == (3, ROUNDS - 3) else b"value") for key in range(KEYS)]
                equal(client.produce(COMPACTED, 0, keyed(number, pairs, began + 2000 * number)).error, NONE, "error of Produce")
            self.compacted(client)
        Tools(self.kafka, self.report).run_class("kafka.admin.ConfigCommand", "--bootstrap-server", self.kafka.bootstrap, "--alter",
                                                 "--entity-type", "users", "--entity-name", "someone", "--add-config", "producer_byte_rate=1000000")

    def compacted(self, client):
        """Waits until Kafka has cleaned all segments but the last two."""
        end = time.monotonic() + 20
        while sum(batch.count for batch in client.read_log(COMPACTED, 0)) > 2 * KEYS + 1:
            check(time.monotonic() < end, "Kafka has not compacted the topic within 20 s")
            time.sleep(0.1)

    def ours_opens(self):
        self.made_snapshot(1)
        self.hand_over(self.kafka, self.ours)
        log = self.ours.log_tail(50)
        check("client quotas" in log, f"nothing is said of the quota that is not enforced: {log}")
        check("cut off" not in log and "made anew" not in log, f"a directory that was stopped cleanly needed recovery: {log}")
        self.same(self.ours)

    def ours_goes_on(self):
        with Client(self.ours.bootstrap) as client:
            self.sequenced.goes_on(client)
            pairs = [(key, b"ours") for key in range(KEYS)]
            equal(client.produce(COMPACTED, 0, keyed(ROUNDS, pairs, int(time.time() * 1000))).error, NONE, "error of Produce")
            equal(client.produce_values(CONFIGURED, 0, b"ours").error, NONE, "error of Produce")
            equal([set(configs) for configs in broker_configs(client)], [{"log.retention.bytes", "num.io.threads"}, {"log.roll.jitter.ms", "min.insync.replicas"}],
                  "settings of brokers")
            for name, key, value in ((ALL_BROKERS, "log.roll.jitter.ms", 99), (ONE_BROKER, "log.index.interval.bytes", 8192)):
                equal(client.set_config(name, key, value, BROKER), NONE, f"{key} of brokers")
            equal(client.create_topic("made-by-us", 3, {"retention.bytes": "1000000000"}).error, NONE, "error of CreateTopics")
            client.produce_values("made-by-us", 2, b"ours")
        self.write(self.ours)
        self.made_snapshot(2)
        with Client(self.ours.bootstrap) as client:
            self.remember(client)
        self.ours.cores = 1
        self.ours.restart(unclean=True)
        self.same(self.ours)

    def kafka_opens(self):
        self.hand_over(self.ours, self.kafka)
        log = self.kafka.log_tail(2000)
        check("was not shutdown cleanly" not in log and "unclean" not in log.lower(), f"Kafka takes our stop for a crash: {log[-2000:]}")
        self.same(self.kafka)
        with Client(self.kafka.bootstrap) as client:
            self.sequenced.goes_on(client)
            equal(client.create_topic("made-by-kafka", 2).error, NONE, "error of CreateTopics")
        self.write(self.kafka)
        out = Tools(self.kafka, self.report).run_class("kafka.admin.ConfigCommand", "--bootstrap-server", self.kafka.bootstrap, "--describe",
                                                       "--entity-type", "users", "--entity-name", "someone")
        check("producer_byte_rate=1000000" in out, f"the quota is lost: {out}")

    def ours_again(self):
        self.hand_over(self.kafka, self.ours)
        self.same(self.ours)
        with Client(self.ours.bootstrap) as client:
            self.sequenced.goes_on(client)

    def kafka_on_new(self):
        """A directory that our broker made."""
        self.ours.stop()
        shutil.rmtree(self.kafka.data)
        self.matrices, self.logs, self.configs, self.ids = [], {}, {}, {}
        self.ours.start()
        self.write(self.ours)
        with Client(self.ours.bootstrap) as client:
            equal(client.create_topic(CONFIGURED, 2, CONFIGS).error, NONE, "error of CreateTopics")
        self.hand_over(self.ours, self.kafka)
        self.same(self.kafka)
        with Client(self.kafka.bootstrap) as client:
            client.produce_values(CONFIGURED, 1, b"kafka")
        self.hand_over(self.kafka, self.ours)
        self.same(self.ours)

    def run(self):
        for step in (self.kafka_writes, self.ours_opens, self.ours_goes_on, self.kafka_opens, self.ours_again, self.kafka_on_new):
            if not self.report.run(f"kafka-directory/{step.__name__.replace('_', '-')}", step):
                return


def run(report):
    directory = KafkaDirectory(report)
    try:
        directory.run()
    finally:
        directory.close()
