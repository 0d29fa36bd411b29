//! From one generation to the next: all transitions of a group.

use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::group::timers::TimerKey;
use crate::coordinator::group::types::GroupError;

use super::slices::MEMBERS_AT_ONCE_MAX;
use super::{Group, InitialDelay, State, Turn, milliseconds};

/// A deadline after those that are carried out now.
const NEXT_STEP: Duration = Duration::from_nanos(1);

impl Group {
    /// Something has changed that all members have to agree upon anew.
    pub(super) fn rebalance(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::PreparingRebalance { .. } => self.maybe_complete(turn),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare(turn),
        }
    }

    /// Goes on to the next generation if nobody is missing, unless a group that was empty waits for more.
    pub(super) fn maybe_complete(&mut self, turn: &mut Turn<'_>) {
        if self.state == (State::PreparingRebalance { initial: None }) && self.all_have_joined() {
            self.complete(turn);
        }
    }

    /// The group was one of the consumer protocol until now: its members join it.
    pub(in crate::coordinator::group) fn begin_anew(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::Stable {
            self.prepare(turn);
        }
    }

    /// Empty, Completing or Stable → Preparing. Kafka: `GroupMetadataManager.prepareRebalance`.
    pub(super) fn prepare(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment.clear();
            }
        }
        self.slices.forget_assignment();
        self.refuse_syncs(GroupError::RebalanceInProgress, turn);
        self.pending_sync.clear();
        turn.timers.cancel(&self.sync_timer());
        if self.state == State::Empty {
            let delay = turn.config.initial_rebalance_delay;
            let initial = InitialDelay {
                delay,
                remaining: self.rebalance_timeout().saturating_sub(delay),
                member_added: false,
            };
            self.enter(State::PreparingRebalance { initial: Some(initial) }, turn);
            self.expect_joins(delay, turn);
            return;
        }
        self.enter(State::PreparingRebalance { initial: None }, turn);
        match self.all_have_joined() {
            true => self.complete(turn),
            false => self.expect_joins(self.rebalance_timeout(), turn),
        }
    }

    /// Preparing → Completing, or Empty when nobody is left; members that have not joined are given up, but for static ones. Kafka:
    /// `GroupMetadataManager.completeClassicGroupJoin`.
    fn complete(&mut self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.join_timer());
        let is_late = |member: &super::Member| member.awaiting_join.is_none() && member.instance_id.is_none();
        let late: Vec<Arc<str>> = self
            .members
            .iter()
            .filter(|(_, member)| is_late(member))
            .map(|(id, _)| Arc::clone(id))
            .take(MEMBERS_AT_ONCE_MAX)
            .collect();
        for id in &late {
            self.expel(id, turn);
        }
        if late.len() == MEMBERS_AT_ONCE_MAX {
            self.expect_joins(NEXT_STEP, turn);
            return;
        }
        if !self.elect_joined_leader() && !self.members.is_empty() {
            // Static members alone, and none of them there: until their sessions end.
            self.expect_joins(self.rebalance_timeout(), turn);
            return;
        }
        // A group whose generations run out begins again, as a new one does.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.pending_sync.clear();
        if self.members.is_empty() {
            self.protocol = None;
            self.enter(State::Empty, turn);
            self.compute_subscription();
            turn.effects.records.push(self.record(|_| Default::default()));
            return;
        }
        self.protocol = self.select_protocol();
        self.enter(State::CompletingRebalance, turn);
        self.compute_subscription();
        self.begin_generation(turn);
    }

    /// Tells all that wait of their generation.
    fn begin_generation(&mut self, turn: &mut Turn<'_>) {
        self.pending_sync = self.members.keys().cloned().collect();
        let due = turn.now.monotonic.plus(self.rebalance_timeout());
        turn.timers.schedule(self.sync_timer(), due);
        if self.is_large() {
            self.tell_in_slices(turn);
            return;
        }
        for id in self.pending_sync.clone() {
            self.tell_generation(&id, turn);
        }
    }

    /// Tells a member of the generation that it has joined, if it waits for that.
    pub(super) fn tell_generation(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        let members = match self.leader.as_ref() == Some(id) {
            true => self.joined_members(),
            false => Vec::new(),
        };
        let joined = self.joined(id, members);
        self.complete_join(id, joined, turn.effects);
        self.extend_session(id, turn);
        if let Some(member) = self.members.get_mut(id) {
            member.is_new = false;
        }
    }

    /// Whether there is a leader that has joined; where it has not, the first that has takes its place.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &Arc<str>| {
            self.members
                .get(id)
                .is_some_and(|member| member.awaiting_join.is_some())
        };
        let Some(leader) = &self.leader else { return false };
        if has_joined(leader) {
            return true;
        }
        match self.members.keys().find(|id| has_joined(id)).cloned() {
            Some(next) => {
                self.leader = Some(next);
                true
            }
            None => false,
        }
    }

    /// A deadline has come.
    pub(in crate::coordinator::group) fn on_timer(&mut self, key: &TimerKey, turn: &mut Turn<'_>) {
        match key {
            TimerKey::Session { member, .. } => self.end_session(member, turn),
            TimerKey::Join { .. } => self.end_joins(turn),
            TimerKey::Sync { .. } => self.end_syncs(turn),
            // Of a member that was of the other protocol.
            TimerKey::Rebalance { .. } => {}
        }
    }

    /// Kafka: `GroupMetadataManager.expireClassicGroupMemberHeartbeat`.
    fn end_session(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        if self.pending_join.remove(id) {
            if self.is_preparing() && self.all_have_joined() {
                self.complete(turn);
            }
            return;
        }
        let Some(member) = self.members.get(id) else { return };
        if member.is_waiting_for_others() {
            return;
        }
        self.expel(id, turn);
        match self.state {
            State::Stable | State::CompletingRebalance => self.rebalance(turn),
            State::PreparingRebalance { .. } if self.all_have_joined() => self.complete(turn),
            State::PreparingRebalance { .. } | State::Empty => {}
        }
    }

    /// Kafka: `GroupMetadataManager.tryCompleteInitialRebalanceElseSchedule`.
    fn end_joins(&mut self, turn: &mut Turn<'_>) {
        let State::PreparingRebalance { initial } = self.state else {
            return;
        };
        match initial {
            Some(initial) if initial.member_added && !initial.remaining.is_zero() => {
                let delay = turn.config.initial_rebalance_delay.min(initial.remaining);
                let next = InitialDelay {
                    delay,
                    remaining: initial.remaining.saturating_sub(initial.delay),
                    member_added: false,
                };
                self.state = State::PreparingRebalance { initial: Some(next) };
                self.expect_joins(delay, turn);
            }
            Some(_) | None => self.complete(turn),
        }
    }

    /// Kafka: `GroupMetadataManager.expirePendingSync`.
    fn end_syncs(&mut self, turn: &mut Turn<'_>) {
        let is_on = matches!(self.state, State::CompletingRebalance | State::Stable);
        if !is_on || self.pending_sync.is_empty() {
            return;
        }
        for _ in 0..MEMBERS_AT_ONCE_MAX {
            let Some(id) = self.pending_sync.pop_first() else { break };
            self.expel(&id, turn);
        }
        match self.pending_sync.is_empty() {
            true => self.prepare(turn),
            false => turn
                .timers
                .schedule(self.sync_timer(), turn.now.monotonic.plus(NEXT_STEP)),
        }
    }

    fn expect_joins(&self, within: Duration, turn: &mut Turn<'_>) {
        turn.timers.schedule(self.join_timer(), turn.now.monotonic.plus(within));
    }

    /// The longest that a member asks for.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max();
        milliseconds(longest.unwrap_or(0))
    }

    /// What was to be kept of the group was not. Its members begin again.
    pub(in crate::coordinator::group) fn on_append_failed(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::CompletingRebalance | State::Stable => self.prepare(turn),
            State::Empty | State::PreparingRebalance { .. } => {}
        }
    }
}
