//! Who this node is and how it knows the cluster: roles, ids, the metadata quorum.

use super::properties;

properties! {
    Broker;

    "broker.heartbeat.interval.ms", Int, "2000", Any, Start, Later:
        "time between heartbeats to the controller";
    "broker.id", Int, "-1", Any, Start, Used:
        "older name of node.id";
    "broker.rack", Text, null, Any, Start, Used:
        "the rack (zone) of this broker, told to clients";
    "broker.session.timeout.ms", Int, "9000", Any, Start, Later:
        "a broker without heartbeat for so long is fenced";
    "config.providers", List, "", Any, Start, Later;
    "controlled.shutdown.enable", Bool, "true", Any, Start, Later;
    "controller.listener.names", List, "", Any, Start, Used:
        "names of controller listeners; the controller is inside this process, so they are accepted and not bound";
    "controller.performance.always.log.threshold.ms", Long, "2000", AtLeast(0), Start, Without, internal;
    "controller.performance.sample.period.ms", Long, "60000", AtLeast(100), Start, Without, internal;
    "controller.quorum.append.linger.ms", Int, "25", AtLeast(0), Start, Later;
    "controller.quorum.auto.join.enable", Bool, "false", Any, Start, Later;
    "controller.quorum.bootstrap.servers", List, "", Filled, Start, Later:
        "addresses by which the metadata quorum is found";
    "controller.quorum.election.backoff.max.ms", Int, "1000", AtLeast(0), Start, Later;
    "controller.quorum.election.timeout.ms", Int, "1000", AtLeast(0), Start, Later;
    "controller.quorum.fetch.max.bytes", Int, "1048576", AtLeast(1), Start, Later;
    "controller.quorum.fetch.snapshot.max.bytes", Int, "1048576", AtLeast(1), Start, Later;
    "controller.quorum.fetch.timeout.ms", Int, "2000", AtLeast(0), Start, Later;
    "controller.quorum.request.timeout.ms", Int, "2000", AtLeast(0), Start, Later;
    "controller.quorum.retry.backoff.ms", Int, "20", AtLeast(0), Start, Later;
    "controller.quorum.voters", List, "", Filled, Start, Later:
        "voters of the metadata quorum, ID@HOST:PORT";
    "controller.quota.window.num", Int, "11", AtLeast(1), Start, Later;
    "controller.quota.window.size.seconds", Int, "1", AtLeast(1), Start, Later;
    "controller.socket.timeout.ms", Int, "30000", Any, Start, Without;
    "cordoned.log.dirs", List, "", Any, Start, Later;
    "initial.broker.registration.timeout.ms", Int, "60000", Any, Start, Later:
        "how long the first registration with the controller may take";
    "internal.metadata.delete.delay.millis", Long, "60000", Any, Start, Without, internal;
    "internal.metadata.log.segment.bytes", Int, null, Any, Start, Without, internal;
    "internal.metadata.max.batch.size.in.bytes", Int, "8388608", Any, Start, Without, internal;
    "metadata.log.dir", Text, null, Any, Start, Later:
        "directory of the metadata log; by default the first of log.dirs";
    "metadata.log.max.record.bytes.between.snapshots", Long, "20971520", AtLeast(1), Start, Used:
        "bytes of metadata records that lead to another snapshot, which takes the place of the log before it";
    "metadata.log.max.snapshot.interval.ms", Long, "3600000", AtLeast(0), Start, Later;
    "metadata.log.segment.bytes", Int, "1073741824", AtLeast(8_388_608), Start, Used:
        "size at which the metadata log begins another segment";
    "metadata.log.segment.ms", Long, "604800000", Any, Start, Later;
    "metadata.max.idle.interval.ms", Int, "500", AtLeast(0), Start, Later;
    "metadata.max.retention.bytes", Long, "104857600", Any, Start, Later;
    "metadata.max.retention.ms", Long, "604800000", Any, Start, Later;
    "node.id", Int, "1", AtLeast(0), Start, Used:
        "the id of this node";
    "process.roles", List, "broker,controller", Each(&["broker", "controller"]), Start, Used:
        "broker, controller or both; a single node is both";
    "server.max.startup.time.ms", Long, "9223372036854775807", AtLeast(0), Start, Without, internal;
    "unstable.feature.versions.enable", Bool, "false", Any, Start, Without, internal;
}
