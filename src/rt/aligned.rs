//! Memory for writes that go past the page cache.

#![expect(unsafe_code, reason = "blocks with an alignment are looked at as bytes")]

/// Size and alignment that every device takes, and the granularity of such a write.
pub const BLOCK_BYTES: usize = 4096;

#[derive(Clone)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

const _: () = assert!(size_of::<Block>() == BLOCK_BYTES && align_of::<Block>() == BLOCK_BYTES);

/// Whole blocks of zeroed memory, aligned as a device wants them.
#[derive(Default)]
pub struct AlignedBuffer {
    blocks: Vec<Block>,
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlignedBuffer").field("bytes", &self.len()).finish()
    }
}

impl AlignedBuffer {
    /// Room for at least `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            blocks: vec![Block([0; BLOCK_BYTES]); bytes.div_ceil(BLOCK_BYTES)],
        }
    }

    /// Bytes that it has room for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

impl std::ops::Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the blocks are initialized bytes, one after the other without padding, borrowed as long as the slice.
        unsafe { std::slice::from_raw_parts(self.blocks.as_ptr().cast(), self.len()) }
    }
}

impl std::ops::DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = self.len();
        // SAFETY: as above; every bit pattern is a valid byte, and the borrow is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast(), bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_aligned_zeroed_and_whole() {
        let mut buffer = AlignedBuffer::new(5000);
        assert_eq!(buffer.len(), 2 * BLOCK_BYTES);
        assert_eq!(buffer.as_ptr().addr() % BLOCK_BYTES, 0);
        assert!(buffer.iter().all(|byte| *byte == 0));
        buffer[8191] = 7;
        assert_eq!(buffer[8190..], [0, 7]);
        assert!(AlignedBuffer::new(0).is_empty());
    }
}
