//! Work of a coordinator that is too much for one step: targets of large groups, regular expressions over many topics, what concerns all
//! members of a large classic group, long answers.
//!
//! A chore is done in slices ([`Coordinator::work`]), between which requests are served; what it finds comes out as records, and it looks at
//! the group again in each slice: the group may have changed or gone. A group that changed while its targets were computed has another
//! epoch, and gets others by another chore.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::consumer::assign::{Assigning, Dealt};
use super::consumer::{Gathering, Resolving};
use super::deletion::Deletion;
use super::reading::Reading;
use super::types::GroupError;
use super::{Coordinator, Effects, Now, Record};

/// Partitions that an assignor looks at in one slice.
const ASSIGNED_PER_SLICE: usize = 200;

/// Members and partitions that are gathered in one slice.
const GATHERED_PER_SLICE: usize = 200;

/// Partitions whose targets are kept in one slice; at least one member's.
const ADOPTED_PER_SLICE: usize = 200;

/// Names that are compared with a regular expression in one slice.
const NAMES_PER_SLICE: usize = 200;

/// Groups that are looked at in one slice.
const GROUPS_PER_SLICE: usize = 200;

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Chores {
    /// Groups whose targets are older than they are.
    unassigned: BTreeSet<Arc<str>>,
    /// Groups whose regular expressions are to be resolved, again or for the first time.
    unresolved: BTreeSet<Arc<str>>,
    /// Groups of the classic protocol that were of the other: their members have to join.
    to_rebalance: BTreeSet<Arc<str>>,
    /// Groups of the classic protocol with slices to do.
    sliced: BTreeSet<Arc<str>>,
    /// Topics have changed: groups with regular expressions are looked for, from the beginning.
    looks_at_regexes: bool,
    /// Groups that are deleted, each with many offsets.
    deletions: VecDeque<Deletion>,
    /// Answers of which slices are made.
    readings: VecDeque<Reading>,
    doing: Option<Doing>,
}

/// What is being done.
#[derive(Debug)]
enum Doing {
    /// Looking for groups with regular expressions, after this one.
    Looking(Option<Arc<str>>),
    Resolving {
        group: Arc<str>,
        resolving: Option<Box<Resolving>>,
        left: Vec<Arc<str>>,
    },
    Gathering {
        group: Arc<str>,
        gathering: Box<Gathering>,
    },
    Assigning {
        group: Arc<str>,
        epoch: i32,
        assigning: Box<Assigning>,
    },
    Adopting {
        group: Arc<str>,
        epoch: i32,
        targets: VecDeque<(Arc<str>, Dealt)>,
    },
}

impl Chores {
    pub(super) fn assign(&mut self, group: &Arc<str>) {
        self.unassigned.insert(Arc::clone(group));
    }

    pub(super) fn resolve(&mut self, group: &Arc<str>) {
        self.unresolved.insert(Arc::clone(group));
    }

    pub(super) fn rebalance(&mut self, group: &Arc<str>) {
        self.to_rebalance.insert(Arc::clone(group));
    }

    pub(super) fn slice(&mut self, group: &Arc<str>) {
        self.sliced.insert(Arc::clone(group));
    }

    pub(super) fn delete(&mut self, deletion: Deletion) {
        self.deletions.push_back(deletion);
    }

    pub(super) fn read(&mut self, reading: Reading) {
        self.readings.push_back(reading);
    }

    /// Refuses what is to be answered.
    pub(super) fn refuse_waiting(&mut self, error: GroupError, effects: &mut Effects) {
        for deletion in self.deletions.drain(..) {
            deletion.refuse(error, effects);
        }
        for reading in self.readings.drain(..) {
            reading.refuse(error, effects);
        }
    }

    pub(super) fn look_at_regexes(&mut self) {
        self.looks_at_regexes = true;
    }

    fn is_empty(&self) -> bool {
        let has_groups =
            [&self.unassigned, &self.unresolved, &self.to_rebalance, &self.sliced].map(|groups| !groups.is_empty());
        let has_asked = !self.deletions.is_empty() || !self.readings.is_empty();
        self.doing.is_none() && !has_asked && !has_groups.contains(&true) && !self.looks_at_regexes
    }
}

impl Coordinator {
    /// Whether there is work to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.chores.is_empty()
    }

    /// Does one slice of work; the records are to be kept before the next.
    pub fn work(&mut self, now: Now) -> Effects {
        let mut effects = Effects::default();
        if let Some(id) = self.chores.to_rebalance.pop_first() {
            if let Some((group, mut turn)) = self.classic_mut(&id, now, &mut effects) {
                group.begin_anew(&mut turn);
            }
            return effects;
        }
        if let Some(id) = self.chores.sliced.pop_first() {
            if let Some((group, mut turn)) = self.classic_mut(&id, now, &mut effects) {
                group.do_slice(&mut turn);
            }
            return effects;
        }
        if let Some(deletion) = self.chores.deletions.pop_front() {
            let left = self.delete_slice(deletion, &mut effects);
            self.chores.deletions.extend(left);
            return effects;
        }
        if let Some(reading) = self.chores.readings.pop_front() {
            let left = self.read_slice(reading, &mut effects);
            self.chores.readings.extend(left);
            return effects;
        }
        let doing = self.chores.doing.take().or_else(|| self.next_chore(now));
        if let Some(doing) = doing {
            self.chores.doing = self.slice(doing, now, &mut effects.records);
        }
        effects
    }

    fn next_chore(&mut self, now: Now) -> Option<Doing> {
        if std::mem::take(&mut self.chores.looks_at_regexes) {
            return Some(Doing::Looking(None));
        }
        if let Some(group) = self.chores.unresolved.pop_first() {
            let left = self.consumer(&group)?.regexes().cloned().collect();
            return Some(Doing::Resolving {
                group,
                resolving: None,
                left,
            });
        }
        let group = self.chores.unassigned.pop_first()?;
        let live = self.consumer(&group)?;
        if !live.is_unassigned() || !live.may_be_assigned(self.consumer_config(&group), now.wall) {
            // The next heartbeat after the interval asks again.
            return None;
        }
        let epoch = live.epoch();
        Some(Doing::Gathering {
            group,
            gathering: Box::new(Gathering::new(epoch)),
        })
    }

    /// One slice; what comes next, if the chore is not done.
    fn slice(&mut self, doing: Doing, now: Now, records: &mut Vec<Record>) -> Option<Doing> {
        match doing {
            Doing::Looking(after) => self.look(after),
            Doing::Resolving { group, resolving, left } => self.resolve(group, resolving, left, now, records),
            Doing::Gathering { group, mut gathering } => {
                let live = self.consumer(&group)?;
                if !gathering.advance(live, &*self.catalogue, GATHERED_PER_SLICE) {
                    return Some(Doing::Gathering { group, gathering });
                }
                let (epoch, assigning) = gathering.finish(self.consumer_config(&group));
                let assigning = Box::new(assigning);
                Some(Doing::Assigning {
                    group,
                    epoch,
                    assigning,
                })
            }
            Doing::Assigning {
                group,
                epoch,
                mut assigning,
            } => {
                if !assigning.advance(ASSIGNED_PER_SLICE) {
                    return Some(Doing::Assigning {
                        group,
                        epoch,
                        assigning,
                    });
                }
                Some(Doing::Adopting {
                    group,
                    epoch,
                    targets: assigning.finish().into(),
                })
            }
            Doing::Adopting { group, epoch, targets } => self.adopt(group, epoch, targets, now, records),
        }
    }

    fn look(&mut self, after: Option<Arc<str>>) -> Option<Doing> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        for (place, (id, group)) in self.groups.range((from, Bound::Unbounded)).enumerate() {
            if place == GROUPS_PER_SLICE {
                return last.map(|last| Doing::Looking(Some(last)));
            }
            if group
                .as_consumer()
                .is_some_and(|group| group.regexes().next().is_some())
            {
                self.chores.unresolved.insert(Arc::clone(id));
            }
            last = Some(Arc::clone(id));
        }
        None
    }

    fn resolve(
        &self,
        group: Arc<str>,
        resolving: Option<Box<Resolving>>,
        mut left: Vec<Arc<str>>,
        now: Now,
        records: &mut Vec<Record>,
    ) -> Option<Doing> {
        let live = self.consumer(&group)?;
        let resolving = match resolving {
            Some(resolving) => Some(resolving),
            // One that came from a log, and that is not understood here, has no topics.
            None => Resolving::begin(left.pop()?).ok().map(Box::new),
        };
        let resolving = match resolving {
            Some(mut resolving) => {
                if resolving.advance(&*self.catalogue, NAMES_PER_SLICE) {
                    records.extend(live.resolved(*resolving, now.wall).map(Record::Consumer));
                    None
                } else {
                    Some(resolving)
                }
            }
            None => None,
        };
        Some(Doing::Resolving { group, resolving, left })
    }

    fn adopt(
        &self,
        group: Arc<str>,
        epoch: i32,
        mut targets: VecDeque<(Arc<str>, Dealt)>,
        now: Now,
        records: &mut Vec<Record>,
    ) -> Option<Doing> {
        let live = self.consumer(&group)?;
        if epoch <= live.target_epoch() {
            return None;
        }
        let (mut done, mut count) = (0, 0);
        while let Some((_, target)) = targets.get(count)
            && done < ADOPTED_PER_SLICE
        {
            done += 1 + target.len();
            count += 1;
        }
        records.extend(live.adopt(targets.drain(..count)).into_iter().map(Record::Consumer));
        if targets.is_empty() {
            records.extend(live.adopted(epoch, now.wall).map(Record::Consumer));
            return None;
        }
        Some(Doing::Adopting { group, epoch, targets })
    }
}
