//! The codecs of record batches.

/// Workspace of a core for reading compressed batches; batches are expanded one at a time.
#[derive(Debug)]
pub struct Decompressor {
    expanded_bytes_max: u64,
}

impl Decompressor {
    /// A workspace that expands no batch to more than `expanded_bytes_max` bytes of records.
    #[must_use]
    pub fn new(expanded_bytes_max: u64) -> Self {
        Self { expanded_bytes_max }
    }

    /// Most bytes of records that one batch may expand to.
    #[must_use]
    pub fn expanded_bytes_max(&self) -> u64 {
        self.expanded_bytes_max
    }
}
