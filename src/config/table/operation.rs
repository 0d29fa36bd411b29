//! Quotas, metrics, telemetry.

use super::properties;

properties! {
    Broker;

    "client.quota.callback.class", Class, null, Any, Start, Without;
    "kafka.metrics.polling.interval.secs", Int, "10", AtLeast(1), Start, Without;
    "kafka.metrics.reporters", List, "", Any, Start, Without;
    "metric.reporters", List, "org.apache.kafka.common.metrics.JmxReporter", Any, Start, Without;
    "metrics.num.samples", Int, "2", AtLeast(1), Start, Without;
    "metrics.recording.level", Text, "INFO", Any, Start, Without;
    "metrics.sample.window.ms", Long, "30000", AtLeast(1), Start, Without;
    "quota.window.num", Int, "11", AtLeast(1), Start, Later;
    "quota.window.size.seconds", Int, "1", AtLeast(1), Start, Later;
    "telemetry.max.bytes", Int, "1048576", AtLeast(1), Start, Later;
    "follower.replication.throttled.rate", Long, "9223372036854775807", AtLeast(0), Cluster, Later:
        "bytes a second that throttled replicas may fetch";
    "leader.replication.throttled.rate", Long, "9223372036854775807", AtLeast(0), Cluster, Later:
        "bytes a second that a leader may send to throttled replicas";
    "replica.alter.log.dirs.io.max.bytes.per.second", Long, "9223372036854775807", AtLeast(0), Cluster, Later:
        "bytes a second of moves between data directories";
}
