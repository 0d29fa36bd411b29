//! Another broker, as Apache Kafka is, has the directory between two rounds, and crashes too.
//!
//! It knows no journal: it ends each log before the first batch that is not whole, begins leader epochs, appends there, and its end
//! may be torn. What it left is what counts from then on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duramen::base::ids::{LeaderEpoch, NodeId};
use duramen::base::offset::Offset;
use duramen::base::time::TimestampMs;
use duramen::metadata::quorum::{encode_quorum_state, quorum_epoch};
use duramen::record::{BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, Batches, Record};
use duramen::rt::sim::{Image, Random};

use crate::shadow::view;

/// Where the state of the quorum is.
pub const QUORUM_STATE: &str = "/data/__cluster_metadata-0/quorum-state";

/// Where a batch has its leader epoch.
const LEADER_EPOCH: std::ops::Range<usize> = 12..16;

/// Begins a term of the other broker: after it, no stop is known to be clean.
pub fn begin(image: &mut Image) {
    let state = image.files.get(Path::new(QUORUM_STATE));
    let last = state.and_then(|state| quorum_epoch(state)).unwrap_or(LeaderEpoch(0));
    let state = encode_quorum_state(NodeId(1), LeaderEpoch(last.0 + 1));
    image.files.insert(QUORUM_STATE.into(), state.into_bytes());
    image.files.remove(Path::new("/data/.kafka_cleanshutdown"));
}

/// Has a partition in its hands; the batches that are whole at the end, by base offset. One without a segment it leaves.
pub fn take(image: &mut Image, directory: &Path, random: &mut Random) -> BTreeMap<i64, Vec<u8>> {
    let of_partition = |path: &&PathBuf| path.parent() == Some(directory);
    let files: Vec<PathBuf> = image.files.keys().filter(of_partition).cloned().collect();
    let segments: Vec<PathBuf> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "log"))
        .cloned()
        .collect();
    let mut found = BTreeMap::new();
    let (mut end, mut last) = (0, None);
    for segment in segments {
        let base_offset = base_offset_of(&segment);
        // Apache Kafka itself would go on behind a hole.
        let ends_before = |(_, is_whole): &(PathBuf, bool)| !is_whole || base_offset > end;
        if last.as_ref().is_some_and(ends_before) {
            image.files.remove(&segment);
            last = last.map(|(segment, _)| (segment, false));
            continue;
        }
        let bytes = image.files.get_mut(&segment).expect("it is there");
        end = base_offset;
        let mut length = 0;
        for batch in whole_batches(bytes, end) {
            length += batch.len();
            let header = header_of(&batch);
            end = header.next_offset().0;
            found.insert(header.base_offset.0, batch);
        }
        let is_whole = length == bytes.len();
        bytes.truncate(length);
        last = Some((segment, is_whole));
    }
    let Some((active, _)) = last else { return found };
    let mut appended = append(&found, end, random);
    if random.percent(50) {
        let kept = usize::try_from(random.below(1 + appended.len() as u64)).expect("small");
        match random.percent(50) {
            true => appended.truncate(kept),
            // Its length was on the disk, and its end was not.
            false => appended[kept..].fill(0),
        }
    }
    for batch in whole_batches(&appended, end) {
        found.insert(header_of(&batch).base_offset.0, batch);
    }
    let log = image.files.get_mut(&active).expect("it is there");
    log.extend_from_slice(&appended);
    // What is derived it has made anew, and that is torn.
    for path in files {
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        let is_cut_off = base_offset_of(&path) > end || path.with_extension("log") == active;
        let is_derived = is_cut_off && (kind == "snapshot" || kind.ends_with("index"));
        if is_derived || path.ends_with("leader-epoch-checkpoint") {
            image.files.remove(&path);
        }
    }
    found
}

/// Some batches that go on at `end`, in a leader epoch of their own.
fn append(found: &BTreeMap<i64, Vec<u8>>, end: i64, random: &mut Random) -> Vec<u8> {
    let latest = found
        .last_key_value()
        .map_or(0, |(_, batch)| header_of(batch).leader_epoch.0);
    let (mut bytes, mut next) = (Vec::new(), end);
    for _ in 0..random.below(4) {
        let records = 1 + random.below(3).cast_signed();
        let mut builder = BatchBuilder::new().base_offset(Offset(next));
        for _ in 0..records {
            let value = vec![7; usize::try_from(random.below(200)).expect("small")];
            let record = Record::new(TimestampMs(1000), None, Some(&value));
            builder.append(&record).expect("a small batch");
        }
        let at = bytes.len();
        bytes.extend_from_slice(&builder.build().expect("a small batch"));
        bytes[at..at + BATCH_HEADER_BYTES][LEADER_EPOCH].copy_from_slice(&(latest + 1).to_be_bytes());
        next += records;
    }
    bytes
}

fn header_of(batch: &[u8]) -> BatchHeader {
    *view(batch).header()
}

/// The batches from the front that are whole and follow each other from `next` on.
fn whole_batches(bytes: &[u8], mut next: i64) -> Vec<Vec<u8>> {
    let mut whole = Vec::new();
    for batch in Batches::new(bytes) {
        let Ok(batch) = batch else { break };
        if batch.check_crc().is_err() || batch.header().base_offset.0 < next {
            break;
        }
        next = batch.header().next_offset().0;
        whole.push(batch.bytes().to_vec());
    }
    whole
}

fn base_offset_of(path: &Path) -> i64 {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.parse().unwrap_or(0)
}
