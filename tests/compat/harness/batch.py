"""Record batches v2, written and read apart from the broker's own code.

    0  base offset        i64      8  length            i32     12  leader epoch  i32    16  magic           i8
   17  CRC-32C of 21..    u32     21  attributes        i16     23  last delta    i32    27  base timestamp  i64
   35  max timestamp      i64     43  producer id       i64     51  producer epoch i16   53  base sequence   i32
   57  record count       i32     61  records (compressed as a whole, by attributes & 7)
"""
import gzip
import struct
import time
from dataclasses import dataclass, field

HEADER = struct.Struct(">qiibIhiqqqhii")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def _table():
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ 0x82F63B78 if n & 1 else n >> 1
        yield n


TABLE = list(_table())


def crc32c(data):
    crc, table = 0xFFFFFFFF, TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def zigzag(value):
    value = value << 1 ^ value >> 63
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sized(data):
    return zigzag(-1) if data is None else zigzag(len(data)) + data


def record(offset_delta, value, key=None, headers=(), timestamp_delta=0):
    body = b"\0" + zigzag(timestamp_delta) + zigzag(offset_delta) + sized(key) + sized(value) + zigzag(len(headers))
    body += b"".join(sized(name) + sized(content) for name, content in headers)
    return zigzag(len(body)) + body


def build(values, codec=0, producer=(-1, -1, -1), timestamp=None, leader_epoch=-1, **wrong):
    """A batch of `values` (bytes, or None) as a producer sends it. producer: (id, epoch, base sequence).
    `wrong` replaces what stands in the header: base_offset, magic, crc, attributes, last_delta, count, length, payload."""
    timestamp = int(time.time() * 1000) if timestamp is None else timestamp
    payload = wrong.get("payload")
    if payload is None:
        payload = b"".join(record(delta, value) for delta, value in enumerate(values))
        if codec == 1:
            payload = gzip.compress(payload, 1)
        elif codec:
            raise ValueError("only none and gzip can be written without other modules")
    count = wrong.get("count", len(values))
    checked = struct.pack(
        ">hiqqqhii", wrong.get("attributes", codec), wrong.get("last_delta", count - 1), timestamp, timestamp, *producer, count) + payload
    crc = wrong.get("crc", crc32c(checked))
    length = wrong.get("length", len(checked) + 9)
    return struct.pack(">qiibI", wrong.get("base_offset", 0), length, leader_epoch, wrong.get("magic", 2), crc) + checked


@dataclass
class Batch:
    base_offset: int
    size: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int
    raw: bytes = field(repr=False)

    @property
    def codec(self):
        return CODECS[self.attributes & 7]

    @property
    def last_offset(self):
        return self.base_offset + self.last_delta

    def crc_holds(self):
        return crc32c(self.raw[21:]) == self.crc

    def values(self):
        """The values of the records (none and gzip only)."""
        return [value for _, value in self.pairs()]

    def pairs(self):
        """The keys and values of the records (none and gzip only)."""
        payload = self.raw[61:]
        if self.attributes & 7 == 1:
            payload = gzip.decompress(payload)
        at, out = 0, []

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = payload[at]
                at += 1
                value |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return value >> 1 ^ -(value & 1)

        for _ in range(self.count):
            end = varint()
            end += at
            at += 1
            varint(), varint()
            pair = []
            for _ in range(2):
                size = varint()
                pair.append(None if size < 0 else payload[at:at + size])
                at += max(size, 0)
            out.append(tuple(pair))
            at = end
        return out


def parse(data):
    """The whole batches in `data`; a trailing part of one is left out, as clients do."""
    out, at = [], 0
    while at + HEADER.size <= len(data):
        base_offset, length, *rest = HEADER.unpack_from(data, at)
        size = length + 12
        if size < HEADER.size or at + size > len(data):
            break
        out.append(Batch(base_offset, size, *rest, bytes(data[at:at + size])))
        at += size
    return out
