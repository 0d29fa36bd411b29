//! Consumer groups and their offsets.

use super::properties;

properties! {
    Broker;

    "group.consumer.assignment.interval.ms", Int, "1000", AtLeast(0), Cluster, Used:
        "time between two assignments of a consumer group, at least";
    "group.consumer.assignors", List, "uniform,range", Any, Start, Used:
        "assignors of consumer groups, uniform and range; the first is the default";
    "group.consumer.heartbeat.interval.ms", Int, "5000", AtLeast(1), Start, Used:
        "how often members of consumer groups are told to send heartbeats";
    "group.consumer.max.assignment.interval.ms", Int, "15000", AtLeast(0), Start, Used:
        "longest time between two assignments of a consumer group";
    "group.consumer.max.heartbeat.interval.ms", Int, "15000", AtLeast(1), Start, Used:
        "longest heartbeat interval of a consumer group";
    "group.consumer.max.session.timeout.ms", Int, "60000", AtLeast(1), Start, Used:
        "longest session timeout of a consumer group";
    "group.consumer.max.size", Int, "2147483647", AtLeast(1), Start, Used:
        "most members of a consumer group";
    "group.consumer.migration.policy", Text, "bidirectional", OneOfAnyCase(&["disabled", "downgrade", "upgrade", "bidirectional"]), Start, Used:
        "whether groups with members change between the classic and the consumer protocol";
    "group.consumer.min.assignment.interval.ms", Int, "0", AtLeast(0), Start, Used:
        "shortest time between two assignments of a consumer group";
    "group.consumer.min.heartbeat.interval.ms", Int, "5000", AtLeast(1), Start, Used:
        "shortest heartbeat interval of a consumer group";
    "group.consumer.min.session.timeout.ms", Int, "45000", AtLeast(1), Start, Used:
        "shortest session timeout of a consumer group";
    "group.consumer.regex.refresh.interval.ms", Int, "600000", AtLeast(10_000), Start, Later, internal;
    "group.consumer.session.timeout.ms", Int, "45000", AtLeast(1), Start, Used:
        "members of consumer groups that are not heard of for so long lose their place";
    "group.coordinator.append.linger.ms", Int, "-1", AtLeast(-1), Start, Later;
    "group.coordinator.background.threads", Int, "2", AtLeast(1), Start, Without;
    "group.coordinator.cached.buffer.max.bytes", Int, "1048588", AtLeast(524_288), Cluster, Later;
    "group.coordinator.rebalance.protocols", List, "classic,consumer,streams", Each(&["consumer", "classic", "share", "streams"]), Start, Used:
        "protocols of groups that are served, of classic and consumer";
    "group.coordinator.threads", Int, "4", AtLeast(1), Start, Without;
    "group.initial.rebalance.delay.ms", Int, "3000", Any, Start, Used:
        "how long the first rebalance of an empty group waits for members";
    "group.max.session.timeout.ms", Int, "1800000", Any, Start, Used:
        "longest session timeout of a classic member";
    "group.max.size", Int, "2147483647", AtLeast(1), Start, Used:
        "most members of a classic group";
    "group.min.session.timeout.ms", Int, "6000", Any, Start, Used:
        "shortest session timeout of a classic member";
    "offset.metadata.max.bytes", Int, "4096", Any, Start, Used:
        "longest text beside a committed offset";
    "offsets.commit.timeout.ms", Int, "5000", AtLeast(1), Start, Later;
    "offsets.load.buffer.size", Int, "5242880", AtLeast(1), Start, Later;
    "offsets.retention.check.interval.ms", Long, "600000", AtLeast(1), Start, Used:
        "time between two looks for offsets and groups that are not needed any more";
    "offsets.retention.minutes", Int, "10080", AtLeast(1), Start, Used:
        "committed offsets of an empty group are kept for so long";
    "offsets.topic.compression.codec", Int, "0", Any, Start, Later;
    "offsets.topic.num.partitions", Int, "50", AtLeast(1), Start, Used:
        "partitions of __consumer_offsets";
    "offsets.topic.replication.factor", Short, "3", AtLeast(1), Start, Used:
        "replicas of __consumer_offsets, at most as many as there are brokers";
    "offsets.topic.segment.bytes", Int, "104857600", AtLeast(1), Start, Used:
        "bytes of a segment of __consumer_offsets";
}
