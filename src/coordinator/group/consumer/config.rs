//! What consumer groups have to know of the broker's settings.

use super::assign::Assignor;

/// The settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `group.consumer.assignors`: the first is that of groups whose members want none.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.max.size`
    pub members_max: usize,
    /// Members and partitions of a group that is assigned within a heartbeat; larger ones are in steps.
    pub assigned_at_once_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            assignors: Assignor::ALL.to_vec(),
            members_max: usize::MAX,
            assigned_at_once_max: 1000,
        }
    }
}
