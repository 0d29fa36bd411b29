//! The logs of partitions: segments, indexes, timestamps, flush, retention, compaction.

use super::properties;

properties! {
    Broker;

    "background.threads", Int, "10", AtLeast(1), Cluster, Without;
    "compression.gzip.level", Int, "-1", WithinOr(1, 9, -1), Cluster, Used:
        "level when the broker compresses with gzip";
    "compression.lz4.level", Int, "9", Within(1, 17), Cluster, Used:
        "level when the broker compresses with lz4; there is one for all";
    "compression.type", Text, "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Cluster, Used:
        "codec of stored batches: a batch that arrives otherwise is compressed anew; `producer` keeps them as they came";
    "compression.zstd.level", Int, "3", Within(-131_072, 22), Cluster, Used:
        "level when the broker compresses with zstd";
    "log.cleaner.backoff.ms", Long, "15000", AtLeast(0), Cluster, Used:
        "time between two looks for logs to compact";
    "log.cleaner.dedupe.buffer.size", Long, "134217728", Any, Cluster, Used:
        "most bytes of the maps of keys that compaction makes, of all cores together";
    "log.cleaner.delete.retention.ms", Long, "86400000", AtLeast(0), Cluster, Used:
        "how long tombstones outlive compaction";
    "log.cleaner.enable", Bool, "true", Any, Start, Used:
        "whether logs are compacted";
    "log.cleaner.io.buffer.load.factor", Double, "0.9", Any, Cluster, Used:
        "how full a map of keys may become; a fuller one is slower and reaches further";
    "log.cleaner.io.buffer.size", Int, "524288", AtLeast(0), Cluster, Without;
    "log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308", Any, Cluster, Used:
        "most bytes a second that compaction reads and writes, of all cores together";
    "log.cleaner.max.compaction.lag.ms", Long, "9223372036854775807", AtLeast(1), Cluster, Used:
        "a record is open to compaction once it is older than this";
    "log.cleaner.min.cleanable.ratio", Double, "0.5", Real(0.0, 1.0), Cluster, Used:
        "share of uncompacted bytes from which on a log is compacted";
    "log.cleaner.min.compaction.lag.ms", Long, "0", AtLeast(0), Cluster, Used:
        "a record is not compacted while it is younger than this";
    "log.cleaner.threads", Int, "1", AtLeast(0), Cluster, Without;
    "log.cleanup.policy", List, "delete", Each(&["compact", "delete"]), Cluster, Used:
        "delete old segments, compact by key, or both";
    "log.dir", List, "./duramen-data", Any, Start, Used:
        "the data directory";
    "log.dir.failure.timeout.ms", Long, "30000", AtLeast(1), Start, Later;
    "log.dirs", List, null, Any, Start, Used:
        "data directories, separated by commas; wins over log.dir";
    "log.flush.interval.messages", Long, "9223372036854775807", AtLeast(1), Cluster, Used:
        "records after which an append waits for the disk, whatever its acks; acks=all waits in any case";
    "log.flush.interval.ms", Long, null, Any, Cluster, Used:
        "time within which an append is on the disk, whatever its acks; acks=all waits in any case";
    "log.flush.offset.checkpoint.interval.ms", Int, "60000", AtLeast(0), Start, Without;
    "log.flush.scheduler.interval.ms", Long, "9223372036854775807", Any, Start, Without;
    "log.flush.start.offset.checkpoint.interval.ms", Int, "60000", AtLeast(0), Start, Without;
    "log.index.interval.bytes", Int, "4096", AtLeast(0), Cluster, Used:
        "bytes of records between two entries of an offset index";
    "log.index.size.max.bytes", Int, "10485760", AtLeast(4), Cluster, Used:
        "largest index file; a segment whose index is full is closed";
    "log.initial.task.delay.ms", Long, "30000", AtLeast(0), Start, Used, internal:
        "periodic work begins so long after the start";
    "log.local.retention.bytes", Long, "-2", AtLeast(-2), Cluster, Later:
        "bytes kept locally of a tiered partition; -2 is retention.bytes";
    "log.local.retention.ms", Long, "-2", AtLeast(-2), Cluster, Later:
        "age of what is kept locally of a tiered partition; -2 is retention.ms";
    "log.message.timestamp.after.max.ms", Long, "3600000", AtLeast(0), Cluster, Used:
        "a record whose timestamp lies further in the future is refused";
    "log.message.timestamp.before.max.ms", Long, "9223372036854775807", AtLeast(0), Cluster, Used:
        "a record older than this, by its timestamp, is refused";
    "log.message.timestamp.type", Text, "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), Cluster, Used:
        "CreateTime keeps the producer's timestamps, LogAppendTime replaces them by the broker's time";
    "log.preallocate", Bool, "false", Any, Cluster, Used:
        "whether room on the disk is reserved for the whole of a new segment, as far as a share of the spare room goes";
    "log.retention.bytes", Long, "-1", Any, Cluster, Used:
        "the oldest segments are deleted while a partition is larger than this; -1 keeps them";
    "log.retention.check.interval.ms", Long, "300000", AtLeast(1), Start, Used:
        "time between two looks for segments to delete";
    "log.retention.hours", Int, "168", Any, Start, Used:
        "closed segments older than this are deleted";
    "log.retention.minutes", Int, null, Any, Start, Used:
        "closed segments older than this are deleted; wins over hours";
    "log.retention.ms", Long, null, Any, Cluster, Used:
        "closed segments older than this are deleted; -1 keeps them; wins over minutes and hours";
    "log.roll.hours", Int, "168", AtLeast(1), Start, Used:
        "a segment older than this is closed";
    "log.roll.jitter.hours", Int, "0", AtLeast(0), Start, Used:
        "at most so much is taken off log.roll.hours at random";
    "log.roll.jitter.ms", Long, null, Any, Cluster, Used:
        "at most so much is taken off log.roll.ms at random; wins over log.roll.jitter.hours";
    "log.roll.ms", Long, null, Any, Cluster, Used:
        "a segment older than this is closed; wins over log.roll.hours";
    "log.segment.bytes", Int, "1073741824", AtLeast(1_048_576), Cluster, Used:
        "a segment that would grow beyond this is closed and a new one begun";
    "log.segment.delete.delay.ms", Long, "60000", AtLeast(0), Cluster, Used:
        "time between the removal of a segment from its log and that of its files";
    "message.max.bytes", Int, "1048588", AtLeast(0), Cluster, Used:
        "largest record batch";
    "num.recovery.threads.per.data.dir", Int, "2", AtLeast(1), Cluster, Without;
    "producer.id.expiration.check.interval.ms", Int, "600000", AtLeast(1), Start, Without, internal;
    "producer.id.expiration.ms", Int, "86400000", AtLeast(1), Cluster, Used:
        "a producer id that wrote nothing for so long is forgotten";
}
