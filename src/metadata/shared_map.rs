//! A map of which a clone costs next to nothing and a change little, however many entries there are.
//!
//! Entries stand on 256 shelves by a hash of their key. A clone shares all shelves; a change copies the one that it touches, if it is
//! shared. Two maps that come from each other differ only on shelves that are not the same piece of memory.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::TopicId;

const SHELVES: usize = 256;

/// Says on which shelf a key stands. A key and its borrowed form must agree.
pub trait Spread {
    fn spread(&self) -> u8;
}

/// FNV-1a folded to a byte: spreads well, and is the same in every process.
pub fn spread_of(bytes: &[u8]) -> u8 {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    hash.to_le_bytes().into_iter().fold(0, |sum, byte| sum ^ byte)
}

impl Spread for str {
    fn spread(&self) -> u8 {
        spread_of(self.as_bytes())
    }
}

impl Spread for Arc<str> {
    fn spread(&self) -> u8 {
        str::spread(self)
    }
}

impl Spread for TopicId {
    fn spread(&self) -> u8 {
        spread_of(&self.0)
    }
}

type Shelf<K, V> = Arc<BTreeMap<K, V>>;

/// See the module.
#[derive(Clone, Debug)]
pub struct SharedMap<K, V> {
    shelves: Arc<Vec<Shelf<K, V>>>,
    count: usize,
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.shelves == other.shelves
    }
}

impl<K: Ord + Clone + Spread, V: Clone> Default for SharedMap<K, V> {
    fn default() -> Self {
        let empty = Shelf::default();
        Self {
            shelves: Arc::new(vec![empty; SHELVES]),
            count: 0,
        }
    }
}

impl<K: Ord + Clone + Spread, V: Clone> SharedMap<K, V> {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn get<Q: Ord + Spread + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.shelves[usize::from(key.spread())].get(key)
    }

    /// The value to be changed in place; it is copied first if another map shares it.
    pub fn get_mut<Q: Ord + Spread + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        // A miss must not copy the shelf.
        self.get(key)?;
        self.shelf_mut(key.spread()).get_mut(key)
    }

    /// Returns the value that stood there before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.shelf_mut(key.spread()).insert(key, value);
        self.count += usize::from(before.is_none());
        before
    }

    pub fn remove<Q: Ord + Spread + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.get(key)?;
        let removed = self.shelf_mut(key.spread()).remove(key);
        self.count -= usize::from(removed.is_some());
        removed
    }

    /// All entries, in an order that depends on the keys alone.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shelves.iter().flat_map(|shelf| shelf.iter())
    }

    /// Pairs of shelves, this map's and the other's, that are not one and the same: all differences are on them.
    pub fn shelves_that_differ<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a BTreeMap<K, V>, &'a BTreeMap<K, V>)> {
        let pairs = self.shelves.iter().zip(other.shelves.iter());
        pairs
            .filter(|(ours, theirs)| !Arc::ptr_eq(ours, theirs))
            .map(|(ours, theirs)| (ours.as_ref(), theirs.as_ref()))
    }

    fn shelf_mut(&mut self, shelf: u8) -> &mut BTreeMap<K, V> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.shelves)[usize::from(shelf)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Arc<str> {
        format!("topic-{number}").into()
    }

    #[test]
    fn a_change_touches_one_shelf_and_leaves_the_clone_alone() {
        let mut map = SharedMap::default();
        for number in 0..1000 {
            assert_eq!(map.insert(name(number), number), None);
        }
        let before = map.clone();
        assert_eq!(map.shelves_that_differ(&before).count(), 0);
        assert_eq!(map.get("nothing"), None);
        assert_eq!(map.remove("nothing"), None);
        assert_eq!(map.get_mut("nothing"), None);
        assert_eq!(map.shelves_that_differ(&before).count(), 0, "a miss copies nothing");

        *map.get_mut("topic-7").unwrap() = 70;
        assert_eq!(map.insert(name(1000), 1000), None);
        assert_eq!(map.remove("topic-8"), Some(8));
        assert!((1..=3).contains(&map.shelves_that_differ(&before).count()));
        assert_eq!((map.len(), before.len()), (1000, 1000));
        assert_eq!((map.get("topic-7"), before.get("topic-7")), (Some(&70), Some(&7)));
        assert_eq!((map.get("topic-8"), before.get("topic-8")), (None, Some(&8)));
        assert_eq!(map.iter().count(), 1000);
    }

    #[test]
    fn names_and_ids_spread_over_the_shelves() {
        let shelves = |values: &mut dyn Iterator<Item = u8>| values.collect::<std::collections::BTreeSet<_>>().len();
        assert!(shelves(&mut (0..2000).map(|number| name(number).spread())) > 250);
        assert!(shelves(&mut (0..2000_u128).map(|number| TopicId(number.to_be_bytes()).spread())) > 250);
    }
}
