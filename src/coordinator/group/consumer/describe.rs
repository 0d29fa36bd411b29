//! A consumer group for people and tools.

use std::sync::Arc;

use crate::coordinator::group::types::Listed;

use super::{Assignment, Config, Group, Member};

/// A group, as ConsumerGroupDescribe tells it.
#[derive(Clone, PartialEq, Debug)]
pub struct Described {
    pub state: &'static str,
    pub epoch: i32,
    pub target_epoch: i32,
    pub assignor: &'static str,
    pub members: Vec<DescribedMember>,
}

/// A member, with what it is to have.
#[derive(Clone, PartialEq, Debug)]
pub struct DescribedMember {
    pub id: Arc<str>,
    pub member: Arc<Member>,
    pub target: Arc<Assignment>,
}

impl Group {
    /// As ConsumerGroupDescribe tells it. It takes little for each member: what a member has is shared with the group.
    #[must_use]
    pub fn describe(&self, config: &Config) -> Described {
        let members = self.members.iter().map(|(id, member)| DescribedMember {
            id: Arc::clone(id),
            member: Arc::clone(member),
            target: self.targets.get(id).cloned().unwrap_or_default(),
        });
        Described {
            state: self.state().name(),
            epoch: self.epoch,
            target_epoch: self.target_epoch,
            assignor: self.assignor(config).name(),
            members: members.collect(),
        }
    }

    /// As ListGroups tells it.
    #[must_use]
    pub fn list(&self) -> Listed {
        Listed {
            group: Arc::clone(&self.id),
            protocol_type: Some("consumer".into()),
            state: self.state().name(),
            group_type: "consumer",
        }
    }
}
