//! Which core owns a partition.
//!
//! Rendezvous hashing: each core's weight for a partition is a hash of both, the heaviest core owns it. The result depends on
//! the partition and the number of cores alone, so it is recorded nowhere, and a change of that number moves the fewest partitions.

use crate::base::ids::{ShardId, TopicIdPartition};

/// The core that owns `partition` among `cores` cores.
#[must_use]
pub fn owner(partition: TopicIdPartition, cores: u16) -> ShardId {
    let seed = seed(partition);
    let heaviest = (0..cores.max(1)).max_by_key(|&core| mix(seed ^ mix(u64::from(core) + 1)));
    ShardId(heaviest.unwrap_or(0))
}

fn seed(partition: TopicIdPartition) -> u64 {
    let id = u128::from_be_bytes(partition.topic_id.0);
    let [high, low] =
        [(id >> 64) & u128::from(u64::MAX), id & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or(0));
    mix(high ^ mix(low ^ mix(u64::from(partition.partition.cast_unsigned()))))
}

/// The finalizer of SplitMix64: every input bit changes every output bit with probability one half.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TopicId;

    fn partition(topic: u8, index: i32) -> TopicIdPartition {
        TopicIdPartition {
            topic_id: TopicId([topic; 16]),
            partition: index,
        }
    }

    #[test]
    fn partitions_spread_evenly() {
        for cores in [1u16, 2, 4, 16] {
            let mut counts = vec![0u32; usize::from(cores)];
            for topic in 0..100 {
                for index in 0..100 {
                    counts[owner(partition(topic, index), cores).index()] += 1;
                }
            }
            let even = 10_000 / u32::from(cores);
            for count in counts {
                assert!(
                    count.abs_diff(even) < even / 5 + 1,
                    "{cores} cores: {count} beside {even}"
                );
            }
        }
    }

    #[test]
    fn one_more_core_moves_only_its_share() {
        let moved = (0..1000)
            .filter(|&index| owner(partition(7, index), 4) != owner(partition(7, index), 5))
            .count();
        assert!(
            (120..280).contains(&moved),
            "{moved} of 1000 moved, a fifth was expected"
        );
    }
}
