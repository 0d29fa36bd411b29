//! Compressing the records of new batches.

use std::io::{self, Write};

use super::super::header::Compression;
use super::snappy::XERIAL_MAGIC;

/// Bytes of a block in Xerial's framing, as the Java library writes it.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

/// How hard to try: `Default`, or the number that the codec gives it (gzip 1 to 9, zstd 1 to 22; the others have only one way).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CompressionLevel {
    #[default]
    Default,
    Level(i32),
}

/// Appends `records`, compressed, to `output`.
///
/// # Errors
/// Whatever the codec reports: a level that it does not have, or no memory.
pub fn compress(
    compression: Compression,
    level: CompressionLevel,
    records: &[u8],
    output: &mut Vec<u8>,
) -> io::Result<()> {
    match compression {
        Compression::None => output.extend_from_slice(records),
        Compression::Gzip => {
            let level = match level {
                CompressionLevel::Default => flate2::Compression::default(),
                CompressionLevel::Level(level) => flate2::Compression::new(level.clamp(1, 9).cast_unsigned()),
            };
            let mut encoder = flate2::write::GzEncoder::new(output, level);
            encoder.write_all(records)?;
            encoder.finish()?;
        }
        Compression::Snappy => compress_xerial(records, output)?,
        Compression::Lz4 => {
            let frame = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, output);
            encoder.write_all(records)?;
            encoder.finish()?;
        }
        Compression::Zstd => {
            let level = match level {
                CompressionLevel::Default => zstd::DEFAULT_COMPRESSION_LEVEL,
                CompressionLevel::Level(level) => level,
            };
            let mut encoder = zstd::stream::write::Encoder::new(output, level)?;
            encoder.write_all(records)?;
            encoder.finish()?;
        }
    }
    Ok(())
}

fn compress_xerial(records: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    output.extend_from_slice(&XERIAL_MAGIC);
    output.extend_from_slice(&1i32.to_be_bytes());
    output.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block)?;
        let length = u32::try_from(compressed.len()).map_err(io::Error::other)?;
        output.extend_from_slice(&length.to_be_bytes());
        output.extend_from_slice(&compressed);
    }
    Ok(())
}
