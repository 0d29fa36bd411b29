//! What an assignor has to know of a group, put together member by member.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::assign::{Assigning, Assignor, Candidate, Input, Topic};
use super::{Assignment, Catalogue, Config, Group, Member};

/// The input of an assignor in the making.
#[derive(Debug)]
pub struct Gathering {
    /// The epoch of the group when it began: members that come later are for another.
    epoch: i32,
    /// The last member that is in it.
    after: Option<Arc<str>>,
    input: Input,
    /// The place of each topic in the input.
    places: BTreeMap<Arc<str>, usize>,
    votes: BTreeMap<Assignor, usize>,
}

impl Gathering {
    #[must_use]
    pub fn new(epoch: i32) -> Self {
        Self {
            epoch,
            after: None,
            input: Input::default(),
            places: BTreeMap::new(),
            votes: BTreeMap::new(),
        }
    }

    /// Adds members of a group until about so many partitions and members are looked at; true when all are in.
    pub fn advance(&mut self, group: &Group, catalogue: &dyn Catalogue, steps: usize) -> bool {
        let from = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut done = 0;
        for (id, member) in group.members.range((from, Bound::Unbounded)) {
            if done >= steps {
                return false;
            }
            let topics = group.topics_of(member, catalogue);
            let before = group.target(id);
            done += 1 + topics.len() + before.map_or(0, Assignment::len);
            self.add(id, member, &topics, before);
            self.after = Some(Arc::clone(id));
        }
        true
    }

    /// Adds one member, with the topics that it wants and what it was to have before.
    pub(super) fn add(
        &mut self,
        id: &Arc<str>,
        member: &Member,
        topics: &BTreeMap<&str, Topic>,
        before: Option<&Assignment>,
    ) {
        let mut subscribed = Vec::with_capacity(topics.len());
        for (name, topic) in topics {
            let place = match self.places.get(*name) {
                Some(place) => *place,
                None => {
                    self.input.topics.push(*topic);
                    let place = self.input.topics.len() - 1;
                    self.places.insert(Arc::from(*name), place);
                    place
                }
            };
            subscribed.push(place);
        }
        subscribed.sort_unstable();
        if let Some(assignor) = member.assignor.as_deref().and_then(Assignor::by_name) {
            *self.votes.entry(assignor).or_default() += 1;
        }
        self.input.members.push(Candidate {
            id: Arc::clone(id),
            instance_id: member.instance_id.clone(),
            subscribed,
            before: before.cloned().unwrap_or_default(),
        });
    }

    /// The assignor at its beginning, and the epoch that it is for.
    #[must_use]
    pub fn finish(self, config: &Config) -> (i32, Assigning) {
        (
            self.epoch,
            Assigning::begin(most_wanted(self.votes, config), self.input),
        )
    }
}

/// The assignor that most members want; the first of the settings where they want none.
fn most_wanted(votes: BTreeMap<Assignor, usize>, config: &Config) -> Assignor {
    let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
    let first = config.assignors.first().copied().unwrap_or(Assignor::Uniform);
    most.map_or(first, |(assignor, _)| assignor)
}

impl Group {
    /// The assignor that the group has now.
    #[must_use]
    pub fn assignor(&self, config: &Config) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|member| member.assignor.as_ref()) {
            if let Some(assignor) = Assignor::by_name(name) {
                *votes.entry(assignor).or_default() += 1;
            }
        }
        most_wanted(votes, config)
    }
}
