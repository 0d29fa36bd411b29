//! Whose a log directory is: reads its `meta.properties`, or writes one that makes it ours.

use std::path::Path;

use super::checkpoint::replace_file_now;
use super::directory::{DirectoryError, LogDirectory};
use crate::base::ids::{LeaderEpoch, NodeId, base64_url};
use crate::log::names::META_PROPERTIES;
use crate::log::properties::MetaProperties;
use crate::rt::{fs, random};

/// Who opens a log directory, and what is known of those before.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    pub node_id: NodeId,
    /// Of its cluster; any, or a fresh one, where that is not known.
    pub cluster_id: Option<&'a str>,
    /// The latest leader epoch of the metadata log; `None` where that is not there.
    pub controller_epoch: Option<LeaderEpoch>,
}

impl Claim<'_> {
    /// Of a node that knows nothing else.
    #[must_use]
    pub fn of(node_id: NodeId) -> Self {
        Self {
            node_id,
            cluster_id: None,
            controller_epoch: None,
        }
    }
}

impl LogDirectory {
    /// Whose log directory a path is; `None` when it does not say, being new.
    ///
    /// # Errors
    /// [`DirectoryError::BadIdentity`], [`DirectoryError::Unusable`].
    pub fn identity(path: &Path) -> Result<Option<MetaProperties>, DirectoryError> {
        let file = path.join(META_PROPERTIES);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(DirectoryError::Unusable {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let properties = MetaProperties::decode(&text).map_err(|reason| DirectoryError::BadIdentity {
            path: file,
            reason: reason.to_string(),
        })?;
        Ok(Some(properties))
    }

    /// Whether a path, if it has an identity, has this one. Nothing is written.
    ///
    /// # Errors
    /// As named by [`DirectoryError`].
    pub fn check(path: &Path, node_id: NodeId, cluster_id: Option<&str>) -> Result<(), DirectoryError> {
        Self::identity(path)?.map_or(Ok(()), |found| check_ours(path, &found, node_id, cluster_id))
    }
}

/// Reads whose directory this is, or writes that it is ours.
pub(super) fn identify(
    path: &Path,
    node_id: NodeId,
    cluster_id: Option<&str>,
) -> Result<MetaProperties, DirectoryError> {
    if let Some(properties) = LogDirectory::identity(path)? {
        check_ours(path, &properties, node_id, cluster_id)?;
        return Ok(properties);
    }
    let properties = MetaProperties {
        cluster_id: cluster_id.map_or_else(|| base64_url(&fresh_id()), str::to_owned),
        node_id,
        directory_id: Some(fresh_id()),
    };
    let written = replace_file_now(&path.join(META_PROPERTIES), properties.encode().as_bytes());
    written.map_err(|source| DirectoryError::Unusable {
        path: path.to_owned(),
        source,
    })?;
    Ok(properties)
}

fn check_ours(
    path: &Path,
    properties: &MetaProperties,
    node_id: NodeId,
    cluster_id: Option<&str>,
) -> Result<(), DirectoryError> {
    let not_ours = |found: String, expected: String| DirectoryError::NotOurs {
        path: path.to_owned(),
        found,
        expected,
    };
    if properties.node_id != node_id {
        return Err(not_ours(
            format!("node {}", properties.node_id.0),
            format!("node {}", node_id.0),
        ));
    }
    match cluster_id {
        Some(expected) if expected != properties.cluster_id => Err(not_ours(
            format!("cluster {}", properties.cluster_id),
            format!("cluster {expected}"),
        )),
        Some(_) | None => Ok(()),
    }
}

/// A random UUID of version 4, of the kind that Kafka takes: its text does not begin with a dash.
fn fresh_id() -> [u8; 16] {
    loop {
        let mut id = [0; 16];
        random::fill(&mut id);
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        if !base64_url(&id).starts_with('-') {
            return id;
        }
    }
}
