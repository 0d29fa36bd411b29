//! Memory that a round works in, kept from batch to batch: a batch would take longer to find its memory than to be written anew.
//!
//! A buffer is made as large as it may have to be: pages of it that are never touched cost nothing, and growing would copy what it has.

use crate::base::limits::BATCH_EXPANDED_BYTES_MAX;
use crate::record::{BlockBytes, Decompressor};

/// Bytes that the buffer for expanded records begins with: most batches expand to less.
const EXPANDED_BYTES_USUAL: usize = 4 * 1024 * 1024;

/// Bytes of a buffer that are kept between two batches.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// See the module.
pub(super) struct Workspace {
    pub(super) decompressor: Decompressor,
    /// What was read of a segment.
    pub(super) read: Vec<u8>,
    expanded: Vec<u8>,
    rewritten: Vec<u8>,
    pub(super) block_bytes: BlockBytes,
}

impl Workspace {
    pub(super) fn new() -> Self {
        Self {
            decompressor: Decompressor::new(BATCH_EXPANDED_BYTES_MAX),
            read: Vec::new(),
            expanded: Vec::new(),
            rewritten: Vec::new(),
            block_bytes: BlockBytes::default(),
        }
    }

    /// The buffer for the records of a batch that is compressed.
    pub(super) fn take_expanded(&mut self) -> Vec<u8> {
        with_room(std::mem::take(&mut self.expanded), EXPANDED_BYTES_USUAL)
    }

    pub(super) fn keep_expanded(&mut self, buffer: Vec<u8>) {
        self.expanded = kept(buffer);
    }

    /// The buffer for a batch of at most so many bytes.
    pub(super) fn take_rewritten(&mut self, bytes: usize) -> Vec<u8> {
        with_room(std::mem::take(&mut self.rewritten), bytes)
    }

    pub(super) fn keep_rewritten(&mut self, buffer: Vec<u8>) {
        self.rewritten = kept(buffer);
    }
}

fn with_room(buffer: Vec<u8>, bytes: usize) -> Vec<u8> {
    if buffer.capacity() < bytes {
        Vec::with_capacity(bytes)
    } else {
        buffer
    }
}

fn kept(buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() > KEPT_BYTES_MAX {
        Vec::new()
    } else {
        buffer
    }
}
