//! Varints: no panic, what is read is written again to the same value, never more bytes are taken than the type allows.

#![no_main]

use duramen_fuzz::record::varint::{
    put_unsigned_varlong, put_varint, put_varlong, take_unsigned_varint, take_unsigned_varlong, take_varint,
    take_varlong, varint_bytes, varlong_bytes,
};
use libfuzzer_sys::fuzz_target;

/// By the definition of the format, for comparison.
fn slow(input: &[u8], bytes_max: usize) -> Option<(u64, usize)> {
    let last = input.iter().take(bytes_max).position(|byte| byte & 0x80 == 0)?;
    let value = input[..=last]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((value, last + 1))
}

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    let long = take_unsigned_varlong(&mut rest).map(|value| (value, input.len() - rest.len()));
    assert_eq!(long, slow(input, 10));
    rest = input;
    let short = take_unsigned_varint(&mut rest).map(|value| (value, input.len() - rest.len()));
    assert_eq!(
        short,
        slow(input, 5).map(|(value, bytes)| (u32::try_from(value & 0xffff_ffff).unwrap(), bytes))
    );
    let mut written = Vec::new();
    if let Some((value, bytes)) = long {
        put_unsigned_varlong(&mut written, value);
        assert!(written.len() <= bytes);
        assert_eq!(take_unsigned_varlong(&mut &written[..]), Some(value));
    }
    if let Some(value) = take_varlong(&mut &input[..]) {
        written.clear();
        put_varlong(&mut written, value);
        assert_eq!(written.len(), varlong_bytes(value));
        assert_eq!(take_varlong(&mut &written[..]), Some(value));
    }
    if let Some(value) = take_varint(&mut &input[..]) {
        written.clear();
        put_varint(&mut written, value);
        assert_eq!(written.len(), varint_bytes(value));
        assert_eq!(take_varint(&mut &written[..]), Some(value));
    }
});
