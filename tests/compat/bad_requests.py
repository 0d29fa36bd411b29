"""Requests that no sound client sends, each with what Apache Kafka 4.3.1 does: closes the connection, or answers."""
import struct

from harness.client import API_VERSIONS, CREATE_TOPICS, FETCH, LIST_OFFSETS, METADATA, PRODUCE

REQUEST_BYTES_MAX = 104_857_600  # socket.request.max.bytes
CLOSED, ANSWERED, EITHER = "closed", "answered", "closed or answered"


def frame(data):
    return struct.pack(">i", len(data)) + data


def head(api, version, flexible=False, client=b"bad"):
    return struct.pack(">hhih", api, version, 7, len(client)) + client + (b"\0" if flexible else b"")


def int32(value):
    return struct.pack(">i", value)


ENDLESS = b"\xff" * 40
LONG = 0x7FFFFFFF

# name, bytes, what happens
CASES = [
    ("size over the limit", int32(REQUEST_BYTES_MAX + 1) + b"x" * 64, CLOSED),
    ("largest size", int32(LONG) + b"x" * 64, CLOSED),
    ("size -1", int32(-1), CLOSED),
    ("smallest size", int32(-2 ** 31), CLOSED),
    ("size 0", int32(0), CLOSED),
    *((f"frame of {size} bytes", frame(head(METADATA, 1)[:size]), CLOSED) for size in (1, 2, 3, 4, 7, 8, 9)),
    ("unknown key 999", frame(head(999, 0)), CLOSED),
    ("key -1", frame(head(-1, 0)), CLOSED),
    ("removed key 4", frame(head(4, 1) + bytes(20)), CLOSED),
    ("key of the controller 52", frame(head(52, 1, True) + bytes(20)), CLOSED),
    ("Metadata in version 99", frame(head(METADATA, 99, True) + bytes(20)), CLOSED),
    ("Metadata in version -1", frame(head(METADATA, -1) + bytes(20)), CLOSED),
    ("Fetch in version 3", frame(head(FETCH, 3) + bytes(40)), CLOSED),
    ("Produce in version 2", frame(head(PRODUCE, 2) + bytes(40)), CLOSED),
    ("Produce in version 14", frame(head(PRODUCE, 14, True) + bytes(40)), CLOSED),
    ("client id longer than the frame", frame(struct.pack(">hhih", METADATA, 1, 7, 3000) + b"abc"), CLOSED),
    ("null client id", frame(struct.pack(">hhih", METADATA, 1, 7, -1) + int32(0)), ANSWERED),
    ("client id of length -5", frame(struct.pack(">hhih", METADATA, 1, 7, -5) + int32(0)), EITHER),
    ("client id not UTF-8", frame(head(METADATA, 1, client=b"\xff\xfe\x80") + int32(0)), EITHER),
    ("endless count of header tags", frame(head(METADATA, 12) + ENDLESS), CLOSED),
    ("header tag longer than the frame", frame(head(METADATA, 12) + b"\x01\x05\xff\xff\xff\xff\x07ab"), CLOSED),
    ("unknown header tag", frame(head(METADATA, 12) + b"\x01\x55\x02ab" + b"\x01\x00\x00\x00"), ANSWERED),
    ("unknown tag in the body", frame(head(METADATA, 12, True) + b"\x01\x00\x00" + b"\x01\x55\x02ab"), ANSWERED),
    ("body missing", frame(head(METADATA, 1)), CLOSED),
    ("body cut", frame(head(METADATA, 12, True) + b"\x02" + bytes(16)), CLOSED),
    ("array longer than the frame", frame(head(METADATA, 1) + int32(LONG)), CLOSED),
    ("array of a million in 4 bytes", frame(head(METADATA, 1) + int32(1_000_000)), CLOSED),
    ("array of length -2", frame(head(METADATA, 1) + int32(-2)), EITHER),
    ("compact array longer than the frame", frame(head(METADATA, 12, True) + b"\x80\x80\x80\x80\x04" + bytes(30)), CLOSED),
    ("compact array whose length does not end", frame(head(METADATA, 12, True) + ENDLESS), CLOSED),
    ("string longer than the frame", frame(head(METADATA, 1) + int32(1) + struct.pack(">h", 32767) + b"abc"), CLOSED),
    ("null where it may not be", frame(head(METADATA, 1) + int32(1) + struct.pack(">h", -1)), CLOSED),
    ("string not UTF-8", frame(head(METADATA, 1) + int32(1) + struct.pack(">h", 2) + b"\xff\xfe"), EITHER),
    ("produce with topics beyond the frame", frame(head(PRODUCE, 8) + struct.pack(">hhii", -1, -1, 1000, LONG)), CLOSED),
    ("produce with records beyond the frame", frame(head(PRODUCE, 8) + struct.pack(">hhiih", -1, -1, 1000, 1, 1) + b"t" + struct.pack(">iii", 1, 0, LONG)),
     CLOSED),
    ("produce with records of length -2", frame(head(PRODUCE, 8) + struct.pack(">hhiih", -1, -1, 1000, 1, 1) + b"t" + struct.pack(">iii", 1, 0, -2)), EITHER),
    ("fetch with partitions beyond the frame", frame(head(FETCH, 4) + struct.pack(">iiiibi", -1, 0, 0, 100, 0, 1) + b"\0\1t" + int32(LONG)), CLOSED),
    ("list offsets with partitions beyond the frame", frame(head(LIST_OFFSETS, 1) + struct.pack(">ii", -1, 1) + b"\0\1t" + int32(LONG)), CLOSED),
    ("create topics beyond the frame", frame(head(CREATE_TOPICS, 4) + int32(LONG)), CLOSED),
    ("bytes after the body", frame(head(METADATA, 1) + int32(0) + b"trailing"), EITHER),
    ("ApiVersions with a bad software name", frame(head(API_VERSIONS, 3, True) + b"\x04a b\x02\x31\x00"), ANSWERED),
    ("TLS handshake", bytes.fromhex("16030100c8010000c40303") + bytes(200), CLOSED),
    ("HTTP request", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", CLOSED),
]
