"""Kafka's group tools, command by command, on Apache Kafka and on ours: both print the same, but for times, addresses and ids."""
import json
import re
import time

from groups import Member
from harness.batch import build
from harness.client import NONE, Client
from harness.report import check, equal
from harness.shell import Shell

TOOLS = "org.apache.kafka.tools."
GROUPS, LIST, CONSOLE = (TOOLS + name for name in ("consumer.group.ConsumerGroupCommand", "GroupsCommand", "consumer.ConsoleConsumer"))
PARTITIONS, RECORDS, FIRST_MS, STEP_MS = 4, 50, 1_700_000_000_000, 1000
# A second topic, so that what is said of all topics is not what is said of one.
SIZES = {"orders": PARTITIONS, "returns": 1}
MEMBERS = {"classic": "range", "modern": "consumer"}
SHARED_MAX_S = 60
SETTINGS = {"node.id": 1, "group.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 5}
REPLACED = [
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"\b(localhost|127\.0\.0\.1):\d+", "ADDRESS"),
    (r'("(?:commit|expire|currentState)\w*Timestamp"):\d+', r"\1:TIME"),
    (r"\[[^\]]*\] (?=\w+ )", ""),  # the time before a warning
    (r"Executing \S+ command|\(\S+\.java:\d+\)", ""),
    (r"console-consumer-\d+", "console-consumer-N"),
    # Member ids as librdkafka makes them up.
    (r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{22}(?![A-Za-z0-9+/_-])", "ID"),
    (r"(Valid states are:) .*", r"\1 STATES"),
    # Whether a member that leaves is alone by then, or the rest has made another generation.
    (r'"generation":[1-9]\d*', '"generation":N'),
    (r"[ \t]+", " "),
    # The epoch of a group with members: two that come while Kafka looks for the topics of their regular expression begin one, or two.
    (r"Stable (\d+) \1 ", "Stable EPOCH EPOCH "),
    (r"rdkafka (\d+) (\d+) (\S+) \2 ", r"rdkafka \1 EPOCH \3 EPOCH "),
]


def normal(text):
    """The lines of a text without what differs from run to run, in the order of the alphabet: tables and lists follow no order."""
    for pattern, by in REPLACED:
        text = re.sub(pattern, by, text)
    text = re.sub(r"\(('[^')]*'(?:, '[^')]*')+)\)", lambda names: f"({', '.join(sorted(names[1].split(', ')))})", text)
    return sorted(line.strip() for line in text.splitlines() if line.strip())


class Scenario:
    """The commands, on one broker. `said` is what each printed, by the part of the scenario."""

    def __init__(self, broker):
        self.broker, self.said, self.members = broker, {}, []

    def all(self):
        try:
            with Shell() as self.shell:
                for part in (self.prepare, self.empty_groups, self.resets, self.live_groups, self.internal_topic, self.deletes):
                    self.part = self.said.setdefault(part.__name__.replace("_", "-"), {})
                    part()
        finally:
            for member in self.members:
                member.end()
        return self.said

    def ask(self, tool, *arguments):
        done = self.shell.run(tool, "--bootstrap-server", self.broker.bootstrap, *arguments)
        label = " ".join([tool.rsplit(".", 1)[1], *(str(word).rsplit("/", 1)[-1] for word in arguments)])
        while label in self.part:
            label += " (again)"
        self.part[label] = [f"status {done.status}", *normal(done.out), *(f"error: {line}" for line in normal(done.errors))]
        return done.out

    def groups(self, *arguments):
        return self.ask(GROUPS, *arguments)

    def prepare(self):
        with Client(self.broker.bootstrap) as client:
            for topic, partitions in SIZES.items():
                equal(client.create_topic(topic, partitions, {"retention.ms": -1}).error, NONE, "error of CreateTopics")
                for partition in range(partitions):
                    for number in range(RECORDS):
                        batch = build([b"%d" % number], timestamp=FIRST_MS + number * STEP_MS)
                        equal(client.produce(topic, partition, batch).error, NONE, "error of Produce")
        for name, protocol in (("classic", "classic"), ("modern", "consumer"), ("other", "classic")):
            for topic, partitions in SIZES.items():
                if name != "other" or topic == "returns":
                    self.ask(CONSOLE, "--topic", topic, "--group", name, "--from-beginning", "--max-messages", partitions * RECORDS,
                             "--timeout-ms", 30_000, "--command-property", f"group.protocol={protocol}")

    def everywhere(self):
        for more in ([], ["--state"], ["--state", "empty"], ["--state", "Stable,Empty"], ["--state", "nonsense"], ["--type"], ["--type", "classic"],
                     ["--type", "consumer", "--state"]):
            self.groups("--list", *more)
        for more in ([], ["--group-type", "consumer"], ["--group-type", "classic"], ["--group-type", "share"], ["--protocol", "consumer"], ["--consumer"],
                     ["--share"]):
            self.ask(LIST, "--list", *more)
        for which in (["--group", "classic"], ["--group", "modern"], ["--all-groups"], ["--group", "unknown"], ["--group", "classic", "--group", "unknown"]):
            for more in ([], ["--offsets", "--verbose"], ["--members"], ["--members", "--verbose"], ["--state"], ["--state", "--verbose"]):
                self.groups("--describe", *which, *more)

    def empty_groups(self):
        self.everywhere()
        for which in (["--group", "classic"], ["--group", "unknown"]):
            self.ask(CONSOLE, "--topic", "orders", *which, "--timeout-ms", 3000)

    def resets(self):
        """Every way; each is shown without being done, then done."""
        file = self.broker.folder / "offsets.csv"
        for way in (["--to-earliest"], ["--shift-by", 7], ["--to-offset", 30], ["--shift-by", -10], ["--to-current"], ["--to-latest"],
                    ["--to-datetime", "2023-11-14T22:13:40.000"], ["--to-datetime", "2023-11-14T22:13:40.000+01:00"], ["--to-datetime", "2099-01-01T00:00:00.000"],
                    ["--by-duration", "P1D"], ["--by-duration", "P50000D"], ["--to-offset", 1000], ["--shift-by", -1000], ["--to-datetime", "nonsense"]):
            for what in (["--dry-run"], ["--execute"]):
                for group in ("classic", "modern"):
                    self.groups("--reset-offsets", "--group", group, "--topic", "orders", *way, *what)
        self.groups("--reset-offsets", "--group", "classic", "--topic", "orders:1,3", "--topic", "returns", "--to-offset", 5, "--execute")
        self.groups("--reset-offsets", "--group", "modern", "--all-topics", "--to-offset", 9, "--execute")
        exported = self.groups("--reset-offsets", "--group", "classic", "--all-topics", "--shift-by", 2, "--export", "--dry-run")
        file.write_text("".join(f"{line}\n" for line in exported.splitlines() if line.count(",") == 2))
        self.groups("--reset-offsets", "--group", "classic", "--from-file", file, "--execute")
        self.groups("--reset-offsets", "--all-groups", "--all-topics", "--to-earliest", "--export", "--dry-run")
        self.groups("--reset-offsets", "--all-groups", "--topic", "returns", "--to-offset", 11, "--execute")
        for group, topic in (("fresh", "orders"), ("classic", "unknown"), ("classic", "orders:9"), ("", "orders")):
            self.groups("--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute")
        self.groups("--describe", "--all-groups")

    def live_groups(self):
        for group, strategy in MEMBERS.items():
            for _ in range(2):
                self.members.append(Member("confluent", self.broker, group, "orders", strategy))
        # Until each has its half and has read it: a member hears of the other with its next heartbeat, up to 5 s later.
        end = time.monotonic() + SHARED_MAX_S
        while True:
            for member in self.members:
                member.send("idle 4")
            counts = [int(member.receive()) for member in self.members]
            if all(counts) and self.are_stable():
                break
            check(time.monotonic() < end, f"not each member has its half, and has read it, after {SHARED_MAX_S} s: {counts}")
        for member in self.members:
            equal(member.ask("commit"), "committed", "commit")
        self.everywhere()
        for group in MEMBERS:
            for way in (["--reset-offsets", "--topic", "orders", "--to-earliest", "--execute"], ["--reset-offsets", "--topic", "orders", "--to-earliest", "--dry-run"],
                        ["--delete-offsets", "--topic", "orders"], ["--delete-offsets", "--topic", "returns"], ["--delete"]):
                self.groups("--group", group, *way)
        for member in self.members:
            equal(member.ask("leave"), "left", "leaving")
        self.groups("--describe", "--all-groups", "--state")

    def are_stable(self):
        """Whether each group has its two members, and each of them its half."""
        out = self.shell.run(GROUPS, "--bootstrap-server", self.broker.bootstrap, "--describe", "--all-groups", "--state").out
        return all(re.search(rf"^{group} .* Stable +2\s*$", out, re.M) for group in MEMBERS)

    def internal_topic(self):
        """What stands in __consumer_offsets at last, as Kafka's own classes print it."""
        for formatter in ("OffsetsMessageFormatter", "GroupMetadataMessageFormatter"):
            done = self.shell.run(CONSOLE, "--bootstrap-server", self.broker.bootstrap, "--topic", "__consumer_offsets", "--from-beginning",
                                  "--timeout-ms", 5000, "--formatter", f"{TOOLS}consumer.{formatter}")
            last, decoder, at = {}, json.JSONDecoder(), 0
            out = done.out.strip()
            while at < len(out):
                record, at = decoder.raw_decode(out, at)
                at += len(out[at:]) - len(out[at:].lstrip())
                last[json.dumps(record["key"])] = record["value"]
            self.part[formatter] = sorted(line for key, value in last.items() for line in normal(f"{key} {json.dumps(value, separators=(',', ':'))}"))

    def deletes(self):
        self.groups("--delete-offsets", "--group", "classic", "--topic", "orders:0", "--topic", "orders:9")
        self.groups("--delete-offsets", "--group", "modern", "--topic", "orders")
        self.groups("--delete-offsets", "--group", "modern", "--topic", "unknown")
        self.groups("--delete-offsets", "--group", "unknown", "--topic", "orders")
        self.groups("--describe", "--all-groups")
        self.groups("--delete", "--group", "classic", "--group", "unknown")
        self.groups("--list")
        self.groups("--delete", "--all-groups")
        self.groups("--list")
        self.groups("--describe", "--group", "classic")


def difference(ours, kafkas):
    """The lines that only one of them has."""
    return "; ".join([f"only Kafka: {line}" for line in kafkas if line not in ours] + [f"only ours: {line}" for line in ours if line not in kafkas]
                     or [f"{len(ours)} lines, not {len(kafkas)}"])


def compare(ours, kafkas):
    differing = [f"`{label}`: {difference(ours.get(label, []), lines)}" for label, lines in kafkas.items() if ours.get(label) != lines]
    check(not differing, f"{len(differing)} of {len(kafkas)} commands differ; {' | '.join(differing[:5])}")
    return f"{len(kafkas)} commands say the same, {sum(map(len, kafkas.values()))} lines"


def play(report, name, scenario, broker):
    """What each command of the scenario printed on this broker; nothing if that could not be found out."""
    said = {}
    try:
        if report.run(f"{name}/start-{broker.name}", broker.start):
            report.run(f"{name}/on-{broker.name}", lambda: said.update(scenario(broker).all()))
    finally:
        broker.close()
    return said


def side_by_side(report, name, scenario, ours, reference):
    """Plays a scenario on the reference, then on ours, and compares part by part."""
    kafkas, said = play(report, name, scenario, reference), play(report, name, scenario, ours)
    for part, commands in kafkas.items():
        report.run(f"{name}/{part}", compare, said.get(part, {}), commands)


def run(report, ours, reference):
    side_by_side(report, "group-tools", Scenario, ours(settings=SETTINGS), reference(settings=SETTINGS))
