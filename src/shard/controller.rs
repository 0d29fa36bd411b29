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
    pub(super) async fn commit(&self, records: &[MetadataRecord]) -> Result<(), MetadataLogError> {
        let end_offset = self.log.append(records, rt::time::wall()).await?;
        let mut next = MetadataImage::clone(&self.image());
        for record in records {
            // The log has the record now, so an image without it would be a lie.
            let replayed = next.replay(record);
            crate::check!(
                replayed.is_ok(),
                "the controller's own record cannot be applied: {replayed:?}"
            );
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
                let decision = self.decide_topics(&image, topics);
                if mode == ChangeMode::ValidateOnly {
                    return ControllerReply::Created(Ok(decision.response));
                }
                ControllerReply::Created(self.carry_out(controller, decision).await)
            }
            ControllerRequest::DeleteTopics { topics } => ControllerReply::Deleted(
                self.carry_out(controller, controller::delete_topics(&image, &topics))
                    .await,
            ),
            ControllerRequest::CreatePartitions { topics, mode } => {
                let decision = controller::create_partitions(&image, &topics);
                if mode == ChangeMode::ValidateOnly {
                    return ControllerReply::CreatedPartitions(Ok(decision.response));
                }
                ControllerReply::CreatedPartitions(self.carry_out(controller, decision).await)
            }
            ControllerRequest::AlterConfigs {
                resources,
                unnamed,
                mode,
            } => {
                let decision = controller::alter_configs(&image, &resources, unnamed, &self.config.settings);
                if mode == ChangeMode::ValidateOnly {
                    return ControllerReply::Altered(Ok(decision.response));
                }
                ControllerReply::Altered(self.carry_out(controller, decision).await)
            }
            ControllerRequest::UpdateFeatures { updates, mode } => {
                let decision = controller::update_features(&image, self.config.broker.node_id, &updates);
                ControllerReply::UpdatedFeatures(match (decision, mode) {
                    (Err(error), _) => Ok(Err(error)),
                    (Ok(_), ChangeMode::ValidateOnly) => Ok(Ok(())),
                    (Ok(decision), ChangeMode::Change) => self.carry_out(controller, decision).await.map(Ok),
                })
            }
            ControllerRequest::AllocateProducerIds => {
                let node = self.config.broker.node_id;
                let reply = match controller::allocate_producer_ids(&image, node, controller.broker_epoch.get()) {
                    Ok(decision) => self.carry_out(controller, decision).await,
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
                let decision = self.decide_topics(&image, vec![spec]);
                for error in decision.response.iter().filter_map(|result| result.as_ref().err()) {
                    tracing::warn!(topic = name, %error, "a topic that a client asked for cannot be made");
                }
                // The client asks again either way.
                drop(self.carry_out(controller, decision).await);
                controller.auto_creating.borrow_mut().remove(&name);
                ControllerReply::AutoCreated
            }
        }
    }

    fn decide_topics(
        &self,
        image: &MetadataImage,
        topics: Vec<CreatableTopic>,
    ) -> Decision<Vec<Result<CreatedTopic, CreateTopicError>>> {
        let defaults = NewTopicDefaults {
            partition_count: self.config.broker.partition_count,
            replication_factor: self.config.broker.replication_factor,
            settings: &self.config.settings,
        };
        let topics: Vec<NewTopic> = topics
            .into_iter()
            .map(|spec| NewTopic {
                id: fresh_topic_id(image),
                spec,
            })
            .collect();
        controller::create_topics(image, &topics, &defaults)
    }

    /// Makes a decision so: its records durable, applied, and open on every core.
    async fn carry_out<R>(
        self: &Rc<Self>,
        controller: &MetadataController,
        decision: Decision<R>,
    ) -> Result<R, ControllerOffline> {
        if decision.records.is_empty() {
            return Ok(decision.response);
        }
        if let Err(error) = controller.commit(&decision.records).await {
            tracing::error!(%error, "metadata cannot be changed");
            return Err(ControllerOffline);
        }
        self.publish(controller.image()).await;
        Ok(decision.response)
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
