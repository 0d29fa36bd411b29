"""Java's verifiable clients on one group while members and the broker are killed: every record is seen, and nothing again that was committed."""
import json
import re
import subprocess
import time

from harness import install
from harness.client import Client
from harness.report import Failed, check, equal
from harness.shell import Shell

TOOLS = "org.apache.kafka.tools."
PARTITIONS, RECORDS, RATE = 12, 300_000, 10_000
MEMBERS = 3
STABLE_SECONDS = 10
# A killed member is missed for as long as its session; both protocols are given the same.
SETTINGS = {
    "group.consumer.session.timeout.ms": 6000, "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.heartbeat.interval.ms": 1000, "group.consumer.min.heartbeat.interval.ms": 1000,
}


class Verifiable:
    """One of the verifiable clients; what it prints goes to a file, one event a line."""

    def __init__(self, broker, tool, name, *arguments):
        self.name, self.path = name, broker.folder / f"{name}.events"
        with open(self.path, "w") as out, open(broker.folder / f"{name}.log", "w") as errors:
            command = install.java_command(TOOLS + tool, "--bootstrap-server", broker.bootstrap, *arguments)
            self.process = subprocess.Popen(command, stdout=out, stderr=errors, stdin=subprocess.DEVNULL)
        self.read, self.found = 0, []

    def events(self, *names):
        """All whole lines so far, parsed once."""
        with open(self.path, "rb") as file:
            file.seek(self.read)
            lines = file.read()
        whole = lines[:lines.rfind(b"\n") + 1]
        self.read += len(whole)
        self.found += [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
        return [event for event in self.found if event["name"] in names]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=60):
        """As Ctrl-C: it leaves its group."""
        self.process.terminate()
        self.process.wait(seconds)


class Run:
    def __init__(self, broker, protocol, shell):
        self.broker, self.protocol, self.shell = broker, protocol, shell
        self.topic, self.group = f"faults-{protocol}", f"g-faults-{protocol}"
        self.consumers, self.clients, self.took = [], [], []

    def consumer(self):
        arguments = ["--topic", self.topic, "--group-id", self.group, "--group-protocol", self.protocol, "--reset-policy", "earliest"]
        if self.protocol == "classic":
            arguments += ["--session-timeout", 6000]
        consumer = Verifiable(self.broker, "VerifiableConsumer", f"{self.protocol}-{len(self.consumers)}", *arguments)
        self.consumers.append(consumer)
        self.clients.append(consumer)
        return consumer

    def producer(self):
        """Each record once, whatever happens to the broker."""
        settings = self.broker.folder / "producer.properties"
        settings.write_text("retries=2147483647\nenable.idempotence=true\n")
        producer = Verifiable(self.broker, "VerifiableProducer", f"{self.protocol}-producer", "--topic", self.topic, "--max-messages", RECORDS,
                              "--throughput", RATE, "--acks", -1, "--command-config", settings)
        self.clients.append(producer)
        return producer

    def seen(self):
        return sum(event["count"] for consumer in self.consumers for event in consumer.events("records_consumed"))

    def wait(self, condition, seconds, what):
        """Polls until the condition holds; returns the seconds that it took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                last = {client.name: client.found[-1:] for client in self.clients}
                raise Failed(f"after {seconds} s still not: {what}; before: {self.took}; the consumers saw {self.seen()}; {self.state()}; last events: {last}")
            time.sleep(0.1)
        self.took.append(f"{what} after {time.monotonic() - began:.1f} s")
        return time.monotonic() - began

    def state(self):
        """What the broker says of the group: state and number of members."""
        done = self.shell.run(TOOLS + "consumer.group.ConsumerGroupCommand", "--bootstrap-server", self.broker.bootstrap,
                              "--describe", "--group", self.group, "--state", "--timeout", 3000)
        row = re.search(rf"^{self.group}\s.*?(\w+)\s+(\d+)\s*$", done.out, re.M)
        return (row[1], int(row[2])) if row else (done.out + done.errors).strip()[-300:]

    def stable(self, members):
        """All partitions are with members that say so, and the broker says Stable."""
        return self.state() == ("Stable", members)

    def all(self):
        with Client(self.broker.bootstrap) as client:
            client.create_topic(self.topic, PARTITIONS)
        for _ in range(MEMBERS):
            self.consumer()
        self.wait(lambda: self.stable(MEMBERS), 60, "three members")
        producer = self.producer()
        self.wait(lambda: self.seen() > RECORDS * 0.1, 60, "a tenth seen")
        self.consumers[0].kill()
        self.wait(lambda: self.seen() > RECORDS * 0.3, 60, "three tenths seen")
        added = self.consumer()
        self.wait(lambda: added.events("records_consumed"), 60, "the added member has records")
        without = self.wait(lambda: self.stable(MEMBERS), 60, "the killed member is gone")
        self.wait(lambda: self.seen() > RECORDS * 0.5, 60, "half of the records seen")
        self.broker.restart(unclean=True)
        before = [len(consumer.events("records_consumed")) for consumer in self.consumers[1:]]
        stable = self.wait(lambda: self.stable(MEMBERS), STABLE_SECONDS, "the group is stable after the restart")
        check(producer.process.poll() is None, "the producer ended before the broker was killed: nothing was tested")
        self.wait(lambda: all(len(consumer.events("records_consumed")) > count for consumer, count in zip(self.consumers[1:], before)), 20,
                  "each member reads after the restart")
        self.wait(lambda: producer.process.poll() is not None, 120, "the producer has ended")
        acknowledged = {(e["partition"], e["offset"]) for e in producer.events("producer_send_success")}
        equal((len(acknowledged), len(producer.events("producer_send_error"))), (RECORDS, 0), "acknowledged records, errors")
        self.wait(lambda: len(self.covered()) >= RECORDS, 60, "every record is seen")
        check(acknowledged <= self.covered(), "an acknowledged record was not seen")
        self.committed_is_not_seen_again()
        for consumer in self.consumers[1:]:
            consumer.stop()
        return f"stable {stable:.1f} s after the restart, {without:.1f} s after the change of members; {self.seen() - RECORDS} records seen twice"

    def covered(self):
        return {(part["partition"], offset) for consumer in self.consumers for event in consumer.events("records_consumed")
                for part in event["partitions"] for offset in range(part["minOffset"], part["maxOffset"] + 1)}

    def committed_is_not_seen_again(self):
        """At no time does a member get what was committed before, by whomever."""
        events = sorted((event for consumer in self.consumers for event in consumer.events("records_consumed", "offsets_committed")),
                        key=lambda event: event["timestamp"])
        committed = {}
        for event in events:
            if event["name"] == "offsets_committed":
                for part in event["offsets"] if event["success"] else []:
                    committed[part["partition"]] = max(part["offset"], committed.get(part["partition"], 0))
            else:
                for part in event["partitions"]:
                    bound = committed.get(part["partition"], 0)
                    check(part["minOffset"] >= bound, f"{bound} of partition {part['partition']} was committed, but then {part['minOffset']} was read")

    def resume(self):
        """After the clean stop a new member of the group finds nothing to read but what is new."""
        fresh = self.consumer()
        self.wait(lambda: self.stable(1), 60, "the new member is alone")
        with Client(self.broker.bootstrap) as client:
            for partition in range(PARTITIONS):
                client.produce_values(self.topic, partition, b"0.last")
        self.wait(lambda: sum(e["count"] for e in fresh.events("records_consumed")) >= PARTITIONS, 30, "the new records")
        equal(sum(e["count"] for e in fresh.events("records_consumed")), PARTITIONS, "records that the new member read")
        fresh.stop()

    def close(self):
        for client in self.clients:
            client.kill()


def run(report, broker_class):
    for protocol in ("classic", "consumer"):
        broker = broker_class(settings=SETTINGS)
        with Shell() as shell:
            faults = Run(broker, protocol, shell)
            try:
                if report.run(f"group-faults/{protocol}/start", broker.start) and report.run(f"group-faults/{protocol}/kills", faults.all):
                    report.run(f"group-faults/{protocol}/resume", faults.resume)
            finally:
                faults.close()
                broker.close()
