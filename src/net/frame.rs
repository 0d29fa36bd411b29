//! Cuts a stream of bytes into frames: a 4-byte big-endian length, then that many bytes. Pure; no I/O.
//!
//! ```text
//! | 0..4: length (i32, big-endian) | 4..4+length: body |
//! ```
//! A buffer grows with the bytes that have arrived, never with the length that a peer claims.

use bytes::{Bytes, BytesMut};

/// Buffers are reserved whole up to this length; longer frames grow with what arrives.
const RESERVED_AT_ONCE_BYTES_MAX: usize = 256 * 1024;

/// Bytes that are reserved of a longer one at first: the first buffer of a batch of the largest default size is copied in a brief step.
const RESERVED_FIRST_BYTES: usize = 64 * 1024;

/// A buffer that is full becomes this many times as large. Memory that no byte has arrived for is not touched.
const GROWTH: usize = 16;

/// Why a stream cannot be cut any further; the connection has to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {length} bytes, but at least {bytes_min} are needed")]
    TooShort { length: i32, bytes_min: usize },
    #[error("frame of {length} bytes is over the limit of {bytes_max}")]
    TooLong { length: i32, bytes_max: usize },
}

/// Which lengths of a frame are accepted.
#[derive(Clone, Copy, Debug)]
pub struct FrameLimits {
    pub bytes_min: usize,
    pub bytes_max: usize,
}

/// One connection's half-read frame.
#[derive(Debug)]
pub struct FrameDecoder {
    limits: FrameLimits,
    head: [u8; 4],
    head_bytes: usize,
    /// Length of the frame whose head has been read.
    length: Option<usize>,
    body: BytesMut,
}

impl FrameDecoder {
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            head: [0; 4],
            head_bytes: 0,
            length: None,
            body: BytesMut::new(),
        }
    }

    /// Takes bytes from the front of `input` and moves it on; a whole frame's body as soon as there is one.
    ///
    /// Call again while `input` is not empty.
    ///
    /// # Errors
    /// A length outside the limits: nothing after it can be understood.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Option<Bytes>, FrameError> {
        let length = match self.length {
            Some(length) => length,
            None => match self.read_head(input)? {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        let taken = input.len().min(length - self.body.len());
        let (front, rest) = input.split_at(taken);
        let bytes = self.body.len() + taken;
        if bytes > self.body.capacity() {
            let capacity = bytes.saturating_mul(GROWTH).min(length);
            self.body.reserve(capacity - self.body.len());
        }
        self.body.extend_from_slice(front);
        *input = rest;
        if self.body.len() < length {
            return Ok(None);
        }
        self.length = None;
        self.head_bytes = 0;
        Ok(Some(std::mem::take(&mut self.body).freeze()))
    }

    fn read_head(&mut self, input: &mut &[u8]) -> Result<Option<usize>, FrameError> {
        let taken = input.len().min(4 - self.head_bytes);
        let (front, rest) = input.split_at(taken);
        self.head[self.head_bytes..self.head_bytes + taken].copy_from_slice(front);
        self.head_bytes += taken;
        *input = rest;
        if self.head_bytes < 4 {
            return Ok(None);
        }
        let claimed = i32::from_be_bytes(self.head);
        let FrameLimits { bytes_min, bytes_max } = self.limits;
        let length = match usize::try_from(claimed) {
            Ok(length) if length >= bytes_min => length,
            _ => {
                return Err(FrameError::TooShort {
                    length: claimed,
                    bytes_min,
                });
            }
        };
        if length > bytes_max {
            return Err(FrameError::TooLong {
                length: claimed,
                bytes_max,
            });
        }
        self.length = Some(length);
        let reserved = match length <= RESERVED_AT_ONCE_BYTES_MAX {
            true => length,
            false => RESERVED_FIRST_BYTES,
        };
        self.body = BytesMut::with_capacity(reserved);
        Ok(Some(length))
    }

    /// Bytes held for a frame that is not whole.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.body.len()
    }

    /// Bytes that the frame being read will have; 0 when none is known.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.length.unwrap_or(0)
    }

    /// Whether a frame has begun and is not whole.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.head_bytes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits {
        bytes_min: 8,
        bytes_max: 1 << 20,
    };

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_frames() {
        let bodies: Vec<Vec<u8>> = vec![vec![1; 8], vec![2; 300], vec![3; 9]];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        for step in 1..stream.len() {
            let mut decoder = FrameDecoder::new(LIMITS);
            let mut got = Vec::new();
            for chunk in stream.chunks(step) {
                let mut input = chunk;
                while !input.is_empty() {
                    got.extend(decoder.push(&mut input).unwrap().map(|body| body.to_vec()));
                }
            }
            assert_eq!(got, bodies, "chunks of {step}");
            assert!(!decoder.is_mid_frame());
        }
    }

    #[test]
    fn lengths_outside_the_limits_are_refused() {
        for (length, short) in [
            (-1i32, true),
            (i32::MIN, true),
            (0, true),
            (7, true),
            ((1 << 20) + 1, false),
            (i32::MAX, false),
        ] {
            let mut decoder = FrameDecoder::new(LIMITS);
            let bytes = length.to_be_bytes();
            let error = decoder.push(&mut &bytes[..]).unwrap_err();
            assert_eq!(matches!(error, FrameError::TooShort { .. }), short, "{length}: {error}");
        }
    }

    #[test]
    fn a_claimed_length_reserves_little() {
        let mut decoder = FrameDecoder::new(FrameLimits {
            bytes_min: 8,
            bytes_max: 100 << 20,
        });
        let mut input = &(100i32 << 20).to_be_bytes()[..];
        assert_eq!(decoder.push(&mut input), Ok(None));
        assert!(decoder.body.capacity() <= 2 * RESERVED_AT_ONCE_BYTES_MAX);
        assert!(decoder.is_mid_frame());
    }
}
