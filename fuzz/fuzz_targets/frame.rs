//! Frames cut from a stream: the same ones however the stream arrives, memory by what has arrived.
//!
//! Input: the sizes of the pieces in turn (4 bytes); the rest is the stream.

#![no_main]

use duramen_fuzz::bounded;
use duramen_fuzz::frame::{FrameDecoder, FrameError, FrameLimits};
use libfuzzer_sys::fuzz_target;

const LIMITS: FrameLimits = FrameLimits {
    bytes_min: 4,
    bytes_max: 1 << 30,
};

/// What is reserved for a frame before its bytes have come.
const RESERVED_BYTES_MAX: usize = 256 * 1024;

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut decoder = FrameDecoder::new(LIMITS);
    let mut frames = Vec::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            match decoder.push(&mut piece) {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => {}
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((sizes, stream)) = input.split_first_chunk::<4>() else {
        return;
    };
    let mut rest = stream;
    let mut sizes = sizes.iter().cycle();
    let pieces = std::iter::from_fn(|| {
        let size = usize::from(*sizes.next()?).max(1).min(rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    let in_pieces = bounded(RESERVED_BYTES_MAX + 64 * stream.len() + 4096, || frames(pieces));
    assert_eq!(in_pieces, frames([stream].into_iter()));
});
