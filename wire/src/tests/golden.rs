//! Messages as Apache Kafka writes them, for what `kafka-protocol` does not know: newer versions, records of internal topics and of the
//! metadata log.
//!
//! Each line of `golden/kafka_4.3.1.txt` is a message, a version, and bytes that Kafka's own classes decoded and then encoded to the
//! same bytes. They were written by
//!
//! ```text
//! GOLDEN=new cargo test -p duramen-wire write_golden -- --nocapture | java -cp 'LIBS_DIR/*' wire/src/tests/golden/Check.java
//! ```
//!
//! where `LIBS_DIR` is the `libs` folder of Kafka 4.3.1. With `GOLDEN=all` the same command checks many messages of every version.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::{Message, messages};

use super::oracle::versions_not_theirs;
use super::{Invention, decode, encode};

const GOLDEN: &str = include_str!("golden/kafka_4.3.1.txt");

/// The lines of the file about one message and version.
fn lines(name: &str, version: i16) -> impl Iterator<Item = &str> {
    GOLDEN.lines().filter_map(move |line| {
        let mut words = line.split(' ');
        let is_it = words.next() == Some(name) && words.next() == Some(version.to_string().as_str());
        if is_it { words.next() } else { None }
    })
}

fn check<T: Message>(name: &str, versions: RangeInclusive<i16>) -> u32 {
    let mut checked = 0;
    for version in versions {
        for line in lines(name, version) {
            let bytes = unhex(line);
            let message =
                decode::<T>(&bytes, version).unwrap_or_else(|error| panic!("{name} version {version}: {error}"));
            assert_eq!(
                hex(&encode(&message, version).unwrap()),
                line,
                "{name} version {version}"
            );
            checked += 1;
        }
    }
    checked
}

/// Prints `count` random messages of each version, short ones if there are few.
fn write<T: Message>(name: &str, versions: RangeInclusive<i16>, count: usize) {
    for version in versions {
        let messages = (0..).filter_map(|seed| Invention::message::<T>(seed, version));
        let bytes = messages.map(|message| encode(&message, version).unwrap());
        let bytes = bytes.filter(|bytes| count > 2 || bytes.len() < 250).take(count);
        for line in bytes.map(|bytes| hex(&bytes)).collect::<BTreeSet<_>>() {
            println!("GOLDEN {name} {version} {line}");
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}

fn short(path: &str) -> &str {
    path.rsplit(':').next().unwrap_or(path).trim()
}

#[test]
fn kafka_writes_the_same_bytes() {
    let mut checked = 0;
    macro_rules! check_each_api {
        ($($api:ident, $request:ident, $response:ident;)*) => {
            $(
                checked += check::<messages::$request>(stringify!($request), messages::$request::VERSIONS);
                checked += check::<messages::$response>(stringify!($response), messages::$response::VERSIONS);
            )*
        };
    }
    macro_rules! check_each_record {
        ($($($name:ident)::+;)*) => {
            $(checked += check::<messages::$($name)::+>(short(stringify!($($name)::+)), messages::$($name)::+::VERSIONS);)*
        };
    }
    crate::for_each_api!(check_each_api);
    messages::for_each_record!(check_each_record);
    assert_eq!(
        usize::try_from(checked).unwrap(),
        GOLDEN.lines().count(),
        "a line is of no message"
    );
    assert!(checked > 200);
}

/// Prints lines if the environment asks for them, see above.
#[test]
fn write_golden() {
    let Ok(which) = std::env::var("GOLDEN") else { return };
    let all = which == "all";
    macro_rules! write_each_api {
        ($($api:ident, $request:ident, $response:ident;)*) => {
            $(
                write_either::<messages::$request>(stringify!($request), messages::$request::VERSIONS, all);
                write_either::<messages::$response>(stringify!($response), messages::$response::VERSIONS, all);
            )*
        };
    }
    macro_rules! write_each_record {
        ($($($name:ident)::+;)*) => {
            $(
                let name = short(stringify!($($name)::+));
                write::<messages::$($name)::+>(name, messages::$($name)::+::VERSIONS, if all { 50 } else { 2 });
            )*
        };
    }
    crate::for_each_api!(write_each_api);
    messages::for_each_record!(write_each_record);
}

fn write_either<T: Message>(name: &str, versions: RangeInclusive<i16>, all: bool) {
    match versions_not_theirs(name) {
        _ if all => write::<T>(name, versions, 50),
        Some(versions) => write::<T>(name, versions, 2),
        None => {}
    }
}
