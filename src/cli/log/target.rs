//! What a person names on the command line: a file, the directory of a partition, or a data directory with all that is in it.

use std::io;
use std::path::{Path, PathBuf};

use crate::log::names::{
    COMPACTED_OFFSETS, HIGH_WATERMARKS, LOG_START_OFFSETS, META_PROPERTIES, RECOVERY_POINTS, parse_directory_name,
    parse_file_name,
};
use crate::rt::fs;

/// What lies at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    File,
    /// The directory of one partition.
    Partition,
}

/// One thing to look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub path: PathBuf,
    pub contents: Contents,
}

/// What a path stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    File(PathBuf),
    Partition(PathBuf),
    /// A data directory, its partitions in the order of their names.
    Data {
        path: PathBuf,
        partitions: Vec<PathBuf>,
    },
}

impl Target {
    /// Looks what lies at `path`.
    ///
    /// # Errors
    /// Nothing does, or it cannot be read, or it is a directory that holds neither a log nor partitions.
    pub fn find(path: &Path) -> io::Result<Self> {
        let entries = match fs::list(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Self::File(path.to_owned())),
            Err(error) => return Err(error),
        };
        let names = |is_directory| {
            let of_kind = entries.iter().filter(move |entry| entry.is_directory == is_directory);
            of_kind.filter_map(|entry| entry.name.to_str())
        };
        let partitions: Vec<PathBuf> = names(true)
            .filter(|name| parse_directory_name(name).is_some())
            .map(|name| path.join(name))
            .collect();
        if names(false).any(|name| parse_file_name(name).is_some()) {
            Ok(Self::Partition(path.to_owned()))
        } else if !partitions.is_empty() || names(false).any(|name| name == META_PROPERTIES) {
            Ok(Self::Data {
                path: path.to_owned(),
                partitions,
            })
        } else {
            let what = "it is neither a data directory nor the directory of a partition";
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
    }

    /// All that is to be looked at.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let part = |path: &PathBuf, contents| Part {
            path: path.clone(),
            contents,
        };
        match self {
            Self::File(path) => vec![part(path, Contents::File)],
            Self::Partition(path) => vec![part(path, Contents::Partition)],
            Self::Data { path, partitions } => {
                let names = [RECOVERY_POINTS, LOG_START_OFFSETS, HIGH_WATERMARKS, COMPACTED_OFFSETS];
                let files = names.iter().map(|name| path.join(name));
                let there = files.filter(|file| fs::exists(file).unwrap_or(false));
                let files = there.map(|file| part(&file, Contents::File));
                let partitions = partitions.iter().map(|path| part(path, Contents::Partition));
                files.chain(partitions).collect()
            }
        }
    }
}
