//! The broker's settings as typed values.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cleaner::CleanerConfig;
use super::error::{ConfigError, TopicConfigError};
use super::group::GroupConfig;
use super::listener::{Listener, Listeners};
use super::source::{Settings, refusal};
use super::table::{broker_property, synonyms};
use super::topic::TopicConfig;
use super::value::Values;
use crate::base::ids::NodeId;

/// The settings of a node. Few of them change while it runs ([`with_changes`](Self::with_changes)).
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    pub node_id: NodeId,
    /// Without it, a data directory that has a node id says which it is.
    pub node_id_is_given: bool,
    /// Told to clients, who then may read from a broker near them.
    pub rack: Option<String>,
    /// At least one; names and ports differ.
    pub listeners: Vec<Listener>,
    /// The name of one of `listeners`.
    pub inter_broker_listener: String,
    /// Names of controller listeners: accepted, not bound.
    pub controller_listeners: Vec<String>,
    pub sockets: SocketConfig,
    pub metadata_log: MetadataLogConfig,
    /// At least one.
    pub log_directories: Vec<String>,
    /// Free bytes below which a directory takes no records of producers.
    pub free_bytes_min: u64,
    /// Threads that own partitions; `None` is one for each CPU that this process may use.
    pub core_count: Option<u16>,
    /// The first port of those of single cores, where each core is a broker of its own towards clients; 0 is any.
    pub direct_port: Option<u16>,
    /// Steps that hold a core for too long are measured exactly, and told at the end.
    pub reports_stalls: bool,
    /// Bytes of each journal; `None` is by the free space of the disk.
    pub journal_bytes: Option<u64>,
    /// Of a topic whose creator does not say.
    pub partition_count: i32,
    /// Of a topic whose creator does not say.
    pub replication_factor: i16,
    pub auto_create_topics: bool,
    pub delete_topics: bool,
    /// Upper bound of one answer to a fetch.
    pub fetch_bytes_max: u32,
    /// Partitions that an answer to DescribeTopicPartitions may hold.
    pub request_partitions_max: u32,
    /// Fetch sessions, shared out among the cores.
    pub fetch_sessions_max: u32,
    pub producer_id_expiration: Duration,
    /// How often each partition is looked at for what has had its time.
    pub retention_check_interval: Duration,
    /// How long after the start periodic work begins, at the earliest.
    pub task_delay_initial: Duration,
    pub cleaner: CleanerConfig,
    pub groups: GroupConfig,
    /// What a topic without settings of its own has.
    pub topic_defaults: TopicConfig,
}

/// The settings of the metadata log.
#[derive(Clone, Copy, Debug)]
pub struct MetadataLogConfig {
    pub segment_bytes: u32,
    /// Records behind the last snapshot that lead to the next.
    pub snapshot_bytes: u64,
}

/// The settings of client connections.
#[derive(Clone, Debug)]
pub struct SocketConfig {
    pub request_bytes_max: u32,
    /// `None` leaves it to the system.
    pub send_buffer_bytes: Option<u32>,
    /// `None` leaves it to the system.
    pub receive_buffer_bytes: Option<u32>,
    pub backlog: u32,
    pub connections_max: u32,
    pub connections_per_address_max: u32,
    /// `None` never closes a silent connection.
    pub idle_max: Option<Duration>,
    /// Requests in work at one time, of all connections of the process.
    pub requests_in_work_max: u32,
}

impl BrokerConfig {
    pub(super) fn from_settings(settings: &Settings, host_name: &str) -> Result<Self, ConfigError> {
        let values = settings.values();
        check_roles(settings, &values)?;
        let Listeners {
            client,
            controller,
            inter_broker,
        } = Listeners::from_settings(settings, &values, host_name)?;
        let topic_defaults =
            TopicConfig::effective(settings, &BTreeMap::new()).map_err(|error| as_broker_error(settings, error))?;
        topic_defaults
            .check()
            .map_err(|error| as_broker_error(settings, error))?;
        let directories = log_directories(settings, &values)?;
        check_metadata_directory(settings, &values, &directories)?;
        Ok(Self {
            node_id: node_id(settings, &values)?,
            node_id_is_given: settings.get("node.id").is_some() || settings.get("broker.id").is_some(),
            rack: values.text("broker.rack").map(str::to_owned),
            listeners: client,
            inter_broker_listener: inter_broker,
            controller_listeners: controller,
            sockets: SocketConfig::from_values(&values),
            metadata_log: MetadataLogConfig {
                segment_bytes: values.unsigned("metadata.log.segment.bytes"),
                snapshot_bytes: u64::try_from(values.whole("metadata.log.max.record.bytes.between.snapshots"))
                    .unwrap_or(u64::MAX),
            },
            log_directories: directories,
            free_bytes_min: u64::try_from(values.whole("log.dirs.free.bytes.min")).unwrap_or(0),
            core_count: values
                .whole_or_null("core.count")
                .and_then(|count| u16::try_from(count).ok()),
            direct_port: values
                .bool("core.direct")
                .then(|| u16::try_from(values.whole("core.direct.port")).unwrap_or(0)),
            reports_stalls: values.bool("core.stalls.report"),
            journal_bytes: values
                .whole_or_null("journal.bytes")
                .and_then(|bytes| u64::try_from(bytes).ok()),
            partition_count: i32::try_from(values.whole("num.partitions")).unwrap_or(1),
            replication_factor: replication_factor(settings, &values)?,
            auto_create_topics: values.bool("auto.create.topics.enable"),
            delete_topics: values.bool("delete.topic.enable"),
            fetch_bytes_max: values.unsigned("fetch.max.bytes"),
            request_partitions_max: values.unsigned("max.request.partition.size.limit"),
            fetch_sessions_max: values.unsigned("max.incremental.fetch.session.cache.slots"),
            producer_id_expiration: milliseconds(&values, "producer.id.expiration.ms"),
            retention_check_interval: milliseconds(&values, "log.retention.check.interval.ms"),
            task_delay_initial: milliseconds(&values, "log.initial.task.delay.ms"),
            cleaner: CleanerConfig::from_values(&values),
            groups: GroupConfig::new(settings, &values)?,
            topic_defaults,
        })
    }

    /// These settings with what may change while the broker runs taken from `settings`: each key whose `Update` is not `Start` and that has
    /// an effect.
    ///
    /// # Errors
    ///
    /// A value that a topic cannot have.
    pub(super) fn with_changes(&self, settings: &Settings) -> Result<Self, TopicConfigError> {
        let values = settings.values();
        let mut next = self.clone();
        next.topic_defaults = TopicConfig::effective(settings, &BTreeMap::new())?;
        next.cleaner = CleanerConfig::from_values(&values);
        next.producer_id_expiration = milliseconds(&values, "producer.id.expiration.ms");
        next.groups.consumer.assignment_interval = milliseconds(&values, "group.consumer.assignment.interval.ms");
        Ok(next)
    }

    /// What a person should know about these settings.
    pub(super) fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if !self.controller_listeners.is_empty() {
            let names = self.controller_listeners.join(", ");
            notices.push(format!(
                "the controller is inside this process: its listener {names} is accepted and not bound"
            ));
        }
        notices
    }
}

impl SocketConfig {
    fn from_values(values: &Values) -> Self {
        Self {
            request_bytes_max: values.unsigned("socket.request.max.bytes"),
            send_buffer_bytes: u32::try_from(values.whole("socket.send.buffer.bytes")).ok(),
            receive_buffer_bytes: u32::try_from(values.whole("socket.receive.buffer.bytes")).ok(),
            backlog: values.unsigned("socket.listen.backlog.size"),
            connections_max: values.unsigned("max.connections"),
            connections_per_address_max: values.unsigned("max.connections.per.ip"),
            idle_max: u64::try_from(values.whole("connections.max.idle.ms"))
                .ok()
                .map(Duration::from_millis),
            requests_in_work_max: values.unsigned("queued.max.requests"),
        }
    }
}

/// A time that the rule of its key keeps from being negative.
fn milliseconds(values: &Values, name: &str) -> Duration {
    Duration::from_millis(u64::try_from(values.whole(name)).unwrap_or(0))
}

pub(super) fn conflict(settings: &Settings, key: &str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Conflict {
        origin: settings.origin(key),
        key: key.to_owned(),
        problem: problem.into(),
    }
}

/// The error of a topic key as one of the broker key that gave the value: some bounds are those of topics alone.
fn as_broker_error(settings: &Settings, error: TopicConfigError) -> ConfigError {
    let broker_key = |topic_key: &str| {
        let keys = synonyms(topic_key).iter().map(|synonym| synonym.name);
        keys.into_iter()
            .find(|name| settings.get(name).is_some())
            .unwrap_or_default()
    };
    match error {
        TopicConfigError::Unknown { name } => conflict(settings, &name, "no topic key"),
        TopicConfigError::Value { name, value, allowed } => ConfigError::Value {
            origin: settings.origin(broker_key(&name)),
            key: broker_key(&name).to_owned(),
            value,
            allowed,
        },
        TopicConfigError::Conflict { name, problem } => conflict(settings, broker_key(name), problem),
    }
}

/// A node is broker and controller; a configuration that expects other nodes is refused rather than run as an island.
fn check_roles(settings: &Settings, values: &Values) -> Result<(), ConfigError> {
    for role in ["broker", "controller"] {
        if !values.list("process.roles").iter().any(|given| given == role) {
            let problem = format!(
                "the role {role} is missing, and Duramen runs as a single node yet, broker and controller in one: remove the key or give broker,controller"
            );
            return Err(conflict(settings, "process.roles", problem));
        }
    }
    for key in ["controller.quorum.voters", "controller.quorum.bootstrap.servers"] {
        if values.list(key).len() > 1 {
            let problem = "several nodes are named, and Duramen runs as a single node yet: remove the key";
            return Err(conflict(settings, key, problem));
        }
    }
    let authorizer = values.text("authorizer.class.name").unwrap_or_default();
    if !authorizer.is_empty() {
        let problem = "access control is not enforced yet, so whoever reaches the broker may do everything: remove the key if that is meant";
        return Err(conflict(settings, "authorizer.class.name", problem));
    }
    Ok(())
}

/// The metadata log stands in one of `log.dirs`; a configuration that has it elsewhere must not be taken for one that has none.
fn check_metadata_directory(settings: &Settings, values: &Values, directories: &[String]) -> Result<(), ConfigError> {
    match values.text("metadata.log.dir") {
        Some(elsewhere) if !directories.iter().any(|directory| directory == elsewhere) => {
            let problem = format!(
                "{elsewhere} is not in log.dirs, and the metadata log is looked for there alone: add it to log.dirs"
            );
            Err(conflict(settings, "metadata.log.dir", problem))
        }
        Some(_) | None => Ok(()),
    }
}

fn node_id(settings: &Settings, values: &Values) -> Result<NodeId, ConfigError> {
    let number = |name| i32::try_from(values.whole(name)).unwrap_or(-1);
    let (node, broker) = (number("node.id"), number("broker.id"));
    let are_set = (
        settings.get("node.id").is_some(),
        settings.get("broker.id").is_some() && broker >= 0,
    );
    match are_set {
        (true, true) if node != broker => Err(conflict(
            settings,
            "broker.id",
            format!("{broker} differs from node.id, which is {node}: remove broker.id"),
        )),
        (false, true) => Ok(NodeId(broker)),
        (true | false, true | false) => Ok(NodeId(node)),
    }
}

fn replication_factor(settings: &Settings, values: &Values) -> Result<i16, ConfigError> {
    let key = "default.replication.factor";
    i16::try_from(values.whole(key))
        .ok()
        .filter(|factor| *factor >= 1)
        .ok_or_else(|| conflict(settings, key, "a topic has at least 1 and at most 32767 replicas"))
}

fn log_directories(settings: &Settings, values: &Values) -> Result<Vec<String>, ConfigError> {
    let key = if settings.get("log.dirs").is_some() {
        "log.dirs"
    } else {
        "log.dir"
    };
    let directories = values.list(key);
    if directories.is_empty() || directories.iter().any(String::is_empty) {
        let refused = broker_property(key).zip(settings.get(key));
        return Err(refused.map_or_else(
            || conflict(settings, key, "give a directory"),
            |(property, setting)| refusal(property, setting),
        ));
    }
    for (index, directory) in directories.iter().enumerate() {
        if directories[..index].contains(directory) {
            return Err(conflict(settings, key, format!("{directory} stands twice: remove one")));
        }
    }
    Ok(directories.to_vec())
}
