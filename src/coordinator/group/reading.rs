//! Answers that may be long: the groups of a coordinator (ListGroups), the offsets of a group (OffsetFetch); in slices when they are.
//!
//! Each group and each offset is told as it stands when its slice is made. One that comes meanwhile may be told or not.

use std::ops::Bound;
use std::sync::Arc;

use super::types::{Answer, FetchOffsets, FetchedTopic, GroupError, Listed, Ticket, Wanted};
use super::{Coordinator, Effects};

/// Groups that are told in one slice, each taking a third of a microsecond where they are many.
const GROUPS_PER_SLICE: usize = 250;

/// Topics and offsets that are, each taking a tenth of one.
const OFFSETS_PER_SLICE: usize = 1000;

/// An answer in the making.
#[derive(Debug)]
pub(super) struct Reading {
    ticket: Ticket,
    what: What,
}

#[derive(Debug)]
enum What {
    Groups(Vec<Listed>),
    Offsets {
        group: Arc<str>,
        wanted: Option<Vec<Wanted>>,
        told: Vec<FetchedTopic>,
    },
}

impl Coordinator {
    /// Kafka: `GroupMetadataManager.listGroups`.
    pub(super) fn list(&mut self, ticket: Ticket) -> Effects {
        let what = What::Groups(Vec::with_capacity(self.groups.len()));
        self.begin_reading(Reading { ticket, what })
    }

    /// Kafka: `OffsetMetadataManager.fetchOffsets`.
    pub(super) fn fetch_offsets(&mut self, ticket: Ticket, fetch: FetchOffsets) -> Effects {
        let of_consumers = self.consumer(&fetch.group).map(|group| group.may_fetch(&fetch));
        if let Some(Err(error)) = of_consumers {
            return Effects::answer(ticket, Answer::FetchOffsets(Err(error)));
        }
        let FetchOffsets { group, wanted, .. } = fetch;
        let what = What::Offsets {
            group,
            wanted,
            told: Vec::new(),
        };
        self.begin_reading(Reading { ticket, what })
    }

    /// Answers at once where one slice is enough.
    fn begin_reading(&mut self, reading: Reading) -> Effects {
        let mut effects = Effects::default();
        if let Some(reading) = self.read_slice(reading, &mut effects) {
            self.chores.read(reading);
        }
        effects
    }

    /// One slice. What is left of the reading, unless it is answered.
    pub(super) fn read_slice(&self, mut reading: Reading, effects: &mut Effects) -> Option<Reading> {
        let is_done = match &mut reading.what {
            What::Groups(listed) => self.list_slice(listed),
            What::Offsets { group, wanted, told } => {
                self.offsets.fetch(group, wanted.as_deref(), told, OFFSETS_PER_SLICE)
            }
        };
        if !is_done {
            return Some(reading);
        }
        let answer = match reading.what {
            What::Groups(listed) => Answer::List(Ok(listed)),
            What::Offsets { told, .. } => Answer::FetchOffsets(Ok(told)),
        };
        effects.give(reading.ticket, answer);
        None
    }

    fn list_slice(&self, listed: &mut Vec<Listed>) -> bool {
        let after = listed.last().map(|last| Arc::clone(&last.group));
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let before = listed.len();
        let groups = self.groups.range::<Arc<str>, _>((from, Bound::Unbounded));
        listed.extend(groups.take(GROUPS_PER_SLICE).map(|(_, group)| group.list()));
        listed.len() - before < GROUPS_PER_SLICE
    }
}

impl Reading {
    /// Its coordinator ends.
    pub(super) fn refuse(self, error: GroupError, effects: &mut Effects) {
        let refused = match self.what {
            What::Groups(_) => Answer::List(Err(error)),
            What::Offsets { .. } => Answer::FetchOffsets(Err(error)),
        };
        effects.give(self.ticket, refused);
    }
}
