"""What the crash test writes: values that say who they are and whose every byte can be checked."""
import random
import struct
from typing import NamedTuple

HEADER = struct.Struct(">HHQI")
BLOCK = random.Random(20).randbytes(1 << 17)  # fillings are slices of it
FILL_MAX = 1 << 16


class Id(NamedTuple):
    writer: int
    partition: int
    number: int


def fill(identity, size):
    at = (identity.writer * 7919 + identity.partition * 104_729 + identity.number * 31) % (len(BLOCK) - FILL_MAX)
    return BLOCK[at:at + size]


def encode(identity, size):
    return HEADER.pack(*identity, size) + fill(identity, size)


def decode(value):
    """The id of a value; ValueError if a byte of it is wrong."""
    *identity, size = HEADER.unpack_from(value)
    identity = Id(*identity)
    if value[HEADER.size:] != fill(identity, size):
        raise ValueError(f"the value of {identity} is damaged")
    return identity
