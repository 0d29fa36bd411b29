//! The index of aborted transactions of a segment (`TransactionIndex`, `AbortedTxn`).
//!
//! ```text
//! .txnindex    entry of 34 bytes, big-endian
//!   0 version i16 = 0    2 producer id i64    10 first offset i64    18 last offset i64    26 last stable offset i64
//! ```
//!
//! An entry stands in the index of the segment that has the transaction's marker, which is its last offset.

use crate::base::ids::ProducerId;
use crate::base::offset::Offset;

/// Bytes of an entry.
pub const ABORTED_ENTRY_BYTES: usize = 34;

const VERSION: i16 = 0;

/// One transaction that was aborted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    /// Of its first record.
    pub first_offset: Offset,
    /// Of its marker.
    pub last_offset: Offset,
    /// When the marker was written.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    #[must_use]
    pub fn encode(&self) -> [u8; ABORTED_ENTRY_BYTES] {
        let mut bytes = [0; ABORTED_ENTRY_BYTES];
        bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
        let fields = [
            self.producer_id.0,
            self.first_offset.0,
            self.last_offset.0,
            self.last_stable_offset.0,
        ];
        for (room, field) in bytes[2..].chunks_exact_mut(8).zip(fields) {
            room.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    /// `None` for an entry of an unknown version, or of offsets that cannot be.
    fn decode(entry: &[u8; ABORTED_ENTRY_BYTES]) -> Option<Self> {
        let (version, fields) = entry.split_first_chunk::<2>()?;
        let (fields, _) = fields.as_chunks::<8>();
        let [producer_id, first, last, stable] = fields else {
            return None;
        };
        let offset = |bytes: &[u8; 8]| Offset(i64::from_be_bytes(*bytes));
        let transaction = Self {
            producer_id: ProducerId(i64::from_be_bytes(*producer_id)),
            first_offset: offset(first),
            last_offset: offset(last),
            last_stable_offset: offset(stable),
        };
        let is_possible = i16::from_be_bytes(*version) == VERSION
            && transaction.first_offset >= Offset::ZERO
            && transaction.first_offset <= transaction.last_offset;
        is_possible.then_some(transaction)
    }
}

/// Reads an index; `None` when it is torn.
#[must_use]
pub fn decode_aborted(bytes: &[u8]) -> Option<Vec<AbortedTransaction>> {
    let (entries, rest) = bytes.as_chunks::<ABORTED_ENTRY_BYTES>();
    let decoded = entries.iter().map(AbortedTransaction::decode).collect();
    if rest.is_empty() { decoded } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kafkas_bytes() {
        let transaction = AbortedTransaction {
            producer_id: ProducerId(0x0102),
            first_offset: Offset(3),
            last_offset: Offset(258),
            last_stable_offset: Offset(4),
        };
        let bytes = transaction.encode();
        let mut expected = [0; 34];
        (
            expected[8],
            expected[9],
            expected[17],
            expected[24],
            expected[25],
            expected[33],
        ) = (1, 2, 3, 1, 2, 4);
        assert_eq!(bytes, expected);
        assert_eq!(decode_aborted(&bytes.repeat(2)), Some(vec![transaction; 2]));
        assert_eq!(decode_aborted(&[]), Some(vec![]));
    }

    #[test]
    fn torn_indexes_are_refused() {
        let whole = AbortedTransaction {
            producer_id: ProducerId(1),
            first_offset: Offset(3),
            last_offset: Offset(3),
            last_stable_offset: Offset(3),
        }
        .encode();
        for length in 1..34 {
            assert_eq!(decode_aborted(&whole[..length]), None, "{length}");
        }
        for (at, byte) in [(1, 1), (10, 0x80), (17, 4)] {
            let mut bent = whole;
            bent[at] = byte;
            assert_eq!(decode_aborted(&bent), None, "{at}");
        }
    }
}
