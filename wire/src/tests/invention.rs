//! Random messages: a reader that invents what it is asked for. So every message comes out of its own decoder, with just the
//! fields that a version has, and no builder is written by hand.

use std::sync::LazyLock;

use bytes::Bytes;

use crate::reader::Null;
use crate::{DecodeError, Message, Reader};

/// A source of random values, the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Invention {
    state: u64,
    /// How much is still to be invented: arrays in arrays would grow without it.
    left: usize,
}

impl Invention {
    /// A random message. `None` when it would have a null that its version does not allow, or a marker that is none.
    pub fn message<T: Message>(seed: u64, version: i16) -> Option<T> {
        static LETTERS: LazyLock<Bytes> = LazyLock::new(|| (b'a'..=b'z').cycle().take(1 << 16).collect());
        let mut r = Reader::new(&LETTERS, usize::MAX);
        r.invention = Some(Self { state: seed, left: 600 });
        match T::decode(&mut r, version) {
            Ok(message) => Some(message),
            Err(DecodeError::UnexpectedNull | DecodeError::InvalidVarint) => None,
            Err(error) => panic!("an invented message is not valid: {error}"),
        }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The bytes of a number: any, or a small one, or the ends of the range.
    pub fn bytes<const SIZE: usize>(&mut self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        match self.next() % 8 {
            0 => {}
            1 => bytes = [0xff; SIZE],
            2 => bytes[SIZE - 1] = 1,
            _ => bytes
                .iter_mut()
                .for_each(|byte| [*byte, ..] = self.next().to_le_bytes()),
        }
        bytes
    }

    pub fn length(&mut self, null: Null) -> Option<usize> {
        let length = match self.next() % 64 {
            0..8 if null == Null::Allowed => return None,
            0..16 => 0,
            // Long enough for a prefix of two bytes.
            16..20 => 130,
            other => usize::try_from(other / 12).unwrap(),
        };
        let length = length.min(self.left);
        self.left -= length;
        Some(length)
    }

    /// Each tag that a message knows is there more often than not.
    pub fn tags<'a>(
        r: &mut Reader<'a>,
        mut known: impl FnMut(&mut Reader<'a>, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        for tag in 0..16 {
            let is_there = r.invention.as_mut().is_some_and(|invention| invention.next() % 3 > 0);
            if is_there {
                match known(r, tag) {
                    Ok(_) | Err(DecodeError::InvalidTag(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}
