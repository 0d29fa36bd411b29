//! One step of a member towards its target: it gives up what it has to, then takes what others have given up.
//!
//! ```text
//!                   owns what is not in its target
//!        Stable ─────────────────────────────────────► UnrevokedPartitions
//!         ▲  │                                                 │ it says that it gave up
//!         │  │ others own what is in its target                ▼
//!         │  └────────────────► UnreleasedPartitions ◄── or Stable, when all of its target is free
//!         └── they gave up ─────────────┘
//! ```
//!
//! A member enters the epoch of its target only when it owns nothing that is not in it; what it has not given up, nobody else gets.
//! Kafka: `CurrentAssignmentBuilder`.

use crate::base::ids::TopicId;

use super::{Assignment, Owned};

/// Where a member stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberState {
    /// It has its target.
    Stable,
    /// It has to give partitions up before it goes on.
    UnrevokedPartitions,
    /// It has its target but for partitions that others own still.
    UnreleasedPartitions,
}

/// What a member has, and has to give up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Current {
    pub state: MemberState,
    pub epoch: i32,
    /// The epoch before, with which a client comes that did not hear of this one.
    pub previous_epoch: i32,
    pub assigned: Owned,
    pub pending_revocation: Owned,
}

/// What a step rests on.
pub struct Reconcile<'a> {
    /// The epoch of the target.
    pub target_epoch: i32,
    pub target: &'a Assignment,
    /// What the member says it owns; `None` when it does not say.
    pub owned: Option<&'a Assignment>,
    /// Whether the member is subscribed to a topic now: its target may be older.
    pub is_subscribed: &'a dyn Fn(TopicId) -> bool,
    /// Whether some member owns a partition, or has not given it up.
    pub is_owned: &'a dyn Fn(TopicId, i32) -> bool,
}

impl Current {
    /// The next step, which may be none.
    #[must_use]
    pub fn step(&self, by: &Reconcile<'_>) -> Self {
        match self.state {
            MemberState::Stable if self.epoch == by.target_epoch => self.without_lost_topics(by),
            MemberState::UnrevokedPartitions if by.still_owns(&self.pending_revocation) => self.without_lost_topics(by),
            MemberState::Stable | MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => self.next(by),
        }
    }

    /// Towards the target.
    fn next(&self, by: &Reconcile<'_>) -> Self {
        let is_wanted = |topic, partition| (by.is_subscribed)(topic) && by.target.contains(topic, partition);
        let (mut assigned, revoked) = self.assigned.split(is_wanted);
        if !revoked.is_empty() && by.still_owns(&revoked) {
            return Self {
                state: MemberState::UnrevokedPartitions,
                assigned,
                pending_revocation: revoked,
                ..self.in_epoch(self.epoch)
            };
        }
        let mut state = MemberState::Stable;
        for (topic, partition, ()) in by.target.iter() {
            if !(by.is_subscribed)(topic) || assigned.contains(topic, partition) {
                continue;
            }
            // What this member has given up is free, though it stands in the books.
            let is_own = self.pending_revocation.contains(topic, partition);
            if (by.is_owned)(topic, partition) && !is_own {
                state = MemberState::UnreleasedPartitions;
            } else {
                assigned.insert(topic, partition, by.target_epoch);
            }
        }
        Self {
            state,
            assigned,
            pending_revocation: Owned::default(),
            ..self.in_epoch(by.target_epoch)
        }
    }

    /// Gives up topics that it is not subscribed to any more, before there is a target without them.
    fn without_lost_topics(&self, by: &Reconcile<'_>) -> Self {
        let (assigned, lost) = self.assigned.split(|topic, _| (by.is_subscribed)(topic));
        if lost.is_empty() {
            return self.clone();
        }
        let mut revoked = self.pending_revocation.clone();
        for (topic, partition, epoch) in lost.iter() {
            revoked.insert(topic, partition, *epoch);
        }
        if !by.still_owns(&revoked) {
            return Self {
                assigned,
                ..self.in_epoch(self.epoch)
            };
        }
        Self {
            state: MemberState::UnrevokedPartitions,
            assigned,
            pending_revocation: revoked,
            ..self.in_epoch(self.epoch)
        }
    }

    fn in_epoch(&self, epoch: i32) -> Self {
        Self {
            epoch,
            previous_epoch: self.epoch,
            ..self.clone()
        }
    }
}

impl Default for Current {
    /// A member that has just come.
    fn default() -> Self {
        Self {
            state: MemberState::Stable,
            epoch: 0,
            previous_epoch: -1,
            assigned: Owned::default(),
            pending_revocation: Owned::default(),
        }
    }
}

impl Reconcile<'_> {
    /// Whether the member owns some of these, as far as is known.
    fn still_owns(&self, revoked: &Owned) -> bool {
        self.owned.is_none_or(|owned| owned.meets(revoked))
    }
}
