//! Groups of the classic protocol, in which a leader among the clients assigns.
//!
//! ```text
//!             first join                  all have joined, or the time is over
//!   Empty ───────────────► Preparing ─────────────────────────────────────► Completing
//!     ▲                     ▲  │  ▲                                            │   │
//!     │    nobody is left   │  │  └───── join, leave, lost member, late sync ──┘   │ the leader's
//!     └─────────────────────│──┘                                                   │ assignment is kept
//!                           └──────────── join, leave, lost member ──── Stable ◄───┘
//! ```
//!
//! A group that does not exist, or was deleted, is what Kafka calls dead. All transitions stand in `rebalance.rs`.
//!
//! What is kept of a group is its last assignment; who waits, and who has not been heard of, is not.
//! Kafka: `ClassicGroup`, `GroupMetadataManager.classicGroup*`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::base::time::TimestampMs;

use super::chores::Chores;
use super::timers::{TimerKey, Timers};
use super::{Config, Effects, Now};

mod describe;
mod heartbeat;
mod join;
mod leave;
mod member;
mod members;
mod migrate;
mod offset;
mod persist;
mod rebalance;
mod slices;
mod sync;

pub use member::Member;

/// What a group has at hand while it takes one request or one deadline.
pub struct Turn<'a> {
    pub(super) config: &'a Config,
    pub(super) now: Now,
    pub(super) timers: &'a mut Timers,
    pub(super) chores: &'a mut Chores,
    pub(super) effects: &'a mut Effects,
}

/// Where a group stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No members.
    Empty,
    /// Members are joining the next generation.
    PreparingRebalance {
        /// Of a group that was empty: it waits for more members.
        initial: Option<InitialDelay>,
    },
    /// All have joined; the leader is assigning.
    CompletingRebalance,
    /// Members know what they have to do.
    Stable,
}

/// How long a group that was empty waits for members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InitialDelay {
    /// Length of the wait that is running.
    delay: Duration,
    /// By how much it may be extended after that.
    remaining: Duration,
    /// Another member has come since it began.
    member_added: bool,
}

impl State {
    /// Kafka's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance { .. } => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// One group.
#[derive(Debug)]
pub struct Group {
    id: Arc<str>,
    state: State,
    /// Since when it is in this state, as far as is known.
    state_since: Option<TimestampMs>,
    generation: i32,
    protocol_type: Option<Arc<str>>,
    /// What all members of the generation use.
    protocol: Option<Arc<str>>,
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// Member ids by instance id (KIP-345).
    instances: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids that were given out and have not joined yet (KIP-394).
    pending_join: BTreeSet<Arc<str>>,
    /// Members of the generation that have not asked for their assignment.
    pending_sync: BTreeSet<Arc<str>>,
    /// How many members support each protocol.
    supported: BTreeMap<Arc<str>, usize>,
    /// Members that wait for the next generation.
    awaiting_join: usize,
    slices: slices::Slices,
    /// Of consumers: what they are subscribed to, if all of them can be understood.
    subscribed: Option<BTreeSet<String>>,
}

impl Group {
    /// A group without members.
    #[must_use]
    pub fn new(id: Arc<str>) -> Self {
        Self {
            id,
            state: State::Empty,
            state_since: None,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            supported: BTreeMap::new(),
            awaiting_join: 0,
            slices: slices::Slices::default(),
            subscribed: None,
        }
    }

    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    #[must_use]
    pub fn generation(&self) -> i32 {
        self.generation
    }

    #[must_use]
    pub fn leader(&self) -> Option<&Arc<str>> {
        self.leader.as_ref()
    }

    /// The members, by id.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Member)> {
        self.members.iter()
    }

    fn is_preparing(&self) -> bool {
        matches!(self.state, State::PreparingRebalance { .. })
    }

    fn enter(&mut self, state: State, turn: &Turn<'_>) {
        self.state = state;
        self.state_since = Some(turn.now.wall);
    }

    fn join_timer(&self) -> TimerKey {
        TimerKey::Join {
            group: Arc::clone(&self.id),
        }
    }

    fn sync_timer(&self) -> TimerKey {
        TimerKey::Sync {
            group: Arc::clone(&self.id),
        }
    }

    fn session_timer(&self, member: &Arc<str>) -> TimerKey {
        TimerKey::Session {
            group: Arc::clone(&self.id),
            member: Arc::clone(member),
        }
    }

    /// Takes its deadlines back, as it ends.
    pub(super) fn cancel_timers(&self, timers: &mut Timers) {
        self.cancel_own_timers(timers);
        for member in self.members.keys() {
            timers.cancel(&self.session_timer(member));
        }
    }

    /// Takes its deadlines back, but for those of its members, who may go on in a group of the other protocol.
    pub(super) fn cancel_own_timers(&self, timers: &mut Timers) {
        timers.cancel(&self.join_timer());
        timers.cancel(&self.sync_timer());
        for member in &self.pending_join {
            timers.cancel(&self.session_timer(member));
        }
    }
}

/// A client's number of milliseconds; nobody waits for less than nothing.
fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}
