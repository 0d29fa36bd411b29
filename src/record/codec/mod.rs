//! The codecs of record batches: expanding with bounded memory, and compressing.
//!
//! A batch expands in chunks, each of which is looked at and thrown away, so that a batch of megabytes passes through a workspace of
//! kilobytes. A chunk has at most 16 KiB (gzip) or [`CHUNK_BYTES`] (zstd), one block of at most 4 MiB (lz4), one block of what its writer
//! chose (snappy), which is at most 22 times the compressed bytes. Reading stops as soon as more bytes have come out than allowed.

mod blocks;
mod compress;
mod gzip;
mod lz4;
mod snappy;
mod zstd;

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::error::RecordFault;
use super::header::Compression;

pub use blocks::BlockBytes;
pub(super) use compress::Encoder;
pub use compress::{CompressionLevel, compress};

/// Bytes of a chunk, where the codec leaves the choice to the reader and is quick.
const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes of a buffer that are kept between two batches: enough for the largest lz4 block and its history.
const KEPT_BYTES_MAX: usize = 5 * 1024 * 1024;

/// Bytes of zstd's context that are kept between two batches: enough for a window of 8 MiB, which level 19 writes.
const KEPT_ZSTD_BYTES_MAX: usize = 9 * 1024 * 1024;

/// Workspace of a core for reading compressed batches; batches are expanded one at a time.
#[derive(Default)]
pub struct Decompressor {
    expanded_bytes_max: u64,
    /// The chunk expanded last, perhaps behind some history.
    buffer: Vec<u8>,
    /// The records of the batch expanded last as a whole.
    records: Vec<u8>,
    gzip: gzip::Inflater,
    zstd: zstd::Context,
}

impl Decompressor {
    /// A workspace that expands no batch to more than `expanded_bytes_max` bytes of records. Takes no memory until it is used.
    #[must_use]
    pub fn new(expanded_bytes_max: u64) -> Self {
        Self {
            expanded_bytes_max,
            ..Self::default()
        }
    }

    /// Most bytes of records that one batch may expand to.
    #[must_use]
    pub fn expanded_bytes_max(&self) -> u64 {
        self.expanded_bytes_max
    }

    /// Bytes of memory that the workspace holds between two batches.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity() + self.records.capacity() + self.zstd.held_bytes()
    }

    /// Expands all records of a batch.
    ///
    /// # Errors
    /// `Compressed` when the data is malformed, `Expanded` when it would be more than allowed.
    pub(super) fn expand(&mut self, compression: Compression, input: &[u8]) -> Result<&[u8], RecordFault> {
        let mut records = std::mem::take(&mut self.records);
        records.clear();
        records.shrink_to(KEPT_BYTES_MAX);
        let mut expansion = Expansion::new(self, compression, input);
        let mut more = expansion.next_chunk();
        while more == Ok(true) {
            records.extend_from_slice(expansion.chunk());
            more = expansion.next_chunk();
        }
        drop(expansion);
        self.records = records;
        more.map(|_| self.records.as_slice())
    }
}

/// One batch being expanded.
pub(super) struct Expansion<'a, 'd> {
    workspace: &'d mut Decompressor,
    input: &'a [u8],
    codec: Codec,
    /// The chunk, within the workspace's buffer.
    chunk: Range<usize>,
    /// Bytes of all chunks so far.
    expanded_bytes: u64,
}

/// Where in its format a codec stands.
enum Codec {
    /// The input is the only chunk.
    None {
        taken: bool,
    },
    Gzip(gzip::Position),
    Snappy(snappy::Position),
    Lz4(lz4::Position),
    Zstd(zstd::Position),
}

impl<'a, 'd> Expansion<'a, 'd> {
    pub(super) fn new(workspace: &'d mut Decompressor, compression: Compression, input: &'a [u8]) -> Self {
        let codec = match compression {
            Compression::None => Codec::None { taken: false },
            Compression::Gzip => Codec::Gzip(gzip::Position::default()),
            Compression::Snappy => Codec::Snappy(snappy::Position::default()),
            Compression::Lz4 => Codec::Lz4(lz4::Position::default()),
            Compression::Zstd => Codec::Zstd(zstd::Position::default()),
        };
        Self {
            workspace,
            input,
            codec,
            chunk: 0..0,
            expanded_bytes: 0,
        }
    }

    /// The chunk that [`Expansion::next_chunk`] made; empty before.
    #[inline]
    pub(super) fn chunk(&self) -> &[u8] {
        self.workspace.buffer.get(self.chunk.clone()).unwrap_or_default()
    }

    /// Expands the next chunk, never an empty one; false at the proper end of the data.
    ///
    /// # Errors
    /// `Compressed` when the data is malformed, `Expanded` when it would be more than allowed.
    pub(super) fn next_chunk(&mut self) -> Result<bool, RecordFault> {
        let allowed = self.workspace.expanded_bytes_max - self.expanded_bytes;
        let Decompressor { buffer, gzip, zstd, .. } = &mut *self.workspace;
        let chunk = match &mut self.codec {
            Codec::None { taken } => {
                let bytes = if std::mem::replace(taken, true) {
                    &[]
                } else {
                    self.input
                };
                buffer.clear();
                buffer.extend_from_slice(bytes);
                0..bytes.len()
            }
            Codec::Gzip(position) => position.next_chunk(&mut self.input, gzip, buffer)?,
            Codec::Snappy(position) => position.next_chunk(&mut self.input, buffer, allowed)?,
            Codec::Lz4(position) => position.next_chunk(&mut self.input, buffer)?,
            Codec::Zstd(position) => position.next_chunk(&mut self.input, zstd, buffer)?,
        };
        let bytes = chunk.len() as u64;
        if bytes > allowed {
            return Err(RecordFault::Expanded);
        }
        self.expanded_bytes += bytes;
        self.chunk = chunk;
        Ok(bytes > 0)
    }
}

impl Drop for Expansion<'_, '_> {
    fn drop(&mut self) {
        let buffer = &mut self.workspace.buffer;
        if buffer.capacity() > KEPT_BYTES_MAX {
            *buffer = Vec::new();
        }
        self.workspace.zstd.trim(KEPT_ZSTD_BYTES_MAX);
    }
}

/// The first `bytes` bytes of `buffer`, made that long where it is shorter.
fn room(buffer: &mut Vec<u8>, bytes: usize) -> &mut [u8] {
    if buffer.len() < bytes {
        buffer.resize(bytes, 0);
    }
    buffer.get_mut(..bytes).unwrap_or_default()
}

/// Takes `N` bytes off the front.
fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], RecordFault> {
    let (&array, rest) = input.split_first_chunk::<N>().ok_or(RecordFault::Compressed)?;
    *input = rest;
    Ok(array)
}

/// Takes `bytes` bytes off the front.
fn take_slice<'a>(input: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], RecordFault> {
    let (slice, rest) = input.split_at_checked(bytes).ok_or(RecordFault::Compressed)?;
    *input = rest;
    Ok(slice)
}
