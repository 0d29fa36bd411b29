//! What crosses between cores: a closed set of owned messages.
//!
//! Owner, bound and loss of each:
//! - [`Message::Request`]: made by the core that holds the client's connection, bounded by that core's memory units. Never lost:
//!   when the queue is full it waits in the sender's outbox.
//! - [`Message::Reply`]: exactly one for each request, from the core that owns the partition. Never lost, in the same way.
//! - [`Message::Watch`], [`Message::Unwatch`]: like requests; a watch is answered at most once, and not after its end.
//! - [`Message::Image`]: from core 0, one for each change of metadata, each a superset of the one before.
//! - [`Message::Listen`]: from core 0, once, when every core has its partitions open.
//! - [`Message::Stop`]: from the main thread, once.

use std::sync::Arc;

use crate::base::ids::LeaderEpoch;
use crate::base::ids::TopicIdPartition;
use crate::base::offset::Offset;
use crate::coordinator::group;
use crate::metadata::MetadataImage;
use crate::partition::types::{
    ActiveProducer, Append, AppendError, Appended, DeleteRecordsError, DeleteUpTo, EpochEnd, OffsetFound, OffsetTarget,
    Read, ReadError, ReadOutcome,
};
use crate::shard::calls::{CallId, ReplyTo};
use crate::shard::controller::{ControllerReply, ControllerRequest};
use crate::shard::directories::LogSize;

/// One message between cores.
pub enum Message {
    Request {
        reply_to: ReplyTo,
        request: ShardRequest,
    },
    Reply {
        call: CallId,
        reply: ShardReply,
    },
    /// Answered with [`ShardReply::Woken`] when the high watermark of one of the partitions is above the offset given for it.
    Watch {
        reply_to: ReplyTo,
        items: Vec<Asked<Offset>>,
    },
    /// The watch ends without an answer.
    Unwatch {
        reply_to: ReplyTo,
    },
    Image {
        image: Arc<MetadataImage>,
        reply_to: ReplyTo,
    },
    Listen,
    Stop,
}

/// Something asked of one partition; `tag` comes back with its answer.
#[derive(Clone, Debug)]
pub struct Asked<T> {
    pub tag: u32,
    pub partition: TopicIdPartition,
    pub what: T,
}

/// A partition's answer.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    pub tag: u32,
    pub result: T,
}

/// When appended batches are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AckWhen {
    /// They stand in the page cache (acks 0 and 1).
    Appended,
    /// They are committed and durable (acks -1).
    Durable,
}

/// What one core asks of another, or of itself.
pub enum ShardRequest {
    Append {
        ack_when: AckWhen,
        items: Vec<Asked<Append>>,
    },
    Read {
        items: Vec<Asked<Read>>,
    },
    FindOffsets {
        items: Vec<Asked<FindOffset>>,
    },
    EpochEnds {
        items: Vec<Asked<FindEpochEnd>>,
    },
    DeleteRecords {
        items: Vec<Asked<DeleteUpTo>>,
    },
    /// Who writes to each partition.
    Producers {
        items: Vec<Asked<()>>,
    },
    /// Logs of this core, whoever is asked.
    LogSizes {
        /// `None` is all of them.
        of: Option<Vec<TopicIdPartition>>,
    },
    /// Of the groups that a partition of `__consumer_offsets` keeps.
    Group {
        /// Comes back with the answer.
        tag: u32,
        partition: TopicIdPartition,
        request: group::Request,
    },
    /// For core 0 alone.
    Controller(ControllerRequest),
}

impl ShardRequest {
    /// What it asks for, for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Append { .. } => "append",
            Self::Read { .. } => "read",
            Self::FindOffsets { .. } => "find offsets",
            Self::EpochEnds { .. } => "epoch ends",
            Self::DeleteRecords { .. } => "delete records",
            Self::Producers { .. } => "producers",
            Self::LogSizes { .. } => "log sizes",
            Self::Group { .. } => "group",
            Self::Controller(_) => "controller",
        }
    }
}

/// The answers, each to the request of its name.
pub enum ShardReply {
    Append(Vec<Answer<Result<Appended, AppendError>>>),
    Read(Vec<Answer<Result<ReadOutcome, ReadError>>>),
    /// The partitions of `tags` have more; the watch of `call` has ended.
    Woken {
        call: CallId,
        tags: Vec<u32>,
    },
    FindOffsets(Vec<Answer<Result<Option<OffsetFound>, ReadError>>>),
    EpochEnds(Vec<Answer<Result<Option<EpochEnd>, ReadError>>>),
    /// Where each log begins.
    DeleteRecords(Vec<Answer<Result<Offset, DeleteRecordsError>>>),
    Producers(Vec<Answer<Result<Vec<ActiveProducer>, ReadError>>>),
    LogSizes(Vec<LogSize>),
    Group {
        tag: u32,
        answer: group::Answer,
    },
    Controller(ControllerReply),
    /// An image was applied: its partitions are open.
    ImageApplied,
}

/// Which offset of a partition is looked for, and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FindOffset {
    pub current_leader_epoch: LeaderEpoch,
    pub target: OffsetTarget,
}

/// Which epoch's end is looked for, and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FindEpochEnd {
    pub current_leader_epoch: LeaderEpoch,
    pub leader_epoch: LeaderEpoch,
}
