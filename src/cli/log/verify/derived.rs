//! The files beside a segment, compared with its batches.

use super::bytes::{Crc, Numbers};
use super::segment::{Batch, Segment};
use super::{Fault, Place};

/// Entries of an index file; those that Kafka has reserved and not filled are zeroes at its end.
fn entries<'a>(place: &Place<'_>, bytes: &'a [u8], size: usize, faults: &mut Vec<Fault>) -> Vec<&'a [u8]> {
    if !bytes.len().is_multiple_of(size) {
        faults.push(place.whole(format!(
            "{} bytes are not a number of entries of {size} bytes",
            bytes.len()
        )));
    }
    let mut entries: Vec<&[u8]> = bytes.chunks_exact(size).collect();
    while entries.last().is_some_and(|entry| entry.iter().all(|byte| *byte == 0)) {
        entries.pop();
    }
    entries
}

/// Offsets and positions only grow; each position is where a batch begins, and the offset is the last one of it or of a later batch.
pub(super) fn offset_index(place: &Place<'_>, bytes: &[u8], segment: &Segment, faults: &mut Vec<Fault>) {
    let mut before = (-1, -1);
    for (number, entry) in (0_u64..).zip(entries(place, bytes, 8, faults)) {
        let mut numbers = Numbers(entry);
        let (Some(relative), Some(position)) = (numbers.i32(), numbers.i32()) else {
            return;
        };
        let offset = place.base_offset.saturating_add(i64::from(relative));
        let mut fault = |what| faults.push(place.fault(number * 8, offset, what));
        if (i64::from(relative), i64::from(position)) <= before || i64::from(position) <= before.1 {
            fault(format!(
                "the entry does not come after the one before it, position {position}"
            ));
        }
        before = (i64::from(relative), i64::from(position));
        let found = segment
            .batches
            .binary_search_by_key(&i64::from(position), |batch| batch.position.cast_signed());
        match found {
            Ok(index) if batch_ends_at(&segment.batches[index..], offset) => {}
            Ok(_) => fault(format!("no batch from position {position} on ends at this offset")),
            Err(_) if !segment.is_walked && position.cast_unsigned() as u64 >= end_of(segment) => {}
            Err(_) => fault(format!("no batch begins at position {position}")),
        }
    }
}

fn end_of(segment: &Segment) -> u64 {
    segment.batches.last().map_or(0, |batch| batch.position + 1)
}

fn batch_ends_at(batches: &[Batch], offset: i64) -> bool {
    batches.binary_search_by_key(&offset, |batch| batch.last_offset).is_ok()
}

/// Timestamps only grow; no record up to the offset of an entry has a larger one.
pub(super) fn time_index(place: &Place<'_>, bytes: &[u8], segment: &Segment, faults: &mut Vec<Fault>) {
    let mut before = (i64::MIN, i64::MIN);
    for (number, entry) in (0_u64..).zip(entries(place, bytes, 12, faults)) {
        let mut numbers = Numbers(entry);
        let (Some(timestamp), Some(relative)) = (numbers.i64(), numbers.i32()) else {
            return;
        };
        let offset = place.base_offset.saturating_add(i64::from(relative));
        let mut fault = |what| faults.push(place.fault(number * 12, offset, what));
        if timestamp <= before.0 || offset < before.1 {
            fault(format!(
                "the entry does not come after the one before it, timestamp {timestamp}"
            ));
        }
        before = (timestamp, offset);
        let covered = segment.batches.iter().take_while(|batch| batch.last_offset <= offset);
        let largest = covered.map(|batch| batch.max_timestamp).max().unwrap_or(i64::MIN);
        if largest > timestamp {
            fault(format!(
                "a batch up to here has the timestamp {largest}, the entry says at most {timestamp}"
            ));
        }
        if segment.is_walked && segment.batches.last().is_none_or(|last| offset > last.last_offset) {
            fault("no batch is at this offset".to_owned());
        }
    }
}

/// The lines of a checkpoint: version, count, entries.
pub(super) fn checkpoint<'a>(place: &Place<'_>, text: &'a [u8], faults: &mut Vec<Fault>) -> Vec<Vec<&'a str>> {
    let mut fault = |what: &str| faults.push(place.whole(what.to_owned()));
    // Kafka makes the file without content.
    if text.is_empty() {
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(text) else {
        fault("it is no text");
        return Vec::new();
    };
    let mut lines = text.lines();
    if lines.next() != Some("0") {
        fault("it does not begin with the version 0");
        return Vec::new();
    }
    let count: Option<usize> = lines.next().and_then(|line| line.parse().ok());
    let lines: Vec<Vec<&str>> = lines.map(|line| line.split(' ').collect()).collect();
    if count != Some(lines.len()) || !text.ends_with('\n') {
        fault("it has not the number of lines that it says");
    }
    lines
}

/// A checkpoint of offsets, by partition.
pub(super) fn offsets(place: &Place<'_>, text: &[u8], faults: &mut Vec<Fault>) {
    for line in checkpoint(place, text, faults) {
        let is_right = matches!(line.as_slice(), [_, partition, offset]
            if partition.parse::<u32>().is_ok() && offset.parse::<i64>().is_ok_and(|offset| offset >= 0));
        if !is_right {
            faults.push(place.whole(format!(
                "the line {:?} is no topic, partition and offset",
                line.join(" ")
            )));
        }
    }
}

/// Epochs and where they begin; both only grow, and each batch has the epoch that the list says. What lies before the list may be
/// deleted already, in a segment that has more behind it.
pub(super) fn epochs(place: &Place<'_>, text: &[u8], segments: &[Segment], faults: &mut Vec<Fault>) {
    let mut known: Vec<(i64, i32)> = Vec::new();
    for line in checkpoint(place, text, faults) {
        let parsed = match line.as_slice() {
            [epoch, start] => epoch.parse::<i32>().ok().zip(start.parse::<i64>().ok()),
            _ => None,
        };
        let Some((epoch, start)) = parsed else {
            faults.push(place.whole(format!("the line {:?} is no epoch and offset", line.join(" "))));
            return;
        };
        if known
            .last()
            .is_some_and(|(last_start, last)| *last >= epoch || *last_start >= start)
        {
            faults.push(place.whole(format!(
                "epoch {epoch} from offset {start} on does not come after the one before it"
            )));
        }
        known.push((start, epoch));
    }
    let begin = known.first().map_or(i64::MIN, |(start, _)| *start);
    let listed = segments.iter().flat_map(|segment| &segment.batches);
    for batch in listed.filter(|batch| batch.last_offset >= begin) {
        let after = known.partition_point(|(start, _)| *start <= batch.base_offset.max(begin));
        let listed = after.checked_sub(1).map(|index| known[index].1);
        if listed != Some(batch.epoch) {
            let listed = listed.map_or("no epoch".to_owned(), |epoch| format!("epoch {epoch}"));
            let what = format!(
                "the batch at offset {} has epoch {}, the list says {listed}",
                batch.base_offset, batch.epoch
            );
            faults.push(place.whole(what));
            return;
        }
    }
}

/// What is known of producers before the offset in the name.
pub(super) fn producers(place: &Place<'_>, bytes: &[u8], faults: &mut Vec<Fault>) {
    const ENTRY_BYTES: usize = 46;
    let mut numbers = Numbers(bytes);
    let (Some(version), Some(says)) = (numbers.i16(), numbers.u32()) else {
        faults.push(place.whole("it is shorter than its header".to_owned()));
        return;
    };
    let mut crc = Crc::new();
    crc.add(numbers.0);
    if version != 1 || crc.value() != says {
        let is = crc.value();
        faults.push(place.whole(format!(
            "version {version}, checksum {is:08x}; the header says {says:08x}"
        )));
        return;
    }
    for number in 0..numbers.i32().unwrap_or(-1) {
        let position = (bytes.len() - numbers.0.len()) as u64;
        let entry = numbers.bytes(ENTRY_BYTES).and_then(|entry| {
            let mut entry = Numbers(entry);
            Some((entry.i64()?, entry.i16()?, entry.i32()?, entry.i64()?))
        });
        let Some((id, epoch, sequence, last_offset)) = entry else {
            faults.push(place.whole(format!("entry {number} is not whole")));
            return;
        };
        if id < 0 || epoch < 0 || sequence < -1 || last_offset >= place.base_offset {
            let what =
                format!("producer {id}, epoch {epoch}, sequence {sequence}, last offset {last_offset} cannot be");
            faults.push(place.fault(position, last_offset, what));
        }
    }
}

/// Aborted transactions.
pub(super) fn transactions(place: &Place<'_>, bytes: &[u8], faults: &mut Vec<Fault>) {
    const ENTRY_BYTES: usize = 34;
    if !bytes.len().is_multiple_of(ENTRY_BYTES) {
        faults.push(place.whole(format!(
            "{} bytes are not a number of entries of {ENTRY_BYTES} bytes",
            bytes.len()
        )));
    }
    for (number, entry) in (0_u64..).zip(bytes.chunks_exact(ENTRY_BYTES)) {
        let mut numbers = Numbers(entry);
        let (version, id) = (numbers.i16(), numbers.i64());
        let (first, last) = (numbers.i64().unwrap_or(-1), numbers.i64().unwrap_or(-1));
        if version != Some(0) || id.is_none_or(|id| id < 0) || first < 0 || last < first {
            let what = format!("the transaction of producer {id:?} from {first} to {last} cannot be");
            faults.push(place.fault(number * ENTRY_BYTES as u64, first, what));
        }
    }
}
