//! Claims what a broker needs of the machine, and starts its cores.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use crossbeam::queue::ArrayQueue;

use crate::base::limits::{CORES_MAX, MESH_QUEUE_MESSAGES_MAX};
use crate::config::Config;
use crate::log::journal::ring::bytes_for;
use crate::log::properties::MetaProperties;
use crate::metadata::BrokerEndpoint;
use crate::rt;
use crate::rt::cores::CoreHandle;
use crate::rt::mesh::Endpoint;
use crate::shard::directories::ClosedShard;
use crate::shard::message::Message;
use crate::shard::metadata_log::last_controller_epoch;
use crate::storage::{Claim, DirectoryError, LogDirectory};

use super::core::{self, CoreStart};
use super::ports::{BoundListener, claim_listeners};
use super::{CoreEvent, ServeError};

/// Kafka: `SecurityProtocol.PLAINTEXT`.
const SECURITY_PROTOCOL_PLAINTEXT: i16 = 0;

/// What all cores are told.
pub(crate) struct Shared {
    pub config: Arc<Config>,
    pub cores: u16,
    pub listeners: Vec<BoundListener>,
    pub directories: Vec<LogDirectory>,
    /// Of each core's journal, by directory; 0 is none.
    pub journal_bytes: Vec<u64>,
}

/// Everything claimed, nothing started.
pub(super) struct Prepared {
    shared: Arc<Shared>,
    endpoints: Vec<Endpoint<Message>>,
}

/// A broker with its cores started.
pub(super) struct Running {
    pub shared: Arc<Shared>,
    pub endpoint: Endpoint<Message>,
    _handles: Vec<CoreHandle<()>>,
}

impl Prepared {
    pub(super) fn new(config: Arc<Config>) -> Result<Self, ServeError> {
        let cores = core_count(&config)?;
        let directories = open_directories(&config)?;
        let shared = Arc::new(Shared {
            cores,
            journal_bytes: journal_sizes(&config, &directories, cores),
            listeners: claim_listeners(&config, cores)?,
            directories,
            config,
        });
        let endpoints = rt::mesh::new(usize::from(cores) + 1, MESH_QUEUE_MESSAGES_MAX).map_err(ServeError::Cores)?;
        Ok(Self { shared, endpoints })
    }

    pub(super) fn run(mut self, events: &Sender<CoreEvent>) -> Result<Running, ServeError> {
        let Some(endpoint) = self.endpoints.pop() else {
            return Err(ServeError::Cores(std::io::ErrorKind::Other.into()));
        };
        // Each core takes its own endpoint; a queue of one is how an owned value reaches a thread that is yet to start.
        let handed: Arc<Vec<ArrayQueue<Endpoint<Message>>>> =
            Arc::new(self.endpoints.into_iter().map(queue_of_one).collect());
        let plans = rt::cores::plan(usize::from(self.shared.cores), None).map_err(ServeError::Cores)?;
        let shared = Arc::clone(&self.shared);
        let events = events.clone();
        let handles = rt::cores::run(&plans, move |shard| {
            let endpoint = handed.get(shard.index()).and_then(ArrayQueue::pop);
            core::run(CoreStart {
                shard,
                shared: Arc::clone(&shared),
                endpoint,
                events: events.clone(),
            })
        });
        Ok(Running {
            shared: self.shared,
            endpoint,
            _handles: handles.map_err(ServeError::Cores)?,
        })
    }
}

fn queue_of_one<T>(value: T) -> ArrayQueue<T> {
    let queue = ArrayQueue::new(1);
    let full = queue.push(value).is_err();
    crate::check!(!full);
    queue
}

impl Running {
    pub(super) fn cores(&self) -> usize {
        usize::from(self.shared.cores)
    }

    /// Notes that all logs are closed: the next start need not look into them.
    pub(super) fn mark_clean(&self, closed: &ClosedShard) {
        for (place, directory) in self.shared.directories.iter().enumerate() {
            let of_directory = || closed.logs.iter().filter(|log| log.directory == place);
            let points = || of_directory().map(|log| (&log.partition, log.recovery_point));
            let starts = of_directory().map(|log| (&log.partition, log.log_start_offset));
            let compacted = of_directory().map(|log| (&log.partition, log.compacted_to));
            let synced = match closed.needs_sync {
                true => directory.sync_all(),
                false => Ok(()),
            };
            let noted = synced
                .and_then(|()| directory.write_recovery_points(points()))
                .and_then(|()| directory.write_high_watermarks(points()))
                .and_then(|()| directory.write_log_start_offsets(starts))
                .and_then(|()| directory.write_compacted_offsets(compacted))
                .and_then(|()| directory.mark_clean_shutdown(closed.broker_epoch.unwrap_or(-1)));
            if let Err(error) = noted {
                tracing::warn!(directory = %directory.path().display(), %error, "a clean stop cannot be noted; the next start checks the logs");
            }
        }
    }
}

impl Shared {
    pub(super) fn cluster_id(&self) -> &str {
        self.directories
            .first()
            .map_or("", |directory| &directory.properties().cluster_id)
    }

    /// Where clients reach this broker, for its registration.
    pub(super) fn endpoints(&self) -> Vec<BrokerEndpoint> {
        let endpoint = |listener: &BoundListener| BrokerEndpoint {
            listener: listener.name.clone(),
            host: listener.advertised.host.clone(),
            port: listener.advertised.port,
            security_protocol: SECURITY_PROTOCOL_PLAINTEXT,
        };
        self.listeners.iter().map(endpoint).collect()
    }
}

fn core_count(config: &Config) -> Result<u16, ServeError> {
    let available = rt::cores::available_cpus().map_err(ServeError::Cores)?.len();
    let asked = config
        .broker
        .core_count
        .unwrap_or_else(|| u16::try_from(available.clamp(1, CORES_MAX)).unwrap_or(1));
    if usize::from(asked) > CORES_MAX {
        return Err(ServeError::TooManyCores {
            asked,
            cores_max: CORES_MAX,
        });
    }
    Ok(asked.max(1))
}

/// The configuration, its node id that of the data where nobody gave one.
pub(super) fn with_identity(mut config: Config) -> Result<Config, ServeError> {
    if !config.broker.node_id_is_given
        && let Some(identity) = identity_of(&config.broker.log_directories)?
    {
        config.broker.node_id = identity.node_id;
    }
    Ok(config)
}

fn open_directories(config: &Config) -> Result<Vec<LogDirectory>, ServeError> {
    let broker = &config.broker;
    let identity = identity_of(&broker.log_directories)?;
    let cluster_id_found = identity.map(|identity| identity.cluster_id);
    // Before one is written, all are looked at.
    for path in &broker.log_directories {
        LogDirectory::check(path.as_ref(), broker.node_id, cluster_id_found.as_deref())?;
    }
    let controller_epoch = last_controller_epoch(broker.log_directories.iter().map(Path::new));
    let mut opened: Vec<LogDirectory> = Vec::new();
    for path in &broker.log_directories {
        let cluster_id = opened.first().map(|first| first.properties().cluster_id.as_str());
        let claim = Claim {
            node_id: broker.node_id,
            cluster_id: cluster_id.or(cluster_id_found.as_deref()),
            controller_epoch,
        };
        let directory = LogDirectory::open(path.as_ref(), claim)?;
        directory.health().look_at_room(broker.free_bytes_min);
        opened.push(directory);
    }
    Ok(opened)
}

/// How large the journals are: as the configuration says, or by the free space. A file system that cannot write past the page cache
/// has none, and says so.
fn journal_sizes(config: &Config, directories: &[LogDirectory], cores: u16) -> Vec<u64> {
    let size = |directory: &LogDirectory| {
        if !directory.can_write_direct() {
            tracing::warn!(
                directory = %directory.path().display(),
                "this file system has no O_DIRECT, so there is no journal: acks=all waits for a sync of each partition"
            );
            return 0;
        }
        let free = rt::fs::space(directory.path()).map_or(0, |space| space.free_bytes);
        config.broker.journal_bytes.unwrap_or_else(|| bytes_for(free, cores))
    };
    directories.iter().map(size).collect()
}

/// What the first directory that has an identity says of node and cluster.
fn identity_of(directories: &[String]) -> Result<Option<MetaProperties>, DirectoryError> {
    for path in directories {
        if let Some(identity) = LogDirectory::identity(path.as_ref())? {
            return Ok(Some(identity));
        }
    }
    Ok(None)
}
