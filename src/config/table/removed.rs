//! Keys that older Kafka versions had: still found in files that people bring along.

/// The exact name, or the beginning of names if it ends with a dot; and why it can be removed.
static REMOVED: &[(&str, &str)] = &[
    ("zookeeper.", "ZooKeeper mode does not exist since Kafka 4.0"),
    ("advertised.host.name", "advertised.listeners says it"),
    ("advertised.port", "advertised.listeners says it"),
    ("host.name", "listeners says it"),
    ("port", "listeners says it"),
    ("broker.id.generation.enable", "node.id is set by hand"),
    ("reserved.broker.max.id", "node.id is set by hand"),
    ("control.plane.listener.name", "the controller is inside this process"),
    ("inter.broker.protocol.version", "versions are negotiated"),
    ("log.message.format.version", "records are of format 2"),
    ("message.format.version", "records are of format 2"),
    ("log.message.downconversion.enable", "records are of format 2"),
    (
        "log.message.timestamp.difference.max.ms",
        "log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms say it",
    ),
    ("delegation.token.master.key", "delegation.token.secret.key says it"),
    ("password.encoder.", "nothing is encoded by it"),
    ("controlled.shutdown.max.retries", "it is not needed"),
    ("controlled.shutdown.retry.backoff.ms", "it is not needed"),
    ("offsets.commit.required.acks", "all replicas in sync count"),
    ("group.coordinator.new.enable", "there is one coordinator"),
];

/// Why a key that Kafka once had can be removed; `None` for any other key.
#[must_use]
pub fn reason_of_removal(name: &str) -> Option<&'static str> {
    let is_meant = |removed: &str| match removed.ends_with('.') {
        true => name.starts_with(removed),
        false => name == removed,
    };
    REMOVED
        .iter()
        .find(|(removed, _)| is_meant(removed))
        .map(|(_, reason)| *reason)
}
