//! How long the blocks of each codec are.

use crate::base::limits::{CODEC_BLOCK_BYTES_MAX, CODEC_BLOCK_BYTES_MIN, CODEC_BLOCK_STEP};
use crate::base::step_bytes::StepBytes;
use crate::record::header::Compression;

/// Bytes of a block that is compressed in one go, for each codec as many as it compresses in the time of a step. Whoever compresses a block
/// notes how long that took.
#[derive(Debug)]
pub struct BlockBytes {
    gzip: StepBytes,
    snappy: StepBytes,
    lz4: StepBytes,
    zstd: StepBytes,
    /// Has no blocks.
    none: StepBytes,
}

impl Default for BlockBytes {
    fn default() -> Self {
        let begin = || StepBytes::lasting(CODEC_BLOCK_STEP, CODEC_BLOCK_BYTES_MIN, CODEC_BLOCK_BYTES_MAX);
        Self {
            gzip: begin(),
            snappy: begin(),
            lz4: begin(),
            zstd: begin(),
            none: begin(),
        }
    }
}

impl BlockBytes {
    #[must_use]
    pub fn of(&self, compression: Compression) -> &StepBytes {
        match compression {
            Compression::None => &self.none,
            Compression::Gzip => &self.gzip,
            Compression::Snappy => &self.snappy,
            Compression::Lz4 => &self.lz4,
            Compression::Zstd => &self.zstd,
        }
    }
}

#[test]
fn a_slow_codec_does_not_shorten_the_blocks_of_others() {
    let blocks = BlockBytes::default();
    for _ in 0..100 {
        blocks.of(Compression::Zstd).note(CODEC_BLOCK_STEP / 10);
        blocks.of(Compression::Lz4).note(CODEC_BLOCK_STEP * 2);
    }
    assert_eq!(blocks.of(Compression::Zstd).next(), CODEC_BLOCK_BYTES_MAX);
    assert_eq!(blocks.of(Compression::Lz4).next(), CODEC_BLOCK_BYTES_MIN);
    assert_eq!(blocks.of(Compression::Snappy).next(), CODEC_BLOCK_BYTES_MIN);
}
