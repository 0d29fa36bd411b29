"""Reads the whole log and holds it against what was acknowledged and against what was read before.

Numbered as they are reported:
  1 lost       an acknowledged record is not at its offset
  2 twice      a record stands at two offsets
  3 changed    an offset has another record than when it was read before, or is gone
  4 damaged    a value is not what was written
  5 hole       an offset below the high watermark has no record
"""
import time

from confluent_kafka import Consumer, TopicPartition
from records import decode

CHUNK = 500
STALLED = 15.0  # seconds without a record after which there is none


class Checker:
    def __init__(self, topic, partitions):
        self.topic, self.partitions = topic, partitions
        self.seen = [[] for _ in range(partitions)]  # ids by offset, as read so far

    def read(self, bootstrap, ends):
        """All ids by offset of every partition up to its end offset, and the problems met on the way."""
        problems, logs = [], [[] for _ in range(self.partitions)]
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "crash-check", "enable.auto.commit": False, "auto.offset.reset": "error",
                             "check.crcs": True, "log_level": 0, "fetch.wait.max.ms": 50})
        consumer.assign([TopicPartition(self.topic, p, 0) for p in range(self.partitions)])
        last = time.monotonic()
        while any(len(log) < end for log, end in zip(logs, ends)):
            messages = consumer.consume(CHUNK, timeout=0.1)
            last = time.monotonic() if messages else last
            if time.monotonic() - last > STALLED:
                short = {p: (len(log), end) for p, (log, end) in enumerate(zip(logs, ends)) if len(log) < end}
                problems.append(f"5 hole: nothing more to read at (read, end) {short}")
                break
            for message in messages:
                if message.error():
                    problems.append(f"the consumer says: {message.error()}")
                    consumer.close()
                    return logs, problems
                log = logs[message.partition()]
                if message.offset() != len(log):
                    problems.append(f"5 hole: partition {message.partition()} has offset {message.offset()} after {len(log) - 1}")
                    log.extend([None] * (message.offset() - len(log)))
                try:
                    log.append(decode(message.value()))
                except ValueError as error:
                    problems.append(f"4 damaged: partition {message.partition()} offset {message.offset()}: {error}")
                    log.append(None)
        consumer.close()
        return logs, problems

    def check(self, bootstrap, ends, acknowledged):
        logs, problems = self.read(bootstrap, ends)
        for partition, (log, before) in enumerate(zip(logs, self.seen)):
            for offset, identity in enumerate(before):
                now = log[offset] if offset < len(log) else None
                if now != identity:
                    problems.append(f"3 changed: partition {partition} offset {offset} was {identity}, is {now}")
        for partition, log in enumerate(logs):
            where = {}
            for offset, identity in enumerate(log):
                if identity is not None and where.setdefault(identity, offset) != offset:
                    problems.append(f"2 twice: {identity} at offsets {where[identity]} and {offset}")
                if identity is not None and identity.partition != partition:
                    problems.append(f"4 damaged: {identity} stands in partition {partition}")
        for identity, offset in acknowledged:
            log = logs[identity.partition]
            found = log[offset] if 0 <= offset < len(log) else None
            if found != identity:
                problems.append(f"1 lost: {identity} was acknowledged at offset {offset}, where {found or 'nothing'} is")
        self.seen = logs
        return problems
