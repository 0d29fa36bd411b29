//! Requests of the hot paths, decoded in place: no panic, bounded memory, and never more lenient than the owned decoder.
//!
//! Input: API, version; the rest is the message.

#![no_main]

use bytes::Bytes;
use duramen_fuzz::bounded;
use duramen_wire::{Message, Reader, borrowed, messages};
use libfuzzer_sys::fuzz_target;

const BUDGET: usize = 1 << 20;

macro_rules! check {
    ($request:ident, $frame:expr, $version:expr) => {{
        let mut reader = Reader::new($frame, BUDGET);
        let borrowed = bounded(BUDGET + 1024, || {
            borrowed::$request::decode(&mut reader, $version).is_ok()
        });
        let left = reader.remaining();
        if borrowed {
            let mut reader = Reader::new($frame, 8 * BUDGET);
            messages::$request::decode(&mut reader, $version).expect("the owned decoder takes it too");
            assert_eq!(reader.remaining(), left);
        }
    }};
}

fuzz_target!(|input: &[u8]| {
    let [api, version, message @ ..] = input else {
        return;
    };
    let version = i16::from(version % 20);
    let frame = &Bytes::copy_from_slice(message);
    match api % 4 {
        0 => check!(ProduceRequest, frame, version),
        1 => check!(FetchRequest, frame, version),
        2 => check!(MetadataRequest, frame, version),
        _ => check!(ListOffsetsRequest, frame, version),
    }
});
