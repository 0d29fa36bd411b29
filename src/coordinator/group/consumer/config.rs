//! What consumer groups have to know of the broker's settings.

use std::time::Duration;

use super::assign::Assignor;

/// `group.consumer.migration.policy`: which groups change their protocol while they have members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Migration {
    /// Classic groups that a member of the consumer protocol joins.
    pub upgrades: bool,
    /// Consumer groups that the last member of the consumer protocol leaves.
    pub downgrades: bool,
}

/// What one group has of its own.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tuning {
    pub session_timeout: Option<Duration>,
    pub assignment_interval: Option<Duration>,
}

/// The settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `group.consumer.assignors`: the first is that of groups whose members want none.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.max.size`
    pub members_max: usize,
    /// `group.consumer.session.timeout.ms`
    pub session_timeout: Duration,
    /// `group.consumer.assignment.interval.ms`: from one assignment of a group to the next.
    pub assignment_interval: Duration,
    pub migration: Migration,
    /// Members and partitions of a group that is assigned within a heartbeat; larger ones are in steps.
    pub assigned_at_once_max: usize,
    /// Topics of a cluster in which a regular expression is resolved within a heartbeat; in more, it is in steps.
    pub resolved_at_once_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            assignors: Assignor::ALL.to_vec(),
            members_max: usize::MAX,
            session_timeout: Duration::from_secs(45),
            assignment_interval: Duration::from_secs(1),
            migration: Migration {
                upgrades: true,
                downgrades: true,
            },
            assigned_at_once_max: 1000,
            resolved_at_once_max: 1000,
        }
    }
}
