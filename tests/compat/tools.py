"""Apache Kafka's own command line tools, each doing its work against the broker."""
import json
import re
import subprocess
import tempfile
import time

from harness import install
from harness.batch import CODECS
from harness.client import Client
from harness.report import Failed, Skip, check, equal

TOOLS = "org.apache.kafka.tools."
CONFIGS = "kafka.admin.ConfigCommand"
RECORDS = 20_000


class Tools:
    def __init__(self, broker, report):
        self.broker, self.report = broker, report
        self.run_id = f"{int(time.time() * 1000) % 10 ** 10}"

    def all(self):
        for step in (self.api_versions, self.cluster_id, self.create_list_delete, self.auto_create, self.verifiable_producer,
                     self.get_offsets, self.performance, self.console, self.describe, self.quorum, self.configs,
                     self.more_partitions, self.delete_records, self.log_dirs):
            self.report.run(f"tools/{step.__name__.replace('_', '-')}", step)

    def name(self, what):
        return f"tools-{what}-{self.run_id}"

    def fails(self, tool, *arguments, limit=90):
        """Runs a tool that is to fail, named by its class, and returns what it printed, errors too."""
        command = install.java_command(tool, "--bootstrap-server", self.broker.bootstrap, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=limit)
        check(done.returncode != 0, f"{tool} ended well: {done.stdout[-300:]}")
        return done.stdout + done.stderr

    def run(self, tool, *arguments, limit=90, given=None, status=0):
        """Runs a tool against the broker and returns what it printed."""
        return self.run_class(TOOLS + tool, *arguments, limit=limit, given=given, status=status)

    @staticmethod
    def run_class(tool, *arguments, limit=90, given=None, status=0):
        command = install.java_command(tool, *arguments)
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=limit, input=given or "")
        except subprocess.TimeoutExpired as late:
            printed = ((late.stdout or b"") + (late.stderr or b"")).decode(errors="replace")
            raise Failed(f"{tool} did not end in {limit} s: ...{printed[-400:]}") from None
        check(done.returncode == status, f"{tool} ended with {done.returncode}: ...{(done.stdout + done.stderr)[-600:]}")
        return done.stdout

    def ask(self, tool, *arguments, **more):
        return self.run(tool, "--bootstrap-server", self.broker.bootstrap, *arguments, **more)

    def create(self, what, partitions=1):
        name = self.name(what)
        self.ask("TopicCommand", "--create", "--topic", name, "--partitions", partitions, "--replication-factor", 1)
        return name

    def read(self, topic, partition, count, *more):
        """The lines that the console consumer prints of the first `count` records of a partition, without a group."""
        out = self.ask("consumer.ConsoleConsumer", "--topic", topic, "--partition", partition, "--offset", "earliest", "--max-messages", count,
                       "--timeout-ms", 15_000, *more)
        return out.splitlines()

    # -- the checks --------------------------------------------------------------------------------------------------

    def api_versions(self):
        out = self.ask("BrokerApiVersionsCommand")
        check(self.broker.host in out and "Produce(0)" in out, f"printed {out[:200]}")
        check("UNKNOWN" not in out, f"advertises what Kafka 4.3.1 does not know: {re.findall(r'UNKNOWN.*', out)}")

    def cluster_id(self):
        out = self.run("ClusterTool", "cluster-id", "--bootstrap-server", self.broker.bootstrap)
        check(re.search(r"Cluster ID: [A-Za-z0-9_-]{22}\b", out), f"printed {out[:200]}")

    def create_list_delete(self):
        name = self.create("topics", 4)
        check(name in self.ask("TopicCommand", "--list").split(), "the created topic is not listed")
        out = self.run("TopicCommand", "--bootstrap-server", self.broker.bootstrap, "--create", "--topic", name, status=1)
        check("already exists" in out, f"creating it again printed {out[:200]}")
        self.ask("TopicCommand", "--delete", "--topic", name)
        end = time.monotonic() + 10
        while name in self.ask("TopicCommand", "--list").split():
            check(time.monotonic() < end, "the deleted topic is still listed")

    def describe(self):
        """Needs DescribeConfigs, and DescribeTopicPartitions or Metadata."""
        name = self.create("described", 4)
        out = self.ask("TopicCommand", "--describe", "--topic", name)
        check(re.search(r"PartitionCount: 4\b", out) and len(re.findall(r"\bLeader: \d+", out)) == 4, f"describe printed {out[:300]}")

    def quorum(self):
        """As with Kafka, one voter that leads and is up to date."""
        out = self.run("MetadataQuorumCommand", "--bootstrap-server", self.broker.bootstrap, "describe", "--status")
        status = dict(re.findall(r"^(\w+):\s+(.*)$", out, re.M))
        for name, form in (("LeaderId", r"\d+"), ("LeaderEpoch", r"[1-9]\d*"), ("HighWatermark", r"[1-9]\d*"), ("MaxFollowerLag", "0"),
                           ("CurrentVoters", rf'\[{{"id": {status.get("LeaderId")}, .*}}\]'), ("CurrentObservers", r"\[\]")):
            check(re.fullmatch(form, status.get(name, "")), f"{name} in {out}")
        out = self.run("MetadataQuorumCommand", "--bootstrap-server", self.broker.bootstrap, "describe", "--replication")
        rows = [line.split() for line in out.splitlines()[1:]]
        check(len(rows) == 1 and (rows[0][0], rows[0][3], rows[0][-1]) == (status["LeaderId"], "0", "Leader"), f"printed {out}")

    def auto_create(self):
        name = self.name("auto")
        self.ask("ConsoleProducer", "--topic", name, given="one\ntwo\n")
        with Client(self.broker.bootstrap) as raw:
            partitions = len(raw.metadata([name]).topics[0].partitions)
            equal(partitions, 4, "partitions of the topic made by the producer (num.partitions)")
            equal(sum(raw.list_offset(name, p).offset for p in range(partitions)), 2, "records in it")

    def verifiable_producer(self):
        name = self.create("verifiable", 4)
        out = self.ask("VerifiableProducer", "--topic", name, "--max-messages", RECORDS, "--acks", -1, "--throughput", -1)
        events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        sent = {(e["partition"], e["offset"]): e["value"] for e in events if e["name"] == "producer_send_success"}
        equal((len(sent), [e for e in events if e["name"] == "producer_send_error"]), (RECORDS, []), "acknowledged records, errors")
        for partition in range(4):
            mine = {offset: value for (p, offset), value in sent.items() if p == partition}
            equal(sorted(mine), list(range(len(mine))), f"offsets of partition {partition}")
            lines = self.read(name, partition, len(mine), "--formatter-property", "print.offset=true") if mine else []
            got = {int(offset.split(":")[1]): value for offset, value in (line.split("\t") for line in lines)}
            check(got == mine, f"partition {partition} reads differently from what was acknowledged")

    def get_offsets(self):
        name = self.name("verifiable")
        expected = {}
        with Client(self.broker.bootstrap) as raw:
            for partition in range(4):
                expected[partition] = raw.list_offset(name, partition).offset

        def offsets(when):
            out = self.ask("GetOffsetShell", "--topic", name, "--time", when)
            return {int(p): int(o) for p, o in re.findall(rf"^{name}:(\d+):(-?\d+)$", out, re.M)}

        equal(offsets("latest"), expected, "latest offsets")
        equal(offsets("earliest"), {p: 0 for p in range(4)}, "earliest offsets")
        newest = offsets("max-timestamp")
        check(all(0 <= newest[p] < expected[p] for p in newest) and newest, f"max-timestamp offsets {newest}")
        # A producer without keys may leave a partition empty, and one without records has no offset at any time.
        equal(offsets(0), {p: 0 for p in range(4) if expected[p]}, "offsets at time 0")

    def performance(self):
        name = self.create("performance", 5)
        for partition, codec in enumerate(CODECS):
            out = self.run("ProducerPerformance", "--topic", name, "--num-records", RECORDS, "--record-size", 300, "--throughput", -1,
                           "--command-property", f"bootstrap.servers={self.broker.bootstrap}", "acks=all", f"compression.type={codec}")
            check(f"{RECORDS} records sent" in out, f"{codec}: printed {out[-200:]}")
        with Client(self.broker.bootstrap) as raw:
            equal(sum(raw.list_offset(name, p).offset for p in range(5)), 5 * RECORDS, "records in the log")
            found = {batch.codec for p in range(5) for batch in raw.read_log(name, p)}
        equal(found, set(CODECS), "codecs in the log")

    def console(self):
        name = self.create("console")
        lines = ["h1:a,h1:b\tk1\tv1", "h1:c\tk2\tv2", "h1:d\tk1\t", "h1:e\tNIL\tNIL"]
        self.ask("ConsoleProducer", "--topic", name, *(word for key in ("parse.key=true", "parse.headers=true", "null.marker=NIL")
                                                        for word in ("--reader-property", key)), given="\n".join(lines) + "\n")
        shown = [word for key in ("print.key=true", "print.headers=true", "null.literal=NIL") for word in ("--formatter-property", key)]
        equal(self.read(name, 0, 4, *shown), lines, "lines")

    # -- settings, and what goes --------------------------------------------------------------------------------------

    def configs(self):
        """kafka-configs: settings are shown, changed, taken back, and refused with what is allowed."""
        about = ["--entity-type", "topics", "--entity-name", self.create("configs")]

        def config(*more):
            return self.run_class(CONFIGS, "--bootstrap-server", self.broker.bootstrap, *about, *more)

        def shown(*more):
            return dict(re.findall(r"^  ([a-z0-9.]+)=(\S*) sensitive", config("--describe", *more), re.M))

        everything = shown("--all")
        for key, value in {"retention.ms": "604800000", "segment.bytes": "1073741824", "cleanup.policy": "delete", "compression.type": "producer",
                           "max.message.bytes": "1048588", "min.cleanable.dirty.ratio": "0.5", "flush.ms": str(2 ** 63 - 1)}.items():
            equal(everything.get(key), value, f"{key} by default")
        check(len(everything) >= 33, f"only {len(everything)} settings are shown")
        config("--alter", "--add-config", "retention.ms=3600000,cleanup.policy=[compact,delete],segment.jitter.ms=7")
        equal(shown(), {"retention.ms": "3600000", "cleanup.policy": "compact,delete", "segment.jitter.ms": "7"}, "settings of its own")
        config("--alter", "--delete-config", "segment.jitter.ms,cleanup.policy")
        equal(shown(), {"retention.ms": "3600000"}, "what is left of them")
        for bad, allowed in (("segment.bytes=1", "1048576"), ("retention.ms=-2", "-1")):
            out = self.fails(CONFIGS, *about, "--alter", "--add-config", bad)
            check("InvalidConfigurationException" in out and allowed in out, f"{bad}: {out[-400:]}")
        equal(shown(), {"retention.ms": "3600000"}, "settings after refusals")

    def more_partitions(self):
        """kafka-topics --alter --partitions: records are there before and after, in every partition."""
        name = self.create("more", 2)
        with Client(self.broker.bootstrap) as raw:
            raw.produce_values(name, 1, b"before")
            self.ask("TopicCommand", "--alter", "--topic", name, "--partitions", 5)
            raw.wait_for_topic(name, 5)
            for partition in range(2, 5):
                equal(raw.produce_values(name, partition, b"after").error, 0, f"producing to partition {partition}")
            equal(raw.list_offset(name, 1).offset, 1, "records of before")
        out = self.fails(TOOLS + "TopicCommand", "--alter", "--topic", name, "--partitions", 3)
        check("would not be an increase" in out, f"fewer partitions: {out[-300:]}")

    def delete_records(self):
        name = self.create("delete-records", 2)
        with Client(self.broker.bootstrap) as raw:
            for partition in range(2):
                raw.produce_values(name, partition, *[b"%d" % n for n in range(10)])
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump({"version": 1, "partitions": [{"topic": name, "partition": p, "offset": offset} for p, offset in ((0, 4), (1, -1))]}, file)
                file.flush()
                out = self.ask("DeleteRecordsCommand", "--offset-json-file", file.name)
            equal(sorted(re.findall(rf"partition: {name}-(\d)\s+low_watermark: (\d+)", out)), [("0", "4"), ("1", "10")], "low watermarks")
            equal([raw.list_offset(name, partition, -2).offset for partition in range(2)], [4, 10], "starts of the logs")
        equal(self.read(name, 0, 6), [str(n) for n in range(4, 10)], "records that are left")

    def log_dirs(self):
        name = self.create("log-dirs", 3)
        with Client(self.broker.bootstrap) as raw:
            raw.produce_values(name, 1, b"v" * 5000)
        out = self.ask("LogDirsCommand", "--describe", "--topic-list", name)
        directories = [directory for broker in json.loads(out[out.index('{"'):])["brokers"] for directory in broker["logDirs"]]
        sizes = {partition["partition"]: partition["size"] for directory in directories for partition in directory["partitions"]}
        equal(sorted(sizes), [f"{name}-{n}" for n in range(3)], "partitions")
        check(sizes[f"{name}-0"] == 0 and 5000 < sizes[f"{name}-1"] < 5200, f"sizes are {sizes}")

    # -- files -------------------------------------------------------------------------------------------------------

    def dump_all(self):
        """DumpLogSegments over every segment of our data directory; to be run while the broker is stopped."""
        if not getattr(self.broker, "data", None):
            raise Skip("needs the data directory")
        logs = sorted(path for path in self.broker.data.glob("*/*.log")
                      if path.parent.name != "__cluster_metadata-0" and not path.parent.name.endswith("-delete"))
        check(logs, f"no segments under {self.broker.data}")
        batches = self.dump("--deep-iteration", files=logs)
        for kind in ("index", "timeindex"):
            if files := sorted(path for log in logs for path in log.parent.glob(f"*.{kind}")):
                self.dump("--index-sanity-check", files=files)
                self.dump("--verify-index-only", files=files)
        if snapshots := sorted(path for log in logs for path in log.parent.glob("*.snapshot")):
            self.dump(files=snapshots)
        metadata = sorted(self.broker.data.glob("__cluster_metadata-0/*.log"))
        check(metadata, "no segment of __cluster_metadata-0")
        records = self.dump("--cluster-metadata-decoder", files=metadata)
        return f"{batches} lines of {len(logs)} segments, {records} of metadata"

    def dump(self, *options, files):
        lines = 0
        for at in range(0, len(files), 200):
            some = files[at:at + 200]
            out = self.run("DumpLogSegments", *options, "--files", ",".join(map(str, some)))
            bad = [line for line in out.splitlines() if re.search(r"isvalid: false|mismatch|[Ii]nvalid|corrupt|Found timestamp|Exception|Could not", line)]
            check(not bad, f"{options}: {bad[:3]}")
            lines += out.count("\n")
        return lines
