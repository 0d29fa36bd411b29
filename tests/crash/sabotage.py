"""Damages a log between a kill and the restart, as a broken broker would, to see that the checker notices.

Each function changes the last segment of one partition and returns what it did; `wanted` is the number of the report that must follow.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "compat"))
from harness.batch import build, parse  # noqa: E402
from records import Id, decode, encode  # noqa: E402


def _segment(data, topic):
    """(path, batches) of the longest last segment of the topic."""
    last = [max(folder.glob("*.log")) for folder in data.glob(f"{topic}-*") if any(folder.glob("*.log"))]
    path = max(last, key=lambda file: file.stat().st_size)
    batches = parse(path.read_bytes())
    if not batches:
        raise SystemExit(f"{path} has no batches to damage")
    return path, batches


def _rewrite(path, batches):
    path.write_bytes(b"".join(batches))
    for index in path.parent.glob(f"{path.stem}.*index"):
        index.unlink()


def loss(data, topic):
    """Cuts the last batch off."""
    path, batches = _segment(data, topic)
    _rewrite(path, [batch.raw for batch in batches[:-1]])
    return f"cut {batches[-1].count} records off the end of {path.parent.name}"


def twice(data, topic):
    """Appends the last readable batch once more."""
    path, batches = _segment(data, topic)
    original = next(batch for batch in reversed(batches) if batch.codec == "none")
    copy = build(original.values(), base_offset=batches[-1].last_offset + 1, leader_epoch=original.leader_epoch)
    _rewrite(path, [batch.raw for batch in batches] + [copy])
    return f"appended {original.count} records of {path.parent.name} once more"


def changed(data, topic):
    """Puts another record in the place of one, with a right CRC."""
    path, batches = _segment(data, topic)
    at = next(n for n, batch in reversed(list(enumerate(batches))) if batch.codec == "none")
    batch = batches[at]
    other = [encode(Id(99, decode(value).partition, n), 10) for n, value in enumerate(batch.values())]
    forged = build(other, base_offset=batch.base_offset, leader_epoch=batch.leader_epoch, timestamp=batch.base_timestamp,
                   producer=(batch.producer_id, batch.producer_epoch, batch.base_sequence))
    _rewrite(path, [b.raw for b in batches[:at]] + [forged] + [b.raw for b in batches[at + 1:]])
    return f"replaced {batch.count} records of {path.parent.name} at offset {batch.base_offset}"


MODES = {"loss": (loss, "1 lost"), "twice": (twice, "2 twice"), "changed": (changed, "3 changed")}
