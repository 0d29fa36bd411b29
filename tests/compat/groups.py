"""Consumer groups of both protocols: real clients share a topic, resume where they were, over restarts and from broker to broker."""
import re
import subprocess
import time
from pathlib import Path

from harness import install
from harness.batch import build
from harness.broker import Kafka
from harness.client import NONE, Client
from harness.report import check, equal
from kafka_directory import OnKafkasFile
from tools import Tools

HERE = Path(__file__).resolve().parent
PARTITIONS, RECORDS = 4, 50
STRATEGIES = {"confluent": ["range", "cooperative-sticky", "consumer"], "kafka-python": ["range"], "aiokafka": ["range"]}


class Member:
    """A client in a process of its own."""

    def __init__(self, client, broker, group, topic, strategy):
        command = [install.python(), HERE / "clients" / "group.py", client, broker.bootstrap, group, topic, strategy]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline().strip()
        check(line, f"the client ended: {self.process.poll()}")
        return line

    def ask(self, line):
        self.send(line)
        return self.receive()

    def end(self):
        self.process.kill()
        self.process.wait()


def produce(broker, topic, count=RECORDS):
    """So many records into each partition, of which each is one batch."""
    with Client(broker.bootstrap) as client:
        client.wait_for_topic(topic, PARTITIONS)
        for partition in range(PARTITIONS):
            answer = client.produce(topic, partition, build([b"value %d" % n for n in range(count)]))
            equal(answer.error, NONE, "error of Produce")


class Groups(Tools):
    def all(self):
        for client, strategies in STRATEGIES.items():
            for strategy in strategies:
                self.report.run(f"groups/{client}/{strategy}", self.share_and_resume, client, strategy, strategy)
        # From one protocol to the other and back, with members: KIP-848's migration.
        for first, second in (("range", "consumer"), ("consumer", "cooperative-sticky")):
            self.report.run(f"groups/confluent/{first}-to-{second}", self.share_and_resume, "confluent", first, second)
        self.report.run("groups/tools", self.tools)
        self.report.run("groups/consumer-protocol-tools", self.consumer_protocol)

    def share_and_resume(self, client, strategy, other):
        """One member reads and commits, another comes and takes its part, the first leaves, and nobody sees a record again."""
        topic, group = self.create(f"{client}-{strategy}-{other}", PARTITIONS), self.name(f"g-{client}-{strategy}-{other}")
        produce(self.broker, topic)
        first = Member(client, self.broker, group, topic, strategy)
        second = None
        try:
            everything = PARTITIONS * RECORDS
            equal(first.ask(f"count {everything}"), str(everything), "records that the first saw")
            equal(first.ask("commit"), "committed", "commit")
            second = Member(client, self.broker, group, topic, other)
            # Both have to poll while they share.
            first.send("idle 6")
            second.send("idle 6")
            equal((first.receive(), second.receive()), (str(everything), "0"), "records seen while the second came")
            produce(self.broker, topic)
            first.send(f"count {everything + everything // 2}")
            second.send(f"count {everything // 2}")
            seen = int(first.receive()), int(second.receive())
            equal(seen, (everything + everything // 2, everything // 2), "records that each saw")
            equal((first.ask("commit"), second.ask("commit")), ("committed", "committed"), "commits")
            equal(first.ask("leave"), "left", "leaving")
            # What it read before it has heard of that would be read again.
            equal(second.ask("idle 5"), str(everything // 2), "records seen while the first left")
            produce(self.broker, topic)
            equal(second.ask(f"count {everything // 2 + everything}"), str(everything // 2 + everything), "records that the second saw alone")
            equal((second.ask("commit"), second.ask("leave")), ("committed", "left"), "the last words")
        finally:
            for member in filter(None, (first, second)):
                member.end()
        equal(self.offsets(group), {partition: 3 * RECORDS for partition in range(PARTITIONS)}, "committed offsets")

    def consumer_protocol(self):
        """Java's consumer by the protocol of KIP-848, and what the tools say of its group."""
        topic, group = self.create("modern", PARTITIONS), self.name("g-modern")
        produce(self.broker, topic)
        everything = PARTITIONS * RECORDS
        member = Member("confluent", self.broker, group, topic, "consumer")
        try:
            equal(member.ask(f"count {everything}"), str(everything), "records that the member saw")
            equal(member.ask("commit"), "committed", "commit")
            check(re.search(rf"^{group}\s+Stable", self.group_command("--list", "--state"), re.M), "the group is not listed as stable")
            check(re.search(rf"^{group}\s+Consumer\s+consumer", self.ask("GroupsCommand", "--list"), re.M), "the group is not listed as one of consumers")
            out = self.group_command("--describe", "--group", group, "--state", "--verbose")
            check(re.search(rf"^{group}\s+\S+\s+\(\d+\)\s+uniform\s+Stable\s+(\d+)\s+\1\s+1\s*$", out, re.M), f"the state: {out}")
            out = self.group_command("--describe", "--group", group, "--members", "--verbose")
            everywhere = rf"{topic}:0,1,2,3"
            check(re.search(rf"^{group} .* {PARTITIONS}\s+(\d+)\s+{everywhere}\s+\1\s+{everywhere}", out, re.M), f"the members: {out}")
            equal(self.offsets(group), {partition: RECORDS for partition in range(PARTITIONS)}, "offsets")
            self.group_command("--delete", "--group", group)
            check(re.search(rf"^{group}\s+Stable", self.group_command("--list", "--state"), re.M), "a group with members was deleted")
            equal(member.ask("leave"), "left", "leaving")
        finally:
            member.end()
        produce(self.broker, topic)
        out = self.ask("consumer.ConsoleConsumer", "--topic", topic, "--group", group, "--command-property", "group.protocol=consumer",
                       "--max-messages", everything, "--timeout-ms", 30_000)
        equal(len(out.splitlines()), everything, "lines of the console consumer, from where the other left")
        equal(self.offsets(group), {partition: 2 * RECORDS for partition in range(PARTITIONS)}, "offsets after it")
        check("successful" in self.group_command("--delete", "--group", group), "the group is not deleted")

    def offsets(self, group):
        out = self.ask("consumer.group.ConsumerGroupCommand", "--describe", "--group", group)
        rows = [line.split() for line in out.splitlines() if line.startswith(group)]
        return {int(row[2]): int(row[3]) for row in rows}

    def group_command(self, *arguments, **more):
        return self.ask("consumer.group.ConsumerGroupCommand", *arguments, **more)

    def tools(self):
        topic, group = self.create("shared", PARTITIONS), self.name("g-tools")
        produce(self.broker, topic)
        everything = PARTITIONS * RECORDS
        out = self.ask("consumer.ConsoleConsumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", everything,
                       "--timeout-ms", 20_000)
        equal(len(out.splitlines()), everything, "lines of the console consumer")
        check(re.search(rf"^{group}\s+Empty", self.group_command("--list", "--state"), re.M), "the group is not listed as empty")
        check(re.search(rf"^{group}\s+Classic\s+consumer", self.ask("GroupsCommand", "--list"), re.M), "the group is not listed as classic")
        wanted = {partition: RECORDS for partition in range(PARTITIONS)}
        equal(self.offsets(group), wanted, "offsets")
        out = self.group_command("--describe", "--group", group, "--state")
        check(re.search(r"\bEmpty\s+0\b", out), f"the state: {out}")
        for options, offset in ((["--to-earliest"], 0), (["--shift-by", 7], 7), (["--to-offset", 30], 30), (["--shift-by", -10], 20), (["--to-latest"], RECORDS)):
            self.group_command("--group", group, "--reset-offsets", *options, "--topic", topic, "--execute")
            equal(self.offsets(group), {partition: offset for partition in range(PARTITIONS)}, f"offsets after {options}")
        self.group_command("--group", group, "--delete-offsets", "--topic", f"{topic}:0")
        check(0 not in self.offsets(group), "a deleted offset is still there")
        check("successful" in self.group_command("--delete", "--group", group), "the group is not deleted")
        check(group not in self.group_command("--list").split(), "a deleted group is still listed")


def committed(broker, group, topic):
    """What a consumer would begin at; a broker that has just started may still be reading its groups."""
    script = ("import sys\nfrom confluent_kafka import Consumer, KafkaException, TopicPartition\n"
              "c = Consumer({'bootstrap.servers': sys.argv[1], 'group.id': sys.argv[2]})\n"
              f"print(*(p.offset for p in c.committed([TopicPartition(sys.argv[3], n) for n in range({PARTITIONS})], timeout=10)))")
    end = time.monotonic() + 30
    while True:
        done = subprocess.run([install.python(), "-c", script, broker.bootstrap, group, topic], capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return [int(number) for number in done.stdout.split()]
        check(time.monotonic() < end, done.stderr[-300:])


# Of each protocol a group whose member leaves before the brokers change places, and one whose member is killed and still in the group.
MOVED = [(strategy, ends) for strategy in ("range", "cooperative-sticky", "consumer") for ends in ("leaves", "dies")]
# The new broker misses the killed member for so long.
SESSIONS = {"group.consumer.session.timeout.ms": 6000, "group.consumer.min.session.timeout.ms": 1000,
            "group.consumer.heartbeat.interval.ms": 1000, "group.consumer.min.heartbeat.interval.ms": 1000}


class Moving:
    """Groups that have consumed on Apache Kafka go on at their offsets on ours, and back again."""

    def __init__(self, kafka, report):
        self.kafka = kafka
        names = Groups(kafka, report)
        self.groups = {names.name(f"g-{strategy}-{ends}"): (strategy, ends) for strategy, ends in MOVED}
        self.topic = None

    def turn(self, turn, broker):
        """All that was produced in this turn is read, once; what was committed before is where it begins."""
        produce(broker, self.topic)
        everything = str(PARTITIONS * RECORDS)
        members = {}
        try:
            for group, (strategy, _) in self.groups.items():
                equal(committed(broker, group, self.topic), [turn * RECORDS if turn else -1001] * PARTITIONS, f"offsets of {group} in turn {turn}")
                members[group] = Member("confluent", broker, group, self.topic, strategy)
                members[group].send(f"count {everything}")
            for group, member in members.items():
                equal(member.receive(), everything, f"records that {group} read in turn {turn}")
            for group, member in members.items():
                equal(member.ask("idle 1"), everything, f"records that {group} had read a second later")
                equal(member.ask("commit"), "committed", f"commit of {group}")
                if self.groups[group][1] == "leaves":
                    equal(member.ask("leave"), "left", f"leaving {group}")
        finally:
            for member in members.values():
                member.end()

    def all(self):
        ours = None
        try:
            for turn in range(3):
                broker = self.kafka
                if turn == 1:
                    broker = ours = OnKafkasFile(self.kafka)
                broker.start()
                if not turn:
                    with Client(broker.bootstrap) as client:
                        self.topic = "moved"
                        equal(client.create_topic(self.topic, PARTITIONS).error, NONE, "error of CreateTopics")
                self.turn(turn, broker)
                broker.stop()
        finally:
            if ours is not None:
                ours.close()
            self.kafka.close()
        return f"{len(self.groups)} groups"


def run(report):
    report.run("groups/from-kafka-and-back", Moving(Kafka(SESSIONS), report).all)
