//! What may be set for one topic. A key that is not set has the value of its first synonym that the broker has.

use super::properties;

properties! {
    Topic;

    "cleanup.policy", List, "delete", Each(&["compact", "delete"]), Topic, Used:
        "delete old segments, compact by key, or both";
    "compression.gzip.level", Int, "-1", WithinOr(1, 9, -1), Topic, Used:
        "level when the broker compresses with gzip";
    "compression.lz4.level", Int, "9", Within(1, 17), Topic, Used:
        "level when the broker compresses with lz4; there is one for all";
    "compression.type", Text, "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Topic, Used:
        "codec of stored batches: a batch that arrives otherwise is compressed anew; `producer` keeps them as they came";
    "compression.zstd.level", Int, "3", Within(-131_072, 22), Topic, Used:
        "level when the broker compresses with zstd";
    "delete.retention.ms", Long, "86400000", AtLeast(0), Topic, Used:
        "how long tombstones outlive compaction";
    "durability", Text, "disk", OneOf(&["disk", "memory"]), Topic, Used:
        "disk: acks=all is answered when records are on the disk; memory: when they are in the page cache, which a crash of the machine loses";
    "file.delete.delay.ms", Long, "60000", AtLeast(0), Topic, Used:
        "time between the removal of a segment from its log and that of its files";
    "flush.messages", Long, "9223372036854775807", AtLeast(1), Topic, Used:
        "records after which an append waits for the disk, whatever its acks; acks=all waits in any case";
    "flush.ms", Long, "9223372036854775807", AtLeast(0), Topic, Used:
        "time within which an append is on the disk, whatever its acks; acks=all waits in any case";
    "follower.replication.throttled.replicas", List, "", ThrottledReplicas, Topic, Later:
        "replicas whose follower side is throttled, PARTITION:BROKER or *";
    "index.interval.bytes", Int, "4096", AtLeast(0), Topic, Used:
        "bytes of records between two entries of an offset index";
    "internal.segment.bytes", Int, null, Any, Topic, Used, internal:
        "like segment.bytes without its lower bound, for tests";
    "leader.replication.throttled.replicas", List, "", ThrottledReplicas, Topic, Later:
        "replicas whose leader side is throttled, PARTITION:BROKER or *";
    "local.retention.bytes", Long, "-2", AtLeast(-2), Topic, Later:
        "bytes kept locally of a tiered partition; -2 is retention.bytes";
    "local.retention.ms", Long, "-2", AtLeast(-2), Topic, Later:
        "age of what is kept locally of a tiered partition; -2 is retention.ms";
    "max.compaction.lag.ms", Long, "9223372036854775807", AtLeast(1), Topic, Used:
        "a record is open to compaction once it is older than this";
    "max.message.bytes", Int, "1048588", AtLeast(0), Topic, Used:
        "largest record batch";
    "message.timestamp.after.max.ms", Long, "3600000", AtLeast(0), Topic, Used:
        "a record whose timestamp lies further in the future is refused";
    "message.timestamp.before.max.ms", Long, "9223372036854775807", AtLeast(0), Topic, Used:
        "a record older than this, by its timestamp, is refused";
    "message.timestamp.type", Text, "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), Topic, Used:
        "CreateTime keeps the producer's timestamps, LogAppendTime replaces them by the broker's time";
    "min.cleanable.dirty.ratio", Double, "0.5", Real(0.0, 1.0), Topic, Used:
        "share of uncompacted bytes from which on a log is compacted";
    "min.compaction.lag.ms", Long, "0", AtLeast(0), Topic, Used:
        "a record is not compacted while it is younger than this";
    "min.insync.replicas", Int, "1", AtLeast(1), Topic, Later:
        "replicas that must have a record before acks=all is answered";
    "preallocate", Bool, "false", Any, Topic, Used:
        "whether room on the disk is reserved for the whole of a new segment, as far as a share of the spare room goes";
    "remote.log.copy.disable", Bool, "false", Any, Topic, Later:
        "whether a tiered topic is read only from remote storage";
    "remote.log.delete.on.disable", Bool, "false", Any, Topic, Later:
        "whether remote data goes when tiering is switched off";
    "remote.storage.enable", Bool, "false", Any, Topic, Later:
        "whether the topic is tiered to remote storage";
    "retention.bytes", Long, "-1", Any, Topic, Used:
        "the oldest segments are deleted while a partition is larger than this; -1 keeps them";
    "retention.ms", Long, "604800000", AtLeast(-1), Topic, Used:
        "closed segments older than this are deleted; -1 keeps them";
    "segment.bytes", Int, "1073741824", AtLeast(1_048_576), Topic, Used:
        "a segment that would grow beyond this is closed and a new one begun";
    "segment.index.bytes", Int, "10485760", AtLeast(4), Topic, Used:
        "largest index file; a segment whose index is full is closed";
    "segment.jitter.ms", Long, "0", AtLeast(0), Topic, Used:
        "at most so much is taken off segment.ms at random";
    "segment.ms", Long, "604800000", AtLeast(1), Topic, Used:
        "a segment older than this is closed";
    "unclean.leader.election.enable", Bool, "false", Any, Topic, Later:
        "whether a replica that is behind may become leader, which loses records";
}
