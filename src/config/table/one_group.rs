//! What may be set for one group (KIP-848, KIP-932, KIP-1071). A key that is not set has the value of the broker's key of the same name
//! behind `group.`.

use super::properties;

properties! {
    Group;

    "consumer.assignment.interval.ms", Int, "1000", AtLeast(0), Group, Used:
        "time between two assignments of the group, at least";
    "consumer.heartbeat.interval.ms", Int, "5000", AtLeast(1), Group, Used:
        "how often members of the group are told to send heartbeats";
    "consumer.session.timeout.ms", Int, "45000", AtLeast(1), Group, Used:
        "members of the group that are not heard of for so long lose their place";
    "share.assignment.interval.ms", Int, "1000", AtLeast(0), Group, Later;
    "share.auto.offset.reset", Text, "latest", Filled, Group, Later;
    "share.delivery.count.limit", Int, "5", AtLeast(2), Group, Later;
    "share.heartbeat.interval.ms", Int, "5000", AtLeast(1), Group, Later;
    "share.isolation.level", Text, "read_uncommitted", OneOf(&["read_committed", "read_uncommitted"]), Group, Later;
    "share.partition.max.record.locks", Int, "2000", AtLeast(100), Group, Later;
    "share.record.lock.duration.ms", Int, "30000", AtLeast(1000), Group, Later;
    "share.renew.acknowledge.enable", Bool, "true", Any, Group, Later;
    "share.session.timeout.ms", Int, "45000", AtLeast(1), Group, Later;
    "streams.assignment.interval.ms", Int, "1000", AtLeast(0), Group, Later;
    "streams.heartbeat.interval.ms", Int, "5000", AtLeast(1), Group, Later;
    "streams.initial.rebalance.delay.ms", Int, "3000", AtLeast(0), Group, Later;
    "streams.num.standby.replicas", Int, "0", AtLeast(0), Group, Later;
    "streams.session.timeout.ms", Int, "45000", AtLeast(1), Group, Later;
}
