//! DescribeLogDirs (35): which log is in which directory, how large each is, and the room that is left.

use std::collections::{BTreeMap, BTreeSet};

use duramen_wire::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use duramen_wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};

use crate::base::ids::ShardId;
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::kafka::gather::Gather;
use crate::rt::fs;
use crate::shard::directories::LogSize;
use crate::shard::message::{ShardReply, ShardRequest};
use crate::storage::LogDirectory;

struct Describing {
    /// Partitions by topic; `None` is all.
    wanted: Option<BTreeMap<String, BTreeSet<i32>>>,
    /// Of all cores.
    sizes: Vec<LogSize>,
}

/// By directory, topic and partition: bytes.
type Found = BTreeMap<usize, BTreeMap<String, BTreeMap<i32, u64>>>;

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DescribeLogDirsRequest = call.decode()?;
    let wanted = request.topics.map(|topics| {
        let mut wanted: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for topic in topics {
            wanted.entry(topic.topic).or_default().extend(topic.partitions);
        }
        wanted
    });
    let cores = match call.context.direct_core {
        Some(ShardId(core)) => core..core + 1,
        None => 0..call.context.shard.cores,
    };
    let describing = Describing {
        wanted,
        sizes: Vec::new(),
    };
    let asked = cores.map(|core| (ShardId(core), ShardRequest::LogSizes));
    Gather::start(call, describing, asked, absorb, finish);
    Ok(())
}

fn absorb(describing: &mut Describing, reply: ShardReply) {
    let ShardReply::LogSizes(sizes) = reply else {
        let other_reply = true;
        crate::never!(other_reply);
        return;
    };
    describing.sizes.extend(sizes);
}

fn finish(call: Call, describing: Describing) {
    let directories = call.context.shard.log_directories().iter();
    let mut results: Vec<DescribeLogDirsResult> = directories.map(describe).collect();
    call.respond_rows(describing.sizes.len(), move || {
        let mut found = describing.found();
        for (place, result) in results.iter_mut().enumerate() {
            if result.error_code == ErrorCode::NONE.0 {
                let topics = found.remove(&place).unwrap_or_default();
                result.topics = topics.into_iter().map(topic).collect();
            }
        }
        DescribeLogDirsResponse {
            results,
            ..DescribeLogDirsResponse::default()
        }
    });
}

impl Describing {
    /// What was asked for, in order.
    fn found(self) -> Found {
        let mut found = Found::new();
        for LogSize {
            directory,
            partition,
            bytes,
        } in self.sizes
        {
            let is_wanted = self.wanted.as_ref().is_none_or(|wanted| {
                let partitions = wanted.get(&*partition.topic);
                partitions.is_some_and(|partitions| partitions.contains(&partition.partition))
            });
            if is_wanted {
                let topics = found.entry(directory).or_default();
                let sizes = topics.entry(partition.topic.to_string()).or_default();
                sizes.insert(partition.partition, bytes);
            }
        }
        found
    }
}

/// A directory as clients know it.
pub(super) fn path(directory: &LogDirectory) -> String {
    let path = std::path::absolute(directory.path()).unwrap_or_else(|_| directory.path().to_owned());
    path.display().to_string()
}

fn describe(directory: &LogDirectory) -> DescribeLogDirsResult {
    let mut result = DescribeLogDirsResult {
        log_dir: path(directory),
        total_bytes: -1,
        usable_bytes: -1,
        ..DescribeLogDirsResult::default()
    };
    let space = directory
        .health()
        .check()
        .ok()
        .and_then(|()| fs::space(directory.path()).ok());
    match space {
        None => result.error_code = ErrorCode::KAFKA_STORAGE_ERROR.0,
        Some(space) => {
            result.total_bytes = i64::try_from(space.total_bytes).unwrap_or(i64::MAX);
            result.usable_bytes = i64::try_from(space.free_bytes).unwrap_or(i64::MAX);
        }
    }
    result
}

fn topic((name, sizes): (String, BTreeMap<i32, u64>)) -> DescribeLogDirsTopic {
    let partition = |(partition_index, bytes): (i32, u64)| DescribeLogDirsPartition {
        partition_index,
        partition_size: i64::try_from(bytes).unwrap_or(i64::MAX),
        ..DescribeLogDirsPartition::default()
    };
    DescribeLogDirsTopic {
        name,
        partitions: sizes.into_iter().map(partition).collect(),
    }
}
