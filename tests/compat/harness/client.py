"""A raw client: one connection, one request at a time unless told otherwise, nothing retried, nothing hidden."""
import socket
import struct
import time
import uuid
from collections import deque
from types import SimpleNamespace as Answer

from . import batch as batches
from .wire import Reader, Writer

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS = 0, 1, 2, 3, 18
CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS, INIT_PRODUCER_ID, OFFSET_FOR_LEADER_EPOCH, INCREMENTAL_ALTER_CONFIGS = 19, 20, 21, 22, 23, 44
ELECT_LEADERS, LIST_PARTITION_REASSIGNMENTS, DESCRIBE_PRODUCERS, LIST_CONFIG_RESOURCES, DESCRIBE_TOPIC_PARTITIONS = 43, 46, 61, 74, 75
ALTER_REPLICA_LOG_DIRS, DESCRIBE_LOG_DIRS, ALTER_PARTITION_REASSIGNMENTS = 34, 35, 45
FLEXIBLE_FROM = {PRODUCE: 9, FETCH: 12, LIST_OFFSETS: 6, METADATA: 9, API_VERSIONS: 3, CREATE_TOPICS: 5, DELETE_TOPICS: 4, INIT_PRODUCER_ID: 2,
                 OFFSET_FOR_LEADER_EPOCH: 4, DELETE_RECORDS: 2, INCREMENTAL_ALTER_CONFIGS: 1, ELECT_LEADERS: 2, LIST_PARTITION_REASSIGNMENTS: 0,
                 DESCRIBE_PRODUCERS: 0, LIST_CONFIG_RESOURCES: 0, DESCRIBE_TOPIC_PARTITIONS: 0,
                 ALTER_REPLICA_LOG_DIRS: 2, DESCRIBE_LOG_DIRS: 2, ALTER_PARTITION_REASSIGNMENTS: 0}

UNKNOWN_SERVER_ERROR, NONE, OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE = -1, 0, 1, 2, 3, 5
MESSAGE_TOO_LARGE, INVALID_TOPIC_EXCEPTION, INVALID_REQUIRED_ACKS, TOPIC_ALREADY_EXISTS, UNSUPPORTED_VERSION = 10, 17, 21, 36, 35
OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, FETCH_SESSION_ID_NOT_FOUND, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH = 45, 47, 70, 74, 75
INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR = 71, 106
UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD, UNKNOWN_TOPIC_ID, INVALID_TIMESTAMP = 76, 87, 100, 32


class Closed(Exception):
    """The broker closed the connection."""


class Client:
    def __init__(self, bootstrap, timeout=30, client_id="compat"):
        host, port = bootstrap.split(",")[0].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client_id, self.correlation = client_id, 0
        self.outstanding = deque()  # correlation ids of requests that have no answer yet
        self.ids = {}
        self.sip = None  # a slow reader: bytes that it takes at a time, with a pause after each

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # -- frames ------------------------------------------------------------------------------------------------------

    def header(self, api, version, flexible=None):
        flexible = version >= FLEXIBLE_FROM.get(api, 99) if flexible is None else flexible
        self.correlation += 1
        name = self.client_id.encode()
        head = struct.pack(">hhih", api, version, self.correlation, len(name)) + name
        return head + (b"\0" if flexible else b"")

    def send(self, api, version, body, answered=True):
        frame = self.header(api, version) + bytes(body)
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        if answered:
            self.outstanding.append(self.correlation)
        return self.correlation

    def send_raw(self, data):
        self.socket.sendall(data)

    def exactly(self, size):
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self.socket.recv(min(size - len(parts), self.sip or 1 << 20))
            except ConnectionError as error:
                raise Closed(str(error)) from None
            if not part:
                raise Closed("end of stream")
            parts += part
            if self.sip:
                time.sleep(0.005)
        return bytes(parts)

    def receive(self):
        """The next response: (correlation id, the bytes after it)."""
        size, = struct.unpack(">i", self.exactly(4))
        frame = self.exactly(size)
        return struct.unpack_from(">i", frame)[0], frame[4:]

    def receive_for(self, api, version):
        correlation, data = self.receive()
        flexible = version >= FLEXIBLE_FROM.get(api, 99)
        reader = Reader(data, flexible)
        if flexible and api != API_VERSIONS:
            reader.tags()
        wanted = self.outstanding.popleft()
        if correlation != wanted:
            raise ValueError(f"an answer to request {correlation} came for {wanted}")
        return reader

    def request(self, api, version, body):
        self.send(api, version, body)
        return self.receive_for(api, version)

    def writer(self, api, version):
        return Writer(version >= FLEXIBLE_FROM[api])

    # -- requests ----------------------------------------------------------------------------------------------------

    def api_versions(self, version=0):
        w = self.writer(API_VERSIONS, version)
        if version >= 3:
            w.string("compat").string("1").tags()
        r = self.request(API_VERSIONS, version, w.parts)
        error = r.int16()
        keys = r.array(lambda: (r.int16(), r.int16(), r.int16(), r.tags())[:3])
        return Answer(error=error, keys={key: (low, high) for key, low, high in keys})

    def metadata(self, topics=None, auto_create=False, version=12):
        """topics: names, or None for all."""
        w = self.writer(METADATA, version)
        topics = [] if topics is None and version == 0 else topics
        w.array(topics, lambda name: (w.uuid(uuid.UUID(int=0)) if version >= 10 else w).string(name).tags())
        if version >= 4:
            w.int8(auto_create)
        if 8 <= version <= 10:
            w.int8(0)
        if version >= 8:
            w.int8(0)
        r = self.request(METADATA, version, w.tags().parts)

        def partition():
            p = Answer(error=r.int16(), index=r.int32(), leader=r.int32(), leader_epoch=r.int32() if version >= 7 else -1, replicas=r.array(r.int32),
                       isr=r.array(r.int32), offline=r.array(r.int32) if version >= 5 else [])
            r.tags()
            return p

        def topic():
            t = Answer(error=r.int16(), name=r.string(), id=r.uuid() if version >= 10 else None, internal=r.int8() if version >= 1 else 0,
                       partitions=r.array(partition), operations=r.int32() if version >= 8 else None)
            r.tags()
            return t

        if version >= 3:
            r.int32()
        brokers = r.array(lambda: (r.int32(), r.string(), r.int32(), r.string() if version >= 1 else None, r.tags())[:3])
        cluster = r.string() if version >= 2 else None
        answer = Answer(brokers=brokers, cluster=cluster, controller=r.int32() if version >= 1 else None, topics=r.array(topic))
        if 8 <= version <= 10:
            r.int32()
        answer.error = r.int16() if version >= 13 else NONE
        r.tags()
        answer.left = r.left()
        return answer

    def topic_id(self, name):
        if name not in self.ids:
            self.ids[name] = self.metadata([name]).topics[0].id
        return self.ids[name]

    def create_topic(self, name, partitions=1, configs=None, wait=True):
        w = self.writer(CREATE_TOPICS, 4)
        w.array([name], lambda _: w.string(name).int32(partitions).int16(1).array([], None).array(
            list((configs or {}).items()), lambda pair: w.string(pair[0]).string(str(pair[1]))))
        w.int32(30_000).int8(0)
        r = self.request(CREATE_TOPICS, 4, w.parts)
        r.int32()
        (_, error, message), = r.array(lambda: (r.string(), r.int16(), r.string()))
        if error == NONE and wait:
            self.wait_for_topic(name, partitions)
        return Answer(error=error, message=message)

    def wait_for_topic(self, name, partitions=1, seconds=30):
        """Until Metadata names all leaders and each answers as the leader of that epoch."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            topic, = self.metadata([name]).topics
            if topic.error == NONE and len(topic.partitions) >= partitions and all(
                    p.error == NONE and p.leader >= 0 and self.list_offset(name, p.index, epoch=p.leader_epoch).error == NONE for p in topic.partitions):
                return topic
            time.sleep(0.02)
        raise TimeoutError(f"topic {name} has no leaders after {seconds} s")

    def delete_topic(self, name):
        w = self.writer(DELETE_TOPICS, 3)
        w.array([name], w.string).int32(30_000)
        r = self.request(DELETE_TOPICS, 3, w.parts)
        r.int32()
        return r.array(lambda: (r.string(), r.int16()))[0][1]

    def set_config(self, resource, key, value, kind=2):
        """Of a topic, unless `kind` says otherwise."""
        w = self.writer(INCREMENTAL_ALTER_CONFIGS, 0)
        w.array([resource], lambda name: w.int8(kind).string(name).array([key], lambda k: w.string(k).int8(0).string(str(value)))).int8(0)
        r = self.request(INCREMENTAL_ALTER_CONFIGS, 0, w.parts)
        r.int32()
        return r.array(lambda: (r.int16(), r.string(), r.int8(), r.string()))[0][0]

    def delete_records(self, topic, partition, offset):
        """The error and the new start of the log."""
        w = self.writer(DELETE_RECORDS, 1)
        w.array([topic], lambda name: w.string(name).array([partition], lambda p: w.int32(p).int64(offset))).int32(30_000)
        r = self.request(DELETE_RECORDS, 1, w.parts)
        r.int32()
        _, low, error = r.array(lambda: (r.string(), r.array(lambda: (r.int32(), r.int64(), r.int16()))))[0][1][0]
        return error, low

    def produce_body(self, topic, partition, records, acks=-1, version=9, timeout_ms=30_000, transactional_id=None):
        w = self.writer(PRODUCE, version)
        w.string(transactional_id).int16(acks).int32(timeout_ms)

        def one(_):
            w.uuid(self.topic_id(topic)) if version >= 13 else w.string(topic)
            w.array([partition], lambda p: w.int32(p).bytes(records).tags()).tags()

        return w.array([topic], one).tags().parts

    def read_produce(self, version=9):
        r = self.receive_for(PRODUCE, version)

        def partition():
            p = Answer(index=r.int32(), error=r.int16(), base_offset=r.int64(), append_time=r.int64(), log_start=r.int64() if version >= 5 else None,
                       message=None, record_errors=[])
            if version >= 8:
                p.record_errors = r.array(lambda: (r.int32(), r.string(), r.tags())[:2])
                p.message = r.string()
            r.tags()
            return p

        topics = r.array(lambda: (r.uuid() if version >= 13 else r.string(), r.array(partition), r.tags())[1])
        return topics[0][0]

    def produce(self, topic, partition, records, acks=-1, version=9):
        self.send(PRODUCE, version, self.produce_body(topic, partition, records, acks, version))
        return self.read_produce(version)

    def produce_values(self, topic, partition, *values, **more):
        return self.produce(topic, partition, batches.build(list(values), **more))

    def send_fetch(self, topic, partitions, max_wait=500, min_bytes=1, max_bytes=50 << 20, partition_max_bytes=1 << 20, epoch=-1, fetched_epoch=-1,
                   isolation=0, session=(0, -1), forgotten=(), version=12):
        """partitions: (index, offset) pairs, or (index, offset, current leader epoch). forgotten: indexes that the session is to leave out."""
        w = self.writer(FETCH, version)
        if version <= 14:
            w.int32(-1)
        w.int32(max_wait).int32(min_bytes).int32(max_bytes).int8(isolation)
        if version >= 7:
            w.int32(session[0]).int32(session[1])

        def partition(entry):
            index, offset, current = (*entry, epoch)[:3]
            w.int32(index)
            if version >= 9:
                w.int32(current)
            w.int64(offset)
            if version >= 12:
                w.int32(fetched_epoch)
            if version >= 5:
                w.int64(-1)
            w.int32(partition_max_bytes).tags()

        def one(_):
            w.uuid(self.topic_id(topic)) if version >= 13 else w.string(topic)
            w.array(partitions, partition).tags()

        def forget(_):
            w.uuid(self.topic_id(topic)) if version >= 13 else w.string(topic)
            w.array(forgotten, w.int32).tags()

        w.array([topic] if partitions else [], one)
        if version >= 7:
            w.array([topic] if forgotten else [], forget)
        if version >= 11:
            w.string("")
        self.send(FETCH, version, w.tags().parts)

    def read_fetch(self, version=12):
        r = self.receive_for(FETCH, version)
        r.int32()
        error, session = (r.int16(), r.int32()) if version >= 7 else (NONE, 0)

        def partition():
            p = Answer(index=r.int32(), error=r.int16(), high_watermark=r.int64(), last_stable=r.int64(), log_start=r.int64() if version >= 5 else None,
                       aborted=r.array(lambda: (r.int64(), r.int64(), r.tags())[:2]), preferred=r.int32() if version >= 11 else -1, records=r.bytes())
            p.tags = r.tags()
            p.batches = batches.parse(p.records or b"")
            return p

        topics = r.array(lambda: (r.uuid() if version >= 13 else r.string(), r.array(partition), r.tags())[1])
        return Answer(error=error, session=session, partitions=[p for topic in topics for p in topic])

    def fetch(self, topic, partitions, **more):
        self.send_fetch(topic, partitions, **more)
        return self.read_fetch(more.get("version", 12))

    def fetch_one(self, topic, partition, offset, **more):
        return self.fetch(topic, [(partition, offset)], **more).partitions[0]

    def read_log(self, topic, partition, start=0):
        """Every batch of a partition from `start` to its high watermark."""
        out, offset = [], start
        while True:
            answer = self.fetch_one(topic, partition, offset, max_wait=0, partition_max_bytes=8 << 20)
            if answer.error:
                raise ValueError(f"fetch of {topic}-{partition} at {offset}: error {answer.error}")
            if offset >= answer.high_watermark or not answer.batches:
                return out
            out += answer.batches
            offset = answer.batches[-1].last_offset + 1

    def list_offset(self, topic, partition, timestamp=-1, epoch=-1, version=5):
        w = self.writer(LIST_OFFSETS, version)
        w.int32(-1).int8(0)
        w.array([topic], lambda _: w.string(topic).array([partition], lambda p: w.int32(p).int32(epoch).int64(timestamp).tags()).tags())
        if version >= 10:
            w.int32(30_000)
        r = self.request(LIST_OFFSETS, version, w.tags().parts)
        r.int32()
        return r.array(lambda: (r.string(), r.array(lambda: Answer(
            index=r.int32(), error=r.int16(), timestamp=r.int64(), offset=r.int64(), leader_epoch=r.int32(), tags=r.tags())), r.tags())[1])[0][0]

    def offset_for_epoch(self, topic, partition, epoch, current=-1):
        w = self.writer(OFFSET_FOR_LEADER_EPOCH, 3)
        w.int32(-1).array([topic], lambda _: w.string(topic).array([partition], lambda p: w.int32(p).int32(current).int32(epoch)))
        r = self.request(OFFSET_FOR_LEADER_EPOCH, 3, w.parts)
        r.int32()
        return r.array(lambda: (r.string(), r.array(lambda: Answer(
            error=r.int16(), index=r.int32(), leader_epoch=r.int32(), end_offset=r.int64())))[1])[0][0]

    def init_producer_id(self, version=1):
        w = self.writer(INIT_PRODUCER_ID, version)
        w.string(None).int32(60_000)
        if version >= 3:
            w.int64(-1).int16(-1)
        r = self.request(INIT_PRODUCER_ID, version, w.tags().parts)
        r.int32()
        return Answer(error=r.int16(), id=r.int64(), epoch=r.int16())
