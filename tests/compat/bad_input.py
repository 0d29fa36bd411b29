"""What a broken or hostile client sends. The broker answers Kafka's error or closes the connection; it lives, its memory is bounded, others go on."""
import os
import random
import resource
import socket
import struct
import time

import bad_batches
import bad_requests
from harness import batch as batches
from harness.bystander import Bystander
from harness.client import (CORRUPT_MESSAGE, INVALID_RECORD, INVALID_REQUIRED_ACKS, INVALID_TOPIC_EXCEPTION, MESSAGE_TOO_LARGE, NONE, PRODUCE,
                            UNKNOWN_TOPIC_OR_PARTITION, UNSUPPORTED_COMPRESSION_TYPE, UNSUPPORTED_VERSION, Client, Closed)
from harness.report import Failed, Skip, check, equal
from harness.wire import Reader
from protocol.common import Checks, case

MIB = 1 << 20
SEED = 20
SILENT_CONNECTIONS = 10_000
RSS_GROWTH_MAX = 192 * MIB


class BadInput(Checks):
    prefix = "bad-input"

    def __init__(self, broker):
        super().__init__(broker)
        self.client.close()
        self.pid = broker.pid
        self.rss = self.rss_now()

    # -- the broker's health -----------------------------------------------------------------------------------------

    def rss_now(self):
        return self.broker.rss_bytes() if self.pid else 0

    def healthy(self):
        """The same process, and bounded memory (ours only: Kafka's is its heap)."""
        if not self.pid:
            return ""
        check(self.broker.running() and self.broker.pid == self.pid, f"the broker died:\n{self.broker.log_tail()}")
        rss = self.rss_now()
        if self.broker.name == "duramen":
            check(rss - self.rss <= RSS_GROWTH_MAX, f"RSS grew from {self.rss // MIB} to {rss // MIB} MiB")
        return f"RSS {rss // MIB} MiB"

    def accompanied(self, function):
        """Runs a check beside a good client."""
        with Bystander(self.broker, self.topic) as bystander:
            time.sleep(0.1)
            note = function()
            time.sleep(0.1)
        return "; ".join(filter(None, [note, bystander.verdict(), self.healthy()]))

    def outcome(self, data, seconds=10):
        """What the broker does with these bytes: closed, answered or silent."""
        with Client(self.broker.bootstrap, timeout=seconds) as client:
            try:
                client.send_raw(data)
                client.receive()
                return "answered"
            except (Closed, ConnectionError):
                return "closed"
            except TimeoutError:
                return "silent"

    # -- requests ----------------------------------------------------------------------------------------------------

    @case
    def requests(self):
        def all_of_them():
            wrong = []
            for name, data, wanted in bad_requests.CASES:
                got = self.outcome(data)
                if got not in wanted:
                    wrong.append(f"{name}: {got} instead of {wanted}")
            check(not wrong, "; ".join(wrong))
            return f"{len(bad_requests.CASES)} requests"

        return self.accompanied(all_of_them)

    @case
    def api_versions_of_the_future(self):
        """An unknown version of ApiVersions gets version 0 of the answer with the error and the range of ApiVersions."""
        with Client(self.broker.bootstrap) as client:
            client.send(18, 99, b"whatever this is")
            correlation, data = client.receive()
            equal(correlation, client.outstanding.popleft(), "correlation id")
            reader = Reader(data)
            equal(reader.int16(), UNSUPPORTED_VERSION, "error")
            keys = dict(reader.array(lambda: (reader.int16(), (reader.int16(), reader.int16()))))
            check(18 in keys and keys[18][1] >= 3, f"versions {keys}")
            equal(client.api_versions(0).error, NONE, "error of the same connection's next request")

    @case
    def random_bytes(self):
        chance = random.Random(SEED)

        def all_of_them():
            for _ in range(300):
                data = chance.randbytes(chance.choice([1, 4, 10, 100, 5000]))
                with Client(self.broker.bootstrap, timeout=0.05) as client:
                    try:
                        client.send_raw(struct.pack(">i", len(data)) + data if chance.random() < 0.7 else data)
                        client.receive()
                    except (Closed, ConnectionError, TimeoutError):
                        pass
            return "300 connections"

        return self.accompanied(all_of_them)

    @case
    def damaged_requests(self):
        """Good requests with some bytes changed: closed or answered, never silence for long, never a crash."""
        chance = random.Random(SEED)
        bodies = []
        with Client(self.broker.bootstrap) as client:
            records = batches.build([b"x" * 50] * 3)
            for version in (3, 9, 13):
                bodies.append(client.header(PRODUCE, version) + bytes(client.produce_body(self.topic, 0, records, version=version, timeout_ms=50)))
            for api, version in ((1, 4), (1, 12), (2, 5), (3, 12), (19, 4), (20, 3), (22, 1), (23, 3), (18, 3)):
                sent = []
                client.socket, real = type("Recorder", (), {"sendall": staticmethod(sent.append)}), client.socket
                try:
                    self.ask(client, api, version)
                except AttributeError:
                    pass  # nothing can be received from the recorder
                client.socket = real
                bodies.append(sent[0][4:])

        def all_of_them():
            outcomes = {}
            for _ in range(600):
                body = bytearray(chance.choice(bodies))
                for _ in range(chance.choice([1, 1, 2, 8])):
                    body[chance.randrange(4, len(body))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
                got = self.outcome(struct.pack(">i", len(body)) + bytes(body), seconds=0.1)
                outcomes[got] = outcomes.get(got, 0) + 1
            return f"600 requests: {outcomes}"

        return self.accompanied(all_of_them)

    def ask(self, client, api, version):
        {1: lambda: client.fetch(self.topic, [(0, 0)], max_wait=0, version=version), 2: lambda: client.list_offset(self.topic, 0),
         3: lambda: client.metadata([self.topic]), 19: lambda: client.create_topic("damaged"), 20: lambda: client.delete_topic("no-such"),
         22: client.init_producer_id, 23: lambda: client.offset_for_epoch(self.topic, 0, 0), 18: lambda: client.api_versions(3)}[api]()

    # -- produce -----------------------------------------------------------------------------------------------------

    @case
    def record_batches(self):
        topic = self.topic_with(1)
        kafka = self.broker.name == "kafka"

        def all_of_them():
            wrong, appended, count = [], 0, 0
            with Client(self.broker.bootstrap) as client:
                for name, records, allowed, kafka_also in bad_batches.cases():
                    count += 1
                    answer = client.produce(topic, 0, records)
                    if answer.error not in allowed and not (kafka and answer.error in kafka_also):
                        wrong.append(f"{name}: error {answer.error} instead of {sorted(allowed)}")
                    appended += answer.error == NONE
                check(not wrong, "; ".join(wrong))
                if not kafka:
                    self.sound(client, topic)
            return f"{count} batches, {appended} accepted"

        return self.accompanied(all_of_them)

    def topic_with(self, partitions):
        self.client = Client(self.broker.bootstrap)
        topic = self.fresh_topic(partitions)
        self.client.close()
        return topic

    @staticmethod
    def sound(client, topic):
        """What is in the log is dense, and the next good batch is taken."""
        offset = 0
        for batch in client.read_log(topic, 0):
            check(batch.base_offset == offset and batch.crc_holds(), f"the log is not sound at {offset}: {batch}")
            offset = batch.last_offset + 1
        answer = client.produce_values(topic, 0, b"good")
        equal((answer.error, answer.base_offset), (NONE, offset), "error and offset of a good batch after the bad ones")

    @case
    def null_records(self):
        got = None
        with Client(self.broker.bootstrap, timeout=3) as client:
            try:
                got = client.produce(self.topic, 0, None).error
            except Closed:
                got = "closed"
            except TimeoutError:
                got = "silent"
        allowed = {INVALID_RECORD, CORRUPT_MESSAGE, "closed"} | ({"silent"} if self.broker.name == "kafka" else set())
        check(got in allowed, f"{got} instead of {allowed}")

    @case
    def compression_bombs(self):
        topic = self.topic_with(1)
        answers = {}

        def all_of_them():
            with Client(self.broker.bootstrap, timeout=60) as client:
                for name, records in bad_batches.bombs():
                    began = time.monotonic()
                    error = client.produce(topic, 0, records).error
                    answers[name] = f"error {error} in {time.monotonic() - began:.2f} s"
                    check(error in (NONE, CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE) or self.broker.name == "kafka", f"{name}: error {error}")
            return str(answers)

        return self.accompanied(all_of_them)

    @case
    def where_nothing_is(self):
        good = batches.build([b"x"])
        with Client(self.broker.bootstrap) as client:
            equal(client.produce(self.topic, 99, good).error, UNKNOWN_TOPIC_OR_PARTITION, "error of an unknown partition")
            equal(client.produce(self.topic, -1, good).error, UNKNOWN_TOPIC_OR_PARTITION, "error of partition -1")
            equal(client.produce("no-such-topic", 0, good).error, UNKNOWN_TOPIC_OR_PARTITION, "error of an unknown topic")
            equal(client.create_topic("a b").error, INVALID_TOPIC_EXCEPTION, "error of creating a bad name")
            error = client.produce("a b", 0, good).error
            check(error in (INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION), f"error {error} of producing to a bad name")

    @case
    def acks(self):
        topic, good = self.topic_with(1), batches.build([b"x"])
        with Client(self.broker.bootstrap) as client:
            for value in (2, -2, 77):
                equal(client.produce(topic, 0, good, acks=value).error, INVALID_REQUIRED_ACKS, f"error of acks={value}")
            # acks=0: no answer at all; the answer that comes next is of the next request
            client.send(PRODUCE, 9, client.produce_body(topic, 0, good, acks=0), answered=False)
            equal(client.api_versions(0).error, NONE, "error of the request after it")
            equal(client.list_offset(topic, 0).offset, 1, "end offset after one record with acks=0")
        with Client(self.broker.bootstrap, timeout=10) as client:
            client.send(PRODUCE, 9, client.produce_body("no-such-topic", 0, good, acks=0))
            try:
                client.receive()
                raise Failed("an error with acks=0 was answered")
            except Closed:
                pass  # the only way to tell the client

    @case
    def zstd_before_version_7(self):
        with Client(self.broker.bootstrap) as client:
            records = bad_batches.raw(bytes.fromhex("28b52ffd"), codec=bad_batches.ZSTD)
            equal(client.produce(self.topic, 0, records, version=6).error, UNSUPPORTED_COMPRESSION_TYPE, "error in version 6")

    # -- connections -------------------------------------------------------------------------------------------------

    def hold(self, count, data):
        """Opens connections that say `data` and no more."""
        held = []
        for n in range(count):
            connection = socket.create_connection((self.broker.host, self.broker.port), timeout=30)
            held.append(connection)
            if data:
                connection.sendall(data)
            if n % 200 == 199:
                time.sleep(0.02)
        return held

    def held(self, count, data):
        def all_of_them():
            connections = []
            try:
                connections = self.hold(count, data)
                time.sleep(1)
                check(self.open_in(connections) == len(connections), "the broker closed connections that only said nothing")
                return f"{len(connections)} connections"
            finally:
                for connection in connections:
                    connection.close()

        return self.accompanied(all_of_them)

    @staticmethod
    def open_in(connections):
        count = 0
        for connection in connections:
            connection.setblocking(False)
            try:
                count += connection.recv(1) != b""
            except BlockingIOError:
                count += 1
            except ConnectionError:
                pass
        return count

    @case
    def half_a_request(self):
        return self.held(200, struct.pack(">i", 100) + b"\0\x03")

    @case
    def large_sizes_and_silence(self):
        """Two hundred clients that announce 100 MB each and send a kilobyte: nothing may be set aside for what has not come."""
        if self.broker.name == "kafka":
            raise Skip("Apache Kafka sets the announced sizes aside and runs out of memory")
        return self.held(200, struct.pack(">i", 100_000_000) + bytes(1024))

    @case
    def silent_connections(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return self.held(min(SILENT_CONNECTIONS, hard - 500), b"")

    @case
    def afterwards(self):
        """The broker serves as before; what the checks held is given back."""
        with Client(self.broker.bootstrap) as client:
            self.sound(client, self.topic_with(1))
        note = self.healthy()
        if self.broker.name == "duramen":
            note += f", peak {self.broker.rss_peak_bytes() // MIB} MiB, {len(os.listdir(f'/proc/{self.pid}/fd'))} files open"
        return note


def run(broker, report):
    BadInput.run(broker, report)
