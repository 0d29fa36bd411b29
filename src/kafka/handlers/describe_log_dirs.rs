//! DescribeLogDirs (35): which log is in which directory, how large each is, and the room that is left.

use std::collections::{BTreeMap, BTreeSet};

use duramen_wire::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use duramen_wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};

use crate::base::ids::{ShardId, TopicIdPartition};
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::kafka::gather::{ByCore, Gather};
use crate::rt::fs;
use crate::shard::directories::LogSize;
use crate::shard::message::{ShardReply, ShardRequest};
use crate::storage::LogDirectory;

/// By directory, topic and partition: bytes.
type Found = BTreeMap<usize, BTreeMap<String, BTreeMap<i32, u64>>>;

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: DescribeLogDirsRequest = call.decode()?;
    let mut asked = match &request.topics {
        None => all_sizes(&call),
        Some(topics) => {
            let named = topics.iter().flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|partition| (topic.topic.clone(), *partition))
            });
            let named: BTreeSet<(String, i32)> = named.collect();
            sizes_of(&call, &named)
        }
    };
    if let Some(own) = call.context.direct_core {
        asked.retain(|(core, _)| *core == own);
    }
    Gather::start(call, Vec::new(), asked, absorb, finish);
    Ok(())
}

fn all_sizes(call: &Call) -> Vec<(ShardId, ShardRequest)> {
    let cores = 0..call.context.shard.cores;
    cores
        .map(|core| (ShardId(core), ShardRequest::LogSizes { of: None }))
        .collect()
}

/// Asks for the logs of partitions by topic and index, each core for its own. Of those that nobody knows nobody is asked.
pub(super) fn sizes_of<'a>(
    call: &Call,
    named: impl IntoIterator<Item = &'a (String, i32)>,
) -> Vec<(ShardId, ShardRequest)> {
    let image = call.context.image();
    let mut by_core = ByCore::new();
    for (topic, partition) in named {
        let Some(topic) = image.topic_by_name(topic) else {
            continue;
        };
        let partition = TopicIdPartition {
            topic_id: topic.id,
            partition: *partition,
        };
        by_core.add(call.context.shard.owner(partition), partition);
    }
    let requests = by_core.into_requests(|partitions| ShardRequest::LogSizes { of: Some(partitions) });
    requests.collect()
}

fn absorb(sizes: &mut Vec<LogSize>, reply: ShardReply) {
    let ShardReply::LogSizes(more) = reply else {
        let other_reply = true;
        crate::never!(other_reply);
        return;
    };
    sizes.extend(more);
}

fn finish(call: Call, sizes: Vec<LogSize>) {
    let directories = call.context.shard.log_directories().iter();
    let mut results: Vec<DescribeLogDirsResult> = directories.map(describe).collect();
    call.respond_rows(sizes.len(), move || {
        let mut found = in_order(sizes);
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

fn in_order(sizes: Vec<LogSize>) -> Found {
    let mut found = Found::new();
    for size in sizes {
        let topics = found.entry(size.directory).or_default();
        let partitions = topics.entry(size.partition.topic.to_string()).or_default();
        partitions.insert(size.partition.partition, size.bytes);
    }
    found
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
