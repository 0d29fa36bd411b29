//! Duramen's own keys. They are few, and named like Kafka's.

use super::properties;

properties! {
    Broker;

    "core.count", Int, null, Within(1, 256), Start, Used:
        "threads, one pinned to each CPU; by default as many as the CPUs that this process may use";
    "core.direct", Bool, "false", Any, Start, Used:
        "whether each core is a broker of its own towards clients, with a port of its own: they connect to the core that owns a partition or a \
         group, and records and offsets cross to another core no more; broker ids are node.id, node.id + 10000 and so on";
    "core.direct.port", Int, "19092", Within(0, 65535), Start, Used:
        "the first of the ports of core.direct, of which each listener takes as many as there are cores; 0 is any free ports";
    "core.stalls.report", Bool, "false", Any, Start, Used, internal:
        "whether steps that hold a core for too long are measured exactly and told at the end, for tests";
    "log.dirs.free.bytes.min", Long, "67108864", AtLeast(0), Start, Used:
        "bytes that a data directory's disk must have left for producers to be served: below, they get KAFKA_STORAGE_ERROR, and reads, deletes \
         and retention go on; room for metadata, checkpoints and what is written between two looks at the disk";
    "journal.bytes", Long, null, AtLeast(0), Start, Used:
        "bytes of the journal of each core on each log directory, in which short acks=all appends become durable by one write; by default \
         by the free space of the disk; 0 is none: then each partition is synced";
}
