//! Where the groups are kept.

/// The partition of `__consumer_offsets` that keeps a group, of `partitions`. Kafka: `GroupCoordinatorService.partitionFor`, by the hash
/// of Java's `String` and `Utils.abs`: tools that read the topic, and brokers that take over its files, rely on it.
#[must_use]
pub fn partition_of(group: &str, partitions: i32) -> i32 {
    let hash = group
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0).checked_rem(partitions).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    /// From `Utils.abs("...".hashCode()) % 50` of the JVM.
    #[test]
    fn groups_stand_where_kafka_keeps_them() {
        for (group, expected) in [
            ("", 0),
            ("a", 47),
            ("test-group", 12),
            ("console-consumer-12345", 6),
            ("grüße", 23),
            ("\u{1F600}", 49),
            // Below 0.
            ("orders", 31),
            // The smallest int.
            ("polygenelubricants", 0),
        ] {
            assert_eq!(partition_of(group, 50), expected, "{group}");
        }
        assert_eq!(partition_of("a", 1), 0);
    }
}
