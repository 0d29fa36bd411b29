//! `meta.properties` of a log directory and `partition.metadata` of a partition's directory.

use std::fmt::Write as _;

use thiserror::Error;

use crate::base::ids::{NodeId, TopicId, base64_url, parse_base64_url};

/// The file is not what it should be; the text says why.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}")]
pub struct BadProperties(String);

fn bad(reason: impl Into<String>) -> BadProperties {
    BadProperties(reason.into())
}

/// Whose directory this is (`MetaProperties`, version 1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: NodeId,
    /// The directory's own identity (KIP-858); Kafka before 3.7 wrote none.
    pub directory_id: Option<[u8; 16]>,
}

impl MetaProperties {
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = format!(
            "#\ncluster.id={}\nversion=1\nnode.id={}\n",
            self.cluster_id, self.node_id.0
        );
        if let Some(id) = &self.directory_id {
            let _ = writeln!(text, "directory.id={}", base64_url(id));
        }
        text
    }

    /// Reads a file in the format of Java's properties, as far as Kafka uses it.
    ///
    /// # Errors
    /// [`BadProperties`] when a value is missing or wrong, or the version is not 1.
    pub fn decode(text: &[u8]) -> Result<Self, BadProperties> {
        let text = std::str::from_utf8(text).map_err(|_| bad("it is not text"))?;
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.trim_start().split_once('='))
                .find(|(found, _)| found.trim_end() == key)
                .map(|(_, value)| value.trim())
        };
        let version = value("version").ok_or_else(|| bad("it has no version"))?;
        if version != "1" {
            return Err(bad(format!("it has the version {version}, and 1 is known")));
        }
        let cluster_id = value("cluster.id").ok_or_else(|| bad("it has no cluster.id"))?;
        let node_id = value("node.id").and_then(|text| text.parse().ok());
        let directory_id = match value("directory.id") {
            None => None,
            Some(text) => Some(parse_base64_url(text).ok_or_else(|| bad("its directory.id is not a UUID"))?),
        };
        Ok(Self {
            cluster_id: cluster_id.to_owned(),
            node_id: NodeId(node_id.ok_or_else(|| bad("it has no node.id"))?),
            directory_id,
        })
    }
}

/// The text of `partition.metadata` (`PartitionMetadataFile`).
#[must_use]
pub fn encode_partition_metadata(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// The topic id in a `partition.metadata`.
///
/// # Errors
/// [`BadProperties`] when it is torn or of another version.
pub fn decode_partition_metadata(text: &[u8]) -> Result<TopicId, BadProperties> {
    let text = std::str::from_utf8(text).map_err(|_| bad("it is not text"))?;
    let mut lines = text.lines();
    if lines.next().map(str::trim_end) != Some("version: 0") {
        return Err(bad("it does not begin with version: 0"));
    }
    lines
        .next()
        .and_then(|line| line.strip_prefix("topic_id: "))
        .and_then(|id| parse_base64_url(id.trim_end()))
        .map(TopicId)
        .ok_or_else(|| bad("it has no topic_id"))
}

/// The text of the mark of a clean stop (`CleanShutdownFileHandler`).
#[must_use]
pub fn encode_clean_shutdown(broker_epoch: i64) -> String {
    format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_properties_round_trip() {
        let properties = MetaProperties {
            cluster_id: "MkU3OEVBNTcwNTJENDM2Qg".to_owned(),
            node_id: NodeId(7),
            directory_id: Some([9; 16]),
        };
        assert_eq!(MetaProperties::decode(properties.encode().as_bytes()), Ok(properties));
    }

    #[test]
    fn kafkas_meta_properties_are_read() {
        let text = "#\n#Sat Nov 21 05:00:00 UTC 2026\ncluster.id=abc\nversion=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\n";
        let read = MetaProperties::decode(text.as_bytes()).unwrap();
        assert_eq!((read.cluster_id.as_str(), read.node_id), ("abc", NodeId(1)));
        assert!(read.directory_id.is_some());
    }

    #[test]
    fn wrong_properties_say_why() {
        for (text, reason) in [
            ("", "it has no version"),
            ("version=0\n", "it has the version 0, and 1 is known"),
            ("version=1\n", "it has no cluster.id"),
            ("version=1\ncluster.id=a\nnode.id=x", "it has no node.id"),
            (
                "version=1\ncluster.id=a\nnode.id=1\ndirectory.id=x",
                "its directory.id is not a UUID",
            ),
        ] {
            assert_eq!(MetaProperties::decode(text.as_bytes()), Err(bad(reason)));
        }
    }

    #[test]
    fn partition_metadata_round_trips() {
        let text = encode_partition_metadata(TopicId([3; 16]));
        assert_eq!(decode_partition_metadata(text.as_bytes()), Ok(TopicId([3; 16])));
        for length in 0..text.len() {
            assert!(decode_partition_metadata(&text.as_bytes()[..length]).is_err());
        }
    }
}
