"""kcat, driven by its command line. It cannot set timestamps, nor send an empty key or value beside a null one, so it has records of its own."""
import random
import subprocess
import tempfile
from pathlib import Path

from corpus import LARGE, Record
from harness import install

KEY_END, RECORD_END = "\x01\x02", "\x03\x04"
FORMAT = r"%o %T %K %S\n%k%s %h\n"


def groups(seed):
    """(arguments, records) of each kcat run: one run has one set of headers."""
    chance = random.Random(seed)
    clean = bytes(n for n in range(256) if n not in (1, 2, 3, 4))
    plain = [(b"key", b"value"), (None, b"null key"), (b"null value", None), ("schlüssel".encode(), "wert-値".encode()), (clean, clean * 20),
             (b"a", bytes(chance.choices(clean, k=9000)))]
    headers = (("a", b"1"), ("b", b"two words"), ("a", b"2"))
    yield (), [Record(n, -1, key, value) for n, (key, value) in enumerate(plain)]
    yield headers, [Record(6, -1, b"with headers", b"1", headers), Record(7, -1, None, b"2", headers), Record(8, -1, b"3", None, headers)]
    yield None, [Record(9, -1, b"large", chance.randbytes(LARGE)), Record(10, -1, b"large", (b"compressible " * LARGE)[:LARGE])]


def records(seed):
    return [record for _, group in groups(seed) for record in group]


def _run(arguments, limit, **more):
    done = subprocess.run([install.kcat(), *arguments], capture_output=True, timeout=limit, **more)
    if done.returncode:
        raise RuntimeError(f"kcat {' '.join(map(str, arguments))[:200]}: {done.stderr.decode(errors='replace')[-300:]}")
    return done.stdout


def write(bootstrap, topic, partition, codec, seed):
    common = ["-P", "-b", bootstrap, "-t", topic, "-p", str(partition), "-z", codec, "-X", "message.max.bytes=1048588", "-X", "enable.idempotence=true"]
    for headers, group in groups(seed):
        if headers is None:
            with tempfile.TemporaryDirectory() as folder:
                files = [Path(folder, str(record.offset)) for record in group]
                for file, record in zip(files, group):
                    file.write_bytes(record.value)
                _run([*common, "-k", group[0].key.decode(), *files], 60)
            continue
        lines = b"".join((r.key or b"") + KEY_END.encode() + (r.value or b"") + RECORD_END.encode() for r in group)
        options = [word for name, value in headers for word in ("-H", f"{name}={value.decode()}")]
        _run([*common, "-Z", "-K", KEY_END, "-D", RECORD_END, *options], 60, input=lines)


def render(record):
    """What kcat prints of a record in FORMAT: of a header's value only what stands before its first zero byte."""
    key, value = record.key, record.value
    start = f"{record.offset} {record.timestamp} {-1 if key is None else len(key)} {-1 if value is None else len(value)}\n".encode()
    shown = b",".join(name.encode() + b"=" + (b"NULL" if content is None else content.split(b"\0")[0]) for name, content in record.headers)
    return start + (key or b"") + (value or b"") + b" " + shown + b"\n"


def difference(bootstrap, topic, partition, wanted):
    """Reads a partition; None if kcat printed exactly the wanted records, else the first difference in words."""
    out = _run(["-C", "-b", bootstrap, "-t", topic, "-p", str(partition), "-o", "beginning", "-c", str(len(wanted)), "-q", "-f", FORMAT,
                "-X", "check.crcs=true"], 60)
    at = 0
    for n, record in enumerate(wanted):
        text = render(record)
        if out[at:at + len(text)] != text:
            return f"record {n}: kcat printed {out[at:at + 120]!r}, wanted {text[:120]!r} ({len(text)} bytes)"
        at += len(text)
    return f"{len(out) - at} bytes more than the records" if at != len(out) else None
