//! The group coordinators of one core: one for each partition of `__consumer_offsets` that it owns.
//!
//! A coordinator is read from its partition when that is opened, in the background; requests are told so meanwhile. Then it decides, its
//! records are appended, and it is told of them in the same step; answers leave when all that was appended is on the disk, so that nobody
//! is told what a crash may take back.
//!
//! Invariants:
//! - A request waits in `waiting` until its answer; a coordinator that ends answers all of them.
//! - The row's timer is never later than the coordinator's next deadline.
//! - What is decided beside commits is decided when all gathered commits are appended.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use crate::base::ids::{TopicId, TopicIdPartition};
use crate::base::offset::Offset;
use crate::base::time::Monotonic;
use crate::config::GroupConfig;
use crate::coordinator::group::consumer::assign::Assignor;
use crate::coordinator::group::{Config, Coordinator, Effects, Now, OFFSETS_TOPIC, Ticket, consumer};
use crate::metadata::MetadataImage;
use crate::rt;
use crate::shard::{Origin, Shard};

mod catalogue;
mod expiry;
mod gathered;
mod load;
mod serve;
pub(super) mod topic;
mod tuning;
mod work;

/// The coordinators of one core.
#[derive(Default)]
pub(super) struct Coordinators {
    rows: RefCell<HashMap<TopicIdPartition, Rc<Row>>>,
}

/// Who gets an answer, and by which tag.
pub(super) struct Asker {
    pub(super) tag: u32,
    pub(super) origin: Origin,
}

/// What a coordinator is doing.
enum Phase {
    Loading,
    Serving(Box<Coordinator>),
    /// Its partition is gone, or cannot be read.
    Over,
}

/// One coordinator, with the requests that wait for it.
struct Row {
    partition: TopicIdPartition,
    shard: Weak<Shard>,
    phase: RefCell<Phase>,
    waiting: RefCell<HashMap<Ticket, Asker>>,
    /// Commits that were decided and are not appended yet.
    gathered: RefCell<Effects>,
    next_ticket: Cell<u64>,
    /// The end of what it has appended.
    appended: Cell<Offset>,
    /// When its timer is due.
    armed: Cell<Option<Monotonic>>,
    /// A task does its work.
    is_working: Cell<bool>,
}

impl Row {
    /// Keeps the place of an answer.
    fn park(&self, asker: Asker) -> Ticket {
        let ticket = Ticket(self.next_ticket.get());
        self.next_ticket.set(ticket.0 + 1);
        self.waiting.borrow_mut().insert(ticket, asker);
        ticket
    }
}

impl Shard {
    /// Begins and ends coordinators as an image says. The partitions of this core are open.
    pub(super) fn refresh_coordinators(self: &Rc<Self>, image: &MetadataImage) {
        let topic = image.topic_by_name(OFFSETS_TOPIC).map(|topic| topic.id);
        let ended: Vec<Rc<Row>> = {
            let mut rows = self.coordinators.rows.borrow_mut();
            let ended = rows.extract_if(|id, _| Some(id.topic_id) != topic);
            ended.map(|(_, row)| row).collect()
        };
        for row in ended {
            self.end_coordinator(&row);
        }
        let Some(topic_id) = topic else { return };
        for partition in self.hosted_partitions(topic_id) {
            let mut rows = self.coordinators.rows.borrow_mut();
            rows.entry(partition).or_insert_with(|| {
                let row = Rc::new(Row {
                    partition,
                    shard: Rc::downgrade(self),
                    phase: RefCell::new(Phase::Loading),
                    waiting: RefCell::default(),
                    gathered: RefCell::default(),
                    next_ticket: Cell::new(0),
                    appended: Cell::new(Offset::ZERO),
                    armed: Cell::new(None),
                    is_working: Cell::new(false),
                });
                rt::task::spawn_background(Rc::clone(self).load_coordinator(Rc::clone(&row)));
                row
            });
        }
    }

    fn hosted_partitions(&self, topic_id: TopicId) -> Vec<TopicIdPartition> {
        let hosted = self.hosted.borrow();
        hosted.keys().filter(|id| id.topic_id == topic_id).copied().collect()
    }

    fn coordinator_row(&self, partition: TopicIdPartition) -> Option<Rc<Row>> {
        self.coordinators.rows.borrow().get(&partition).cloned()
    }

    fn coordinator_rows(&self) -> Vec<Rc<Row>> {
        self.coordinators.rows.borrow().values().cloned().collect()
    }
}

fn now() -> Now {
    Now {
        monotonic: rt::time::now(),
        wall: rt::time::wall(),
    }
}

/// The settings of a coordinator, of those of the broker.
fn config(config: &GroupConfig) -> Config {
    Config {
        initial_rebalance_delay: config.initial_rebalance_delay,
        session_timeout_min_ms: config.session_timeout_min_ms,
        session_timeout_max_ms: config.session_timeout_max_ms,
        members_max: config.members_max,
        metadata_units_max: config.offset_metadata_max,
        offsets_retention: config.offsets_retention,
        consumer: consumer::Config {
            assignors: config
                .consumer
                .assignors
                .iter()
                .filter_map(|name| Assignor::by_name(name))
                .collect(),
            members_max: config.consumer.members_max,
            session_timeout: config.consumer.session_timeout,
            assignment_interval: config.consumer.assignment_interval,
            migration: consumer::Migration {
                upgrades: config.consumer.upgrades,
                downgrades: config.consumer.downgrades,
            },
            ..consumer::Config::default()
        },
    }
}
