//! A core's first and last moments.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use duramen_wire::messages::metadata::MetadataRecord;
use duramen_wire::messages::voters_record::{Endpoint, KRaftVersionFeature, Voter};

use crate::base::ids::{ShardId, TopicId, TopicPartition};
use crate::config::Config;
use crate::log::Settings;
use crate::metadata::controller::{self, BrokerError, Registration, Restart};
use crate::metadata::quorum::{Quorum, QuorumError};
use crate::metadata::{BrokerEndpoint, METADATA_TOPIC, MetadataImage, abort_transaction, records_of};
use crate::rt;
use crate::rt::local::Event;
use crate::rt::mesh::CoreEndpoint;
use crate::shard::calls::Calls;
use crate::shard::controller::MetadataController;
use crate::shard::coordinators::Coordinators;
use crate::shard::deadlines::Deadlines;
use crate::shard::directories::Directories;
use crate::shard::lifecycle::Images;
use crate::shard::message::Message;
use crate::shard::metadata_log::{MetadataLog, MetadataLogError};
use crate::shard::producer_ids::ProducerIds;
use crate::shard::purgatory::Purgatory;
use crate::shard::trash::Trash;
use crate::shard::{CONTROLLER, Shard};
use crate::storage::{DirectoryError, LogDirectory, Shutdown, StorageError};

/// How often producers are looked through (Kafka: `producer.id.expiration.check.interval.ms`).
const PRODUCER_EXPIRY_INTERVAL: Duration = Duration::from_secs(600);

/// The port that Apache Kafka's examples give a controller.
const CONTROLLER_PORT: u16 = 9093;

/// Leaders that are named in one batch of the metadata log.
const RECORDS_PER_BATCH: usize = 1000;

/// What a core begins with.
pub struct ShardStart {
    pub id: ShardId,
    pub cores: u16,
    pub config: Arc<Config>,
    pub endpoint: CoreEndpoint<Message>,
    pub directories: Vec<LogDirectory>,
    /// Bytes of this core's journal on each of the directories; 0 is none.
    pub journal_bytes: Vec<u64>,
}

/// Why a core does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("the metadata log cannot be used: {0}; restore it from a copy, or start on an empty directory")]
    Metadata(#[from] MetadataLogError),
    #[error("{}: the metadata was written by another version: {error}; nothing is changed; start a version that knows it, or set another log.dirs", .directory.display())]
    Features { directory: PathBuf, error: BrokerError },
    #[error("{}: the metadata log is not of this single node: {error}; nothing is changed; set another log.dirs", .directory.display())]
    Quorum { directory: PathBuf, error: QuorumError },
    #[error(
        "{partitions} partitions have files in log.dirs, and there is no metadata log that knows their topics; name all directories in log.dirs, \
         or restore {METADATA_TOPIC}-0 from a copy"
    )]
    NoMetadata { partitions: usize },
}

impl Shard {
    /// A core without partitions.
    ///
    /// # Errors
    /// A log directory cannot be listed.
    pub fn new(start: ShardStart) -> Result<Rc<Self>, StartError> {
        let ShardStart {
            id,
            cores,
            config,
            endpoint,
            directories,
            journal_bytes,
        } = start;
        let cluster_id = directories
            .first()
            .map(|first| first.properties().cluster_id.clone())
            .unwrap_or_default();
        Ok(Rc::new(Self {
            id,
            cores,
            changed_config: RefCell::new(Arc::clone(&config)),
            config,
            calls: Calls::default(),
            deadlines: Rc::new(Deadlines::default()),
            trash: Rc::new(Trash::default()),
            endpoint,
            outboxes: RefCell::new((0..=cores).map(|_| VecDeque::new()).collect()),
            retrying: Cell::new(false),
            hosted: RefCell::new(HashMap::new()),
            unopened: RefCell::new(HashSet::new()),
            purgatory: RefCell::new(Purgatory::default()),
            image: RefCell::new(Arc::new(MetadataImage::new(&cluster_id))),
            directories: Directories::new(directories, id, cores, journal_bytes)?,
            workspace: Rc::default(),
            connections: Cell::new(0),
            producer_ids: RefCell::new(ProducerIds::default()),
            images: Images::default(),
            coordinators: Coordinators::default(),
            controller: RefCell::new(None),
            may_listen: Cell::new(false),
            stopping: Cell::new(false),
            changed: Event::new(),
        }))
    }

    /// On core 0: reads the metadata log, registers this broker, and has every core open its partitions. After it, all cores may
    /// listen.
    ///
    /// # Errors
    /// The metadata log cannot be read or written, or describes a cluster that this broker cannot serve.
    pub async fn start_controller(self: &Rc<Self>, endpoints: Vec<BrokerEndpoint>) -> Result<(), StartError> {
        let partition = TopicPartition {
            topic: METADATA_TOPIC.into(),
            partition: 0,
        };
        let log = self
            .directories
            .open(&partition, TopicId::METADATA, self.metadata_settings())
            .await?;
        let metadata_log = MetadataLog::new(log);
        let mut image = metadata_log.load(&self.image().cluster_id)?;
        let was_interrupted = metadata_log.end_transaction_of(&mut image)?;
        self.check(&image, metadata_log.log().path())?;
        let epoch = metadata_log.next_epoch()?;
        self.directories.begin(epoch)?;
        self.directories.open_journals()?;
        self.directories.use_journal(metadata_log.log(), TopicId::METADATA);
        let is_new = image.metadata_version() == 0;
        metadata_log.begin(epoch, &mut image, self.voter()).await?;
        if was_interrupted {
            image.end_offset = metadata_log.append(&[abort_transaction()], rt::time::wall()).await?;
        }
        let controller = Rc::new(MetadataController::new(metadata_log, image));
        if is_new {
            controller.commit(self.first_records(&controller)?).await?;
        }
        self.register(&controller, endpoints).await?;
        self.controller.replace(Some(Rc::clone(&controller)));
        self.publish(controller.image()).await;
        self.directories.end_opening();
        controller.snapshot_if_due(self.config.broker.metadata_log.snapshot_bytes);
        let image = controller.image();
        let strays = self.directories.set_aside_strays(|partition| {
            let topic = image.topic_by_name(&partition.topic);
            *partition.topic == *METADATA_TOPIC
                || topic.is_some_and(|topic| topic.partition(partition.partition).is_some())
        });
        strays.await;
        self.directories.remove_leftovers(self.cores);
        for core in (0..self.cores).map(ShardId).filter(|core| *core != CONTROLLER) {
            self.post(core, Message::Listen);
        }
        self.allow_listening();
        Ok(())
    }

    /// Whether this broker may serve what the metadata describes. Before it nothing is written into what a clean stop left.
    fn check(&self, image: &MetadataImage, directory: PathBuf) -> Result<(), StartError> {
        let partitions = self.directories.partition_count().saturating_sub(1);
        if image.metadata_version() == 0 && partitions > 0 {
            return Err(StartError::NoMetadata { partitions });
        }
        if let Err(error) = controller::check_features(image) {
            return Err(StartError::Features { directory, error });
        }
        if let Err(error) = image.quorum.check_alone(self.config.broker.node_id) {
            return Err(StartError::Quorum { directory, error });
        }
        for (what, count) in image.kept.not_enforced() {
            tracing::warn!(count, "the metadata holds {what}, which are kept and not enforced");
        }
        Ok(())
    }

    /// This node as the voter of a new metadata log. Its address is of use only to controllers beside it, and there are none.
    fn voter(&self) -> Voter {
        let broker = &self.config.broker;
        let listener = broker.controller_listeners.first().map_or("CONTROLLER", String::as_str);
        let host = broker
            .listeners
            .first()
            .map(|listener| listener.advertised.host.clone());
        let endpoint = Endpoint {
            name: listener.to_owned(),
            host: host.unwrap_or_default(),
            port: CONTROLLER_PORT,
        };
        Voter {
            voter_id: broker.node_id.0,
            voter_directory_id: self.directories.ids().first().copied().unwrap_or_default(),
            endpoints: vec![endpoint],
            kraft_version_feature: KRaftVersionFeature {
                min_supported_version: 0,
                max_supported_version: Quorum::KRAFT_VERSION_MAX,
            },
        }
    }

    /// The first records of a new cluster: as it was formatted, or as this broker likes it.
    fn first_records(&self, controller: &MetadataController) -> Result<Vec<MetadataRecord>, StartError> {
        let formatted = controller.log().bootstrap_image(&self.image().cluster_id)?;
        let Some(image) = formatted else {
            return Ok(controller::bootstrap());
        };
        self.check(&image, controller.log().log().path())?;
        Ok(records_of(&image).collect())
    }

    async fn register(
        &self,
        controller: &MetadataController,
        endpoints: Vec<BrokerEndpoint>,
    ) -> Result<(), StartError> {
        let mut incarnation_id = [0; 16];
        rt::random::fill(&mut incarnation_id);
        let registration = Registration {
            id: self.config.broker.node_id,
            incarnation_id,
            endpoints,
            rack: self.config.broker.rack.clone(),
            directories: self.directories.ids(),
        };
        let decision = controller::register_broker(&controller.image(), registration);
        let decision = decision.map_err(|error| StartError::Features {
            directory: controller.log().log().path(),
            error,
        })?;
        controller.commit(decision.records).await?;
        controller.set_broker_epoch(decision.response);
        let restart = match self.directories.were_left(Shutdown::Unclean) {
            true => Restart::Unclean,
            false => Restart::Clean,
        };
        let records = controller::lead_partitions(&controller.image(), self.config.broker.node_id, restart);
        for records in records.chunks(RECORDS_PER_BATCH) {
            controller.commit(records.to_vec()).await?;
        }
        Ok(())
    }

    fn metadata_settings(&self) -> Settings {
        Settings {
            segment_bytes_max: self.config.broker.metadata_log.segment_bytes,
            ..Settings::default()
        }
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms`, for ever.
    pub async fn expire_producers(self: Rc<Self>) {
        loop {
            rt::time::sleep(PRODUCER_EXPIRY_INTERVAL).await;
            let expiration = self.current_config().broker.producer_id_expiration;
            let hosted: Vec<_> = self.hosted.borrow().values().cloned().collect();
            for partition in hosted {
                partition.expire_producers(rt::time::wall(), expiration);
                rt::task::yield_now().await;
            }
        }
    }

    /// The other cores may be reached: connections may come.
    pub(super) fn allow_listening(&self) {
        self.may_listen.set(true);
        self.changed.notify();
    }

    /// Begins the stop of this core.
    pub(super) fn begin_stop(&self) {
        self.stopping.set(true);
        self.changed.notify();
    }

    /// Waits until every core has its partitions open, or the core is told to stop before.
    pub async fn may_listen(&self) -> bool {
        loop {
            let changed = self.changed.listen();
            if self.may_listen.get() || self.stopping.get() {
                return self.may_listen.get();
            }
            changed.await;
        }
    }

    /// Waits until the core is told to stop.
    pub async fn told_to_stop(&self) {
        loop {
            let changed = self.changed.listen();
            if self.stopping.get() {
                return;
            }
            changed.await;
        }
    }
}
