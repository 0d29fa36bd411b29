"""aiokafka."""
import asyncio

import jobs
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from corpus import Record


async def write_all(bootstrap, work):
    for job, records in work:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=None if job.codec == "none" else job.codec, acks="all",
                                    enable_idempotence=True, linger_ms=20, max_request_size=1_048_588) as producer:
            sent = [await producer.send(job.topic, r.value, r.key, job.partition, r.timestamp, list(r.headers)) for r in records]
            await asyncio.wait_for(asyncio.gather(*sent), 40)


async def read_all(bootstrap, wanted, got):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="none", enable_auto_commit=False, check_crcs=True,
                                max_partition_fetch_bytes=2 << 20)
    parts = [TopicPartition(topic, partition) for topic, partition in wanted]
    consumer.assign(parts)
    await consumer.start()
    for part in parts:
        consumer.seek(part, 0)
    left = sum(wanted.values())
    while left:
        answer = await consumer.getmany(timeout_ms=20_000)
        if not answer:
            raise SystemExit(f"no record for 20 s, {left} missing")
        for part, records in answer.items():
            got[part.topic, part.partition] += [Record(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]
            left -= len(records)
    await consumer.stop()


jobs.main(lambda bootstrap, work: asyncio.run(write_all(bootstrap, work)),
          lambda bootstrap, wanted, got: asyncio.run(read_all(bootstrap, wanted, got)))
