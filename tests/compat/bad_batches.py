"""Record batches that no sound client sends, each with the error that Apache Kafka 4.3.1 answers."""
import gzip
import struct
import time
import zlib

from harness.batch import build, record, zigzag
from harness.client import CORRUPT_MESSAGE, INVALID_RECORD, INVALID_TIMESTAMP, MESSAGE_TOO_LARGE, UNKNOWN_SERVER_ERROR

MAX_MESSAGE_BYTES = 1_048_588  # max.message.bytes
MIB = 1 << 20
GOOD = b"".join(record(n, b"value") for n in range(2))
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4


def raw(payload, count=2, codec=0, **more):
    """A batch with a right CRC around whatever payload."""
    return build([b""] * count, payload=payload, attributes=codec, **more)


def late():
    return int(time.time() * 1000) + 7_200_000


def resized(batch, length):
    return batch[:8] + struct.pack(">i", length) + batch[12:]


def cases():
    """(name, records, allowed errors, what Kafka answers beside them).

    Where Kafka meets garbage only inside a codec or a record it answers UNKNOWN_SERVER_ERROR or even accepts it; we want a refusal that says why.
    """
    good = build([b"a", b"b"])
    invalid, corrupt, refused = {INVALID_RECORD}, {CORRUPT_MESSAGE}, {INVALID_RECORD, CORRUPT_MESSAGE}
    by_accident = {0, UNKNOWN_SERVER_ERROR}
    yield "wrong CRC", build([b"a", b"b"], crc=0x12345678), corrupt, ()
    yield "flipped bit", good[:-1] + bytes([good[-1] ^ 0x40]), corrupt, ()
    yield "count too high", build([b"a", b"b"], count=3), invalid, ()
    yield "count too low", build([b"a", b"b"], count=1, last_delta=0), invalid, ()
    yield "count and last delta disagree", build([b"a", b"b"], last_delta=7), invalid, ()
    yield "count 0", build([], last_delta=-1), invalid, ()
    yield "count 0 with records", build([b"a"], count=0, last_delta=0), invalid, ()
    yield "count -1", build([b"a"], count=-1, last_delta=0), invalid, ()
    yield "largest count", build([b"a"], count=0x7FFFFFFF, last_delta=0x7FFFFFFE), invalid, ()
    for magic in (0, 1):
        yield f"magic {magic}", build([b"a"], magic=magic), invalid, ()
    for magic in (3, 127, -1):
        yield f"magic {magic}", build([b"a"], magic=magic), corrupt, ()
    yield "no records", b"", invalid, ()
    yield "half a header", good[:30], invalid, ()
    yield "cut batch", good[:-5], invalid, ()
    yield "length too small", resized(good, 20), corrupt, ()
    yield "length 0", resized(good, 0), corrupt, ()
    yield "length -1", resized(good, -1), corrupt, ()
    yield "length beyond the records", resized(good, len(good) + 500), invalid, ()
    yield "two batches", good + good, invalid, ()
    yield "bytes after the batch", good + bytes(7), {0, INVALID_RECORD}, ()
    yield "base offset 5", build([b"a"], base_offset=5), invalid, ()
    yield "control batch", build([b"a"], attributes=0x20), invalid, ()
    yield "unknown codec 5", raw(GOOD, codec=5), refused, by_accident
    yield "unknown codec 7", raw(GOOD, codec=7), refused, by_accident
    yield "producer id without sequence", build([b"a"], producer=(5, 0, -1)), invalid, ()
    yield "timestamp two hours ahead", build([b"a"], timestamp=late()), {INVALID_TIMESTAMP}, ()
    yield "over max.message.bytes", build([bytes(MAX_MESSAGE_BYTES)]), {MESSAGE_TOO_LARGE}, ()
    # Kafka takes any negative length of a value as null.
    lax = zigzag(6) + b"\0" + zigzag(0) + zigzag(0) + zigzag(-1) + zigzag(-7) + zigzag(0)
    yield "value of length -7", raw(lax, 1), refused | {0}, ()
    for name, payload, count in payloads():
        yield name, raw(payload, count), refused, by_accident
        yield f"{name}, in gzip", raw(gzip.compress(payload), count, GZIP), refused, by_accident
    for name, codec in (("gzip", GZIP), ("snappy", SNAPPY), ("lz4", LZ4), ("zstd", ZSTD)):
        yield f"{name} of garbage", raw(b"this is not compressed at all" * 3, codec=codec), refused, by_accident
        yield f"{name} of nothing", raw(b"", codec=codec), refused, by_accident
    yield "cut gzip", raw(gzip.compress(GOOD)[:-12], codec=GZIP), refused, by_accident


def payloads():
    """(name, uncompressed payload, count): records that are wrong inside."""
    yield "record longer than the batch", zigzag(1000) + record(0, b"v")[1:], 1
    yield "record of length -1", zigzag(-1) + record(0, b"v")[1:], 1
    yield "record length that does not end", b"\xff" * 30, 1
    yield "key longer than the record", zigzag(10) + b"\0" + zigzag(0) + zigzag(0) + zigzag(5000) + b"abcdef", 1
    yield "millions of headers", _one(zigzag(-1) + zigzag(-1) + zigzag(1 << 28)), 1
    yield "headers -3", _one(zigzag(-1) + zigzag(-1) + zigzag(-3)), 1
    yield "null header name", _one(zigzag(-1) + zigzag(-1) + zigzag(1) + zigzag(-1) + zigzag(-1)), 1
    yield "offset deltas 0 0", record(0, b"a") + record(0, b"b"), 2
    yield "offset deltas 1 0", record(1, b"a") + record(0, b"b"), 2
    yield "bytes after the last record", GOOD + b"\1\2\3", 2


def _one(rest):
    body = b"\0" + zigzag(0) + zigzag(0) + rest
    return zigzag(len(body)) + body


# -- bombs: small on the wire, large when expanded ------------------------------------------------------------------------

def bomb_record(size):
    """The start and the length of one record with a value of `size` zero bytes."""
    start = b"\0" + zigzag(0) + zigzag(0) + zigzag(-1) + zigzag(size)
    return zigzag(len(start) + size + 1) + start


def gzip_bomb(size):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = [packer.compress(bomb_record(size))]
    for _ in range(size // MIB):
        out.append(packer.compress(bytes(MIB)))
    out.append(packer.compress(b"\0") + packer.flush())
    return b"".join(out)


def zstd_bomb(size):
    """One frame of blocks that each say: 128 KiB of zeros."""
    head = bomb_record(size)
    out = bytearray(bytes.fromhex("28b52ffd") + b"\x00\x38")  # no checksum, no content size, window of 128 KiB
    out += struct.pack("<I", len(head) << 3)[:3] + head
    for _ in range(size // (128 << 10)):
        out += struct.pack("<I", (128 << 10) << 3 | 1 << 1)[:3] + b"\0"
    out += struct.pack("<I", 1 << 3 | 1)[:3] + b"\0"
    return bytes(out)


def _xxh32_header(descriptor):
    """The checksum byte of an LZ4 frame header: xxHash32 of fewer than 16 bytes, seed 0, second byte."""
    p2, p3, p5 = 2246822519, 3266489917, 374761393
    mask = 0xFFFFFFFF
    value = (p5 + len(descriptor)) & mask
    for byte in descriptor:
        value = (value + byte * p5) & mask
        value = ((value << 11 | value >> 21) & mask) * 2654435761 & mask
    value = (value ^ value >> 15) * p2 & mask
    value = (value ^ value >> 13) * p3 & mask
    return ((value ^ value >> 16) >> 8) & 0xFF


def lz4_bomb(size):
    """Blocks of 64 KiB, each one literal and a long match."""
    head = bomb_record(size)
    descriptor = bytes([0x60, 0x40])  # version 1, independent blocks, no checksums; 64 KiB
    out = bytearray(b"\x04\x22\x4d\x18" + descriptor + bytes([_xxh32_header(descriptor)]))
    out += struct.pack("<I", len(head) | 1 << 31) + head
    zeros = 65_536
    match = zeros - 1 - 5 - 19  # one literal before, five after, 19 are in the token's own length
    block = bytes([0x1F, 0]) + b"\1\0" + b"\xff" * (match // 255) + bytes([match % 255]) + bytes([0x50]) + bytes(5)
    for _ in range(size // zeros):
        out += struct.pack("<I", len(block)) + block
    out += struct.pack("<I", 1 | 1 << 31) + b"\0" + bytes(4)
    return bytes(out)


def snappy_bomb(size):
    """Raw snappy: copies of 64 bytes from one byte back."""
    head = bomb_record(size)
    total, length = len(head) + size + 1, bytearray()
    left = total
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    out = length + bytes([(len(head) - 1) << 2]) + head + b"\0\0"
    for _ in range(size // 64):
        out += b"\xfe\1\0"
    return bytes(out)


def bombs():
    """(name, records): one record of which the value expands to far more than a broker should hold."""
    yield "gzip to 256 MiB", raw(gzip_bomb(256 * MIB), 1, GZIP)
    yield "zstd to 4 GiB less one block", raw(zstd_bomb(2047 * MIB), 1, ZSTD)
    yield "lz4 to 128 MiB", raw(lz4_bomb(128 * MIB), 1, LZ4)
    yield "snappy to 16 MiB", raw(snappy_bomb(16 * MIB), 1, SNAPPY)
    yield "snappy that says 4 GiB", raw(b"\xff\xff\xff\xff\x0f" + b"\x00a", 1, SNAPPY)
    yield "zstd with a window of 2 GiB", raw(bytes.fromhex("28b52ffd") + b"\x00\xa8" + b"\x09\x00\x00a", 1, ZSTD)
    yield "a quarter of a million empty records in gzip", raw(gzip.compress(b"".join(record(n, b"") for n in range(1 << 18))), 1 << 18, GZIP)


def check_bombs_are_sound():
    """The hand-made frames of zstd, lz4 and snappy are what the codecs read (needs the modules)."""
    import cramjam
    size = 2 * MIB
    wanted = bomb_record(size) + bytes(size + 1)
    assert bytes(cramjam.zstd.decompress(zstd_bomb(size))) == wanted
    assert bytes(cramjam.lz4.decompress(lz4_bomb(size))) == wanted
    assert bytes(cramjam.snappy.decompress_raw(snappy_bomb(size))) == wanted
    assert gzip.decompress(gzip_bomb(size)) == wanted

