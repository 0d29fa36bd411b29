//! Variable-length integers, as records have them.
//!
//! Seven bits a byte, the lowest first, the top bit set on all bytes but the last. Signed values are zigzag encoded: 0, -1, 1, -2
//! become 0, 1, 2, 3. At most 5 bytes (32 bits) or 10 bytes (64 bits); bits beyond the width are dropped, as Kafka's `ByteUtils`
//! drops them.

/// Most bytes of a 32-bit value.
pub const VARINT_BYTES_MAX: usize = 5;
/// Most bytes of a 64-bit value.
pub const VARLONG_BYTES_MAX: usize = 10;

/// An unsigned value, and the bytes that it takes: 0 when there is no value, because it ends early or is too long.
#[derive(Clone, Copy)]
pub(super) struct Decoded {
    pub(super) value: u64,
    pub(super) bytes: usize,
}

impl Decoded {
    const NOTHING: Self = Self { value: 0, bytes: 0 };
}

/// The unsigned value of at most `bytes_max` bytes that stands at `position`. Nearly all values take one byte or two.
#[inline]
pub(super) fn decode_at(input: &[u8], position: usize, bytes_max: usize) -> Decoded {
    let Some(&first) = input.get(position) else {
        return Decoded::NOTHING;
    };
    if first < 0x80 {
        let value = u64::from(first);
        return Decoded { value, bytes: 1 };
    }
    match input.get(position + 1) {
        Some(&second) if second < 0x80 => {
            let value = u64::from(first & 0x7f) | u64::from(second) << 7;
            Decoded { value, bytes: 2 }
        }
        Some(_) => decode_long(input, position, bytes_max),
        None => Decoded::NOTHING,
    }
}

/// Takes an unsigned 32-bit value off the front; `None`, with the input unchanged, when it ends early or is too long.
#[inline]
pub fn take_unsigned_varint(input: &mut &[u8]) -> Option<u32> {
    take(input, VARINT_BYTES_MAX).map(low_half)
}

/// Takes an unsigned 64-bit value off the front; `None`, with the input unchanged, when it ends early or is too long.
#[inline]
pub fn take_unsigned_varlong(input: &mut &[u8]) -> Option<u64> {
    take(input, VARLONG_BYTES_MAX)
}

/// Takes a signed 32-bit value off the front; `None`, with the input unchanged, when it ends early or is too long.
#[inline]
pub fn take_varint(input: &mut &[u8]) -> Option<i32> {
    take_unsigned_varint(input).map(unzigzag)
}

/// Takes a signed 64-bit value off the front; `None`, with the input unchanged, when it ends early or is too long.
#[inline]
pub fn take_varlong(input: &mut &[u8]) -> Option<i64> {
    take_unsigned_varlong(input).map(unzigzag_long)
}

/// Appends an unsigned 32-bit value.
pub fn put_unsigned_varint(output: &mut Vec<u8>, value: u32) {
    put_unsigned_varlong(output, u64::from(value));
}

/// Appends an unsigned 64-bit value.
pub fn put_unsigned_varlong(output: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        output.push(low_seven(value) | 0x80);
        value >>= 7;
    }
    output.push(low_seven(value));
}

/// Appends a signed 32-bit value.
pub fn put_varint(output: &mut Vec<u8>, value: i32) {
    put_unsigned_varint(output, zigzag(value));
}

/// Appends a signed 64-bit value.
pub fn put_varlong(output: &mut Vec<u8>, value: i64) {
    put_unsigned_varlong(output, zigzag_long(value));
}

/// Bytes that a signed 32-bit value takes.
#[must_use]
pub fn varint_bytes(value: i32) -> usize {
    unsigned_bytes(u64::from(zigzag(value)))
}

/// Bytes that a signed 64-bit value takes.
#[must_use]
pub fn varlong_bytes(value: i64) -> usize {
    unsigned_bytes(zigzag_long(value))
}

/// The signed value that a zigzag encoded 32-bit one stands for.
#[must_use]
#[inline]
pub fn unzigzag(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// The signed value that a zigzag encoded 64-bit one stands for.
#[must_use]
#[inline]
pub fn unzigzag_long(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// The low 32 bits.
#[must_use]
#[inline]
pub fn low_half(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}

fn zigzag_long(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn low_seven(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low & 0x7f
}

fn unsigned_bytes(value: u64) -> usize {
    let mut bytes = 1;
    let mut left = value >> 7;
    while left > 0 {
        bytes += 1;
        left >>= 7;
    }
    bytes
}

#[inline]
fn take(input: &mut &[u8], bytes_max: usize) -> Option<u64> {
    let Decoded { value, bytes } = decode_at(input, 0, bytes_max);
    if bytes == 0 {
        return None;
    }
    *input = input.get(bytes..)?;
    Some(value)
}

/// A value of any length, byte by byte.
#[inline(never)]
fn decode_long(input: &[u8], position: usize, bytes_max: usize) -> Decoded {
    let rest = input.get(position..).unwrap_or_default();
    let mut value = 0u64;
    let mut shift = 0u32;
    for (index, &byte) in rest.iter().take(bytes_max).enumerate() {
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let bytes = index + 1;
            return Decoded { value, bytes };
        }
        shift += 7;
    }
    Decoded::NOTHING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_their_bytes() {
        let table: &[(i64, &[u8])] = &[
            (0, &[0x00]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (-65, &[0x81, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (8192, &[0x80, 0x80, 0x01]),
            (1 << 20, &[0x80, 0x80, 0x80, 0x01]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for &(value, bytes) in table {
            let mut written = Vec::new();
            put_varlong(&mut written, value);
            assert_eq!(written, bytes, "{value}");
            assert_eq!(varlong_bytes(value), bytes.len(), "{value}");
            for after in [1, 9] {
                let mut input = &[bytes, &vec![0xaa; after]].concat()[..];
                assert_eq!(take_varlong(&mut input), Some(value));
                assert_eq!(input, vec![0xaa; after]);
            }
            if let Ok(value) = i32::try_from(value) {
                written.clear();
                put_varint(&mut written, value);
                assert_eq!(written, bytes, "{value}");
                assert_eq!(varint_bytes(value), bytes.len(), "{value}");
                let mut input = bytes;
                assert_eq!(take_varint(&mut input), Some(value));
                assert!(input.is_empty());
            }
            for cut in 0..bytes.len() {
                let mut input = &bytes[..cut];
                assert_eq!(take_varlong(&mut input), None, "{value} cut to {cut}");
                assert_eq!(input.len(), cut, "the input is as it was");
            }
        }
    }

    #[test]
    fn short_and_long_forms_agree() {
        for shift in 0..64 {
            for value in [1u64 << shift, u64::MAX >> shift, 0x5a5a_a5a5_0ff0_1234 >> shift] {
                let mut bytes = vec![0xff];
                put_unsigned_varlong(&mut bytes, value);
                let expected = (value, bytes.len() - 1);
                bytes.push(0xff);
                for decode in [decode_at, decode_long] {
                    let decoded = decode(&bytes, 1, VARLONG_BYTES_MAX);
                    assert_eq!((decoded.value, decoded.bytes), expected);
                }
            }
        }
    }

    #[test]
    fn endless_values_are_refused() {
        assert_eq!(take_varint(&mut &[0x80u8; 64][..]), None);
        assert_eq!(take_varlong(&mut &[0x80u8; 64][..]), None);
        assert_eq!(take_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None);
        assert_eq!(
            take_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x00, 0x00][..]),
            None
        );
        assert_eq!(take_varlong(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), Some(0));
    }

    #[test]
    fn bits_beyond_the_width_are_dropped() {
        assert_eq!(
            take_unsigned_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x7f][..]),
            Some(u32::MAX)
        );
        let eleven = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(take_unsigned_varlong(&mut &eleven[..]), Some(u64::MAX));
    }
}
