//! `duramen log verify`: looks for what is wrong in the files of a log, by a reader of its own.
//!
//! Shares no parser and no checksum with the broker, so that a mistake of the one is seen by the other; names of files apart. Changes nothing.
//! Knows batches, both indexes, aborted transactions, producer snapshots, leader epochs, checkpoints, `partition.metadata`. The journal's
//! files are not looked into: a group of it is checked when it is replayed.

mod bytes;
mod derived;
mod segment;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::target::{Contents, Part};
use crate::base::offset::Offset;
use crate::log::names::{
    COMPACTED_OFFSETS, FileKind, HIGH_WATERMARKS, LEADER_EPOCHS, LOG_START_OFFSETS, PARTITION_METADATA,
    RECOVERY_POINTS, file_name,
};
use crate::rt::fs::{self, File, Open};
use segment::Segment;

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub file: PathBuf,
    /// `None`: it is wrong as a whole.
    pub position: Option<u64>,
    pub offset: Option<i64>,
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if let Some(position) = self.position {
            write!(f, "position {position}, ")?;
        }
        if let Some(offset) = self.offset {
            write!(f, "offset {offset}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// What was looked at, and what is wrong with it.
#[derive(Default, Debug)]
pub struct Findings {
    pub files: u64,
    pub batches: u64,
    pub bytes: u64,
    pub faults: Vec<Fault>,
}

/// A file, and the offset that its name says.
struct Place<'a> {
    file: &'a Path,
    base_offset: i64,
}

impl Place<'_> {
    fn fault(&self, position: u64, offset: i64, what: String) -> Fault {
        Fault {
            file: self.file.to_owned(),
            position: Some(position),
            offset: Some(offset),
            what,
        }
    }

    fn whole(&self, what: String) -> Fault {
        Fault {
            file: self.file.to_owned(),
            position: None,
            offset: None,
            what,
        }
    }
}

/// Looks at one part of what a person named.
///
/// # Errors
/// A file cannot be read.
pub fn verify(part: &Part) -> io::Result<Findings> {
    let mut findings = Findings::default();
    match &part.contents {
        Contents::Partition => verify_partition(&part.path, &mut findings)?,
        Contents::File => verify_file(&part.path, &[], &mut findings)?,
    }
    Ok(findings)
}

fn verify_partition(directory: &Path, findings: &mut Findings) -> io::Result<()> {
    let names: Vec<String> = fs::list(directory)?
        .into_iter()
        .filter(|entry| !entry.is_directory)
        .filter_map(|entry| entry.name.into_string().ok())
        .collect();
    let bases: Vec<Offset> = names
        .iter()
        .filter_map(|name| crate::log::names::parse_file_name(name))
        .filter(|(_, kind)| *kind == FileKind::Log)
        .map(|(base_offset, _)| base_offset)
        .collect();
    let mut segments = Vec::new();
    for (index, base_offset) in bases.iter().enumerate() {
        let path = directory.join(file_name(*base_offset, FileKind::Log));
        let next = bases.get(index + 1).map(|next| next.0);
        let segment = verify_segment(&path, *base_offset, next, findings)?;
        for kind in [FileKind::OffsetIndex, FileKind::TimeIndex] {
            verify_index(
                &directory.join(file_name(*base_offset, kind)),
                *base_offset,
                kind,
                &segment,
                findings,
            )?;
        }
        segments.push(segment);
    }
    for name in &names {
        match crate::log::names::parse_file_name(name) {
            Some((_, FileKind::Log | FileKind::OffsetIndex | FileKind::TimeIndex)) => {}
            Some((_, FileKind::TransactionIndex | FileKind::ProducerSnapshot)) | None => {
                verify_file(&directory.join(name), &segments, findings)?;
            }
        }
    }
    Ok(())
}

fn verify_segment(
    path: &Path,
    base_offset: Offset,
    next_base: Option<i64>,
    findings: &mut Findings,
) -> io::Result<Segment> {
    let place = Place {
        file: path,
        base_offset: base_offset.0,
    };
    let file = File::open(path, Open::Read)?;
    let segment = segment::read(&place, &file, next_base, &mut findings.faults)?;
    findings.files += 1;
    findings.batches += segment.batches.len() as u64;
    findings.bytes += segment.bytes;
    Ok(segment)
}

fn verify_index(
    path: &Path,
    base_offset: Offset,
    kind: FileKind,
    segment: &Segment,
    findings: &mut Findings,
) -> io::Result<()> {
    let place = Place {
        file: path,
        base_offset: base_offset.0,
    };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.faults.push(place.whole("the file is missing".to_owned()));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    findings.files += 1;
    let check = match kind {
        FileKind::TimeIndex => derived::time_index,
        FileKind::Log | FileKind::OffsetIndex | FileKind::TransactionIndex | FileKind::ProducerSnapshot => {
            derived::offset_index
        }
    };
    check(&place, &bytes, segment, &mut findings.faults);
    Ok(())
}

/// Any one file, alone; leader epochs are compared with `segments`.
fn verify_file(path: &Path, segments: &[Segment], findings: &mut Findings) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parsed = crate::log::names::parse_file_name(name);
    let place = Place {
        file: path,
        base_offset: parsed.map_or(0, |(offset, _)| offset.0),
    };
    if let Some((base_offset, kind)) = parsed {
        return match kind {
            FileKind::Log => verify_segment(path, base_offset, None, findings).map(drop),
            FileKind::OffsetIndex | FileKind::TimeIndex => {
                let log = path.with_file_name(file_name(base_offset, FileKind::Log));
                let segment = verify_segment(&log, base_offset, None, &mut Findings::default())?;
                verify_index(path, base_offset, kind, &segment, findings)
            }
            FileKind::TransactionIndex | FileKind::ProducerSnapshot => {
                let bytes = fs::read(path)?;
                findings.files += 1;
                let check = match kind {
                    FileKind::ProducerSnapshot => derived::producers,
                    FileKind::Log | FileKind::OffsetIndex | FileKind::TimeIndex | FileKind::TransactionIndex => {
                        derived::transactions
                    }
                };
                check(&place, &bytes, &mut findings.faults);
                Ok(())
            }
        };
    }
    match name {
        LEADER_EPOCHS => derived::epochs(&place, &fs::read(path)?, segments, &mut findings.faults),
        RECOVERY_POINTS | LOG_START_OFFSETS | HIGH_WATERMARKS | COMPACTED_OFFSETS => {
            derived::offsets(&place, &fs::read(path)?, &mut findings.faults);
        }
        PARTITION_METADATA => topic_id(&place, &fs::read(path)?, &mut findings.faults),
        _ if name.ends_with(".checkpoint") => return verify_segment(path, Offset::ZERO, None, findings).map(drop),
        _ => return Ok(()),
    }
    findings.files += 1;
    Ok(())
}

fn topic_id(place: &Place<'_>, text: &[u8], faults: &mut Vec<Fault>) {
    let lines = std::str::from_utf8(text).map(|text| text.lines().collect::<Vec<_>>());
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_right = lines.is_ok_and(|lines| match lines.as_slice() {
        ["version: 0", id] => id
            .strip_prefix("topic_id: ")
            .is_some_and(|id| id.len() == 22 && id.bytes().all(is_base64)),
        _ => false,
    });
    if !is_right {
        faults.push(place.whole("it has no topic id".to_owned()));
    }
}
