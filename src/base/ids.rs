//! Identities: topics, partitions, nodes, cores, producers, epochs.

use std::fmt;
use std::sync::Arc;

/// The identity of a topic, for ever; a topic made again under the same name has another (KIP-516).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// "No topic": all zero on the wire.
    pub const ZERO: Self = Self([0; 16]);
    /// The id of `__cluster_metadata`, fixed by KIP-516.
    pub const METADATA: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Whether Kafka sets this id aside (zero and the metadata topic): such an id is never given to a topic.
    #[must_use]
    pub fn is_reserved(self) -> bool {
        self == Self::ZERO || self == Self::METADATA
    }
}

impl fmt::Display for TopicId {
    /// Kafka's form: URL-safe base64 without padding, 22 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64_url(&self.0))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// URL-safe base64 without padding: how Kafka prints its UUIDs.
#[must_use]
pub fn base64_url(bytes: &[u8; 16]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = u128::from_be_bytes(*bytes);
    // 22 digits hold 132 bits: the value stands in the upper 128 of them.
    (0..22u32)
        .map(|digit| {
            let shifted = if digit == 21 {
                value << 4
            } else {
                value >> (122 - 6 * digit)
            };
            let index = u8::try_from(shifted & 63).unwrap_or(0);
            char::from(ALPHABET[usize::from(index)])
        })
        .collect()
}

/// The usual form of a UUID: hexadecimal digits in five groups.
#[must_use]
pub fn hyphenated(bytes: &[u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(*bytes));
    let groups = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    groups.join("-")
}

/// Reads what [`base64_url`] writes; `None` for anything else.
#[must_use]
pub fn parse_base64_url(text: &str) -> Option<[u8; 16]> {
    if text.len() != 22 {
        return None;
    }
    let mut value: u128 = 0;
    for (position, byte) in text.bytes().enumerate() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        if position < 21 {
            value = (value << 6) | u128::from(digit);
        } else {
            if digit & 0b1111 != 0 {
                return None;
            }
            value = (value << 2) | u128::from(digit >> 4);
        }
    }
    Some(value.to_be_bytes())
}

/// A topic's name and a partition's index: how people and directories name a partition.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    /// Kafka's form, also the name of the partition's directory: `topic-partition`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A topic's id and a partition's index: how cores and requests name a partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TopicIdPartition {
    pub topic_id: TopicId,
    pub partition: i32,
}

/// A broker or controller as clients know it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub i32);

/// A core of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ShardId(pub u16);

impl ShardId {
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Of a partition: grows with each change of leader; -1 is "none" or "do not check".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LeaderEpoch(pub i32);

impl LeaderEpoch {
    pub const NONE: Self = Self(-1);
}

/// Of an idempotent or transactional producer; -1 is "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ProducerId(pub i64);

impl ProducerId {
    pub const NONE: Self = Self(-1);
}

/// Of a producer id: grows when a newer instance of the producer takes over; -1 is "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ProducerEpoch(pub i16);

impl ProducerEpoch {
    pub const NONE: Self = Self(-1);
}

/// Number of a record among those that one producer sent to one partition; wraps from 2^31-1 to 0; -1 is "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sequence(pub i32);

impl Sequence {
    pub const NONE: Self = Self(-1);

    /// The number `delta` records later.
    #[must_use]
    pub fn plus(self, delta: i32) -> Self {
        let sum = i64::from(self.0) + i64::from(delta);
        Self(i32::try_from(sum % (i64::from(i32::MAX) + 1)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_print_as_kafka_prints_them() {
        assert_eq!(TopicId::METADATA.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(base64_url(&[0xff; 16]), "_____________________w");
        for bytes in [[0u8; 16], [0xff; 16], *b"0123456789abcdef"] {
            assert_eq!(parse_base64_url(&base64_url(&bytes)), Some(bytes));
        }
        for bad in [
            "",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "AAAAAAAAAAAAAAAAAAAA==",
        ] {
            assert_eq!(parse_base64_url(bad), None, "{bad}");
        }
    }

    #[test]
    fn uuids_have_five_groups() {
        let bytes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        assert_eq!(hyphenated(&bytes), "00010203-0405-0607-0809-0a0b0c0d0eff");
        assert_eq!(hyphenated(&[0; 16]), "00000000-0000-0000-0000-000000000000");
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 1).plus(3), Sequence(1));
        assert_eq!(Sequence(5).plus(0), Sequence(5));
    }
}
