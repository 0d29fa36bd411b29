//! Who is to have which partition: the assignors of the broker.
//!
//! An assignment goes on in steps ([`Assigning::advance`]), so that a large group does not hold a core.

mod range;
#[cfg(test)]
mod tests;
mod uniform;

use std::sync::Arc;

use crate::base::ids::TopicId;

use super::Assignment;
use range::Range;
use uniform::Uniform;

/// A rule by which partitions are assigned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Assignor {
    /// As evenly as can be, with as few moves as can be.
    Uniform,
    /// Neighbouring partitions of each topic; those of one number, of topics of one size, go to the same member.
    Range,
}

impl Assignor {
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// As clients and settings call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }
}

/// A topic that somebody is subscribed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Topic {
    pub id: TopicId,
    pub partitions: i32,
}

/// A member, as assignors see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    pub id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    /// Places among the topics, ascending.
    pub subscribed: Vec<usize>,
    /// What it was to have before.
    pub before: Assignment,
}

/// Whom to assign what.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Input {
    pub topics: Vec<Topic>,
    pub members: Vec<Candidate>,
}

/// Partitions in the order in which they were dealt out: making an [`Assignment`] of them is left to who needs it, member by member.
pub type Dealt = Vec<(TopicId, i32)>;

/// An assignment in the making.
#[derive(Debug)]
pub enum Assigning {
    Uniform(Box<Uniform>),
    Range(Range),
}

impl Assigning {
    #[must_use]
    pub fn begin(assignor: Assignor, input: Input) -> Self {
        match assignor {
            Assignor::Uniform => Self::Uniform(Box::new(Uniform::new(input))),
            Assignor::Range => Self::Range(Range::new(input)),
        }
    }

    /// Does about so many partitions' worth of work; true when there is nothing left to do.
    pub fn advance(&mut self, steps: usize) -> bool {
        match self {
            Self::Uniform(uniform) => uniform.advance(steps),
            Self::Range(range) => range.advance(steps),
        }
    }

    /// What each member is to have, in the order of the members. Whole once [`advance`](Self::advance) has said so.
    #[must_use]
    pub fn finish(self) -> Vec<(Arc<str>, Dealt)> {
        let (input, assigned) = match self {
            Self::Uniform(uniform) => uniform.finish(),
            Self::Range(range) => range.finish(),
        };
        let ids = input.members.into_iter().map(|member| member.id);
        ids.zip(assigned).collect()
    }
}

/// All of it at once.
#[must_use]
pub fn assign(assignor: Assignor, input: Input) -> Vec<(Arc<str>, Assignment)> {
    let mut assigning = Assigning::begin(assignor, input);
    while !assigning.advance(usize::MAX) {}
    let dealt = assigning.finish().into_iter();
    dealt.map(|(id, dealt)| (id, dealt.into_iter().collect())).collect()
}
