//! One core: what it owns, the messages between cores, placement, waiting requests.
//!
//! Everything here belongs to one thread. Other cores hold an `Arc<MetadataImage>` and send [`message::Message`]s; nothing else of a
//! core is ever seen from outside.
//!
//! Invariants worth naming:
//! - A partition is served by the core that [`placement::owner`] names, and by no other.
//! - The pump never awaits. What takes time is a task of its own that answers when it is done.
//! - Every request gets exactly one answer; every watch at most one.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::ids::{ProducerId, ShardId, TopicIdPartition};
use crate::base::limits::ANSWERS_AT_ONCE_MAX;
use crate::config::Config;
use crate::metadata::MetadataImage;
use crate::partition::turns::Source;
use crate::partition::{Partition, Workspace};
use crate::rt::local::Event;
use crate::rt::mesh::CoreEndpoint;
use crate::rt::task;
use crate::storage::LogDirectory;

mod broker_configs;
pub mod calls;
mod checkpoints;
mod compaction;
pub mod controller;
pub mod coordinators;
pub mod deadlines;
pub mod directories;
mod execute;
mod lifecycle;
mod lookup;
pub mod message;
pub mod metadata_log;
mod metadata_snapshot;
pub mod placement;
pub mod producer_ids;
mod pump;
pub mod purgatory;
mod retention;
mod start;
pub mod trash;

use calls::{CallId, Calls, ReplyTo, Respond};
use controller::{ControllerRequest, MetadataController};
use deadlines::Deadlines;
use directories::{Directories, LogSize};
use message::{Asked, Message, ShardReply, ShardRequest};
use producer_ids::ProducerIds;
use purgatory::{Purgatory, Woken};
pub use start::{ShardStart, StartError};
use trash::Trash;

/// Core 0 runs the controller.
pub const CONTROLLER: ShardId = ShardId(0);

/// One core's state.
pub struct Shard {
    pub id: ShardId,
    pub cores: u16,
    /// Of the start: for what does not change while the broker runs.
    pub config: Arc<Config>,
    /// With what was set for brokers since.
    changed_config: RefCell<Arc<Config>>,
    pub calls: Calls,
    pub deadlines: Rc<Deadlines>,
    pub trash: Rc<Trash>,
    endpoint: CoreEndpoint<Message>,
    /// Messages for cores whose queues were full, in order.
    outboxes: RefCell<Vec<VecDeque<Message>>>,
    /// Whether a task tries the outboxes again.
    retrying: Cell<bool>,
    hosted: RefCell<HashMap<TopicIdPartition, Rc<Partition>>>,
    /// Partitions of this core whose logs could not be opened.
    unopened: RefCell<HashSet<TopicIdPartition>>,
    purgatory: RefCell<Purgatory>,
    image: RefCell<Arc<MetadataImage>>,
    directories: Directories,
    workspace: Rc<Workspace>,
    /// Connections that this core has accepted.
    connections: Cell<u64>,
    producer_ids: RefCell<ProducerIds>,
    images: lifecycle::Images,
    coordinators: coordinators::Coordinators,
    controller: RefCell<Option<Rc<MetadataController>>>,
    may_listen: Cell<bool>,
    stopping: Cell<bool>,
    /// `may_listen` or `stopping` has changed.
    changed: Event,
}

/// Where an answer goes.
pub(crate) enum Origin {
    Local(Rc<dyn Respond>),
    Remote(ReplyTo),
}

impl Shard {
    /// The metadata as this core sees it.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.image.borrow())
    }

    /// The configuration as it is now.
    #[must_use]
    pub fn current_config(&self) -> Arc<Config> {
        Arc::clone(&self.changed_config.borrow())
    }

    /// The core that owns a partition.
    #[must_use]
    pub fn owner(&self, partition: TopicIdPartition) -> ShardId {
        placement::owner(partition, self.cores)
    }

    /// Asks a core, maybe this one; `waiting` gets the answer, at once where nothing has to be waited for.
    ///
    /// Requests to one core are executed in the order in which they were asked.
    pub fn call(self: &Rc<Self>, core: ShardId, request: ShardRequest, waiting: Rc<dyn Respond>) {
        if core == self.id {
            self.execute(request, Origin::Local(waiting));
        } else {
            let call = self.calls.add(waiting);
            self.post(
                core,
                Message::Request {
                    reply_to: ReplyTo { core: self.id, call },
                    request,
                },
            );
        }
    }

    /// What batches of a new connection of this core have in common.
    pub fn new_source(&self) -> Source {
        let connection = self.connections.get() + 1;
        self.connections.set(connection);
        Source {
            core: self.id,
            connection,
        }
    }

    /// Begins a watch whose answer comes to `call`.
    pub fn watch(self: &Rc<Self>, core: ShardId, call: CallId, items: Vec<Asked<crate::base::offset::Offset>>) {
        let reply_to = ReplyTo { core: self.id, call };
        if core == self.id {
            self.begin_watch(reply_to, items);
        } else {
            self.post(core, Message::Watch { reply_to, items });
        }
    }

    /// Gives up a watch: its answer does not come any more.
    pub fn unwatch(self: &Rc<Self>, core: ShardId, call: CallId) {
        self.calls.take(call);
        let reply_to = ReplyTo { core: self.id, call };
        if core == self.id {
            self.purgatory.borrow_mut().unwatch(reply_to);
        } else {
            self.post(core, Message::Unwatch { reply_to });
        }
    }

    /// Asks the controller to make a topic, without waiting: whoever needs it asks again.
    pub fn auto_create_topic(self: &Rc<Self>, name: &str) {
        struct Forget;
        impl Respond for Forget {
            fn respond(self: Rc<Self>, _: ShardReply) {}
        }
        let request = ControllerRequest::AutoCreate { name: name.to_owned() };
        self.call(CONTROLLER, ShardRequest::Controller(request), Rc::new(Forget));
    }

    /// Answers a request.
    fn answer(self: &Rc<Self>, origin: Origin, reply: ShardReply) {
        match origin {
            Origin::Local(waiting) => waiting.respond(reply),
            Origin::Remote(reply_to) => self.reply(reply_to, reply),
        }
    }

    /// Answers a call of some core, maybe this one.
    fn reply(self: &Rc<Self>, reply_to: ReplyTo, reply: ShardReply) {
        let ReplyTo { core, call } = reply_to;
        if core != self.id {
            self.post(core, Message::Reply { call, reply });
        } else if let Some(waiting) = self.calls.take(call) {
            waiting.respond(reply);
        }
    }

    /// Hands watches that ended to their readers: the first at once, the others in steps of their own.
    fn wake(self: &Rc<Self>, mut woken: Vec<Woken>) {
        let later = woken.split_off(woken.len().min(ANSWERS_AT_ONCE_MAX));
        for one in woken {
            self.wake_one(one);
        }
        if later.is_empty() {
            return;
        }
        let shard = Rc::clone(self);
        task::spawn(async move {
            for one in later {
                task::yield_if_needed().await;
                shard.wake_one(one);
            }
        });
    }

    fn wake_one(self: &Rc<Self>, woken: Woken) {
        let Woken { reply_to, tags } = woken;
        let call = reply_to.call;
        self.reply(reply_to, ShardReply::Woken { call, tags });
    }

    /// A partition of this core, or why there is none.
    fn hosted_or<E>(&self, partition: TopicIdPartition, not_hosted: E, offline: E) -> Result<Rc<Partition>, E> {
        match self.hosted(partition) {
            Some(hosted) => Ok(hosted),
            None if self.unopened.borrow().contains(&partition) => Err(offline),
            None => Err(not_hosted),
        }
    }

    /// An id for a producer; `None` when a block has to be fetched from the controller first.
    pub fn take_producer_id(&self) -> Option<ProducerId> {
        self.producer_ids.borrow_mut().take()
    }

    /// Adds a block of producer ids from the controller.
    pub fn add_producer_ids(&self, block: Range<i64>) {
        self.producer_ids.borrow_mut().add(block);
    }

    /// The log directories, in the order of the configuration.
    #[must_use]
    pub fn log_directories(&self) -> &[LogDirectory] {
        self.directories.all()
    }

    /// Logs of this core: where they are, and how large; of all of them, where none are named. In steps.
    async fn log_sizes(&self, of: Option<Vec<TopicIdPartition>>) -> Vec<LogSize> {
        let of = of.unwrap_or_else(|| self.hosted.borrow().keys().copied().collect());
        let mut sizes = Vec::with_capacity(of.len());
        for partition in of {
            let hosted = self.hosted(partition);
            sizes.extend(hosted.and_then(|partition| self.directories.size_of(partition.log())));
            task::yield_if_needed().await;
        }
        sizes
    }

    fn hosted(&self, partition: TopicIdPartition) -> Option<Rc<Partition>> {
        self.hosted.borrow().get(&partition).cloned()
    }
}
