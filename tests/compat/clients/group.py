"""One member of a consumer group: `group.py CLIENT BOOTSTRAP GROUP TOPIC STRATEGY`. The strategy `consumer` is the protocol of KIP-848.

Reads from stdin, line by line: `count N` polls until N records in all were seen, or nothing came for 20 s, and prints how many; `commit`
commits; `leave` closes and ends. Prints a line for each.
"""
import asyncio
import sys
import time

SILENCE = 20.0


class Confluent:
    def __init__(self, bootstrap, group, topic, strategy):
        from confluent_kafka import Consumer
        protocol = {"group.protocol": "consumer"} if strategy == "consumer" else {"partition.assignment.strategy": strategy, "session.timeout.ms": 6000}
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                                  "enable.auto.commit": False, **protocol})
        # By its name, or by a regular expression, which the broker resolves.
        self.consumer.subscribe([f"^{topic}$" if strategy == "consumer" else topic])
        self.position = {}

    def poll(self):
        message = self.consumer.poll(0.2)
        if message is None:
            return 0
        if message.error():
            raise SystemExit(str(message.error()))
        return 1

    def commit(self):
        from confluent_kafka import KafkaException
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].name() != "_NO_OFFSET":
                raise

    def leave(self):
        self.consumer.close()


class KafkaPython:
    def __init__(self, bootstrap, group, topic, strategy):
        from kafka import KafkaConsumer
        from kafka.coordinator.assignors.range import RangePartitionAssignor
        del strategy
        self.consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                      partition_assignment_strategy=[RangePartitionAssignor], session_timeout_ms=6000,
                                      heartbeat_interval_ms=500)

    def poll(self):
        return sum(len(records) for records in self.consumer.poll(200).values())

    def commit(self):
        self.consumer.commit()

    def leave(self):
        self.consumer.close(autocommit=False)


class Aio:
    def __init__(self, bootstrap, group, topic, strategy):
        from aiokafka import AIOKafkaConsumer
        from aiokafka.coordinator.assignors.range import RangePartitionAssignor
        del strategy
        self.loop = asyncio.new_event_loop()

        async def start():
            consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                        partition_assignment_strategy=[RangePartitionAssignor], session_timeout_ms=6000,
                                        heartbeat_interval_ms=500)
            await consumer.start()
            return consumer

        self.consumer = self.loop.run_until_complete(start())

    def poll(self):
        answer = self.loop.run_until_complete(self.consumer.getmany(timeout_ms=200))
        return sum(len(records) for records in answer.values())

    def commit(self):
        self.loop.run_until_complete(self.consumer.commit())

    def leave(self):
        self.loop.run_until_complete(self.consumer.stop())


CLIENTS = {"confluent": Confluent, "kafka-python": KafkaPython, "aiokafka": Aio}


def main():
    client, *more = sys.argv[1:]
    member, seen = CLIENTS[client](*more), 0
    for line in sys.stdin:
        verb, *numbers = line.split()
        if verb == "count":
            wanted, last = int(numbers[0]), time.monotonic()
            while seen < wanted and time.monotonic() - last < SILENCE:
                came = member.poll()
                seen += came
                last = time.monotonic() if came else last
            print(seen, flush=True)
        elif verb == "idle":
            end = time.monotonic() + float(numbers[0])
            while time.monotonic() < end:
                seen += member.poll()
            print(seen, flush=True)
        elif verb == "commit":
            member.commit()
            print("committed", flush=True)
        else:
            member.leave()
            print("left", flush=True)
            return


main()
