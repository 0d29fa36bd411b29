//! The controller, on core 0: its log, and the publishing of what it decided.
//!
//! Requests are decided one after the other. The records of a decision are appended to the metadata log and made durable, then
//! applied, then published to all cores; when every core has opened what is new, the request is answered.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use duramen_wire::messages::create_partitions_request::CreatePartitionsTopic;
use duramen_wire::messages::create_topics_request::CreatableTopic;
use duramen_wire::messages::delete_topics_request::DeleteTopicState;
use duramen_wire::messages::incremental_alter_configs_request::AlterConfigsResource;
use duramen_wire::messages::metadata::MetadataRecord;
use duramen_wire::messages::update_features_request::FeatureUpdateKey;

use crate::base::ids::TopicId;
use crate::metadata::MetadataImage;
use crate::metadata::controller::{
    self, AlterConfigError, CreatePartitionsError, CreateTopicError, CreatedTopic, Decision, DeleteTopicError,
    DeletedTopic, NewTopic, NewTopicDefaults, Unnamed, UpdateFeaturesError,
};
use crate::rt;
use crate::rt::local::{Sender, Turn, oneshot};
use crate::shard::calls::{ReplyTo, Respond};
use crate::shard::coordinators::topic;
use crate::shard::message::{Message, ShardReply};
use crate::shard::metadata_log::{MetadataLog, MetadataLogError};
use crate::shard::{CONTROLLER, Origin, Shard};

/// Topics, partitions and settings that are decided upon in the step of a request, each taking about a microsecond.
const ROWS_DECIDED_AT_ONCE_MAX: usize = 100;

/// What the controller is asked.
pub enum ControllerRequest {
    CreateTopics {
        topics: Vec<CreatableTopic>,
        mode: ChangeMode,
    },
    DeleteTopics {
        topics: Vec<DeleteTopicState>,
    },
    CreatePartitions {
        topics: Vec<CreatePartitionsTopic>,
        mode: ChangeMode,
    },
    AlterConfigs {
        resources: Vec<AlterConfigsResource>,
        unnamed: Unnamed,
        mode: ChangeMode,
    },
    UpdateFeatures {
        updates: Vec<FeatureUpdateKey>,
        mode: ChangeMode,
    },
    AllocateProducerIds,
    /// A topic that a client asked for and that does not exist.
    AutoCreate {
        name: String,
    },
}

/// Whether a decision is carried out or only told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeMode {
    Change,
    ValidateOnly,
}

/// The metadata log takes no more; nothing of the request counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the metadata log is offline")]
pub struct ControllerOffline;

/// What the controller answers, each to the request of its name.
pub enum ControllerReply {
    Created(Result<Vec<Result<CreatedTopic, CreateTopicError>>, ControllerOffline>),
    Deleted(Result<Vec<Result<DeletedTopic, DeleteTopicError>>, ControllerOffline>),
    CreatedPartitions(Result<Vec<Result<(), CreatePartitionsError>>, ControllerOffline>),
    Altered(Result<Vec<Result<(), AlterConfigError>>, ControllerOffline>),
    UpdatedFeatures(Result<Result<(), UpdateFeaturesError>, ControllerOffline>),
    ProducerIds(Result<Range<i64>, ControllerOffline>),
    AutoCreated,
}

/// The controller's state, beside the image that its shard holds.
pub struct MetadataController {
    log: MetadataLog,
    /// What all durable records say; what the cores see follows it.
    image: RefCell<Arc<MetadataImage>>,
    /// One decision at a time.
    turn: Turn,
    /// One change of the image at a time, also of those that nobody decided upon.
    committing: Turn,
    /// Topics on their way, so that many clients that ask for one make it once.
    auto_creating: RefCell<BTreeSet<String>>,
    broker_epoch: Cell<i64>,
}

impl MetadataController {
    pub(super) fn new(log: MetadataLog, image: MetadataImage) -> Self {
        Self {
            log,
            image: RefCell::new(Arc::new(image)),
            turn: Turn::new(),
            committing: Turn::new(),
            auto_creating: RefCell::default(),
            broker_epoch: Cell::new(-1),
        }
    }

    pub(super) fn image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.image.borrow())
    }

    pub(super) fn log(&self) -> &MetadataLog {
        &self.log
    }

    pub(super) fn broker_epoch(&self) -> i64 {
        self.broker_epoch.get()
    }

    pub(super) fn set_broker_epoch(&self, epoch: i64) {
        self.broker_epoch.set(epoch);
    }

    /// Makes records durable and applies them.
    pub(super) async fn commit(&self, records: Vec<MetadataRecord>) -> Result<(), MetadataLogError> {
        let _turn = self.committing.acquire().await;
        let end_offset = self.log.append(&records, rt::time::wall()).await?;
        let mut next = MetadataImage::clone(&self.image());
        for record in records {
            rt::task::begin_part("apply metadata");
            // The log has the record now, so an image without it would be a lie.
            let replayed = next.replay(&record);
            crate::check!(
                replayed.is_ok(),
                "the controller's own record cannot be applied: {replayed:?}"
            );
            drop(record);
            rt::task::yield_if_needed().await;
        }
        next.end_offset = end_offset;
        self.image.replace(Arc::new(next));
        Ok(())
    }
}

impl Shard {
    /// Executes a request of the controller; only core 0 is asked.
    pub(super) fn control(self: &Rc<Self>, request: ControllerRequest, origin: Origin) {
        let controller = self.controller.borrow().clone();
        if crate::never!(controller.is_none() || self.id != CONTROLLER) {
            return;
        }
        let Some(controller) = controller else { return };
        if let ControllerRequest::AutoCreate { name } = &request
            && !controller.auto_creating.borrow_mut().insert(name.clone())
        {
            self.answer(origin, ShardReply::Controller(ControllerReply::AutoCreated));
            return;
        }
        let shard = Rc::clone(self);
        rt::task::spawn(async move {
            let reply = shard.decide(&controller, request).await;
            controller.snapshot_if_due(shard.config.broker.metadata_log.snapshot_bytes);
            shard.answer(origin, ShardReply::Controller(reply));
        });
    }

    async fn decide(self: &Rc<Self>, controller: &MetadataController, request: ControllerRequest) -> ControllerReply {
        let _turn = controller.turn.acquire().await;
        let image = controller.image();
        match request {
            ControllerRequest::CreateTopics { topics, mode } => {
                let decision = self.decide_topics(image, topics).await;
                ControllerReply::Created(self.carry_out(controller, decision, mode).await)
            }
            ControllerRequest::DeleteTopics { topics } => {
                let decision = decide(topics.len(), move || controller::delete_topics(&image, &topics)).await;
                ControllerReply::Deleted(self.carry_out(controller, decision, ChangeMode::Change).await)
            }
            ControllerRequest::CreatePartitions { topics, mode } => {
                let rows = topics.iter().map(|topic| size(topic.count)).sum();
                let decision = decide(rows, move || controller::create_partitions(&image, &topics)).await;
                ControllerReply::CreatedPartitions(self.carry_out(controller, decision, mode).await)
            }
            ControllerRequest::AlterConfigs {
                resources,
                unnamed,
                mode,
            } => {
                let rows = resources.iter().map(|resource| 1 + resource.configs.len()).sum();
                let (node, config) = (self.config.broker.node_id, self.current_config());
                let alter = move || controller::alter_configs(&image, &resources, unnamed, node, &config.settings);
                let decision = decide(rows, alter).await;
                ControllerReply::Altered(self.carry_out(controller, decision, mode).await)
            }
            ControllerRequest::UpdateFeatures { updates, mode } => {
                let decision = controller::update_features(&image, self.config.broker.node_id, &updates);
                ControllerReply::UpdatedFeatures(match decision {
                    Err(error) => Ok(Err(error)),
                    Ok(decision) => self.carry_out(controller, decision, mode).await.map(Ok),
                })
            }
            ControllerRequest::AllocateProducerIds => {
                let node = self.config.broker.node_id;
                let reply = match controller::allocate_producer_ids(&image, node, controller.broker_epoch.get()) {
                    Ok(decision) => self.carry_out(controller, decision, ChangeMode::Change).await,
                    Err(error) => {
                        tracing::error!(%error, "no producer ids can be given out");
                        Err(ControllerOffline)
                    }
                };
                ControllerReply::ProducerIds(reply.map(|block| block.first.0..block.end.0))
            }
            ControllerRequest::AutoCreate { name } => {
                let internal = topic::internal(&name, &self.config.broker.groups, image.brokers.len());
                let spec = internal.unwrap_or_else(|| NewTopic::automatic(fresh_topic_id(&image), &name).spec);
                let decision = self.decide_topics(image, vec![spec]).await;
                for error in decision.response.iter().filter_map(|result| result.as_ref().err()) {
                    tracing::warn!(topic = name, %error, "a topic that a client asked for cannot be made");
                }
                // The client asks again either way.
                drop(self.carry_out(controller, decision, ChangeMode::Change).await);
                controller.auto_creating.borrow_mut().remove(&name);
                ControllerReply::AutoCreated
            }
        }
    }

    async fn decide_topics(
        &self,
        image: Arc<MetadataImage>,
        specs: Vec<CreatableTopic>,
    ) -> Decision<Vec<Result<CreatedTopic, CreateTopicError>>> {
        let mut rows = specs.len();
        let mut topics = Vec::with_capacity(specs.len());
        for spec in specs {
            rows = rows.saturating_add(size(spec.num_partitions) + spec.assignments.len() + spec.configs.len());
            let id = fresh_topic_id(&image);
            topics.push(NewTopic { id, spec });
            rt::task::yield_if_needed().await;
        }
        let config = self.current_config();
        let create = move || {
            let defaults = NewTopicDefaults {
                partition_count: config.broker.partition_count,
                replication_factor: config.broker.replication_factor,
                settings: &config.settings,
            };
            controller::create_topics(&image, &topics, &defaults)
        };
        decide(rows, create).await
    }

    /// Makes a decision so, unless it is only to be told: its records durable, applied, and open on every core.
    async fn carry_out<R>(
        self: &Rc<Self>,
        controller: &MetadataController,
        decision: Decision<R>,
        mode: ChangeMode,
    ) -> Result<R, ControllerOffline> {
        let Decision { records, response } = decision;
        if records.is_empty() || mode == ChangeMode::ValidateOnly {
            let_go(records.len(), records).await;
            return Ok(response);
        }
        let (rows, before) = (records.len(), controller.image());
        if let Err(error) = controller.commit(records).await {
            tracing::error!(%error, "metadata cannot be changed");
            return Err(ControllerOffline);
        }
        self.publish(controller.image()).await;
        // No core has it any more.
        let_go(rows, before).await;
        Ok(response)
    }

    /// Hands an image to every core and waits until each has opened what is new in it.
    pub(super) async fn publish(self: &Rc<Self>, image: Arc<MetadataImage>) {
        let (done, all_applied) = oneshot();
        let countdown = Rc::new(Countdown {
            left: Cell::new(self.cores),
            done: RefCell::new(Some(done)),
        });
        for core in (0..self.cores).map(crate::base::ids::ShardId) {
            let call = self.calls.add(Rc::clone(&countdown) as Rc<dyn Respond>);
            let reply_to = ReplyTo { core: self.id, call };
            let image = Arc::clone(&image);
            if core == self.id {
                self.take_image(image, reply_to);
            } else {
                self.post(core, Message::Image { image, reply_to });
            }
        }
        drop(countdown);
        all_applied.await;
    }
}

/// Decides on so many rows here, or beside the core what would hold it for longer than a step.
async fn decide<R: Send + 'static>(
    rows: usize,
    decide: impl Fn() -> Decision<R> + Send + Sync + 'static,
) -> Decision<R> {
    rt::task::begin_part("decide");
    if rows <= ROWS_DECIDED_AT_ONCE_MAX {
        return decide();
    }
    let decide = Arc::new(decide);
    let aside = Arc::clone(&decide);
    let decided = rt::task::run_aside(move || aside()).await;
    let decision = decided.unwrap_or_else(|| decide());
    let_go(rows, decide).await;
    decision
}

/// Drops a value of so many rows, beside the core where it would hold it for longer than a step.
async fn let_go<T: Send + 'static>(rows: usize, value: T) {
    if rows > ROWS_DECIDED_AT_ONCE_MAX {
        // Where nobody can do it, the value is dropped here.
        let _ = rt::task::run_aside(move || drop(value)).await;
    }
}

/// A client's number of something.
fn size(count: i32) -> usize {
    usize::try_from(count).unwrap_or(0)
}

/// Ends a wait with the last of a number of answers.
struct Countdown {
    left: Cell<u16>,
    done: RefCell<Option<Sender<()>>>,
}

impl Respond for Countdown {
    fn respond(self: Rc<Self>, _: ShardReply) {
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0
            && let Some(done) = self.done.borrow_mut().take()
        {
            // Whoever waited may have gone.
            let _ = done.send(());
        }
    }
}

fn fresh_topic_id(image: &MetadataImage) -> TopicId {
    loop {
        let mut bytes = [0; 16];
        rt::random::fill(&mut bytes);
        // Version 4, variant 1: a random UUID as Kafka draws it.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = TopicId(bytes);
        if !id.is_reserved() && !id.to_string().starts_with('-') && image.topic(id).is_none() {
            return id;
        }
    }
}
