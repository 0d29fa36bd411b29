//! Variable-length integers, as records have them.
//!
//! Seven bits a byte, the lowest first, the top bit set on all bytes but the last. Signed values are zigzag encoded: 0, -1, 1, -2
//! become 0, 1, 2, 3. At most 5 bytes (32 bits) or 10 bytes (64 bits); bits beyond the width are dropped, as Kafka's `ByteUtils`
//! drops them.

/// Most bytes of a 32-bit value.
pub const VARINT_BYTES_MAX: usize = 5;
/// Most bytes of a 64-bit value.
pub const VARLONG_BYTES_MAX: usize = 10;

/// Takes an unsigned 32-bit value off the front; `None`, with the input unchanged, when it ends early or is too long.
#[inline]
pub fn take_unsigned_varint(input: &mut &[u8]) -> Option<u32> {
    let (&first, rest) = input.split_first()?;
    if first < 0x80 {
        *input = rest;
        return Some(u32::from(first));
    }
    let (&second, rest) = rest.split_first()?;
    if second < 0x80 {
        *input = rest;
        return Some(u32::from(first & 0x7f) | u32::from(second) << 7);
    }
    take_long_form(input, VARINT_BYTES_MAX).map(low_half)
}

/// Takes an unsigned 64-bit value off the front; `None`, with the input unchanged, when it ends early or is too long.
#[inline]
pub fn take_unsigned_varlong(input: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = input.split_first()?;
    if first < 0x80 {
        *input = rest;
        return Some(u64::from(first));
    }
    take_long_form(input, VARLONG_BYTES_MAX)
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

/// A value of any length up to `bytes_max`.
#[cold]
fn take_long_form(input: &mut &[u8], bytes_max: usize) -> Option<u64> {
    let mut value = 0u64;
    let mut shift = 0u32;
    let mut rest = *input;
    for _ in 0..bytes_max {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            *input = rest;
            return Some(value);
        }
        shift += 7;
    }
    None
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
            let mut input = &[bytes, &[0xaa]].concat()[..];
            assert_eq!(take_varlong(&mut input), Some(value));
            assert_eq!(input, [0xaa]);
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
    fn endless_values_are_refused() {
        assert_eq!(take_varint(&mut &[0x80u8; 64][..]), None);
        assert_eq!(take_varlong(&mut &[0x80u8; 64][..]), None);
        assert_eq!(take_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None);
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
