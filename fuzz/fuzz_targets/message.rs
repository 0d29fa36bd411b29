//! Requests and responses of every API in every version, and some other messages.
//!
//! No panic; bounded memory; what was decoded can be encoded, and then decodes to the same. (The bytes may differ: unknown tags
//! are skipped, numbers may be written longer than needed.)
//!
//! Input: API, version, direction; the rest is the message.

#![no_main]

use bytes::Bytes;
use duramen_fuzz::bounded;
use duramen_wire::{Message, Reader, Writer, messages};
use libfuzzer_sys::fuzz_target;

const BUDGET: usize = 1 << 20;

fn check<T: Message>(message: &[u8], version: i16) {
    let frame = Bytes::copy_from_slice(message);
    let decoded = bounded(BUDGET + 4 * message.len() + 1024, || {
        T::decode(&mut Reader::new(&frame, BUDGET), version)
    });
    let Ok(decoded) = decoded else { return };
    let first = encode(&decoded, version);
    let again = T::decode(&mut Reader::new(&first, 2 * BUDGET), version).expect("what was encoded decodes");
    assert_eq!(encode(&again, version), first);
}

fn encode<T: Message>(message: &T, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message.encode(&mut writer, version).expect("what was decoded encodes");
    writer.into_bytes().expect("it has no external records")
}

/// What is neither request nor response: headers, what clients give to a group, records of internal topics.
fn check_other(which: u8, version: i16, message: &[u8]) {
    match which {
        0 => check::<messages::RequestHeader>(message, version),
        1 => check::<messages::ResponseHeader>(message, version),
        2 => check::<messages::ConsumerProtocolSubscription>(message, version),
        3 => check::<messages::ConsumerProtocolAssignment>(message, version),
        4 => check::<messages::OffsetCommitKey>(message, version),
        5 => check::<messages::OffsetCommitValue>(message, version),
        6 => check::<messages::GroupMetadataValue>(message, version),
        7 => check::<messages::TransactionLogValue>(message, version),
        8 => check::<messages::LeaderChangeMessage>(message, version),
        _ => {}
    }
}

macro_rules! check_one {
    ($($api:ident, $request:ident, $response:ident;)*) => {
        fn check_one(api: u8, version: i16, is_request: bool, message: &[u8]) {
            let mut index = 0u8;
            $(
                if api == index {
                    return if is_request {
                        check::<messages::$request>(message, version)
                    } else {
                        check::<messages::$response>(message, version)
                    };
                }
                index += 1;
            )*
            check_other(api - index, version, message);
        }
    };
}

duramen_wire::for_each_api!(check_one);

fuzz_target!(|input: &[u8]| {
    if let [api, version, direction, message @ ..] = input {
        check_one(api % 96, i16::from(version % 20), direction % 2 == 0, message);
    }
});
