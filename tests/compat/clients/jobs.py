"""What all Python client programs share: CLIENT.py write|read BOOTSTRAP JOBS.

JOBS is a file with one line a partition: topic, partition, codec, count of records, records file. `write` sends the records of that
file; `read` writes the records that it got to it.
"""
import sys
from collections import namedtuple
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import corpus  # noqa: E402

Job = namedtuple("Job", "topic partition codec count path")


def load(path):
    for line in Path(path).read_text().splitlines():
        topic, partition, codec, count, records = line.split("\t")
        yield Job(topic, int(partition), codec, int(count), records)


def main(write, read):
    mode, bootstrap, path = sys.argv[1:]
    jobs = list(load(path))
    if mode == "write":
        write(bootstrap, [(job, corpus.read(job.path)) for job in jobs])
        return
    got = {(job.topic, job.partition): [] for job in jobs}
    read(bootstrap, {(job.topic, job.partition): job.count for job in jobs}, got)
    for job in jobs:
        corpus.write(job.path, got[job.topic, job.partition])
