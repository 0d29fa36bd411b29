//! The last offset of each key of a part of a log, in bounded memory (`SkimpyOffsetMap`).
//!
//! A table of 24 bytes an entry, open addressing, nothing on the heap beside it. Keys are known by their hashes alone. The table comes and
//! goes in pieces, each small enough that the machine finds the memory for it in one step of a core. It begins small and grows with
//! its keys: a part of a log may have many more records than keys, and memory that a host has to give first takes longer than the work in it.

use crate::base::offset::Offset;

use super::key_hash::{KeyHash, KeyHasher};

/// Bytes of an entry: a hash and an offset.
pub const ENTRY_BYTES: u64 = 24;

const _: () = assert!(size_of::<Slot>() as u64 == ENTRY_BYTES);

/// The hash, then the offset plus one; zero is a slot that nobody has.
type Slot = [u64; 3];

/// Slots of a piece of the table.
const PIECE_SLOTS: usize = 2048;

type Piece = Box<[Slot]>;

/// Slots of a map that is made, unless it needs fewer: 1.5 MiB.
const SLOTS_AT_FIRST: u64 = 64 * 1024;

/// The map of one round.
#[derive(Debug)]
pub struct OffsetMap {
    table: Table,
    entries: usize,
    entries_max: usize,
    slots_max: u64,
    size: MapSize,
    hasher: KeyHasher,
}

/// A map whose entries move into a larger table; those are lost that have not moved when this is dropped.
#[derive(Debug)]
pub struct Growth<'a> {
    table: &'a mut Table,
    outgrown: std::vec::IntoIter<Option<Piece>>,
}

#[derive(Debug)]
struct Table {
    /// A piece that nobody has put anything in is not there.
    pieces: Vec<Option<Piece>>,
    slots: usize,
}

/// How large a map may be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MapSize {
    /// `log.cleaner.dedupe.buffer.size`, or this core's part of it.
    pub bytes_max: u64,
    /// `log.cleaner.io.buffer.load.factor`: how full the table may become.
    pub load_factor: f64,
}

impl MapSize {
    /// Slots of a map for so many records at most: no more than they need, no more than the memory allows, never none.
    fn slots_for(&self, records: u64) -> u64 {
        let most = (self.bytes_max / ENTRY_BYTES).max(2);
        let needed = (records.saturating_add(1) as f64 / self.load_factor()).ceil();
        // Beyond the precision of the quotient the memory decides anyway.
        if needed >= most as f64 {
            most
        } else {
            round(needed).max(2)
        }
    }

    fn entries_in(&self, slots: u64) -> u64 {
        round(slots as f64 * self.load_factor()).clamp(1, slots - 1)
    }

    fn load_factor(&self) -> f64 {
        if self.load_factor > 0.0 && self.load_factor < 1.0 {
            self.load_factor
        } else {
            0.9
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and that is what is wanted"
)]
fn round(number: f64) -> u64 {
    number as u64
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl OffsetMap {
    /// An empty map that may grow until it is large enough for so many records, hashing under `seed`, which nobody else should know.
    #[must_use]
    pub fn new(size: &MapSize, records: u64, seed: [u64; 2]) -> Self {
        let slots_max = size.slots_for(records);
        let slots = slots_max.min(SLOTS_AT_FIRST);
        Self {
            table: Table::new(slots),
            entries: 0,
            entries_max: index(size.entries_in(slots)),
            slots_max,
            size: *size,
            hasher: KeyHasher::new(seed),
        }
    }

    /// Notes a record; false, and nothing is noted, when its key is new and the map is full: until it has grown, if it can.
    #[must_use]
    pub fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hasher.hash(key);
        let at = self.table.find(hash);
        if self.entries >= self.entries_max && self.table.slot(at)[2] == 0 {
            return false;
        }
        let slot = self.table.slot_mut(at);
        if slot[2] == 0 {
            self.entries += 1;
            slot[..2].copy_from_slice(&hash);
        }
        slot[2] = slot[2].max(offset.0.cast_unsigned() + 1);
        true
    }

    /// Begins a larger table, half as large again; `None` for a map that is as large as it may be.
    pub fn grow(&mut self) -> Option<Growth<'_>> {
        let slots = self.table.slots as u64;
        let more = (slots + slots / 2).min(self.slots_max);
        if more <= slots {
            return None;
        }
        self.entries_max = index(self.size.entries_in(more));
        let outgrown = std::mem::replace(&mut self.table, Table::new(more));
        Some(Growth {
            table: &mut self.table,
            outgrown: outgrown.pieces.into_iter(),
        })
    }

    /// The last offset of a key.
    #[must_use]
    pub fn last_offset(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.table.slot(self.table.find(self.hasher.hash(key)));
        slot[2].checked_sub(1).map(|offset| Offset(offset.cast_signed()))
    }

    /// Forgets everything, a piece at a time; false when there is nothing more.
    pub fn release_piece(&mut self) -> bool {
        self.entries = 0;
        self.entries_max = 0;
        self.slots_max = 1;
        self.table.slots = 1;
        let pieces = &mut self.table.pieces;
        pieces.pop().is_some() && !pieces.is_empty()
    }

    /// Keys in the map.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }
}

impl Growth<'_> {
    /// Moves the entries of the next piece; false when there was none. They are put in about the order of their slots, so that memory is taken
    /// from its front on.
    pub fn move_piece(&mut self) -> bool {
        let Some(piece) = self.outgrown.next() else {
            return false;
        };
        for slot in piece.into_iter().flatten().filter(|slot| slot[2] != 0) {
            let at = self.table.find([slot[0], slot[1]]);
            *self.table.slot_mut(at) = slot;
        }
        true
    }
}

impl Table {
    fn new(slots: u64) -> Self {
        let slots = index(slots);
        Self {
            pieces: vec![None; slots.div_ceil(PIECE_SLOTS)],
            slots,
        }
    }

    fn slot(&self, at: usize) -> Slot {
        let piece = self.pieces.get(at / PIECE_SLOTS).and_then(Option::as_ref);
        piece.map_or([0; 3], |piece| piece[at % PIECE_SLOTS])
    }

    fn slot_mut(&mut self, at: usize) -> &mut Slot {
        let piece = self.pieces[at / PIECE_SLOTS].get_or_insert_with(|| vec![[0; 3]; PIECE_SLOTS].into_boxed_slice());
        &mut piece[at % PIECE_SLOTS]
    }

    /// The slot of a hash, or the free one that it would get. There is always a free one.
    fn find(&self, hash: KeyHash) -> usize {
        let count = self.slots as u128;
        // The upper half of the product: as good as the remainder, without a division.
        let first = (u128::from(hash[0]) * count) >> 64;
        let mut at = usize::try_from(first).unwrap_or(0);
        loop {
            let slot = self.slot(at);
            if slot[2] == 0 || slot[..2] == hash {
                return at;
            }
            at += 1;
            if at == self.slots {
                at = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn size(bytes_max: u64, load_factor: f64) -> MapSize {
        MapSize { bytes_max, load_factor }
    }

    #[test]
    fn the_last_offset_of_each_key_is_found() {
        let mut map = OffsetMap::new(&size(24 * 1000, 0.9), 100_000, [7, 9]);
        let mut model = BTreeMap::new();
        for step in 0..20_000u64 {
            let key = (step.wrapping_mul(2_654_435_761) % 1500).to_be_bytes();
            let offset = Offset(i64::try_from(step).unwrap());
            let is_known = model.contains_key(&key);
            assert_eq!(map.put(&key, offset), is_known || model.len() < 900, "step {step}");
            if is_known || model.len() < 900 {
                model.insert(key, offset);
            }
        }
        assert_eq!(map.len(), 900);
        for number in 0..1500u64 {
            let key = number.to_be_bytes();
            assert_eq!(map.last_offset(&key), model.get(&key).copied(), "{number}");
        }
    }

    #[test]
    fn a_map_is_as_large_as_it_must_be() {
        for (bytes_max, load_factor, records, slots, entries) in [
            (24 * 100, 0.9, u64::MAX, 100, 90),
            (24 * 100, 0.5, 10, 22, 11),
            (24 * 100, 0.9, 0, 2, 1),
            // Absurd settings leave room for one key.
            (0, 0.9, 1000, 2, 1),
            (24 * 100, 0.0001, 1000, 100, 1),
            (24 * 100, 1.5, 1000, 100, 90),
            (24 * 100, f64::NAN, 1000, 100, 90),
            (24 * 100, 0.999_999, 1000, 100, 99),
        ] {
            let map = OffsetMap::new(&size(bytes_max, load_factor), records, [0, 0]);
            assert_eq!(
                (map.table.slots, map.entries_max),
                (slots, entries),
                "{bytes_max} {load_factor} {records}"
            );
        }
    }

    #[test]
    fn a_map_takes_memory_as_it_is_filled_and_gives_it_back_in_pieces() {
        let mut map = OffsetMap::new(&size(1 << 20, 0.9), u64::MAX, [7, 9]);
        let pieces = |map: &OffsetMap| map.table.pieces.iter().flatten().count();
        assert_eq!((map.table.pieces.len(), pieces(&map)), (22, 0));
        assert_eq!(map.last_offset(b"key"), None);
        assert!(map.put(b"key", Offset(1)));
        assert_eq!(pieces(&map), 1);
        let mut released = 1;
        while map.release_piece() {
            released += 1;
        }
        assert_eq!((released, map.len()), (22, 0));
        assert_eq!(map.last_offset(b"key"), None);
        assert!(!map.put(b"key", Offset(1)));
    }

    #[test]
    fn a_map_grows_with_its_keys_until_it_is_as_large_as_it_may_be() {
        let slots_max = 3 * SLOTS_AT_FIRST;
        let mut map = OffsetMap::new(&size(24 * slots_max, 0.9), u64::MAX, [7, 9]);
        let mut sizes = vec![map.table.slots as u64];
        let mut full_at = None;
        for number in 0..i64::MAX {
            while !map.put(&number.to_be_bytes(), Offset(number)) {
                let Some(mut growth) = map.grow() else {
                    full_at = Some(number);
                    break;
                };
                while growth.move_piece() {}
                sizes.push(map.table.slots as u64);
            }
            if full_at.is_some() {
                break;
            }
        }
        assert_eq!(sizes, [65_536, 98_304, 147_456, slots_max]);
        let full_at = full_at.unwrap();
        assert_eq!((map.len(), full_at), (176_947, 176_947));
        for number in 0..full_at {
            assert_eq!(map.last_offset(&number.to_be_bytes()), Some(Offset(number)));
        }
        assert_eq!(map.last_offset(&full_at.to_be_bytes()), None);
    }

    #[test]
    fn a_full_map_still_takes_keys_that_it_has() {
        let mut map = OffsetMap::new(&size(0, 0.9), 10, [0, 0]);
        assert!(map.put(b"a", Offset(0)));
        assert!(!map.put(b"b", Offset(1)));
        assert!(map.put(b"a", Offset(2)));
        assert_eq!((map.last_offset(b"a"), map.last_offset(b"b")), (Some(Offset(2)), None));
        assert!(!map.is_empty());
    }
}
