//! The image: what the metadata records up to one offset say.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::{LeaderEpoch, NodeId, TopicId, TopicIdPartition};
use crate::base::offset::Offset;

use super::kept::Kept;
use super::quorum::Quorum;
use super::shared_map::{SharedMap, Spread, spread_of};

/// The state of the cluster after the records below `end_offset`. Kafka: `MetadataImage`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MetadataImage {
    pub cluster_id: Arc<str>,
    /// Offset of the metadata log after the last record applied.
    pub end_offset: Offset,
    /// Finalized levels by feature; a level of 0 is not kept.
    pub features: BTreeMap<String, i16>,
    pub brokers: BTreeMap<NodeId, Arc<Broker>>,
    /// The first producer id that is not given to any broker yet.
    pub producer_id_next: i64,
    pub(super) topics: SharedMap<TopicId, Arc<Topic>>,
    pub(super) topic_ids: SharedMap<Arc<str>, TopicId>,
    /// Names with a dot or an underscore, by what metrics make of them: these must differ too.
    pub(super) metric_names: SharedMap<Arc<str>, Arc<str>>,
    pub(super) configs: SharedMap<ConfigResource, Arc<BTreeMap<String, String>>>,
    /// Who votes on the metadata log.
    pub quorum: Arc<Quorum>,
    /// What is said of things that this broker does not serve.
    pub kept: Kept,
    /// What it was before the metadata transaction that is open (KIP-868).
    pub(super) before_transaction: Option<Box<MetadataImage>>,
}

/// A topic. Its settings are found by its name ([`MetadataImage::topic_config`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    pub id: TopicId,
    pub name: Arc<str>,
    /// By partition number: they count from 0 without a gap.
    pub partitions: Vec<Arc<Partition>>,
}

/// A partition and who serves it.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// `None`: nobody can lead it at present.
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    /// Grows with every change of the partition.
    pub partition_epoch: i32,
    /// In the order of preference.
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
    pub adding_replicas: Vec<NodeId>,
    pub removing_replicas: Vec<NodeId>,
    pub eligible_leader_replicas: Vec<NodeId>,
    pub last_known_leader_replicas: Vec<NodeId>,
    /// Of each replica the log directory; zero is "not known yet" (KIP-858).
    pub directories: Vec<[u8; 16]>,
    /// The leader was elected uncleanly and did not say yet that it recovered.
    pub is_leader_recovering: bool,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    pub id: NodeId,
    /// Offset of its registration.
    pub epoch: i64,
    /// Of the process: a restart has another one.
    pub incarnation_id: [u8; 16],
    pub endpoints: Vec<BrokerEndpoint>,
    /// Supported levels of features: lowest and highest, both inclusive.
    pub features: BTreeMap<String, (i16, i16)>,
    pub rack: Option<String>,
    /// Known, but must not serve.
    pub is_fenced: bool,
    pub is_shutting_down: bool,
    pub directories: Vec<[u8; 16]>,
    /// Directories that get no new partitions; `None` until the broker says which.
    pub cordoned_directories: Option<Vec<[u8; 16]>>,
}

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerEndpoint {
    pub listener: String,
    pub host: String,
    pub port: u16,
    /// Kafka: `SecurityProtocol.id`.
    pub security_protocol: i16,
}

/// What has settings of its own. Kafka: `ConfigResource`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigResource {
    /// Kafka: `ConfigResource.Type.id`.
    pub kind: i8,
    /// Empty: the default of all of the kind.
    pub name: String,
}

impl ConfigResource {
    pub const TOPIC: i8 = 2;
    pub const BROKER: i8 = 4;
    pub const GROUP: i8 = 32;

    pub fn topic(name: &str) -> Self {
        Self {
            kind: Self::TOPIC,
            name: name.to_owned(),
        }
    }

    pub fn group(id: &str) -> Self {
        Self {
            kind: Self::GROUP,
            name: id.to_owned(),
        }
    }

    pub fn broker(id: NodeId) -> Self {
        Self {
            kind: Self::BROKER,
            name: id.0.to_string(),
        }
    }

    /// The settings that all brokers share unless they have their own.
    pub fn every_broker() -> Self {
        Self {
            kind: Self::BROKER,
            name: String::new(),
        }
    }
}

impl Spread for ConfigResource {
    fn spread(&self) -> u8 {
        spread_of(self.name.as_bytes()).wrapping_add(self.kind.cast_unsigned())
    }
}

/// What became of a topic between two images.
#[derive(Clone, Debug, PartialEq)]
pub enum TopicChange<'a> {
    Created(&'a Arc<Topic>),
    Changed { old: &'a Arc<Topic>, new: &'a Arc<Topic> },
    Deleted(&'a Arc<Topic>),
}

impl MetadataImage {
    /// A cluster about which no record says anything.
    pub fn new(cluster_id: &str) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            ..Self::default()
        }
    }

    pub fn topic(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topic(*self.topic_ids.get(name)?)
    }

    /// All topics, in no useful but always the same order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.iter().map(|(_, topic)| topic)
    }

    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    pub fn partition(&self, of: TopicIdPartition) -> Option<&Arc<Partition>> {
        self.topic(of.topic_id)?.partition(of.partition)
    }

    /// What is set for a resource itself; defaults are not in it.
    pub fn config(&self, resource: &ConfigResource) -> &BTreeMap<String, String> {
        static NOTHING: BTreeMap<String, String> = BTreeMap::new();
        self.configs.get(resource).map_or(&NOTHING, |config| config.as_ref())
    }

    pub fn topic_config(&self, name: &str) -> &BTreeMap<String, String> {
        self.config(&ConfigResource::topic(name))
    }

    /// The level of `metadata.version`; 0 before the first record.
    pub fn metadata_version(&self) -> i16 {
        self.features.get("metadata.version").copied().unwrap_or(0)
    }

    /// Whether groups of the consumer protocol are served in this cluster. Kafka: `GroupVersion.isConsumerRebalanceProtocolSupported`.
    pub fn has_consumer_groups(&self) -> bool {
        self.features.get("group.version").is_some_and(|level| *level >= 1)
    }

    /// The names of all resources of a kind that have settings of their own.
    pub fn configured(&self, kind: i8) -> impl Iterator<Item = &str> {
        let resources = self.configs.iter().map(|(resource, _)| resource);
        resources
            .filter(move |resource| resource.kind == kind)
            .map(|resource| resource.name.as_str())
    }

    /// Whether records of a metadata transaction are applied that may yet be taken back. Such an image is not to be published.
    pub fn is_in_transaction(&self) -> bool {
        self.before_transaction.is_some()
    }

    /// What happened to topics since `old`, an earlier image of the same cluster. The cost grows with the changes, not the topics, and is
    /// spread over the iterations.
    pub fn topics_changed_since<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = TopicChange<'a>> {
        let shelves = old.topics.shelves_that_differ(&self.topics);
        shelves.flat_map(|(old_shelf, new_shelf)| {
            let known = old_shelf.iter().filter_map(|(id, old)| match new_shelf.get(id) {
                None => Some(TopicChange::Deleted(old)),
                Some(new) if !Arc::ptr_eq(old, new) => Some(TopicChange::Changed { old, new }),
                Some(_) => None,
            });
            let is_new = |(id, _): &(&TopicId, &Arc<Topic>)| !old_shelf.contains_key(id);
            let new = new_shelf.iter().filter(is_new);
            known.chain(new.map(|(_, topic)| TopicChange::Created(topic)))
        })
    }

    /// The resources of a kind whose settings are not those of `old`, by name.
    pub fn configs_changed_since<'a>(&'a self, old: &'a Self, kind: i8) -> Vec<&'a str> {
        let mut names = Vec::new();
        for (old_shelf, new_shelf) in old.configs.shelves_that_differ(&self.configs) {
            let differs = |resource: &ConfigResource| old_shelf.get(resource) != new_shelf.get(resource);
            let known = old_shelf
                .keys()
                .chain(new_shelf.keys().filter(|key| !old_shelf.contains_key(*key)));
            let changed = known.filter(|resource| resource.kind == kind && differs(resource));
            names.extend(changed.map(|resource| resource.name.as_str()));
        }
        names
    }
}

impl Topic {
    pub fn partition(&self, partition: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(partition).ok()?)
    }

    /// A partition's number with that of its topic, whether or not it exists.
    pub fn partition_id(&self, partition: i32) -> TopicIdPartition {
        TopicIdPartition {
            topic_id: self.id,
            partition,
        }
    }

    /// Partitions by number.
    pub fn numbered(&self) -> impl Iterator<Item = (i32, &Arc<Partition>)> {
        (0..).zip(&self.partitions)
    }
}
