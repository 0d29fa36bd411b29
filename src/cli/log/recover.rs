//! `duramen log recover`: what a broker would do at its start, without a broker.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::target::{Contents, Part, Target};
use super::verify::{Fault, verify};
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::log::Settings;
use crate::log::checkpoint::decode_offsets;
use crate::log::names::{CLEAN_SHUTDOWN, FileKind, RECOVERY_POINTS, parse_directory_name, parse_file_name};
use crate::rt::{self, fs};
use crate::shard::metadata_log::last_controller_epoch;
use crate::storage::{Claim, DirectoryError, Log, LogDirectory, Report, StorageError};

/// Why nothing can be recovered.
#[derive(Debug, Error)]
pub enum RecoverError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("{}: give the directory of a partition, or a data directory", .0.display())]
    NotADirectory(PathBuf),
    #[error("{}: it has no meta.properties; give a data directory, or a partition in one", .0.display())]
    NoIdentity(PathBuf),
    #[error("{}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("no thread can be started for it: {0}")]
    Core(std::io::Error),
}

/// What became, or would become, of one partition.
pub struct Outcome {
    pub partition: String,
    pub lines: Vec<String>,
    pub is_whole: bool,
}

/// Recovers what a person named.
///
/// # Errors
/// [`RecoverError`]: nothing was changed.
pub fn recover(target: &Target) -> Result<Vec<Outcome>, RecoverError> {
    let (data, partitions) = places(target)?;
    let Some(identity) = LogDirectory::identity(&data)? else {
        return Err(RecoverError::NoIdentity(data));
    };
    let claim = Claim {
        controller_epoch: last_controller_epoch([data.as_path()]),
        ..Claim::of(identity.node_id)
    };
    let directory = LogDirectory::open(&data, claim)?;
    let plan = rt::cores::plan(1, None).map_err(RecoverError::Core)?;
    let work = (directory, partitions, matches!(target, Target::Data { .. }));
    let handles = rt::cores::run(&plan, move |_| {
        let (directory, partitions, is_all) = work.clone();
        async move { recover_all(&directory, &partitions, is_all).await }
    });
    let handles = handles.map_err(RecoverError::Core)?;
    Ok(handles.into_iter().flat_map(rt::cores::CoreHandle::join).collect())
}

/// The data directory and the partitions in it that are meant.
fn places(target: &Target) -> Result<(PathBuf, Vec<PathBuf>), RecoverError> {
    match target {
        Target::File(path) => Err(RecoverError::NotADirectory(path.clone())),
        Target::Data { path, partitions } => Ok((path.clone(), partitions.clone())),
        Target::Partition(path) => {
            let unreadable = |source| RecoverError::Unreadable {
                path: path.clone(),
                source,
            };
            let absolute = std::path::absolute(path).map_err(unreadable)?;
            let data = absolute.parent().unwrap_or(Path::new("/"));
            Ok((data.to_owned(), vec![absolute.clone()]))
        }
    }
}

fn partition_of(path: &Path) -> Option<TopicPartition> {
    path.file_name()
        .and_then(|name| name.to_str())
        .and_then(parse_directory_name)
}

async fn recover_all(directory: &LogDirectory, partitions: &[PathBuf], is_all: bool) -> Vec<Outcome> {
    let (mut outcomes, mut points) = (Vec::new(), Vec::new());
    for partition in partitions.iter().filter_map(|path| partition_of(path)) {
        let recovered = recover_one(directory, &partition).await;
        let (lines, is_whole) = match recovered {
            Ok((report, point)) => {
                points.push((partition.clone(), point));
                (told(&report), true)
            }
            Err(error) => (vec![error.to_string()], false),
        };
        outcomes.push(Outcome {
            partition: partition.to_string(),
            lines,
            is_whole,
        });
    }
    let is_whole = outcomes.iter().all(|outcome| outcome.is_whole);
    // That the stop before was not clean is left as it is: the broker begins new leader epochs for what may have been lost.
    if is_all
        && is_whole
        && let Err(error) = directory.write_recovery_points(points.iter().map(|(partition, point)| (partition, *point)))
    {
        tracing::warn!(%error, "recovery points cannot be written; the next start checks the logs again");
    }
    outcomes
}

async fn recover_one(directory: &LogDirectory, partition: &TopicPartition) -> Result<(Report, Offset), StorageError> {
    let request = directory.open_request(partition, Settings::default(), rt::time::wall());
    let (log, report) = Log::open(directory.health(), request).await?;
    let point = log.close().await?;
    Ok((report, point))
}

fn told(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(cut) = &report.cut {
        let (file, bytes, position, offset) = (cut.file.display(), cut.bytes, cut.position, cut.offset);
        lines.push(format!(
            "{file}: {bytes} bytes cut off at position {position}, offset {offset}"
        ));
    }
    for (count, what) in [
        (report.segments_removed, "segments behind the cut removed"),
        (report.compactions_finished, "compactions finished"),
        (
            report.segments_walked,
            "segments checked, their indexes made anew where they were not right",
        ),
        (report.derived_torn, "snapshots or epoch checkpoints made anew"),
    ] {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    }
    lines
}

/// What [`recover`] would do. Nothing is written.
///
/// # Errors
/// [`RecoverError`].
pub fn foresee(target: &Target) -> Result<Vec<Outcome>, RecoverError> {
    let (data, partitions) = places(target)?;
    if LogDirectory::identity(&data)?.is_none() {
        return Err(RecoverError::NoIdentity(data));
    }
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| RecoverError::Unreadable { path, source }
    };
    let _lock = match fs::exists(data.join(".lock")) {
        Ok(true) => Some(fs::lock_directory(&data).map_err(|_| DirectoryError::InUse { path: data.clone() })?),
        Ok(false) | Err(_) => None,
    };
    let was_clean = fs::exists(data.join(CLEAN_SHUTDOWN)).map_err(unreadable(&data))?;
    let mut outcomes = Vec::new();
    for path in partitions {
        let Some(partition) = partition_of(&path) else { continue };
        let part = Part {
            path: path.clone(),
            contents: Contents::Partition,
        };
        let findings = verify(&part).map_err(unreadable(&path))?;
        let point = if was_clean {
            Offset(i64::MAX)
        } else {
            recovery_point(&data, &path, &partition)
        };
        let mut lines: Vec<String> = findings.faults.iter().map(|fault| foretold(fault, point)).collect();
        if !was_clean {
            lines.insert(
                0,
                format!("the stop was not clean: batches from offset {point} on would be checked, after the journal"),
            );
        }
        outcomes.push(Outcome {
            partition: partition.to_string(),
            lines,
            is_whole: findings.faults.is_empty(),
        });
    }
    Ok(outcomes)
}

/// Below which offset all is on the disk, as the partition's directory says, or the data directory.
fn recovery_point(data: &Path, path: &Path, partition: &TopicPartition) -> Offset {
    let in_file = |file: PathBuf| {
        let offsets = decode_offsets(&fs::read(file).ok()?).ok()?;
        let of_partition = offsets.into_iter().find(|(found, _)| found == partition);
        of_partition.map(|(_, offset)| offset)
    };
    in_file(path.join(RECOVERY_POINTS))
        .or_else(|| in_file(data.join(RECOVERY_POINTS)))
        .unwrap_or_default()
}

fn foretold(fault: &Fault, recovery_point: Offset) -> String {
    let name = fault
        .file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let is_log = parse_file_name(name).is_some_and(|(_, kind)| kind == FileKind::Log);
    let would = match fault.offset {
        _ if !is_log => "would be made anew",
        Some(offset) if Offset(offset) >= recovery_point => "would be cut off here, with the segments behind it",
        Some(_) | None => "was on the disk and would be left: the partition stays offline, or is served up to here",
    };
    format!("{fault}: {would}")
}
