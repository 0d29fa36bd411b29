"""The records that every client must carry unharmed, and the file format in which they go to and from the clients.

A records file is a sequence of: offset i64, timestamp i64, key, value, count of headers i32, and for each header its name and
value; key, value and names are i32 length (-1: null) and the bytes. All big-endian, so that Java reads it with DataInputStream.
"""
import random
import struct
from dataclasses import dataclass, replace

LARGE = 1_000_000  # bytes; what librdkafka takes without being configured


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int  # ms; -1: the client sets it
    key: bytes | None
    value: bytes | None
    headers: tuple = ()

    def __repr__(self):
        return (f"Record(offset={self.offset}, timestamp={self.timestamp}, key={brief(self.key)}, value={brief(self.value)}, "
                f"headers=[{', '.join(f'{name}={brief(value)}' for name, value in self.headers)}])")


def brief(data):
    return "null" if data is None else repr(data) if len(data) <= 24 else f"{data[:16]!r}...({len(data)} bytes)"


def binary(seed, now_ms):
    """Records with everything the format allows: nulls, empty and binary contents, headers twice, old and disordered timestamps."""
    chance = random.Random(seed)
    keys = [None, b"", b"key", "schlüssel-键".encode(), bytes(range(256)), chance.randbytes(300)]
    values = [None, b"", b"value", "wert-値".encode(), b"\0\xff" * 40, b"x" * 5000, chance.randbytes(3000)]
    headers = [(), (("a", b"1"),), (("a", b"1"), ("b", b""), ("a", b"2")), (("binary", b"\0\x01\xff"), ("naïve", "é".encode())),
               tuple((f"h{n}", str(n).encode()) for n in range(12)), (("null", None),)]
    records = [(keys[n % 6], values[n % 7], headers[n % 5 if n % 11 else 5]) for n in range(44)]
    records += [(b"large", chance.randbytes(LARGE), ()), (None, (b"compressible " * LARGE)[:LARGE], (("large", b"yes"),)), (b"last", b"", ())]
    return [Record(n, now_ms - 3_600_000 + chance.randrange(-500_000, 500_000), *record) for n, record in enumerate(records)]


def for_python(records):
    """Without what kafka-python and aiokafka refuse to send: a header whose value is null, a record with neither key nor value."""
    return [replace(r, key=b"k" if r.key is None and r.value is None else r.key, headers=tuple((name, value or b"") for name, value in r.headers))
            for r in records]


def _sized(data):
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def write(path, records):
    with open(path, "wb") as file:
        for r in records:
            file.write(struct.pack(">qq", r.offset, r.timestamp) + _sized(r.key) + _sized(r.value) + struct.pack(">i", len(r.headers)))
            for name, value in r.headers:
                file.write(_sized(name.encode()) + _sized(value))


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    at, out = 0, []

    def take(form):
        nonlocal at
        value, = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        return value

    def sized():
        nonlocal at
        size = take(">i")
        if size < 0:
            return None
        at += size
        return data[at - size:at]

    while at < len(data):
        offset, timestamp, key, value = take(">q"), take(">q"), sized(), sized()
        headers = tuple((sized().decode(), sized()) for _ in range(take(">i")))
        out.append(Record(offset, timestamp, key, value, headers))
    return out


def difference(got, wanted):
    """The first place where two lists of records differ, in words; None if they are equal."""
    for n, (one, other) in enumerate(zip(got, wanted)):
        if one != other:
            fields = [name for name in ("offset", "timestamp", "key", "value", "headers") if getattr(one, name) != getattr(other, name)]
            return f"record {n} differs in {', '.join(fields)}: got {one}, wanted {other}"
    if len(got) != len(wanted):
        return f"{len(got)} records instead of {len(wanted)}"
    return None
