//! Every message against `kafka-protocol`, an independent codec that was generated from Kafka 4.1.0.
//!
//! A random message is encoded here, decoded and encoded there, and decoded here: so for each version of each message that both know,
//! each side reads what the other wrote.

use std::ops::RangeInclusive;

use kafka_protocol::protocol::{Decodable, Encodable, Message as TheirMessage};

use crate::messages;
use crate::{ApiKey, Message};

use super::golden::hex;
use super::{Invention, decode, encode};

/// Random messages of each version.
const SEEDS: u64 = 30;

/// What is not compared: message, versions, why. `golden` has bytes of Kafka itself for these.
const NOT_THEIRS: &[(&str, RangeInclusive<i16>, &str)] = &[
    ("AddRaftVoterRequest", 1..=1, NEWER),
    ("AddRaftVoterResponse", 1..=1, NEWER),
    ("BrokerHeartbeatRequest", 2..=2, NEWER),
    ("BrokerHeartbeatResponse", 2..=2, NEWER),
    ("DescribeLogDirsRequest", 5..=5, NEWER),
    ("DescribeLogDirsResponse", 5..=5, NEWER),
    ("DescribeShareGroupOffsetsRequest", 1..=1, NEWER),
    ("DescribeShareGroupOffsetsResponse", 1..=1, NEWER),
    ("InitProducerIdRequest", 6..=6, UNSTABLE),
    ("ListOffsetsRequest", 11..=11, NEWER),
    ("ListOffsetsResponse", 11..=11, NEWER),
    ("OffsetCommitRequest", 10..=10, UNSTABLE),
    ("OffsetFetchRequest", 10..=10, UNSTABLE),
    ("ReadShareGroupStateSummaryRequest", 1..=1, NEWER),
    ("ReadShareGroupStateSummaryResponse", 1..=1, NEWER),
    ("ShareAcknowledgeRequest", 2..=2, NEWER),
    ("ShareAcknowledgeResponse", 2..=2, NEWER),
    ("ShareFetchRequest", 2..=2, NEWER),
    ("ShareFetchResponse", 2..=2, NEWER),
    ("StreamsGroupDescribeRequest", 0..=0, UNSTABLE),
    ("StreamsGroupDescribeResponse", 0..=0, UNSTABLE),
    ("StreamsGroupHeartbeatRequest", 0..=0, UNSTABLE),
    ("StreamsGroupHeartbeatResponse", 0..=0, UNSTABLE),
    ("WriteShareGroupStateRequest", 1..=1, NEWER),
    ("WriteShareGroupStateResponse", 1..=1, NEWER),
    ("WriteTxnMarkersRequest", 2..=2, NEWER),
    ("WriteTxnMarkersResponse", 2..=2, NEWER),
    ("LeaderChangeMessage", 0..=1, SHADOWED),
    ("VotersRecord", 0..=0, SHADOWED),
];
const NEWER: &str = "came with Kafka 4.2 or 4.3";
const UNSTABLE: &str = "they leave out what Kafka 4.1 declared unstable";
const SHADOWED: &str = "their decoder takes the message's field `version` for the version of the message";

/// The versions of a message that are not compared.
pub(super) fn versions_not_theirs(name: &str) -> Option<RangeInclusive<i16>> {
    let row = NOT_THEIRS.iter().find(|(message, ..)| *message == name);
    row.map(|(_, versions, _)| versions.clone())
}

/// Their messages, and `Absent` for those that they lack.
mod theirs {
    pub use kafka_protocol::messages::*;

    pub use super::Absent as StreamsGroupDescribeRequest;
    pub use super::Absent as StreamsGroupDescribeResponse;
    pub use super::Absent as StreamsGroupHeartbeatRequest;
    pub use super::Absent as StreamsGroupHeartbeatResponse;
}

/// A message of which the other side knows no version.
pub struct Absent;

impl TheirMessage for Absent {
    const VERSIONS: kafka_protocol::protocol::VersionRange = kafka_protocol::protocol::VersionRange { min: 0, max: -1 };
    const DEPRECATED_VERSIONS: Option<kafka_protocol::protocol::VersionRange> = None;
}

impl Encodable for Absent {
    fn encode<B: kafka_protocol::protocol::buf::ByteBufMut>(&self, _: &mut B, _: i16) -> anyhow::Result<()> {
        Ok(())
    }

    fn compute_size(&self, _: i16) -> anyhow::Result<usize> {
        Ok(0)
    }
}

impl Decodable for Absent {
    fn decode<B: kafka_protocol::protocol::buf::ByteBuf>(_: &mut B, _: i16) -> anyhow::Result<Self> {
        Ok(Self)
    }
}

/// What was compared.
#[derive(Default)]
struct Report {
    messages: u32,
    /// Versions of messages, each in both directions.
    versions: u32,
    failures: Vec<String>,
}

impl Report {
    fn compare<Ours: Message, Theirs: TheirMessage + Encodable + Decodable>(
        &mut self,
        name: &str,
        versions: RangeInclusive<i16>,
    ) {
        self.messages += 1;
        let not_theirs = versions_not_theirs(name);
        for version in versions {
            if not_theirs.as_ref().is_some_and(|versions| versions.contains(&version)) {
                continue;
            }
            let messages = (0..SEEDS).filter_map(|seed| Invention::message::<Ours>(seed, version));
            let results: Vec<_> = messages
                .map(|message| both_ways::<Ours, Theirs>(&message, version))
                .collect();
            assert!(!results.is_empty(), "no message invented of {name} version {version}");
            if let Some(failure) = results.into_iter().find_map(Result::err) {
                self.failures.push(format!("{name} version {version}: {failure}"));
            }
            self.versions += 1;
        }
    }
}

fn both_ways<Ours: Message, Theirs: Encodable + Decodable>(message: &Ours, version: i16) -> Result<(), String> {
    let ours = encode(message, version).map_err(|error| format!("we do not encode: {error}"))?;
    let again = decode::<Ours>(&ours, version).map_err(|error| format!("we do not decode ours: {error}"))?;
    if encode(&again, version).as_ref() != Ok(&ours) {
        return Err("ours is not what we decode of it".to_owned());
    }
    let mut bytes = ours.clone();
    let their_message =
        Theirs::decode(&mut bytes, version).map_err(|error| format!("they do not decode: {error:#}"))?;
    if !bytes.is_empty() {
        return Err(format!("they leave {} bytes", bytes.len()));
    }
    let mut theirs = Vec::new();
    their_message
        .encode(&mut theirs, version)
        .map_err(|error| format!("they do not encode: {error:#}"))?;
    let back = decode::<Ours>(&theirs, version).map_err(|error| format!("we do not decode theirs: {error}"))?;
    match encode(&back, version) {
        Ok(bytes) if bytes == ours => Ok(()),
        Ok(_) => Err(format!("theirs is another message:\n{}\n{}", hex(&ours), hex(&theirs))),
        Err(error) => Err(format!("we do not encode theirs: {error}")),
    }
}

#[test]
fn both_codecs_agree() {
    let mut report = Report::default();
    macro_rules! compare {
        ($($api:ident, $request:ident, $response:ident;)*) => {
            $(
                let versions = messages::$request::VERSIONS;
                assert_eq!(ApiKey::$api.versions().start(), versions.start());
                report.compare::<messages::$request, theirs::$request>(stringify!($request), versions.clone());
                report.compare::<messages::$response, theirs::$response>(stringify!($response), versions);
            )*
        };
    }
    crate::for_each_api!(compare);
    macro_rules! compare_more {
        ($($message:ident)*) => {
            $(report.compare::<messages::$message, theirs::$message>(stringify!($message), messages::$message::VERSIONS);)*
        };
    }
    compare_more!(RequestHeader ResponseHeader ConsumerProtocolAssignment ConsumerProtocolSubscription DefaultPrincipalData);
    compare_more!(EndTxnMarker KRaftVersionRecord LeaderChangeMessage SnapshotHeaderRecord SnapshotFooterRecord VotersRecord);
    let Report {
        messages,
        versions,
        failures,
    } = &report;
    println!(
        "{messages} messages: {} (message, version, direction) compared",
        versions * 2
    );
    for (message, versions, why) in NOT_THEIRS {
        println!("not compared: {message} versions {versions:?}: {why}");
    }
    assert!(
        failures.is_empty(),
        "{} versions differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(versions * 2 > 1150, "too few compared: {versions}");
}
