"""Kafka's primitive types: a writer and a reader that know whether the message is flexible (compact lengths, tags)."""
import struct
import uuid


class Writer:
    def __init__(self, flexible=False):
        self.flexible = flexible
        self.parts = bytearray()

    def pack(self, form, *values):
        self.parts += struct.pack(">" + form, *values)
        return self

    def raw(self, data):
        self.parts += data
        return self

    def int8(self, value):
        return self.pack("b", value)

    def int16(self, value):
        return self.pack("h", value)

    def int32(self, value):
        return self.pack("i", value)

    def int64(self, value):
        return self.pack("q", value)

    def uuid(self, value):
        return self.raw(value.bytes)

    def varint(self, value):
        """Unsigned varint."""
        while value > 0x7F:
            self.parts.append(value & 0x7F | 0x80)
            value >>= 7
        self.parts.append(value)
        return self

    def length(self, value, form="i"):
        """The length before an array, a string (form h) or bytes; None is null."""
        if self.flexible:
            return self.varint(0 if value is None else value + 1)
        return self.pack(form, -1 if value is None else value)

    def string(self, value):
        data = None if value is None else value.encode()
        return self.length(None if data is None else len(data), "h").raw(data or b"")

    def bytes(self, value):
        return self.length(None if value is None else len(value)).raw(value or b"")

    def array(self, items, write):
        self.length(None if items is None else len(items))
        for item in items or []:
            write(item)
        return self

    def tags(self):
        if self.flexible:
            self.parts.append(0)
        return self


class Reader:
    def __init__(self, data, flexible=False):
        self.data, self.at, self.flexible = data, 0, flexible

    def unpack(self, form):
        size = struct.calcsize(form)
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += size
        return value

    def int8(self):
        return self.unpack("b")

    def int16(self):
        return self.unpack("h")

    def int32(self):
        return self.unpack("i")

    def int64(self):
        return self.unpack("q")

    def raw(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise ValueError(f"{size} bytes at {self.at} of {len(self.data)}")
        self.at += size
        return bytes(self.data[self.at - size:self.at])

    def uuid(self):
        return uuid.UUID(bytes=self.raw(16))

    def varint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def length(self, form="i"):
        size = self.varint() - 1 if self.flexible else self.unpack(form)
        return None if size < 0 else size

    def string(self):
        size = self.length("h")
        return None if size is None else self.raw(size).decode()

    def bytes(self):
        size = self.length()
        return None if size is None else self.raw(size)

    def array(self, read):
        size = self.length()
        return None if size is None else [read() for _ in range(size)]

    def tags(self):
        """The tagged fields as {tag: bytes}."""
        if not self.flexible:
            return {}
        return {self.varint(): self.raw(self.varint()) for _ in range(self.varint())}

    def left(self):
        return len(self.data) - self.at
