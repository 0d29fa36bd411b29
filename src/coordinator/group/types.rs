//! What a coordinator is asked, and what it answers. Owned values: they cross cores.

use std::sync::Arc;

use bytes::Bytes;

use crate::base::ids::{LeaderEpoch, TopicId};
use crate::base::offset::Offset;

use super::consumer;

/// Names a request until it is answered; the caller gives each another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// What is asked, of one group where it is not said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Join(Join),
    Sync(Sync),
    Heartbeat(Heartbeat),
    Leave(Leave),
    CommitOffsets(CommitOffsets),
    FetchOffsets(FetchOffsets),
    DeleteOffsets(DeleteOffsets),
    /// Of several groups.
    Describe(Vec<Arc<str>>),
    /// All groups.
    List,
    /// Of several groups.
    Delete(Vec<Arc<str>>),
    ConsumerHeartbeat(Box<consumer::Heartbeat>),
    /// Of several groups of the consumer protocol.
    DescribeConsumers(Vec<Arc<str>>),
}

/// The answer to the request of its name.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Join(Result<Joined, JoinRefused>),
    Sync(Result<Synced, GroupError>),
    Heartbeat(Result<(), GroupError>),
    Leave(Result<Vec<LeftMember>, GroupError>),
    /// Tags of the offsets whose metadata is too long; all others are committed.
    CommitOffsets(Result<Vec<u32>, GroupError>),
    FetchOffsets(Result<Vec<FetchedTopic>, GroupError>),
    /// Tags of the offsets that are not deleted, as members are subscribed to their topics.
    DeleteOffsets(Result<Vec<u32>, GroupError>),
    /// In the order of the request.
    Describe(Result<Vec<Result<Described, DescribeRefused>>, GroupError>),
    List(Result<Vec<Listed>, GroupError>),
    /// In the order of the request.
    Delete(Vec<Result<(), GroupError>>),
    ConsumerHeartbeat(Result<consumer::Beaten, consumer::Refused>),
    /// In the order of the request.
    DescribeConsumers(Result<Vec<Result<consumer::Described, DescribeRefused>>, GroupError>),
}

impl Answer {
    /// What is answered instead, when what the answer rests on could not be kept.
    #[must_use]
    pub fn into_refusal(self, error: GroupError) -> Self {
        match self {
            Self::Join(Ok(joined)) => Self::Join(Err(JoinRefused {
                error,
                member_id: joined.member_id,
            })),
            Self::Join(Err(refused)) => Self::Join(Err(refused)),
            Self::Sync(_) => Self::Sync(Err(error)),
            Self::Heartbeat(_) => Self::Heartbeat(Err(error)),
            Self::Leave(_) => Self::Leave(Err(error)),
            Self::CommitOffsets(_) => Self::CommitOffsets(Err(error)),
            Self::FetchOffsets(_) => Self::FetchOffsets(Err(error)),
            Self::DeleteOffsets(_) => Self::DeleteOffsets(Err(error)),
            Self::Describe(_) => Self::Describe(Err(error)),
            Self::List(_) => Self::List(Err(error)),
            Self::ConsumerHeartbeat(result) => Self::ConsumerHeartbeat(result.and(Err(error.into()))),
            Self::DescribeConsumers(_) => Self::DescribeConsumers(Err(error)),
            Self::Delete(results) => Self::Delete(results.into_iter().map(|result| result.and(Err(error))).collect()),
        }
    }
}

impl Request {
    /// The refusal of all that is asked.
    #[must_use]
    pub fn refused(&self, error: GroupError) -> Answer {
        match self {
            Self::Join(join) => Answer::Join(Err(JoinRefused {
                error,
                member_id: Arc::clone(&join.member_id),
            })),
            Self::Sync(_) => Answer::Sync(Err(error)),
            Self::Heartbeat(_) => Answer::Heartbeat(Err(error)),
            Self::Leave(_) => Answer::Leave(Err(error)),
            Self::CommitOffsets(_) => Answer::CommitOffsets(Err(error)),
            Self::FetchOffsets(_) => Answer::FetchOffsets(Err(error)),
            Self::DeleteOffsets(_) => Answer::DeleteOffsets(Err(error)),
            Self::Describe(_) => Answer::Describe(Err(error)),
            Self::List => Answer::List(Err(error)),
            Self::ConsumerHeartbeat(_) => Answer::ConsumerHeartbeat(Err(error.into())),
            Self::DescribeConsumers(_) => Answer::DescribeConsumers(Err(error)),
            Self::Delete(groups) => Answer::Delete(groups.iter().map(|_| Err(error)).collect()),
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GroupError {
    #[error("the coordinator is still reading its log")]
    Loading,
    #[error("the group is coordinated elsewhere")]
    NotCoordinator,
    #[error("the coordinator cannot keep what is asked")]
    NotAvailable,
    #[error("the group id is not valid")]
    InvalidGroupId,
    #[error("the group does not exist")]
    GroupNotFound,
    #[error("the group has members")]
    NonEmptyGroup,
    #[error("members of the group are subscribed to the topic")]
    SubscribedToTopic,
    #[error("the group has as many members as it may")]
    GroupFull,
    #[error("the member is not known")]
    UnknownMember,
    #[error("the member has to join again with the id that it is given")]
    MemberIdRequired,
    #[error("another member has the instance id")]
    FencedInstance,
    #[error("the generation is not that of the group")]
    IllegalGeneration,
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    #[error("the protocol is not that of the group")]
    InconsistentProtocol,
    #[error("the session timeout is not within bounds")]
    InvalidSessionTimeout,
    #[error("the member epoch is not that of the member")]
    StaleMemberEpoch,
    #[error("members of the consumer protocol need a later version of the request")]
    UnsupportedVersion,
    #[error("what is asked is too large to be kept")]
    TooLarge,
}

/// One protocol that a member supports, in the order of its preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: Arc<str>,
    /// Of a consumer, its subscription.
    pub metadata: Bytes,
}

/// JoinGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    pub group: Arc<str>,
    /// Empty for a member that has none yet.
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: Arc<str>,
    pub protocols: Vec<Protocol>,
    /// Whether the client joins again with the id that it is given (KIP-394, since version 4).
    pub takes_member_id: bool,
    /// Whether a leader can be told not to assign (KIP-814, since version 9).
    pub can_skip_assignment: bool,
    /// What is unique in the id of a new member.
    pub fresh_id: [u8; 16],
}

/// A member of the next generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    pub member_id: Arc<str>,
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    /// All members, for the leader.
    pub members: Vec<JoinedMember>,
    /// The leader has nothing to assign: the group keeps what it has.
    pub skip_assignment: bool,
}

/// What the leader learns of a member.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinedMember {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub metadata: Bytes,
}

/// Not a member, or not yet.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinRefused {
    pub error: GroupError,
    /// The id that it has, or has to join with.
    pub member_id: Arc<str>,
}

/// SyncGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Sync {
    pub group: Arc<str>,
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub generation: i32,
    /// What the member believes the group to use, where it says so.
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    /// What each member gets, from the leader.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

/// What a member is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Synced {
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub assignment: Bytes,
}

/// Heartbeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    pub group: Arc<str>,
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub generation: i32,
}

/// LeaveGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Leave {
    pub group: Arc<str>,
    pub members: Vec<LeavingMember>,
}

/// A member that leaves, or is taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct LeavingMember {
    /// Empty: whoever has the instance id.
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
}

/// How it went for one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftMember {
    pub member: LeavingMember,
    pub result: Result<(), GroupError>,
}

/// OffsetCommit.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitOffsets {
    pub group: Arc<str>,
    /// Empty without membership.
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    /// Below 0 without membership.
    pub generation: i32,
    /// How long the offsets are kept; `None` as long as the group is there, and the broker's time after it (versions 2 to 4).
    pub retention_ms: Option<i64>,
    /// Whether the generation may be a member epoch: since version 9.
    pub knows_epochs: bool,
    /// The error for a generation of a group that does not exist: it changed with version 9.
    pub unknown_group: GroupError,
    pub offsets: Vec<OffsetToCommit>,
}

/// One offset of it.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetToCommit {
    /// The caller's own.
    pub tag: u32,
    pub topic: Arc<str>,
    pub topic_id: TopicId,
    pub partition: i32,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Option<String>,
}

/// OffsetFetch.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchOffsets {
    pub group: Arc<str>,
    /// `None` without membership.
    pub member_id: Option<Arc<str>>,
    /// Below 0 without membership.
    pub member_epoch: i32,
    /// `None` for all that are committed.
    pub wanted: Option<Vec<Wanted>>,
}

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub topic: Arc<str>,
    /// [`TopicId::ZERO`] for whichever topic has the name.
    pub topic_id: TopicId,
    pub partitions: Vec<i32>,
}

/// The offsets of one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedTopic {
    pub topic: Arc<str>,
    pub topic_id: TopicId,
    pub partitions: Vec<FetchedOffset>,
}

/// A committed offset, or -1 where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedOffset {
    pub partition: i32,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: String,
}

/// OffsetDelete.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteOffsets {
    pub group: Arc<str>,
    pub offsets: Vec<OffsetToDelete>,
}

/// One offset of it.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetToDelete {
    /// The caller's own.
    pub tag: u32,
    pub topic: Arc<str>,
    pub partition: i32,
}

/// Why a group is not described as one of the protocol that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DescribeRefused {
    NotFound,
    OtherProtocol,
}

/// A group, as DescribeGroups tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    pub state: &'static str,
    pub protocol_type: Option<Arc<str>>,
    /// Of a stable group.
    pub protocol: Option<Arc<str>>,
    pub members: Vec<DescribedMember>,
}

/// A member, as DescribeGroups tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedMember {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// Of a stable group.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

/// A group, as ListGroups tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub group: Arc<str>,
    pub protocol_type: Option<Arc<str>>,
    pub state: &'static str,
    pub group_type: &'static str,
}
