"""confluent-kafka (librdkafka)."""
import jobs
from confluent_kafka import Consumer, Producer, TopicPartition
from corpus import Record


def write(bootstrap, work):
    for job, records in work:
        errors = []
        producer = Producer({
            "bootstrap.servers": bootstrap, "compression.type": job.codec, "enable.idempotence": True, "linger.ms": 20, "message.max.bytes": 1_048_588,
            "message.timeout.ms": 30_000,
        })
        for r in records:
            producer.produce(job.topic, r.value, r.key, job.partition, timestamp=r.timestamp, headers=list(r.headers),
                             on_delivery=lambda error, _: error and errors.append(error))
            producer.poll(0)
        left = producer.flush(40)
        if left or errors:
            raise SystemExit(f"{job.topic}-{job.partition}: {left} not delivered, errors {errors[:3]}")


def read(bootstrap, wanted, got):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": "error",
                         "check.crcs": True, "message.max.bytes": 1_048_588})
    consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in wanted])
    left = sum(wanted.values())
    while left:
        message = consumer.poll(20)
        if message is None:
            raise SystemExit(f"no record for 20 s, {left} missing")
        if message.error():
            raise SystemExit(str(message.error()))
        got[message.topic(), message.partition()].append(Record(
            message.offset(), message.timestamp()[1], message.key(), message.value(), tuple(message.headers() or ())))
        left -= 1
    consumer.close()


jobs.main(write, read)
