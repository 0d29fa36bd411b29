//! `duramen log dump`: what stands in the files of a log, decoded as the broker decodes it.

use std::io;
use std::path::Path;

use bytes::Bytes;

use super::row::Row;
use super::target::{Contents, Part};
use crate::base::limits::BATCH_EXPANDED_BYTES_MAX;
use crate::base::offset::{FilePosition, Offset};
use crate::log::checkpoint::{decode_epochs, decode_offsets};
use crate::log::index::{OffsetEntry, TimeEntry};
use crate::log::names::{
    CLEAN_SHUTDOWN, COMPACTED_OFFSETS, FileKind, HIGH_WATERMARKS, LEADER_EPOCHS, LOG_START_OFFSETS, META_PROPERTIES,
    PARTITION_METADATA, RECOVERY_POINTS, parse_file_name,
};
use crate::log::producers::snapshot;
use crate::metadata::quorum::QUORUM_STATE;
use crate::metadata::{METADATA_TOPIC, decode_record};
use crate::record::{BATCH_HEADER_BYTES, BatchHeader, BatchView, ControlType, Decompressor, RecordView, TimestampType};
use crate::rt::fs::{self, File, Open};

/// What is to be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    Batches,
    Records,
}

/// Where rows go; the error of a reader that has left ends the dump.
pub type Out<'a> = &'a mut dyn FnMut(&Row) -> io::Result<()>;

/// Shows one part of what a person named. Says whether all of it could be read as what its name says.
///
/// # Errors
/// A file cannot be read, or the rows not be written.
pub fn dump(part: &Part, depth: Depth, out: Out<'_>) -> io::Result<bool> {
    match part.contents {
        Contents::File => dump_file(&part.path, depth, out),
        Contents::Partition => {
            let mut is_whole = true;
            for entry in fs::list(&part.path)? {
                if !entry.is_directory {
                    is_whole &= dump_file(&part.path.join(&entry.name), depth, out)?;
                }
            }
            Ok(is_whole)
        }
    }
}

fn dump_file(path: &Path, depth: Depth, out: Out<'_>) -> io::Result<bool> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some((base_offset, kind)) = parse_file_name(name) {
        return dump_of_log(path, base_offset, kind, depth, out);
    }
    match name {
        LEADER_EPOCHS => {
            out(&begin(path, "leader epochs"))?;
            dump_epochs(&fs::read(path)?, out)
        }
        RECOVERY_POINTS | LOG_START_OFFSETS | HIGH_WATERMARKS | COMPACTED_OFFSETS => {
            out(&begin(path, "offsets by partition"))?;
            dump_offsets(&fs::read(path)?, out)
        }
        META_PROPERTIES | PARTITION_METADATA | QUORUM_STATE | CLEAN_SHUTDOWN => {
            out(&begin(path, "text"))?;
            let text = fs::read(path)?;
            for line in String::from_utf8_lossy(&text).lines() {
                out(&Row::new("line", 1).text("text", line))?;
            }
            Ok(true)
        }
        _ if name.ends_with(".checkpoint") => {
            out(&begin(path, "metadata snapshot"))?;
            dump_batches(path, depth, out)
        }
        // The journal's files among them: the place to decode their groups is here.
        _ => {
            out(&begin(path, "not shown"))?;
            Ok(true)
        }
    }
}

fn begin(path: &Path, kind: &str) -> Row {
    Row::new("file", 0)
        .text("path", path.display().to_string())
        .text("kind", kind)
}

/// A file that is named after an offset.
fn dump_of_log(path: &Path, base_offset: Offset, kind: FileKind, depth: Depth, out: Out<'_>) -> io::Result<bool> {
    match kind {
        FileKind::Log => {
            out(&begin(path, "batches"))?;
            dump_batches(path, depth, out)
        }
        FileKind::OffsetIndex => {
            out(&begin(path, "offset index"))?;
            dump_entries(&fs::read(path)?, |entry: &[u8; 8]| offset_row(entry, base_offset), out)
        }
        FileKind::TimeIndex => {
            out(&begin(path, "time index"))?;
            dump_entries(&fs::read(path)?, |entry: &[u8; 12]| time_row(entry, base_offset), out)
        }
        FileKind::TransactionIndex => {
            out(&begin(path, "aborted transactions").number("bytes", length(&fs::read(path)?)))?;
            Ok(true)
        }
        FileKind::ProducerSnapshot => {
            out(&begin(path, "producers"))?;
            dump_producers(&fs::read(path)?, out)
        }
    }
}

fn dump_epochs(text: &[u8], out: Out<'_>) -> io::Result<bool> {
    let Ok(epochs) = decode_epochs(text) else {
        return damaged(out, "it is torn, or of another version");
    };
    for entry in epochs {
        let row = Row::new("epoch", 1).number("epoch", entry.epoch.0);
        out(&row.number("start offset", entry.start_offset.0))?;
    }
    Ok(true)
}

fn dump_offsets(text: &[u8], out: Out<'_>) -> io::Result<bool> {
    let Ok(offsets) = decode_offsets(text) else {
        // Kafka makes the file before it has something to write.
        return match text.is_empty() {
            true => Ok(true),
            false => damaged(out, "it is torn, or of another version"),
        };
    };
    for (partition, offset) in offsets {
        let row = Row::new("offset", 1).text("partition", partition.to_string());
        out(&row.number("offset", offset.0))?;
    }
    Ok(true)
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

fn damaged(out: Out<'_>, what: &str) -> io::Result<bool> {
    out(&Row::new("damaged", 1).text("what", what))?;
    Ok(false)
}

/// Entries of an index; what Kafka has reserved and not filled is left out.
fn dump_entries<const N: usize>(bytes: &[u8], row: impl Fn(&[u8; N]) -> Row, out: Out<'_>) -> io::Result<bool> {
    let (entries, rest) = bytes.as_chunks::<N>();
    let filled = entries
        .iter()
        .rposition(|entry| entry.iter().any(|byte| *byte != 0))
        .map_or(0, |last| last + 1);
    for entry in &entries[..filled] {
        out(&row(entry))?;
    }
    match rest.is_empty() {
        true => Ok(true),
        false => damaged(out, "the last entry is not whole"),
    }
}

fn offset_row(entry: &[u8; 8], base_offset: Offset) -> Row {
    let entry = OffsetEntry::decode(entry, base_offset);
    Row::new("entry", 1)
        .number("last offset", entry.last_offset.0)
        .number("position", entry.position.0.cast_signed())
}

fn time_row(entry: &[u8; 12], base_offset: Offset) -> Row {
    let entry = TimeEntry::decode(entry, base_offset);
    Row::new("entry", 1)
        .number("timestamp", entry.timestamp.0)
        .number("offset", entry.offset.0)
}

fn dump_producers(bytes: &[u8], out: Out<'_>) -> io::Result<bool> {
    let Ok(producers) = snapshot::decode(bytes) else {
        return damaged(out, "it is torn, or of another version");
    };
    for (id, producer) in producers.iter() {
        let open = producer.transaction_first_offset.map_or(-1, |offset| offset.0);
        out(&Row::new("producer", 1)
            .number("producer id", id.0)
            .number("epoch", producer.epoch.0)
            .number("last sequence", producer.last_sequence().0)
            .number("last offset", producer.last_offset().0)
            .number("last timestamp", producer.last_timestamp.0)
            .number("coordinator epoch", producer.coordinator_epoch)
            .number("open transaction from", open))?;
    }
    Ok(true)
}

fn dump_batches(path: &Path, depth: Depth, out: Out<'_>) -> io::Result<bool> {
    let file = File::open(path, Open::Read)?;
    let length = file.len()?;
    let is_metadata = path.extension().is_some_and(|extension| extension == "checkpoint")
        || path
            .parent()
            .and_then(Path::file_name)
            .is_some_and(|name| *name == *format!("{METADATA_TOPIC}-0"));
    let mut workspace = Decompressor::new(BATCH_EXPANDED_BYTES_MAX);
    let mut position = 0;
    while position < length {
        let bytes = read_batch(&file, position, length)?;
        let Some(view) = BatchView::parse_only(&bytes).ok() else {
            let what = format!(
                "no whole batch at position {position}; {} bytes follow",
                length - position
            );
            return damaged(out, &what);
        };
        let crc_holds = view.check_crc().is_ok();
        out(&batch_row(view.header(), position, crc_holds))?;
        if depth == Depth::Records && crc_holds && !dump_records(&view, is_metadata, &mut workspace, out)? {
            return Ok(false);
        }
        if !crc_holds {
            damaged(
                out,
                &format!("the checksum of the batch at position {position} does not hold"),
            )?;
        }
        position += bytes.len() as u64;
    }
    Ok(true)
}

/// The bytes of one batch, as far as they are there.
fn read_batch(file: &File, position: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut header = [0; BATCH_HEADER_BYTES];
    let read = file.read_at(FilePosition(position), &mut header)?;
    let bytes = match BatchHeader::decode(&header[..read]) {
        Ok(header) => header.batch_bytes() as u64,
        Err(_) => return Ok(Vec::new()),
    };
    let there = bytes.min(length - position);
    let mut batch = vec![0; usize::try_from(there).unwrap_or(0)];
    let read = file.read_at(FilePosition(position), &mut batch)?;
    batch.truncate(read);
    Ok(batch)
}

fn batch_row(header: &BatchHeader, position: u64, crc_holds: bool) -> Row {
    let codec = header.attributes.compression();
    let codec = codec.map_or("unknown".to_owned(), |codec| format!("{codec:?}").to_lowercase());
    Row::new("batch", 1)
        .number("position", position.cast_signed())
        .number("base offset", header.base_offset.0)
        .number("last offset", header.last_offset().0)
        .number("records", header.record_count)
        .number("bytes", i64::try_from(header.batch_bytes()).unwrap_or(i64::MAX))
        .text("codec", codec)
        .number("epoch", header.leader_epoch.0)
        .number("max timestamp", header.max_timestamp.0)
        .number("producer id", header.producer_id.0)
        .number("producer epoch", header.producer_epoch.0)
        .number("sequence", header.base_sequence.0)
        .flag(
            "append time",
            header.attributes.timestamp_type() == TimestampType::LogAppendTime,
        )
        .flag("transactional", header.attributes.is_transactional())
        .flag("control", header.attributes.is_control())
        .flag("torn", !crc_holds)
}

fn dump_records(
    view: &BatchView<'_>,
    is_metadata: bool,
    workspace: &mut Decompressor,
    out: Out<'_>,
) -> io::Result<bool> {
    let is_control = view.header().attributes.is_control();
    let records = match view.records(workspace) {
        Ok(records) => records,
        Err(error) => return damaged(out, &error.to_string()),
    };
    for record in records {
        match record {
            Ok(record) => out(&record_row(&record, is_control, is_metadata))?,
            Err(error) => return damaged(out, &error.to_string()),
        }
    }
    Ok(true)
}

fn record_row(record: &RecordView<'_>, is_control: bool, is_metadata: bool) -> Row {
    let row = Row::new("record", 2)
        .number("offset", record.offset.0)
        .number("timestamp", record.timestamp.0);
    if is_control {
        let kind = ControlType::from_key(record.key);
        return row
            .text("control", kind.map_or("unknown".to_owned(), |kind| format!("{kind:?}")))
            .bytes("value", record.value);
    }
    if is_metadata {
        let value = Bytes::copy_from_slice(record.value.unwrap_or_default());
        return match decode_record(&value) {
            Ok(decoded) => row.text("metadata", format!("{decoded:?}")),
            Err(error) => row.text("unreadable", error.to_string()).bytes("value", record.value),
        };
    }
    let headers = record
        .headers()
        .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)));
    row.bytes("key", record.key)
        .bytes("value", record.value)
        .headers(headers.collect())
}
