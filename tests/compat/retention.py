"""Retention beside Apache Kafka's: the same batches in the same small segments, and after each change of a setting the same records left.

Settings are changed while nobody writes: a look that comes between two appends ends an old active segment, in both brokers.
"""
import random
import time

from harness import batch as batches
from harness.broker import Duramen, Kafka
from harness.client import NONE, Client
from harness.report import check, equal

SEED = 11
HOUR = 3_600_000
SETTINGS = {"log.retention.check.interval.ms": 100, "log.initial.task.delay.ms": 100, "log.segment.delete.delay.ms": 200}
KEEP = {"retention.ms": -1, "retention.bytes": -1, "message.timestamp.after.max.ms": 2 ** 62, "internal.segment.bytes": 6000}

# Topic: its settings, the age of its records in hours by number, and the steps: (setting, value), or ("delete", offset).
AGES = {
    "bytes": ({}, lambda n: 1, [("retention.bytes", value) for value in (10 ** 9, 150_000, 60_000, 59_000, 20_000, 1, 0)]),
    "age": ({}, lambda n: 300 - 2 * n, [("retention.ms", hours * HOUR) for hours in (400, 290, 200, 120, 61, 0)]),
    "unordered": ({}, lambda n: 300 - 2 * n + (n * 37) % 50, [("retention.ms", hours * HOUR) for hours in (290, 250, 200, 100, 50)]),
    # One record of the future holds its segment, and all behind it.
    "future": ({}, lambda n: -1000 if n == 60 else 200, [("retention.ms", 100 * HOUR), ("retention.ms", HOUR)]),
    "rolled": ({"segment.ms": 5 * HOUR}, lambda n: 300 - 2 * n, [("retention.ms", hours * HOUR) for hours in (295, 290, 289, 200, 3)]),
    # Without timestamps a segment is as old as its file.
    "timeless": ({}, lambda n: None, [("retention.ms", HOUR), ("retention.ms", 1)]),
    "deleted": ({}, lambda n: 1, [("delete", 7), ("delete", 100), ("retention.bytes", 60_000), ("delete", 231), ("retention.bytes", 0), ("delete", -1)]),
    "compacted": ({"cleanup.policy": "compact", "min.cleanable.dirty.ratio": 1, "min.compaction.lag.ms": 2 ** 60}, lambda n: 200,
                  [("retention.ms", HOUR), ("retention.bytes", 0), ("cleanup.policy", "delete")]),
}
BATCHES = 120


class Retention:
    def __init__(self, report, brokers):
        self.report, self.brokers = report, brokers
        self.now_ms = int(time.time() * 1000)
        self.seen = {}

    def start(self, broker):
        return f"answered after {broker.start():.3f} s"

    def write(self, broker):
        """The same on each broker, byte for byte."""
        with Client(broker.bootstrap) as client:
            for name, (configs, age, _) in AGES.items():
                draw = random.Random(f"{SEED}{name}")
                equal(client.create_topic(name, configs={**KEEP, **configs}).error, NONE, f"creating {name}")
                for number in range(BATCHES):
                    values = [draw.randbytes(draw.randrange(100, 1000)) for _ in range(draw.randrange(1, 4))]
                    hours = age(number)
                    timestamp = -1 if hours is None else self.now_ms - hours * HOUR
                    records = [batches.record(delta, value, key=b"%d" % draw.randrange(5)) for delta, value in enumerate(values)]
                    answer = client.produce(name, 0, batches.build(values, timestamp=timestamp, payload=b"".join(records)))
                    equal(answer.error, NONE, f"producing to {name}")

    @staticmethod
    def settled(client, names):
        """Where each log begins and ends, once that does not change any more, and the batches that are left."""
        last, since = None, time.monotonic()
        while time.monotonic() - since < 1.2:
            now = {name: tuple(client.list_offset(name, 0, when).offset for when in (-2, -1)) for name in names}
            if now != last:
                last, since = now, time.monotonic()
            time.sleep(0.05)
        return {name: (ends, [(batch.base_offset, batch.size) for batch in client.read_log(name, 0, ends[0])]) for name, ends in last.items()}

    def step(self, broker, number):
        """Every topic goes one step on."""
        with Client(broker.bootstrap) as client:
            mine = self.seen.setdefault(broker.name, {})
            going = {name: steps[number] for name, (_, _, steps) in AGES.items() if number < len(steps)}
            for name, (what, value) in going.items():
                if what == "delete":
                    error, low = client.delete_records(name, 0, value)
                    mine[name, number, "deleted"] = error, low
                else:
                    equal(client.set_config(name, what, value), NONE, f"{what}={value} of {name}")
            time.sleep(0.3)
            for name, left in self.settled(client, going).items():
                mine[name, number, "left"] = left

    def same(self):
        ours, kafkas = self.seen["duramen"], self.seen["kafka"]
        equal(sorted(ours), sorted(kafkas), "steps")
        for (name, number, what), got in ours.items():
            equal(got, kafkas[name, number, what], f"{what} of {name} after {AGES[name][2][number]}")
        starts = {left[0][0] for (_, _, what), left in ours.items() if what == "left"}
        check(len(starts) > 15, f"only {len(starts)} different starts were seen")
        return f"{len(ours)} looks, {len(starts)} different starts"

    def restarted(self, broker, unclean):
        """Every log begins and ends where it did, and nothing is left of what went."""
        broker.restart(unclean=unclean)
        with Client(broker.bootstrap) as client:
            for name in AGES:
                client.wait_for_topic(name)
            for name, left in self.settled(client, AGES).items():
                equal(left, self.seen[broker.name][name, len(AGES[name][2]) - 1, "left"], f"{name} after a restart")
        left = sorted(str(path) for path in broker.data.rglob("*.deleted"))
        equal(left, [], "files that retention left")

    def run(self):
        for broker in self.brokers:
            if not self.report.run(f"retention/start/{broker.name}", self.start, broker):
                return
            self.report.run(f"retention/write/{broker.name}", self.write, broker)
            for number in range(max(len(steps) for _, _, steps in AGES.values())):
                self.report.run(f"retention/step-{number}/{broker.name}", self.step, broker, number)
            for unclean in (True, False):
                self.report.run(f"retention/restart/{broker.name}/{'kill' if unclean else 'stop'}", self.restarted, broker, unclean)
            broker.stop()
        if len(self.seen) == 2:
            self.report.run("retention/same", self.same)


def run(report, against):
    brokers = [Kafka(SETTINGS)] if against == "kafka" else [Duramen(2, SETTINGS), Kafka(SETTINGS)]
    try:
        Retention(report, brokers).run()
    finally:
        for broker in brokers:
            broker.close()
