//! AlterReplicaLogDirs (34): a log is to be in another directory (KIP-113). A log stays where it is: what is asked for is already so, or
//! refused. Errors are those of Kafka's `ReplicaManager.alterReplicaLogDirs`.

use std::collections::BTreeMap;

use duramen_wire::messages::alter_replica_log_dirs_request::AlterReplicaLogDirsRequest;
use duramen_wire::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsResponse,
};

use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::kafka::gather::Gather;
use crate::kafka::handlers::describe_log_dirs;
use crate::metadata::MetadataImage;
use crate::shard::message::ShardReply;

struct Altering {
    /// By topic and partition: the path that was asked for, the last if several were.
    wanted: BTreeMap<(String, i32), String>,
    /// The directory of each of them that is hosted, by its place.
    found: BTreeMap<(String, i32), usize>,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: AlterReplicaLogDirsRequest = call.decode()?;
    let mut wanted = BTreeMap::new();
    for directory in request.dirs {
        for topic in directory.topics {
            for partition in topic.partitions {
                wanted.insert((topic.name.clone(), partition), directory.path.clone());
            }
        }
    }
    let asked = describe_log_dirs::sizes_of(&call, wanted.keys());
    let altering = Altering {
        wanted,
        found: BTreeMap::new(),
    };
    Gather::start(call, altering, asked, absorb, finish);
    Ok(())
}

fn absorb(altering: &mut Altering, reply: ShardReply) {
    let ShardReply::LogSizes(logs) = reply else {
        let other_reply = true;
        crate::never!(other_reply);
        return;
    };
    for log in logs {
        let name = (log.partition.topic.to_string(), log.partition.partition);
        altering.found.insert(name, log.directory);
    }
}

fn finish(call: Call, altering: Altering) {
    let image = call.context.image();
    let directories = call.context.shard.log_directories().iter();
    let directories: Vec<(String, bool)> = directories
        .map(|directory| (describe_log_dirs::path(directory), directory.health().check().is_ok()))
        .collect();
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for (named, path) in altering.wanted {
        let error = judge(&image, &directories, &named, &path, altering.found.get(&named).copied());
        let (topic_name, partition_index) = named;
        let partition = AlterReplicaLogDirPartitionResult {
            partition_index,
            error_code: error.0,
        };
        match results.last_mut() {
            Some(topic) if topic.topic_name == topic_name => topic.partitions.push(partition),
            _ => results.push(AlterReplicaLogDirTopicResult {
                topic_name,
                partitions: vec![partition],
            }),
        }
    }
    call.respond(&AlterReplicaLogDirsResponse {
        results,
        ..AlterReplicaLogDirsResponse::default()
    });
}

/// `directories`: the path of each, and whether it can be used. `at`: the place of the one that has the log.
fn judge(
    image: &MetadataImage,
    directories: &[(String, bool)],
    (topic, partition): &(String, i32),
    path: &str,
    at: Option<usize>,
) -> ErrorCode {
    let Some(wanted) = directories.iter().position(|(known, _)| known == path) else {
        return ErrorCode::LOG_DIR_NOT_FOUND;
    };
    if directories.get(wanted).is_none_or(|(_, is_online)| !is_online) {
        return ErrorCode::KAFKA_STORAGE_ERROR;
    }
    let is_known = image
        .topic_by_name(topic)
        .is_some_and(|topic| topic.partition(*partition).is_some());
    match at {
        None if !is_known => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        None => ErrorCode::REPLICA_NOT_AVAILABLE,
        Some(at) if at == wanted => ErrorCode::NONE,
        Some(_) => ErrorCode::OPERATION_NOT_ATTEMPTED,
    }
}
