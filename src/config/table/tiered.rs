//! Tiered storage.

use super::properties;

properties! {
    Broker;

    "remote.fetch.max.wait.ms", Int, "500", AtLeast(1), Cluster, Later;
    "remote.list.offsets.request.timeout.ms", Long, "30000", AtLeast(1), Cluster, Later;
    "remote.log.index.file.cache.total.size.bytes", Long, "1073741824", AtLeast(1), Cluster, Later;
    "remote.log.index.file.cache.ttl.ms", Long, "900000", AtLeast(-1), Start, Later, internal;
    "remote.log.manager.copier.thread.pool.size", Int, "10", AtLeast(1), Cluster, Without;
    "remote.log.manager.copy.max.bytes.per.second", Long, "9223372036854775807", AtLeast(1), Cluster, Later;
    "remote.log.manager.copy.quota.window.num", Int, "11", AtLeast(1), Start, Later;
    "remote.log.manager.copy.quota.window.size.seconds", Int, "1", AtLeast(1), Start, Later;
    "remote.log.manager.expiration.thread.pool.size", Int, "10", AtLeast(1), Cluster, Without;
    "remote.log.manager.fetch.max.bytes.per.second", Long, "9223372036854775807", AtLeast(1), Cluster, Later;
    "remote.log.manager.fetch.quota.window.num", Int, "11", AtLeast(1), Start, Later;
    "remote.log.manager.fetch.quota.window.size.seconds", Int, "1", AtLeast(1), Start, Later;
    "remote.log.manager.follower.thread.pool.size", Int, "2", AtLeast(1), Cluster, Without;
    "remote.log.manager.task.interval.ms", Long, "30000", AtLeast(1), Start, Later;
    "remote.log.manager.task.retry.backoff.max.ms", Long, "30000", AtLeast(1), Start, Later, internal;
    "remote.log.manager.task.retry.backoff.ms", Long, "500", AtLeast(1), Start, Later, internal;
    "remote.log.manager.task.retry.jitter", Double, "0.2", Real(0.0, 0.5), Start, Later, internal;
    "remote.log.manager.thread.pool.size", Int, "2", AtLeast(1), Start, Without;
    "remote.log.metadata.custom.metadata.max.bytes", Int, "128", AtLeast(0), Start, Later;
    "remote.log.metadata.manager.class.name", Text, "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", Filled, Start, Without;
    "remote.log.metadata.manager.class.path", Text, null, Any, Start, Without;
    "remote.log.metadata.manager.impl.prefix", Text, "rlmm.config.", Filled, Start, Without;
    "remote.log.metadata.manager.listener.name", Text, null, Filled, Start, Without;
    "remote.log.reader.max.pending.tasks", Int, "100", AtLeast(1), Start, Later;
    "remote.log.reader.threads", Int, "10", AtLeast(1), Cluster, Later;
    "remote.log.storage.manager.class.name", Text, null, Filled, Start, Without;
    "remote.log.storage.manager.class.path", Text, null, Any, Start, Without;
    "remote.log.storage.manager.impl.prefix", Text, "rsm.config.", Filled, Start, Without;
    "remote.log.storage.system.enable", Bool, "false", Any, Start, Later;
}
