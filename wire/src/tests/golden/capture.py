"""Asks a real Apache Kafka and prints what it was asked and what it answered, as "side api version hex".

    python3 wire/src/tests/golden/capture.py 127.0.0.1 9092 > wire/src/tests/golden/broker_4.3.1.txt

The broker is an Apache Kafka 4.3.1 with default settings. The requests are put together here by hand, frame by frame without the
size in front; the answers are what the broker sent.
"""

import socket
import struct
import sys
import time

CORRELATION = 7


def varint(value):
    bytes_ = b""
    while value > 127:
        bytes_ += bytes([value & 127 | 128])
        value >>= 7
    return bytes_ + bytes([value])


def zigzag(value):
    return varint((value << 1) ^ (value >> 63))


def old(text):
    return struct.pack(">h", len(text)) + text.encode()


def compact(text):
    return b"\0" if text is None else varint(len(text) + 1) + text.encode()


def old_array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def array(items):
    return varint(len(items) + 1) + b"".join(items)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def batch(value):
    record = b"\0" + zigzag(0) + zigzag(0) + zigzag(-1) + zigzag(len(value)) + value + zigzag(0)
    record = zigzag(len(record)) + record
    now = int(time.time() * 1000)
    tail = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + record
    return struct.pack(">qiibI", 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail


def main():
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))

    def ask(name, key, version, body, flexible):
        header = struct.pack(">hhi", key, version, CORRELATION) + old("capture") + (b"\0" if flexible else b"")
        frame = header + body
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        size = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))[0]
        answer = connection.recv(size, socket.MSG_WAITALL)
        print("request", name, version, frame.hex())
        print("response", name, version, answer.hex())
        return answer

    software = compact("capture") + compact("1.0") + b"\0"
    ask("ApiVersions", 18, 0, b"", False)
    ask("ApiVersions", 18, 3, software, True)
    ask("ApiVersions", 18, 4, software, True)
    topic = "capture"
    for _ in range(2):
        ask("Metadata", 3, 4, old_array([old(topic)]) + b"\1", False)
        time.sleep(1)
    answer = ask("Metadata", 3, 13, array([bytes(16) + compact(topic) + b"\0"]) + b"\1\0\0", True)
    topic_id = answer[answer.index(compact(topic)) + len(compact(topic)) :][:16]
    records = batch(b"hello")
    sized = struct.pack(">i", len(records)) + records
    old_topic = [old(topic) + old_array([struct.pack(">i", 0) + sized])]
    ask("Produce", 0, 3, struct.pack(">hhi", -1, -1, 5000) + old_array(old_topic), False)
    partition = struct.pack(">i", 0) + varint(len(records) + 1) + records + b"\0"
    for version, name in [(9, compact(topic)), (12, compact(topic)), (13, topic_id)]:
        topics = array([name + array([partition]) + b"\0"])
        ask("Produce", 0, version, b"\0" + struct.pack(">hi", -1, 5000) + topics + b"\0", True)
    head = struct.pack(">iiiib", -1, 500, 1, 1 << 20, 0)
    ask("Fetch", 1, 4, head + old_array([old(topic) + old_array([struct.pack(">iqi", 0, 1, 1 << 20)])]), False)
    partition = struct.pack(">iiqiqi", 0, -1, 1, -1, -1, 1 << 20) + b"\0"
    for version, name in [(12, compact(topic)), (17, topic_id), (18, topic_id)]:
        start = head if version < 15 else head[4:]
        topics = array([name + array([partition]) + b"\0"])
        ask("Fetch", 1, version, start + struct.pack(">ii", 0, -1) + topics + array([]) + compact("") + b"\0", True)


main()
