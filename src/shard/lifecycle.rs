//! Partitions come and go as metadata images say.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::ids::{LeaderEpoch, TopicIdPartition, TopicPartition};
use crate::config::TopicConfig;
use crate::metadata::controller;
use crate::metadata::{ConfigResource, MetadataImage, Topic, TopicChange};
use crate::partition::Partition;
use crate::rt;
use crate::rt::local::oneshot;
use crate::shard::Shard;
use crate::shard::calls::ReplyTo;
use crate::shard::directories::{Close, ClosedShard};
use crate::shard::message::ShardReply;

/// Partitions of a core that are opened side by side: enough to keep a disk busy while each waits for it.
const OPENING_MAX: usize = 8;

/// The same while clients are served: a ring has few workers, and the journal's writes need some of them too.
const OPENING_WHILE_SERVING_MAX: usize = 3;

/// Logs that a stop syncs one by one; of more, it syncs the file system.
const LOGS_SYNCED_SINGLY_MAX: usize = 100;

/// Images that wait to be applied, in order.
#[derive(Default)]
pub(super) struct Images {
    queue: RefCell<VecDeque<(Arc<MetadataImage>, ReplyTo)>>,
    applying: Cell<bool>,
}

/// A partition that this core is to open.
struct ToOpen {
    id: TopicIdPartition,
    name: TopicPartition,
    config: Rc<TopicConfig>,
    leader_epoch: LeaderEpoch,
}

impl Shard {
    /// Takes the next image. It is in force, and answered, when every partition of it that belongs here is open.
    pub(super) fn take_image(self: &Rc<Self>, image: Arc<MetadataImage>, reply_to: ReplyTo) {
        self.images.queue.borrow_mut().push_back((image, reply_to));
        if !self.images.applying.replace(true) {
            rt::task::spawn(Rc::clone(self).apply_images());
        }
    }

    async fn apply_images(self: Rc<Self>) {
        // Core 0 has begun the directories before it sent the first image.
        if let Err(error) = self.directories.open_journals() {
            tracing::error!(%error, "a journal cannot be used: acks=all waits for a sync of each partition");
        }
        loop {
            let next = self.images.queue.borrow_mut().pop_front();
            let Some((image, reply_to)) = next else { break };
            self.apply_image(&image).await;
            self.image.replace(image);
            self.reply(reply_to, ShardReply::ImageApplied);
        }
        self.images.applying.set(false);
    }

    async fn apply_image(self: &Rc<Self>, next: &Arc<MetadataImage>) {
        let old = self.image();
        // Before the partitions that are opened with it.
        let has_config_changed = self.take_broker_configs(&old, next);
        let mut to_open = Vec::new();
        let mut deleted = Vec::new();
        let mut have_topics_changed = false;
        for change in next.topics_changed_since(&old) {
            have_topics_changed = true;
            rt::task::yield_if_needed().await;
            match change {
                TopicChange::Created(topic) | TopicChange::Changed { new: topic, .. } => {
                    self.find_unopened(next, topic, &mut to_open).await;
                }
                TopicChange::Deleted(topic) => {
                    self.remove_topic(topic).await;
                    deleted.push((Arc::clone(&topic.name), topic.id));
                }
            }
        }
        if has_config_changed {
            for topic in next.topics() {
                self.reconfigure(next, topic).await;
            }
        } else {
            for name in next.configs_changed_since(&old, ConfigResource::TOPIC) {
                if let Some(topic) = next.topic_by_name(name) {
                    self.reconfigure(next, topic).await;
                }
            }
        }
        self.open_all(to_open).await;
        self.refresh_coordinators(next);
        if have_topics_changed {
            self.announce_topics(next);
        }
        if has_config_changed {
            self.announce_assignment_interval(next).await;
        }
        self.announce_group_configs(&old, next).await;
        self.forget_topics(deleted);
    }

    /// Brings the open partitions of a topic up to date, and adds those that are not open and belong here.
    async fn find_unopened(&self, image: &MetadataImage, topic: &Topic, to_open: &mut Vec<ToOpen>) {
        let config = Rc::new(self.topic_config(image, topic));
        for (partition, state) in topic.numbered() {
            let id = TopicIdPartition {
                topic_id: topic.id,
                partition,
            };
            rt::task::yield_if_needed().await;
            if self.owner(id) != self.id || state.leader != Some(self.config.broker.node_id) {
                continue;
            }
            match self.hosted(id) {
                Some(hosted) => hosted.lead(state.leader_epoch),
                None => to_open.push(ToOpen {
                    id,
                    name: TopicPartition {
                        topic: Arc::clone(&topic.name),
                        partition,
                    },
                    config: Rc::clone(&config),
                    leader_epoch: state.leader_epoch,
                }),
            }
        }
    }

    fn topic_config(&self, image: &MetadataImage, topic: &Topic) -> TopicConfig {
        let config = self.current_config();
        config.topic(image.topic_config(&topic.name)).unwrap_or_else(|error| {
            // The controller checked them; a directory from elsewhere may hold settings that this broker refuses.
            tracing::error!(topic = %topic.name, %error, "the settings of a topic cannot be used; the broker's defaults are");
            config.broker.topic_defaults.clone()
        })
    }

    async fn reconfigure(&self, image: &MetadataImage, topic: &Topic) {
        let mut config = None;
        for (partition, _) in topic.numbered() {
            if let Some(partition) = self.hosted(TopicIdPartition {
                topic_id: topic.id,
                partition,
            }) {
                let config = config.get_or_insert_with(|| Rc::new(self.topic_config(image, topic)));
                partition.configure(Rc::clone(config));
            }
            rt::task::yield_if_needed().await;
        }
    }

    /// Opens partitions, a few at a time. One that cannot be opened is left out, and the others are served.
    async fn open_all(self: &Rc<Self>, to_open: Vec<ToOpen>) {
        let queue = Rc::new(RefCell::new(VecDeque::from(to_open)));
        let side_by_side = match self.may_listen.get() {
            true => OPENING_WHILE_SERVING_MAX,
            false => OPENING_MAX,
        };
        let workers = queue.borrow().len().min(side_by_side);
        let mut ends = Vec::with_capacity(workers);
        for _ in 0..workers {
            let (end, ended) = oneshot();
            ends.push(ended);
            let (shard, queue) = (Rc::clone(self), Rc::clone(&queue));
            rt::task::spawn(async move {
                loop {
                    let next = queue.borrow_mut().pop_front();
                    let Some(wanted) = next else { break };
                    shard.open_one(wanted).await;
                    rt::task::yield_now().await;
                }
                // Nobody waits any more when the core is stopping.
                let _ = end.send(());
            });
        }
        for ended in ends {
            ended.await;
        }
    }

    async fn open_one(&self, wanted: ToOpen) {
        let ToOpen {
            id,
            name,
            config,
            leader_epoch,
        } = wanted;
        let settings = crate::partition::log_settings(&config);
        let opened = match self.directories.open(&name, id.topic_id, settings).await {
            Ok(log) => Partition::new(id, log, config, leader_epoch, Rc::clone(&self.workspace)),
            Err(error) => Err(error),
        };
        match opened {
            Ok(partition) => {
                self.hosted.borrow_mut().insert(id, Rc::new(partition));
            }
            Err(error) => {
                tracing::error!(partition = %name, %error, "a partition cannot be opened; the others are served");
                self.unopened.borrow_mut().insert(id);
            }
        }
    }

    /// Takes the partitions of a deleted topic out of service and removes their files in the background.
    async fn remove_topic(self: &Rc<Self>, topic: &Topic) {
        for (partition, _) in topic.numbered() {
            let id = TopicIdPartition {
                topic_id: topic.id,
                partition,
            };
            self.unopened.borrow_mut().remove(&id);
            let removed = self.hosted.borrow_mut().remove(&id);
            if let Some(partition) = removed {
                let woken = self.purgatory.borrow_mut().look_again(id);
                self.wake(woken);
                self.directories.delete(partition.log()).await;
                rt::task::yield_if_needed().await;
            }
        }
    }

    /// Closes all logs, so that the next start need not look into them.
    pub async fn close(&self) -> ClosedShard {
        let partitions: Vec<Rc<Partition>> = self
            .hosted
            .borrow_mut()
            .drain()
            .map(|(_, partition)| partition)
            .collect();
        let changed = partitions.iter().filter(|partition| !partition.log().is_settled());
        let how = if changed.count() > LOGS_SYNCED_SINGLY_MAX {
            Close::WrittenOut
        } else {
            Close::Synced
        };
        let mut closed = ClosedShard {
            needs_sync: how == Close::WrittenOut,
            ..ClosedShard::default()
        };
        for partition in partitions {
            closed.logs.extend(self.directories.close(partition.log(), how).await);
        }
        let controller = self.controller.borrow_mut().take();
        if let Some(controller) = controller {
            let farewell = controller::fence_broker(&controller.image(), self.config.broker.node_id);
            if !farewell.is_empty()
                && let Err(error) = controller.commit(farewell).await
            {
                tracing::warn!(%error, "the metadata log takes no farewell");
            }
            closed
                .logs
                .extend(self.directories.close(controller.log().log(), Close::Synced).await);
            closed.broker_epoch = Some(controller.broker_epoch());
        }
        closed
    }
}
