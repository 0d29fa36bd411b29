//! Share groups, streams groups and the share coordinator.

use super::properties;

properties! {
    Broker;

    "group.share.assignment.interval.ms", Int, "1000", AtLeast(0), Cluster, Later;
    "group.share.assignors", List, "simple", Any, Start, Later;
    "group.share.delivery.count.limit", Int, "5", Within(2, 10), Start, Later;
    "group.share.heartbeat.interval.ms", Int, "5000", AtLeast(1), Start, Later;
    "group.share.initialize.retry.interval.ms", Int, "30000", AtLeast(1), Start, Later, internal;
    "group.share.max.assignment.interval.ms", Int, "15000", AtLeast(0), Start, Later;
    "group.share.max.delivery.count.limit", Int, "10", Within(5, 25), Start, Later;
    "group.share.max.heartbeat.interval.ms", Int, "15000", AtLeast(1), Start, Later;
    "group.share.max.partition.max.record.locks", Int, "4000", Within(2_000, 10_000), Start, Later;
    "group.share.max.record.lock.duration.ms", Int, "60000", Within(30_000, 3_600_000), Start, Later;
    "group.share.max.session.timeout.ms", Int, "60000", AtLeast(1), Start, Later;
    "group.share.max.share.sessions", Int, "2000", AtLeast(1), Start, Later;
    "group.share.max.size", Int, "200", Within(1, 1_000), Start, Later;
    "group.share.min.assignment.interval.ms", Int, "0", AtLeast(0), Start, Later;
    "group.share.min.delivery.count.limit", Int, "2", Within(2, 5), Start, Later;
    "group.share.min.heartbeat.interval.ms", Int, "5000", AtLeast(1), Start, Later;
    "group.share.min.partition.max.record.locks", Int, "100", Within(100, 2_000), Start, Later;
    "group.share.min.record.lock.duration.ms", Int, "15000", Within(1_000, 30_000), Start, Later;
    "group.share.min.session.timeout.ms", Int, "45000", AtLeast(1), Start, Later;
    "group.share.partition.max.record.locks", Int, "2000", Within(100, 10_000), Start, Later;
    "group.share.persister.class.name", Text, "org.apache.kafka.server.share.persister.DefaultStatePersister", Any, Start, Without, internal;
    "group.share.record.lock.duration.ms", Int, "30000", Within(1_000, 3_600_000), Start, Later;
    "group.share.session.timeout.ms", Int, "45000", AtLeast(1), Start, Later;
    "group.streams.assignment.interval.ms", Int, "1000", AtLeast(0), Cluster, Later;
    "group.streams.heartbeat.interval.ms", Int, "5000", AtLeast(1), Start, Later;
    "group.streams.initial.rebalance.delay.ms", Int, "3000", AtLeast(0), Start, Later;
    "group.streams.max.assignment.interval.ms", Int, "15000", AtLeast(0), Start, Later;
    "group.streams.max.heartbeat.interval.ms", Int, "15000", AtLeast(1), Start, Later;
    "group.streams.max.session.timeout.ms", Int, "60000", AtLeast(1), Start, Later;
    "group.streams.max.size", Int, "2147483647", AtLeast(1), Start, Later;
    "group.streams.max.standby.replicas", Int, "2", AtLeast(0), Start, Later;
    "group.streams.min.assignment.interval.ms", Int, "0", AtLeast(0), Start, Later;
    "group.streams.min.heartbeat.interval.ms", Int, "5000", AtLeast(1), Start, Later;
    "group.streams.min.session.timeout.ms", Int, "45000", AtLeast(1), Start, Later;
    "group.streams.num.standby.replicas", Int, "0", AtLeast(0), Start, Later;
    "group.streams.session.timeout.ms", Int, "45000", AtLeast(1), Start, Later;
    "share.coordinator.append.linger.ms", Int, "-1", AtLeast(-1), Start, Later;
    "share.coordinator.cached.buffer.max.bytes", Int, "1048588", AtLeast(524_288), Cluster, Later;
    "share.coordinator.cold.partition.snapshot.interval.ms", Int, "300000", AtLeast(1), Start, Later, internal;
    "share.coordinator.load.buffer.size", Int, "5242880", AtLeast(1), Start, Later;
    "share.coordinator.snapshot.update.records.per.snapshot", Int, "500", Within(0, 500), Start, Later;
    "share.coordinator.state.topic.compression.codec", Int, "0", Any, Start, Later;
    "share.coordinator.state.topic.min.isr", Short, "2", AtLeast(1), Start, Later;
    "share.coordinator.state.topic.num.partitions", Int, "50", AtLeast(1), Start, Later;
    "share.coordinator.state.topic.prune.interval.ms", Int, "300000", AtLeast(1), Start, Later, internal;
    "share.coordinator.state.topic.replication.factor", Short, "3", AtLeast(1), Start, Later;
    "share.coordinator.state.topic.segment.bytes", Int, "104857600", AtLeast(1), Start, Later;
    "share.coordinator.threads", Int, "1", AtLeast(1), Start, Without;
    "share.coordinator.write.timeout.ms", Int, "5000", AtLeast(1), Start, Later;
    "share.fetch.purgatory.purge.interval.requests", Int, "1000", Any, Start, Without;
}
