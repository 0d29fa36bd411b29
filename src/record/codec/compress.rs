//! Compressing the records of new batches, at once or piece by piece.

use std::io::{self, Write};

use super::super::header::Compression;
use super::snappy::XERIAL_MAGIC;
use super::zstd::Writer;

/// Bytes of a block in Xerial's framing, as the Java library writes it.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

/// Bytes of a block of lz4, as Kafka writes it.
const LZ4_BLOCK_BYTES: usize = 64 * 1024;

/// zstd compresses a block of 128 KiB in one go, unless it is told to end it before: 16 KiB take 80 to 200 us up to level 3, 8 KiB 160 to
/// 350 us up to level 6. It costs 1 and 3 % of the size.
const ZSTD_FLUSH_BYTES: usize = 16 * 1024;
const ZSTD_FLUSH_BYTES_ABOVE_3: usize = 8 * 1024;

/// From here on even a block of some KiB, and the tables for it, take zstd milliseconds.
const ZSTD_LEVEL_BRIEF_MAX: i32 = 6;

/// From here on gzip takes milliseconds for 2 KiB of records in which every few bytes occur again and again; up to here, 0.4 ms.
const GZIP_LEVEL_BRIEF_MAX: i32 = 6;

/// How hard to try: `Default`, or the number that the codec gives it (gzip 1 to 9, zstd 1 to 22; the others have only one way).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CompressionLevel {
    #[default]
    Default,
    Level(i32),
}

impl CompressionLevel {
    fn of_zstd(self) -> i32 {
        match self {
            Self::Default => zstd::DEFAULT_COMPRESSION_LEVEL,
            Self::Level(level) => level,
        }
    }

    /// Whether the codec compresses a few KiB in less than a step at this level, whatever they are.
    #[must_use]
    pub fn is_brief(self, compression: Compression) -> bool {
        match (compression, self) {
            (Compression::Gzip, Self::Level(level)) => level <= GZIP_LEVEL_BRIEF_MAX,
            (Compression::Zstd, _) => self.of_zstd() <= ZSTD_LEVEL_BRIEF_MAX,
            (Compression::None | Compression::Gzip | Compression::Snappy | Compression::Lz4, _) => true,
        }
    }
}

/// Appends `records`, compressed, to `output`.
///
/// # Errors
/// Whatever the codec reports: a level that it does not have, or no memory. `output` is empty then.
pub fn compress(
    compression: Compression,
    level: CompressionLevel,
    records: &[u8],
    output: &mut Vec<u8>,
) -> io::Result<()> {
    let mut encoder = Encoder::new(compression, level, std::mem::take(output))?;
    encoder.write(records)?;
    *output = encoder.finish()?;
    Ok(())
}

/// Records on their way into a codec.
pub(in crate::record) enum Encoder {
    None(Vec<u8>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Snappy(Box<Xerial>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
    Zstd(Writer),
}

impl Encoder {
    /// Compresses behind what `output` has.
    pub(in crate::record) fn new(
        compression: Compression,
        level: CompressionLevel,
        output: Vec<u8>,
    ) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(output),
            Compression::Gzip => {
                let level = match level {
                    CompressionLevel::Default => flate2::Compression::default(),
                    CompressionLevel::Level(level) => flate2::Compression::new(level.clamp(1, 9).cast_unsigned()),
                };
                Self::Gzip(flate2::write::GzEncoder::new(output, level))
            }
            Compression::Snappy => Self::Snappy(Box::new(Xerial::new(output))),
            Compression::Lz4 => {
                let frame = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                let encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, output);
                Self::Lz4(Box::new(encoder))
            }
            Compression::Zstd => Self::Zstd(Writer::new(level.of_zstd(), output)?),
        })
    }

    pub(in crate::record) fn write(&mut self, records: &[u8]) -> io::Result<()> {
        match self {
            Self::None(output) => {
                output.extend_from_slice(records);
                Ok(())
            }
            Self::Gzip(encoder) => encoder.write_all(records),
            Self::Snappy(xerial) => xerial.write(records),
            Self::Lz4(encoder) => encoder.write_all(records),
            Self::Zstd(writer) => writer.write(records),
        }
    }

    /// Most bytes of a block: what is handed over is compressed when it is ended ([`Encoder::end_block`]), in one go. `None` where there are no
    /// blocks, or none that may be ended for nothing.
    pub(in crate::record) fn block_bytes_max(&self, level: CompressionLevel) -> Option<usize> {
        match self {
            Self::Zstd(_) if level.of_zstd() > 3 => Some(ZSTD_FLUSH_BYTES_ABOVE_3),
            Self::Zstd(_) => Some(ZSTD_FLUSH_BYTES),
            Self::Snappy(_) => Some(XERIAL_BLOCK_BYTES),
            Self::Lz4(_) => Some(LZ4_BLOCK_BYTES),
            Self::None(_) | Self::Gzip(_) => None,
        }
    }

    pub(in crate::record) fn end_block(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(writer) => writer.flush(),
            Self::Snappy(xerial) if !xerial.block.is_empty() => xerial.end_block(),
            Self::Lz4(encoder) => encoder.flush(),
            Self::None(_) | Self::Gzip(_) | Self::Snappy(_) => Ok(()),
        }
    }

    /// Bytes that the codec has written; it may keep some back.
    pub(in crate::record) fn written(&self) -> usize {
        match self {
            Self::None(output) => output.len(),
            Self::Gzip(encoder) => encoder.get_ref().len(),
            Self::Snappy(xerial) => xerial.output.len(),
            Self::Lz4(encoder) => encoder.get_ref().len(),
            Self::Zstd(writer) => writer.output().len(),
        }
    }

    pub(in crate::record) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::None(output) => Ok(output),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Snappy(xerial) => xerial.finish(),
            Self::Lz4(encoder) => encoder.finish().map_err(io::Error::other),
            Self::Zstd(writer) => writer.finish(),
        }
    }
}

/// Snappy in the framing of the Java library.
pub(in crate::record) struct Xerial {
    output: Vec<u8>,
    /// The next block, less than a whole one.
    block: Vec<u8>,
    encoder: snap::raw::Encoder,
}

impl Xerial {
    fn new(mut output: Vec<u8>) -> Self {
        output.extend_from_slice(&XERIAL_MAGIC);
        output.extend_from_slice(&1i32.to_be_bytes());
        output.extend_from_slice(&1i32.to_be_bytes());
        Self {
            output,
            block: Vec::new(),
            encoder: snap::raw::Encoder::new(),
        }
    }

    fn write(&mut self, mut records: &[u8]) -> io::Result<()> {
        while !records.is_empty() {
            let room = XERIAL_BLOCK_BYTES - self.block.len();
            let (piece, rest) = records.split_at_checked(room).unwrap_or((records, &[]));
            self.block.extend_from_slice(piece);
            if self.block.len() == XERIAL_BLOCK_BYTES {
                self.end_block()?;
            }
            records = rest;
        }
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        let compressed = self.encoder.compress_vec(&self.block)?;
        let length = u32::try_from(compressed.len()).map_err(io::Error::other)?;
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.extend_from_slice(&compressed);
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        Ok(self.output)
    }
}
