"""kafka-python."""
import jobs
from corpus import Record
from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def write(bootstrap, work):
    for job, records in work:
        producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=None if job.codec == "none" else job.codec, acks="all",
                                 enable_idempotence=True, linger_ms=20, max_request_size=1_048_588)
        futures = [producer.send(job.topic, r.value, r.key, list(r.headers), job.partition, r.timestamp) for r in records]
        for future in futures:
            future.get(30)
        producer.close()


def read(bootstrap, wanted, got):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="none", enable_auto_commit=False, check_crcs=True,
                             max_partition_fetch_bytes=2 << 20)
    parts = [TopicPartition(topic, partition) for topic, partition in wanted]
    consumer.assign(parts)
    for part in parts:
        consumer.seek(part, 0)
    left = sum(wanted.values())
    while left:
        answer = consumer.poll(timeout_ms=20_000)
        if not answer:
            raise SystemExit(f"no record for 20 s, {left} missing")
        for part, records in answer.items():
            got[part.topic, part.partition] += [Record(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]
            left -= len(records)
    consumer.close()


jobs.main(write, read)
