//! Large groups: what concerns all members is done for some of them at a time, between which requests are served.
//!
//! Invariants:
//! - Whoever waits is told where the group stands by then: one that waits to join belongs to whichever generation is next, and one that
//!   waits for an assignment gets none but that of the generation that it has asked about, as the end of that one refuses all.
//! - The assignment of a generation is kept by one record, whole; while it is gathered the members cannot change without an end of the
//!   generation, and then it is forgotten.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use duramen_wire::messages::group_metadata_value::MemberMetadata;

use super::{Group, State, Turn};

/// Members that are looked after in one step, each taking a few microseconds.
pub(super) const MEMBERS_AT_ONCE_MAX: usize = 100;

/// What is being done for one member after the other.
#[derive(Debug, Default)]
pub(super) struct Slices {
    telling: Option<Cursor>,
    gathering: Option<Gathering>,
}

/// The last member that was looked after.
#[derive(Debug, Default)]
struct Cursor(Option<Arc<str>>);

/// The leader's assignment on its way into a record.
#[derive(Debug)]
struct Gathering {
    generation: i32,
    assignments: BTreeMap<Arc<str>, Bytes>,
    cursor: Cursor,
    members: Vec<MemberMetadata>,
}

impl Slices {
    /// The generation has ended.
    pub(super) fn forget_assignment(&mut self) {
        self.gathering = None;
    }
}

impl Group {
    pub(super) fn is_large(&self) -> bool {
        self.members.len() > MEMBERS_AT_ONCE_MAX
    }

    /// Tells all members that wait, from the next slice on.
    pub(super) fn tell_in_slices(&mut self, turn: &mut Turn<'_>) {
        self.slices.telling = Some(Cursor::default());
        turn.chores.slice(&self.id);
    }

    /// Keeps the leader's assignment, from the next slice on.
    pub(super) fn assign_in_slices(&mut self, assignments: BTreeMap<Arc<str>, Bytes>, turn: &mut Turn<'_>) {
        self.slices.gathering = Some(Gathering {
            generation: self.generation,
            assignments,
            cursor: Cursor::default(),
            members: Vec::with_capacity(self.members.len()),
        });
        turn.chores.slice(&self.id);
    }

    /// Does one slice of what is to be done.
    pub(in crate::coordinator::group) fn do_slice(&mut self, turn: &mut Turn<'_>) {
        if let Some(cursor) = self.slices.telling.take() {
            self.tell_some(&cursor, turn);
        } else if let Some(gathering) = self.slices.gathering.take() {
            self.gather_some(gathering, turn);
        }
        if self.slices.telling.is_some() || self.slices.gathering.is_some() {
            turn.chores.slice(&self.id);
        }
    }

    fn tell_some(&mut self, cursor: &Cursor, turn: &mut Turn<'_>) {
        let ids = self.members_after(cursor);
        for id in &ids {
            self.tell(id, turn);
        }
        if ids.len() == MEMBERS_AT_ONCE_MAX {
            self.slices.telling = Some(Cursor(ids.last().cloned()));
        }
    }

    fn tell(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        match self.state {
            State::CompletingRebalance => self.tell_generation(id, turn),
            State::Stable => {
                if self
                    .members
                    .get(id)
                    .is_some_and(|member| member.awaiting_join.is_some())
                {
                    self.tell_generation(id, turn);
                }
                self.tell_assignment(id, turn);
            }
            State::PreparingRebalance { .. } | State::Empty => {}
        }
    }

    fn gather_some(&mut self, mut gathering: Gathering, turn: &mut Turn<'_>) {
        if self.state != State::CompletingRebalance || self.generation != gathering.generation {
            return;
        }
        let ids = self.members_after(&gathering.cursor);
        for id in &ids {
            let assignment = gathering.assignments.remove(id).unwrap_or_default();
            gathering.members.extend(self.kept_member(id, assignment));
        }
        if ids.len() == MEMBERS_AT_ONCE_MAX {
            gathering.cursor = Cursor(ids.last().cloned());
            self.slices.gathering = Some(gathering);
            return;
        }
        // It is in force when the record is kept, which is before the next slice.
        turn.effects.records.push(self.record_of(gathering.members));
        self.slices.telling = Some(Cursor::default());
    }

    fn members_after(&self, cursor: &Cursor) -> Vec<Arc<str>> {
        let from = cursor.0.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.members.range::<Arc<str>, _>((from, Bound::Unbounded));
        after.take(MEMBERS_AT_ONCE_MAX).map(|(id, _)| Arc::clone(id)).collect()
    }
}
