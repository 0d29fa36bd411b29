//! Bytes that were cut off or changed: every decoder says what is wrong, or finds another message; none panics.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::{Message, Reader, messages};

use super::{BUDGET, Invention, encode};

fn attack<T: Message>(versions: RangeInclusive<i16>) -> u32 {
    let mut attacks = 0;
    for version in versions {
        let encodings = (0..).filter_map(|seed| Invention::message::<T>(seed, version));
        let encodings = encodings.map(|message| encode(&message, version).unwrap());
        let Some(bytes) = encodings.filter(|bytes| bytes.len() < 300).nth(3) else {
            continue;
        };
        for at in 0..bytes.len() {
            let cut = bytes.slice(..at);
            let decoded = T::decode(&mut Reader::new(&cut, BUDGET), version);
            assert!(decoded.is_err(), "a part of a message is none");
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.to_vec();
                changed[at] = value;
                let changed = Bytes::from(changed);
                // Whatever is decoded can be dropped, and was paid for by the budget.
                drop(T::decode(&mut Reader::new(&changed, BUDGET), version));
                attacks += 1;
            }
        }
    }
    attacks
}

#[test]
fn no_decoder_panics() {
    let mut attacks = 0;
    macro_rules! attack_each_api {
        ($($api:ident, $request:ident, $response:ident;)*) => {
            $(
                attacks += attack::<messages::$request>(messages::$request::VERSIONS);
                attacks += attack::<messages::$response>(messages::$response::VERSIONS);
            )*
        };
    }
    macro_rules! attack_each_record {
        ($($($name:ident)::+;)*) => {
            $(attacks += attack::<messages::$($name)::+>(messages::$($name)::+::VERSIONS);)*
        };
    }
    crate::for_each_api!(attack_each_api);
    messages::for_each_record!(attack_each_record);
    assert!(attacks > 100_000, "{attacks}");
}
