//! Topics and their replicas: creation, placement, election, copying between brokers.

use super::properties;

properties! {
    Broker;

    "alter.config.policy.class.name", Class, null, Any, Start, Without:
        "Java class that approves changes of configuration";
    "alter.log.dirs.replication.quota.window.num", Int, "11", AtLeast(1), Start, Later;
    "alter.log.dirs.replication.quota.window.size.seconds", Int, "1", AtLeast(1), Start, Later;
    "auto.create.topics.enable", Bool, "true", Any, Start, Used:
        "whether a topic that a producer or consumer names is made when it does not exist";
    "auto.leader.rebalance.enable", Bool, "true", Any, Start, Later;
    "create.topic.policy.class.name", Class, null, Any, Start, Without:
        "Java class that approves new topics";
    "default.replication.factor", Int, "1", Any, Start, Used:
        "replicas of a topic whose creator does not say";
    "delete.records.purgatory.purge.interval.requests", Int, "1", Any, Start, Without;
    "delete.topic.enable", Bool, "true", Any, Start, Used:
        "whether topics may be deleted";
    "fetch.purgatory.purge.interval.requests", Int, "1000", Any, Start, Without;
    "follower.fetch.last.tiered.offset.enable", Bool, "false", Any, Cluster, Later;
    "leader.imbalance.check.interval.seconds", Long, "300", AtLeast(1), Start, Later;
    "min.insync.replicas", Int, "1", AtLeast(1), Cluster, Later:
        "replicas that must have a record before acks=all is answered";
    "num.partitions", Int, "1", AtLeast(1), Start, Used:
        "partitions of a topic whose creator does not say";
    "num.replica.alter.log.dirs.threads", Int, null, Any, Start, Without;
    "num.replica.fetchers", Int, "1", AtLeast(1), Cluster, Without;
    "producer.purgatory.purge.interval.requests", Int, "1000", Any, Start, Without;
    "replica.fetch.backoff.ms", Int, "1000", AtLeast(0), Start, Later;
    "replica.fetch.max.bytes", Int, "1048576", AtLeast(0), Start, Later;
    "replica.fetch.min.bytes", Int, "1", Any, Start, Later;
    "replica.fetch.response.max.bytes", Int, "10485760", AtLeast(0), Start, Later;
    "replica.fetch.wait.max.ms", Int, "500", Any, Start, Later;
    "replica.high.watermark.checkpoint.interval.ms", Long, "5000", Any, Start, Later;
    "replica.lag.time.max.ms", Long, "30000", Any, Start, Later;
    "replica.selector.class", Text, null, Any, Start, Without;
    "replica.socket.receive.buffer.bytes", Int, "65536", Any, Start, Without;
    "replica.socket.timeout.ms", Int, "30000", Any, Start, Later;
    "replication.quota.window.num", Int, "11", AtLeast(1), Start, Later;
    "replication.quota.window.size.seconds", Int, "1", AtLeast(1), Start, Later;
    "unclean.leader.election.enable", Bool, "false", Any, Cluster, Later:
        "whether a replica that is behind may become leader, which loses records";
    "unclean.leader.election.interval.ms", Long, "300000", AtLeast(1), Start, Later, internal;
}
