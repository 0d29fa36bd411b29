//! Where the bytes of records come from: a slice, or a stream that is being decompressed.
//!
//! A fault is kept, not returned: from then on numbers are 0 and nothing more is taken. So the pass over a record, which reads
//! half a dozen numbers, asks once whether all of them were there.

use super::codec::Expansion;
use super::error::RecordFault;
use super::varint::{Decoded, VARINT_BYTES_MAX, VARLONG_BYTES_MAX, decode_at, low_half, unzigzag, unzigzag_long};

/// Numbers and bytes, one after another.
pub(super) trait Source {
    /// The next number, of at most `bytes_max` bytes.
    fn number(&mut self, bytes_max: usize) -> u64;
    fn skip(&mut self, bytes: u64);
    /// Skips at most `bytes` bytes, no more than are at hand after one step of expansion; says how many. Without any there is a fault.
    fn skip_some(&mut self, bytes: u64) -> u64;
    /// Bytes taken and skipped since the beginning.
    fn taken(&self) -> u64;
    /// What was done since the beginning, in bytes of a stream that is expanded; where nothing is expanded, skipping is no work.
    fn work(&self) -> u64;
    /// Whether every byte was taken. A stream may find a fault when it looks.
    fn is_at_end(&mut self) -> bool;
    /// Notes a fault, unless there was one before.
    fn fail(&mut self, fault: RecordFault);
    fn fault(&self) -> Option<RecordFault>;

    #[inline]
    fn varint(&mut self) -> i32 {
        unzigzag(low_half(self.number(VARINT_BYTES_MAX)))
    }

    #[inline]
    fn varlong(&mut self) -> i64 {
        unzigzag_long(self.number(VARLONG_BYTES_MAX))
    }
}

/// Records that are not compressed.
pub(super) struct SliceSource<'a> {
    bytes: &'a [u8],
    /// Never beyond the end.
    position: usize,
    numbers: u64,
    fault: Option<RecordFault>,
}

/// Work of taking one number of a slice: some 2 ns, in which a codec expands about so many bytes.
const NUMBER_WORK: u64 = 2;

impl<'a> SliceSource<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            numbers: 0,
            fault: None,
        }
    }
}

impl Source for SliceSource<'_> {
    #[inline]
    fn number(&mut self, bytes_max: usize) -> u64 {
        self.numbers += 1;
        let Decoded { value, bytes } = decode_at(self.bytes, self.position, bytes_max);
        if bytes == 0 {
            self.fail(missing_number(self.bytes.len() - self.position, bytes_max));
        }
        self.position += bytes;
        value
    }

    #[inline]
    fn skip(&mut self, bytes: u64) {
        let left = self.bytes.len() - self.position;
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= left => self.position += bytes,
            Ok(_) | Err(_) => self.fail(RecordFault::Short),
        }
    }

    fn skip_some(&mut self, bytes: u64) -> u64 {
        self.skip(bytes);
        bytes
    }

    #[inline]
    fn taken(&self) -> u64 {
        self.position as u64
    }

    #[inline]
    fn work(&self) -> u64 {
        self.numbers * NUMBER_WORK
    }

    #[inline]
    fn is_at_end(&mut self) -> bool {
        self.position == self.bytes.len()
    }

    #[inline]
    fn fail(&mut self, fault: RecordFault) {
        self.fault = self.fault.or(Some(fault));
        self.position = self.bytes.len();
    }

    #[inline]
    fn fault(&self) -> Option<RecordFault> {
        self.fault
    }
}

/// Records that are being expanded, chunk by chunk.
pub(super) struct StreamSource<'a, 'd> {
    expansion: Expansion<'a, 'd>,
    /// Bytes taken of the chunk.
    position: usize,
    /// Bytes of the chunks before.
    passed: u64,
    fault: Option<RecordFault>,
}

impl<'a, 'd> StreamSource<'a, 'd> {
    pub(super) fn new(expansion: Expansion<'a, 'd>) -> Self {
        Self {
            expansion,
            position: 0,
            passed: 0,
            fault: None,
        }
    }

    /// Goes on to the next chunk; false at the end, and after a fault.
    fn next_chunk(&mut self) -> bool {
        if self.fault.is_some() {
            return false;
        }
        let bytes = self.expansion.chunk().len();
        match self.expansion.next_chunk() {
            Ok(more) => {
                self.passed += bytes as u64;
                self.position = 0;
                more
            }
            Err(fault) => {
                self.fail(fault);
                false
            }
        }
    }

    /// A number that the end of the chunk may cut in two.
    #[cold]
    fn cut_number(&mut self, bytes_max: usize) -> u64 {
        let mut joined = Vec::with_capacity(bytes_max);
        while joined.len() < bytes_max {
            let Some(&byte) = self.expansion.chunk().get(self.position) else {
                if self.next_chunk() {
                    continue;
                }
                break;
            };
            self.position += 1;
            joined.push(byte);
            if byte < 0x80 {
                break;
            }
        }
        let Decoded { value, bytes } = decode_at(&joined, 0, bytes_max);
        if bytes == 0 {
            self.fail(missing_number(joined.len(), bytes_max));
        }
        value
    }
}

impl Source for StreamSource<'_, '_> {
    #[inline]
    fn number(&mut self, bytes_max: usize) -> u64 {
        let Decoded { value, bytes } = decode_at(self.expansion.chunk(), self.position, bytes_max);
        if bytes == 0 {
            return self.cut_number(bytes_max);
        }
        self.position += bytes;
        value
    }

    fn skip(&mut self, bytes: u64) {
        let mut left = bytes;
        loop {
            let rest = self.expansion.chunk().len() - self.position;
            match usize::try_from(left) {
                Ok(left) if left <= rest => {
                    self.position += left;
                    return;
                }
                Ok(_) | Err(_) => {
                    left -= rest as u64;
                    self.position += rest;
                }
            }
            if !self.next_chunk() {
                return self.fail(RecordFault::Short);
            }
        }
    }

    fn skip_some(&mut self, bytes: u64) -> u64 {
        let at_hand = |source: &Self| (source.expansion.chunk().len() - source.position) as u64;
        if at_hand(self) == 0 && !self.next_chunk() {
            self.fail(RecordFault::Short);
            return 0;
        }
        let skipped = bytes.min(at_hand(self));
        self.skip(skipped);
        skipped
    }

    fn taken(&self) -> u64 {
        self.passed + self.position as u64
    }

    fn work(&self) -> u64 {
        self.taken()
    }

    fn is_at_end(&mut self) -> bool {
        self.position == self.expansion.chunk().len() && !self.next_chunk() && self.fault.is_none()
    }

    fn fail(&mut self, fault: RecordFault) {
        self.fault = self.fault.or(Some(fault));
        self.position = self.expansion.chunk().len();
    }

    fn fault(&self) -> Option<RecordFault> {
        self.fault
    }
}

/// Why there is no number where so many bytes are left.
#[cold]
pub(super) fn missing_number(bytes_left: usize, bytes_max: usize) -> RecordFault {
    if bytes_left < bytes_max {
        RecordFault::Short
    } else {
        RecordFault::Varint
    }
}
