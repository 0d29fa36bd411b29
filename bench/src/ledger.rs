//! What a stream was told: how many of its batches were acknowledged, and where. Small, whatever the length of the run.

use crate::batch::mixed;
use crate::failure::{Result, fail};

/// The acknowledged batches of one stream: what one connection sent to one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Batches `[0, batches)`.
    pub batches: u64,
    /// A sum over numbers and offsets; the same for the same set of pairs.
    pub digest: u64,
    /// Whether each batch came with its offset; with acks=0 none does.
    pub has_offsets: bool,
}

impl Ledger {
    /// Batch `number` was acknowledged with the offset of its first record. A stream is acknowledged in order.
    pub fn acknowledge(&mut self, number: u64, base_offset: Option<i64>) -> Result<()> {
        if number != self.batches {
            fail!("batch {number} was acknowledged before batch {}", self.batches);
        }
        self.batches += 1;
        self.has_offsets = base_offset.is_some();
        if let Some(offset) = base_offset {
            self.digest = self.digest.wrapping_add(pair(number, offset));
        }
        Ok(())
    }

    /// Batch `number` was read back at this offset.
    pub fn find(&mut self, number: u64, base_offset: i64) {
        self.batches += 1;
        self.has_offsets = true;
        self.digest = self.digest.wrapping_add(pair(number, base_offset));
    }
}

fn pair(number: u64, offset: i64) -> u64 {
    mixed(mixed(number) ^ offset.cast_unsigned())
}

#[test]
fn what_was_told_is_what_is_found() {
    let (mut told, mut found) = (Ledger::default(), Ledger::default());
    for number in 0..10 {
        told.acknowledge(number, Some(7 + number.cast_signed())).unwrap();
    }
    for number in [3, 2, 1, 0, 4, 5, 6, 7, 8, 9] {
        found.find(number, 7 + number.cast_signed());
    }
    assert_eq!(told, found);
    found.find(10, 17);
    assert_ne!(told, found);
    assert!(told.acknowledge(11, None).is_err());
}
