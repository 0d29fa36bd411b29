"""Idempotent producers with acks=all that live through every crash of the broker and note what was acknowledged."""
import random
import threading
import time

from confluent_kafka import KafkaException, Producer
from records import Id, encode

SIZES = [20] * 8 + [100] * 24 + [1000] * 24 + [8000] * 7 + [60_000]
SETTINGS = [
    {"linger.ms": 0, "compression.type": "none"},
    {"linger.ms": 5, "compression.type": "lz4"},
    {"linger.ms": 20, "compression.type": "zstd", "batch.size": 200_000},
]
PER_SECOND = 1000  # records a producer


class Writer:
    """One producer with its thread. Everything it got acknowledged is in `acknowledged`: id -> offset."""

    def __init__(self, number, bootstrap, topic, partitions, seed):
        self.number, self.topic, self.partitions = number, topic, partitions
        self.chance = random.Random(f"{seed}-{number}")
        self.acknowledged, self.failed, self.sent = {}, [], 0
        self.next = [0] * partitions
        self.running = threading.Event()
        self.ended = False
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "message.timeout.ms": 120_000,
            "queue.buffering.max.messages": 3000, "retry.backoff.ms": 20,
            "retry.backoff.max.ms": 200, "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 200, "log_level": 0, **SETTINGS[number % len(SETTINGS)],
        })
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.ended:
            if not self.running.is_set():
                self.producer.poll(0.01)
                continue
            for _ in range(PER_SECOND // 100):
                self.send()
            self.producer.poll(0)
            time.sleep(0.01)

    def send(self):
        partition = self.chance.randrange(self.partitions)
        identity = Id(self.number, partition, self.next[partition])

        def delivered(error, message):
            if error:
                self.failed.append((identity, str(error)))
            else:
                self.acknowledged[identity] = message.offset()

        try:
            self.producer.produce(self.topic, encode(identity, self.chance.choice(SIZES)), partition=partition, on_delivery=delivered)
        except BufferError:
            self.producer.poll(0.05)  # the queue is full while the broker is away
            return
        except KafkaException as error:
            self.failed.append((identity, str(error)))
            self.running.clear()
            return
        self.next[partition] += 1
        self.sent += 1

    def flush(self, seconds):
        """Waits until everything sent has an answer; returns how many have none."""
        self.running.clear()
        end = time.monotonic() + seconds
        while len(self.acknowledged) + len(self.failed) < self.sent and time.monotonic() < end:
            time.sleep(0.01)
        return self.sent - len(self.acknowledged) - len(self.failed)


class Load:
    def __init__(self, bootstrap, topic, partitions, seed, writers=3):
        self.writers = [Writer(n, bootstrap, topic, partitions, seed) for n in range(writers)]

    def begin(self):
        for writer in self.writers:
            writer.running.set()

    def end(self, seconds=90):
        """No new records; waits for the answers of those under way."""
        for writer in self.writers:
            writer.running.clear()
        return sum(writer.flush(seconds) for writer in self.writers)

    def close(self):
        for writer in self.writers:
            writer.ended = True
            writer.thread.join(5)
            writer.producer.purge()

    def acknowledged(self):
        """(id, offset) of every record acknowledged up to this moment."""
        return [pair for writer in self.writers for pair in list(writer.acknowledged.items())]

    def failed(self):
        return [pair for writer in self.writers for pair in writer.failed]
