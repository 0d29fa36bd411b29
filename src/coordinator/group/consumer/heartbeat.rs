//! ConsumerGroupHeartbeat: the one request by which a member joins, stays, says what it owns, and leaves.
//!
//! Kafka: `GroupMetadataManager.consumerGroupHeartbeat`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::time::TimestampMs;
use crate::coordinator::group::GroupError;

use super::assign::Assignor;
use super::member::{EPOCH_AWAY, current_to_value};
use super::record::{ConsumerRecord, What};
use super::{Assignment, Catalogue, ClassicMember, Config, Group, Member, MemberState, Owned};

/// The epoch with which a member joins.
const EPOCH_JOIN: i32 = 0;

/// The epoch with which a member leaves.
const EPOCH_LEAVE: i32 = -1;

/// What a member says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Heartbeat {
    pub group: Arc<str>,
    /// Made by the client; empty in version 0 of a member that joins: then the caller puts one in.
    pub member_id: Arc<str>,
    pub member_epoch: i32,
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// -1: as before. So are all that are `None`.
    pub rebalance_timeout_ms: i32,
    pub subscribed_names: Option<BTreeSet<Arc<str>>>,
    /// Empty for none.
    pub subscribed_regex: Option<Arc<str>>,
    pub assignor: Option<Arc<str>>,
    pub owned: Option<Assignment>,
    /// Of a member that joins by the classic protocol.
    pub classic: Option<ClassicJoin>,
}

/// What a member says beside a heartbeat, as it joins by the classic protocol.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ClassicJoin {
    pub member: ClassicMember,
    /// It came without an id, which it was given.
    pub has_fresh_id: bool,
}

/// What it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beaten {
    pub member_id: Arc<str>,
    pub member_epoch: i32,
    /// Only when there is something to tell.
    pub assigned: Option<Owned>,
}

/// Why it is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("ServerAssignor {0} is not supported. Supported assignors: {1}.")]
    UnsupportedAssignor(Arc<str>, String),
    #[error("{0}")]
    Coordinator(GroupError),
    #[error("Consumer group {0} not found.")]
    GroupNotFound(Arc<str>),
    #[error("Group {0} not found.")]
    LeftGroupNotFound(Arc<str>),
    #[error("Group {0} is not a consumer group.")]
    OtherProtocol(Arc<str>),
    #[error("The consumer group has reached its maximum capacity of {0} members.")]
    Full(usize),
    #[error("Member {0} is not a member of group {1}.")]
    UnknownMember(Arc<str>, Arc<str>),
    #[error("Instance id {0} is unknown.")]
    UnknownInstance(Arc<str>),
    #[error(
        "Static member {member} with instance id {instance} cannot join the group because the instance id is owned by {owner} member."
    )]
    UnreleasedInstance {
        member: Arc<str>,
        instance: Arc<str>,
        owner: Arc<str>,
    },
    #[error("Static member {member} with instance id {instance} was fenced by member {owner}.")]
    FencedInstance {
        member: Arc<str>,
        instance: Arc<str>,
        owner: Arc<str>,
    },
    #[error(
        "The consumer group member has a {compared} member epoch ({said}) than the one known by the group coordinator ({known}). The member must abandon all its partitions and rejoin."
    )]
    FencedEpoch {
        compared: &'static str,
        said: i32,
        known: i32,
    },
    #[error("SubscribedTopicRegex `{0}` is not a valid regular expression: {1}.")]
    InvalidRegex(Arc<str>, String),
}

/// What comes of a heartbeat.
#[derive(Clone, PartialEq, Debug)]
#[must_use]
pub struct Outcome {
    pub records: Vec<ConsumerRecord>,
    pub beaten: Beaten,
    /// The member as it is after the records; `None` when it has left.
    pub member: Option<Member>,
    /// A member that this one has taken the place of.
    pub replaced: Option<Arc<str>>,
    /// The targets are older than the group, and too many to be computed at once.
    pub is_unassigned: bool,
    /// Topics are too many for the member's regular expression to be resolved at once.
    pub is_unresolved: bool,
}

impl Outcome {
    /// Whether the group has another epoch by it.
    #[must_use]
    pub fn bumps(&self) -> bool {
        self.records.iter().any(|record| matches!(record.what, What::Group(_)))
    }
}

/// What a heartbeat rests on, beside the group.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    pub catalogue: &'a dyn Catalogue,
    /// Whether topics may have changed since the last heartbeat of the group.
    pub has_news: bool,
    pub config: &'a Config,
    pub now: TimestampMs,
}

impl Heartbeat {
    /// Refuses what no member says, whatever the group.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, assignors: &[Assignor]) -> Result<(), Refused> {
        let is_empty = |text: &Option<Arc<str>>| text.as_ref().is_some_and(|text| text.is_empty());
        let invalid = |text| Err(Refused::Invalid(text));
        if self.member_id.is_empty() {
            return invalid("MemberId can't be empty.");
        }
        if self.group.is_empty() {
            return invalid("GroupId can't be empty.");
        }
        if is_empty(&self.instance_id) {
            return invalid("InstanceId can't be empty.");
        }
        if is_empty(&self.rack_id) {
            return invalid("RackId can't be empty.");
        }
        match self.member_epoch {
            EPOCH_JOIN if self.rebalance_timeout_ms == -1 => {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            EPOCH_JOIN if !self.owned.as_ref().is_some_and(Assignment::is_empty) => {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            EPOCH_JOIN if self.subscribed_names.is_none() && self.subscribed_regex.is_none() => {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                );
            }
            EPOCH_AWAY if self.instance_id.is_none() => return invalid("InstanceId can't be null."),
            ..EPOCH_AWAY => return invalid("MemberEpoch is invalid."),
            EPOCH_AWAY.. => {}
        }
        match &self.assignor {
            Some(name) if !assignors.iter().any(|known| known.name() == &**name) => {
                let known: Vec<&str> = assignors.iter().map(|known| known.name()).collect();
                Err(Refused::UnsupportedAssignor(Arc::clone(name), known.join(", ")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the member comes, or comes again.
    #[must_use]
    pub fn is_joining(&self) -> bool {
        self.member_epoch == EPOCH_JOIN
    }

    /// Whether the member goes, for ever or for a while.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(self.member_epoch, EPOCH_LEAVE | EPOCH_AWAY)
    }

    /// Whether it says anything of the member that is not known.
    fn changes(&self, member: &Member) -> bool {
        let differs = |said: &Option<Arc<str>>, known: &Option<Arc<str>>| said.is_some() && said != known;
        let regex = self.subscribed_regex.as_ref();
        let names = self.subscribed_names.as_ref();
        self.client_id != member.client_id
            || member.classic.is_some()
            || self.client_host != member.client_host
            || differs(&self.instance_id, &member.instance_id)
            || differs(&self.rack_id, &member.rack_id)
            || differs(&self.assignor, &member.assignor)
            || (self.rebalance_timeout_ms != -1 && self.rebalance_timeout_ms != member.rebalance_timeout_ms)
            || names.is_some_and(|names| *names != member.subscribed_names)
            || regex.is_some_and(|regex| **regex != *member.subscribed_regex.as_deref().unwrap_or_default())
    }

    /// Whether it says all that a member can say: then it is told all.
    fn is_full(&self) -> bool {
        let is_subscribed = self.subscribed_names.is_some() || self.subscribed_regex.is_some();
        self.rebalance_timeout_ms != -1 && is_subscribed && self.owned.is_some()
    }

    /// The member as it wants to be.
    fn changed(&self, member: &Member) -> Member {
        let mut changed = member.clone();
        changed.client_id = Arc::clone(&self.client_id);
        changed.client_host = Arc::clone(&self.client_host);
        changed.classic = self.classic.as_ref().map(|classic| classic.member.clone());
        if let Some(instance_id) = &self.instance_id {
            changed.instance_id = Some(Arc::clone(instance_id));
        }
        if let Some(rack_id) = &self.rack_id {
            changed.rack_id = Some(Arc::clone(rack_id));
        }
        if self.rebalance_timeout_ms != -1 {
            changed.rebalance_timeout_ms = self.rebalance_timeout_ms;
        }
        if let Some(assignor) = &self.assignor {
            changed.assignor = Some(Arc::clone(assignor));
        }
        if let Some(names) = &self.subscribed_names {
            changed.subscribed_names.clone_from(names);
        }
        if let Some(regex) = &self.subscribed_regex {
            changed.subscribed_regex = (!regex.is_empty()).then(|| Arc::clone(regex));
        }
        changed
    }
}

/// The member that a heartbeat is of.
struct Found {
    member: Member,
    replaces: Option<Arc<str>>,
}

impl Group {
    /// The answer to a heartbeat that changes nothing, as most do: it costs next to nothing, whatever the size of the group.
    #[must_use]
    pub fn idle(&self, beat: &Heartbeat, around: &Surroundings<'_>) -> Option<Beaten> {
        let member = self.member(&beat.member_id)?;
        let current = &member.current;
        let is_at_rest = current.state == MemberState::Stable
            && current.epoch == self.target_epoch
            && self.target_epoch == self.epoch
            && beat.member_epoch == self.epoch;
        if !is_at_rest || beat.is_joining() || around.has_news || beat.changes(member) {
            return None;
        }
        Some(Beaten {
            member_id: Arc::clone(&beat.member_id),
            member_epoch: current.epoch,
            assigned: beat.is_full().then(|| current.assigned.clone()),
        })
    }

    /// Takes a heartbeat that was [checked](Heartbeat::check). Nothing changes before the records are replayed, in their order.
    ///
    /// # Errors
    /// Why the member is refused.
    pub fn heartbeat(&self, beat: &Heartbeat, around: &Surroundings<'_>) -> Result<Outcome, Refused> {
        let Surroundings { catalogue, config, .. } = *around;
        if beat.is_leaving() {
            return self.leave(beat, catalogue);
        }
        if beat.is_joining() && self.members.len() >= config.members_max && !self.members.contains_key(&beat.member_id)
        {
            return Err(Refused::Full(config.members_max));
        }
        let Found { member, replaces } = self.find(beat)?;
        let is_new = !self.members.contains_key(&beat.member_id);
        let changed = beat.changed(&member);
        let mut turn = super::target::Turn::new(self, around, &beat.member_id, changed, replaces.as_ref());
        if let Some(replaced) = &replaces {
            turn.replace(replaced);
        } else if is_new || turn.member.subscription_value() != member.subscription_value() {
            turn.keep_subscription();
        }
        let is_other_regex = turn.member.subscribed_regex != member.subscribed_regex;
        if is_other_regex || is_new {
            turn.resolve_regex()?;
        }
        let is_other = is_other_regex || turn.member.subscribed_names != member.subscribed_names;
        let is_changed = is_new && replaces.is_none() || is_other;
        if is_changed || replaces.is_some() || around.has_news {
            turn.bump(is_changed);
        }
        let is_unassigned = !turn.assign();
        let next = turn.reconcile(beat);
        let is_told = beat.is_joining() || beat.is_full() || !next.assigned.has_the_same(&member.current.assigned);
        if next != turn.member.current {
            let value = current_to_value(&next);
            turn.keep(What::Current(Arc::clone(&beat.member_id), Some(value)));
        }
        let is_unresolved = turn.is_unresolved;
        let (records, mut member) = turn.finish();
        member.current = next;
        Ok(Outcome {
            records,
            beaten: Beaten {
                member_id: Arc::clone(&beat.member_id),
                member_epoch: member.current.epoch,
                assigned: is_told.then(|| member.current.assigned.clone()),
            },
            member: Some(member),
            replaced: replaces,
            is_unassigned,
            is_unresolved,
        })
    }

    fn find(&self, beat: &Heartbeat) -> Result<Found, Refused> {
        let Some(instance) = &beat.instance_id else {
            return match self.member(&beat.member_id) {
                Some(member) => {
                    check_epoch(member, beat)?;
                    Ok(Found {
                        member: member.clone(),
                        replaces: None,
                    })
                }
                None if beat.is_joining() => Ok(Found {
                    member: Member::default(),
                    replaces: None,
                }),
                None => Err(self.unknown(beat)),
            };
        };
        let owner = self.instances.get(instance);
        let existing = owner.and_then(|owner| Some((owner, self.member(owner)?)));
        let Some((owner, member)) = existing else {
            if beat.is_joining() {
                return Ok(Found {
                    member: Member::default(),
                    replaces: None,
                });
            }
            return Err(Refused::UnknownInstance(Arc::clone(instance)));
        };
        let is_same = *owner == beat.member_id;
        if beat.is_joining() {
            match &beat.classic {
                Some(classic) if classic.has_fresh_id => {}
                Some(_) => {
                    check_instance(instance, owner, beat)?;
                    return Ok(Found {
                        member: member.clone(),
                        replaces: None,
                    });
                }
                None if is_same || member.current.epoch == EPOCH_AWAY => {}
                None => {
                    return Err(Refused::UnreleasedInstance {
                        member: Arc::clone(&beat.member_id),
                        instance: Arc::clone(instance),
                        owner: Arc::clone(owner),
                    });
                }
            }
            let mut member = member.clone();
            member.current.epoch = 0;
            member.current.previous_epoch = 0;
            return Ok(Found {
                member,
                replaces: Some(Arc::clone(owner)),
            });
        }
        check_instance(instance, owner, beat)?;
        check_epoch(member, beat)?;
        Ok(Found {
            member: member.clone(),
            replaces: None,
        })
    }

    fn unknown(&self, beat: &Heartbeat) -> Refused {
        Refused::UnknownMember(Arc::clone(&beat.member_id), Arc::clone(&self.id))
    }

    /// A member goes, or a static one is away for a while.
    fn leave(&self, beat: &Heartbeat, catalogue: &dyn Catalogue) -> Result<Outcome, Refused> {
        let member = match &beat.instance_id {
            None => self.member(&beat.member_id).ok_or_else(|| self.unknown(beat))?,
            Some(instance) => {
                let owner = self.instances.get(instance);
                let owner = owner.ok_or_else(|| Refused::UnknownInstance(Arc::clone(instance)))?;
                check_instance(instance, owner, beat)?;
                self.member(owner).ok_or_else(|| self.unknown(beat))?
            }
        };
        let is_away = beat.member_epoch == EPOCH_AWAY;
        let (records, member) = if is_away {
            let away = self.away(member);
            let value = current_to_value(&away.current);
            let what = What::Current(Arc::clone(&beat.member_id), Some(value));
            (vec![self.record(what)], Some(away))
        } else {
            (self.fence(&[&beat.member_id], catalogue), None)
        };
        Ok(Outcome {
            records,
            beaten: Beaten {
                member_id: Arc::clone(&beat.member_id),
                member_epoch: beat.member_epoch,
                assigned: None,
            },
            member,
            replaced: None,
            is_unassigned: false,
            is_unresolved: false,
        })
    }

    /// A static member that keeps what it has while it is away.
    fn away(&self, member: &Member) -> Member {
        let mut away = member.clone();
        away.current.epoch = EPOCH_AWAY;
        away.current.pending_revocation = Owned::default();
        let mut assigned = Owned::default();
        for (topic, partition, _) in member.current.assigned.iter() {
            assigned.insert(topic, partition, 0);
        }
        away.current.assigned = assigned;
        away
    }
}

fn check_instance(instance: &Arc<str>, owner: &Arc<str>, beat: &Heartbeat) -> Result<(), Refused> {
    if *owner == beat.member_id {
        return Ok(());
    }
    Err(Refused::FencedInstance {
        member: Arc::clone(&beat.member_id),
        instance: Arc::clone(instance),
        owner: Arc::clone(owner),
    })
}

/// A member may be one epoch behind: the answer that told it may have been lost. It must not own more than it was told then.
fn check_epoch(member: &Member, beat: &Heartbeat) -> Result<(), Refused> {
    let (said, known) = (beat.member_epoch, member.current.epoch);
    let fenced = |compared| Refused::FencedEpoch { compared, said, known };
    if beat.is_joining() || said == known {
        return Ok(());
    }
    if said > known {
        return Err(fenced("greater"));
    }
    let owns_no_more = beat
        .owned
        .as_ref()
        .is_some_and(|owned| owned.is_within(&member.current.assigned));
    if said == member.current.previous_epoch && owns_no_more {
        Ok(())
    } else {
        Err(fenced("smaller"))
    }
}
