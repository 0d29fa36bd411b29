//! A group for people and tools.

use std::sync::Arc;

use bytes::Bytes;

use crate::coordinator::group::types::{Described, DescribedMember, Listed};

use super::{Group, State};

impl Group {
    /// As DescribeGroups tells it.
    #[must_use]
    pub fn describe(&self) -> Described {
        let is_stable = self.state == State::Stable;
        let members = self.members.iter().map(|(id, member)| DescribedMember {
            member_id: Arc::clone(id),
            instance_id: member.instance_id.clone(),
            client_id: Arc::clone(&member.client_id),
            client_host: Arc::clone(&member.client_host),
            metadata: match is_stable {
                true => member.metadata(self.protocol.as_ref()),
                false => Bytes::new(),
            },
            assignment: member.assignment.clone(),
        });
        Described {
            state: self.state.name(),
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone().filter(|_| is_stable),
            members: members.collect(),
        }
    }

    /// As ListGroups tells it.
    #[must_use]
    pub fn list(&self) -> Listed {
        Listed {
            group: Arc::clone(&self.id),
            protocol_type: self.protocol_type.clone(),
            state: self.state.name(),
            group_type: "classic",
        }
    }
}
