//! A hash of keys so wide and so secret that two keys never share one: SipHash-2-4 with 128 bits.
//!
//! Two keys with one hash would be one key to compaction, and a record would be lost. The seed is drawn for each round: nobody can
//! prepare keys that collide.

/// The hash of one key.
pub type KeyHash = [u64; 2];

/// Hashes keys under one seed.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    seed: [u64; 2],
}

struct State([u64; 4]);

impl State {
    #[inline]
    fn rounds(&mut self, count: u32) {
        let [mut a, mut b, mut c, mut d] = self.0;
        for _ in 0..count {
            a = a.wrapping_add(b);
            b = b.rotate_left(13) ^ a;
            a = a.rotate_left(32);
            c = c.wrapping_add(d);
            d = d.rotate_left(16) ^ c;
            a = a.wrapping_add(d);
            d = d.rotate_left(21) ^ a;
            c = c.wrapping_add(b);
            b = b.rotate_left(17) ^ c;
            c = c.rotate_left(32);
        }
        self.0 = [a, b, c, d];
    }

    #[inline]
    fn take(&mut self, word: u64) {
        self.0[3] ^= word;
        self.rounds(2);
        self.0[0] ^= word;
    }

    #[inline]
    fn folded(&self) -> u64 {
        let [a, b, c, d] = self.0;
        a ^ b ^ c ^ d
    }
}

impl KeyHasher {
    #[must_use]
    pub fn new(seed: [u64; 2]) -> Self {
        Self { seed }
    }

    #[must_use]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        let [low, high] = self.seed;
        let mut state = State([
            low ^ 0x736f_6d65_7073_6575,
            high ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            low ^ 0x6c79_6765_6e65_7261,
            high ^ 0x7465_6462_7974_6573,
        ]);
        let (words, rest) = key.as_chunks::<8>();
        for word in words {
            state.take(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        state.take(u64::from_le_bytes(last) | (key.len() as u64) << 56);
        state.0[2] ^= 0xee;
        state.rounds(4);
        let first = state.folded();
        state.0[1] ^= 0xdd;
        state.rounds(4);
        [first, state.folded()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        let seed: [u8; 16] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let (words, _) = seed.as_chunks::<8>();
        let hasher = KeyHasher::new([u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]);
        let keys: Vec<u8> = (0..16).collect();
        // Of vectors_sip128 in the reference implementation.
        for (length, expected) in [
            (0, "a3817f04ba25a8e66df67214c7550293"),
            (1, "da87c1d86b99af44347659119b22fc45"),
        ] {
            let bytes: Vec<u8> = hasher
                .hash(&keys[..length])
                .iter()
                .flat_map(|half| half.to_le_bytes())
                .collect();
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(text, expected, "{length}");
        }
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let hasher = KeyHasher::new([1, 2]);
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..40 {
            let mut key = vec![0u8; length];
            assert!(seen.insert(hasher.hash(&key)), "{length} zeroes");
            for at in 0..length {
                key[at] = 1;
                assert!(seen.insert(hasher.hash(&key)), "{at} of {length}");
                key[at] = 0;
            }
        }
        assert_ne!(KeyHasher::new([1, 3]).hash(b"key"), hasher.hash(b"key"));
    }
}
