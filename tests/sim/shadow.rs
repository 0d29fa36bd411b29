//! What was written and what was acknowledged, and the comparison with a log that was opened again.

use std::cell::RefCell;
use std::collections::BTreeMap;

use duramen::base::ids::LeaderEpoch;
use duramen::base::offset::Offset;
use duramen::base::time::TimestampMs;
use duramen::log::ReadRequest;
use duramen::log::read::FirstBatch;
use duramen::record::{BatchView, Batches, Decompressor};
use duramen::rt::sim::{Random, Simulation};
use duramen::storage::Log;

use crate::model::Producers;

/// Everything that one log was told, over all its rounds.
#[derive(Default)]
pub struct Shadow {
    /// Batches as they were written, by base offset; those that a crash took are removed when that is seen.
    pub written: BTreeMap<i64, Vec<u8>>,
    /// Batches that found no room, with their base offsets.
    refused: Vec<(i64, Vec<u8>)>,
    /// Everything below was acknowledged.
    pub acknowledged: i64,
    /// Everything below was deleted, and that was acknowledged.
    pub deleted: i64,
    /// Somebody asked for everything below to be deleted.
    pub may_be_deleted: i64,
    /// Where the log ended when it was opened last.
    opened_end: i64,
    /// The end of the log is being taken back to here: what lies above is acknowledged in vain.
    taken_back_to: Option<i64>,
}

impl Shadow {
    /// Records below `offset` may be gone from now on.
    pub fn may_delete_below(&mut self, offset: i64) {
        self.may_be_deleted = self.may_be_deleted.max(offset);
    }

    pub fn end(&self) -> i64 {
        let last = self.written.last_key_value();
        last.map_or(self.opened_end, |(_, bytes)| next_offset(bytes))
    }

    /// Records below `offset` were acknowledged.
    pub fn acknowledge(&mut self, offset: i64) {
        let acknowledged = self.acknowledged.max(offset);
        self.acknowledged = self.taken_back_to.map_or(acknowledged, |to| acknowledged.min(to));
    }

    /// Records below `offset` were deleted.
    pub fn delete_below(&mut self, offset: i64) {
        let deleted = self.deleted.max(offset);
        self.deleted = self.taken_back_to.map_or(deleted, |to| deleted.min(to));
    }

    /// The end of the log is taken back to before the batch that holds `to`: from now on, what lies there may be gone.
    pub fn begin_truncation(&mut self, to: i64) {
        let last = self.written.range(..=to).next_back();
        let holding = last.filter(|(_, bytes)| next_offset(bytes) > to);
        let end = holding.map_or(to, |(base, _)| *base);
        self.taken_back_to = Some(end);
        self.acknowledged = self.acknowledged.min(end);
        self.deleted = self.deleted.min(end);
    }

    /// The log ends at `end`; what was above does not come back.
    pub fn end_truncation(&mut self, end: Option<i64>) {
        self.taken_back_to = None;
        if let Some(end) = end {
            self.written.split_off(&end);
            self.opened_end = self.opened_end.min(end);
            self.deleted = self.deleted.min(end);
        }
    }

    /// Another broker had the log, and these batches are all that is in it.
    pub fn hand_over(&mut self, left: BTreeMap<i64, Vec<u8>>) {
        let end = left
            .last_key_value()
            .map_or(self.deleted, |(_, bytes)| next_offset(bytes));
        self.written = left;
        self.refused.clear();
        self.acknowledged = end;
    }

    /// What was written from `end` on is refused.
    pub fn refuse_from(&mut self, end: i64) {
        self.refused.extend(self.written.split_off(&end));
    }

    /// Holds a log that was just opened against what was written, and forgets what it lost with right.
    pub fn compare(&mut self, log: &Log, random: &mut Random) {
        let found = read_everything(log, 1 + u32::try_from(random.below(20_000)).expect("small"));
        let start = log.log_start_offset().0;
        assert!(
            start >= self.deleted,
            "{} was deleted, the log begins at {start}",
            self.deleted
        );
        assert!(start <= self.may_be_deleted, "nobody deleted what is below {start}");
        let mut offset = found.first_key_value().map_or(start, |(base, _)| *base);
        assert!(offset <= start, "the first batch holds the log start offset");
        let mut producers = Producers::default();
        for (base, bytes) in &found {
            assert_eq!(*base, offset, "offsets are dense");
            // What was refused for want of room may have come to the disk, and its removal not.
            let is_refused = *base >= self.acknowledged && self.refused.contains(&(*base, bytes.clone()));
            let written = self.written.get(base);
            assert!(
                written == Some(bytes) || is_refused,
                "what stands at {base} is what was written there: {written:?}, {bytes:?}"
            );
            offset = next_offset(bytes);
            producers.note(view(bytes).header());
        }
        assert_eq!(log.log_end_offset().0, offset, "the log ends after its last batch");
        assert!(
            offset >= self.acknowledged,
            "{} was acknowledged, the log ends at {offset}",
            self.acknowledged
        );
        assert_eq!(log.durable_end_offset().0, offset, "what a log opens with is durable");
        if start == 0 {
            assert_eq!(Producers::of(log), producers, "producers are what the batches tell");
        } else {
            producers.assert_end_as_in(&Producers::of(log));
        }
        compare_epochs(log, &found);
        self.written = found;
        self.refused.clear();
        self.taken_back_to = None;
        self.acknowledged = offset;
        self.deleted = start;
        self.may_be_deleted = start;
        self.opened_end = offset;
    }
}

pub fn view(bytes: &[u8]) -> BatchView<'_> {
    BatchView::parse_only(bytes).expect("a batch")
}

fn next_offset(bytes: &[u8]) -> i64 {
    view(bytes).header().next_offset().0
}

pub fn request(offset: i64, bytes_max: u32) -> ReadRequest {
    ReadRequest {
        offset: Offset(offset),
        upper: Offset(i64::MAX),
        bytes_max,
        first_batch: FirstBatch::Whole,
    }
}

/// All batches, read one range after another as a consumer does.
pub fn read_everything(log: &Log, bytes_max: u32) -> BTreeMap<i64, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let read = log.read(&request(offset.0, bytes_max)).expect("the disk works");
        let range = read.expect("the offset is in the log").expect("there is a batch");
        for batch in Batches::new(&range.read().expect("the disk works")) {
            let batch = batch.expect("a batch");
            batch.check_crc().expect("a whole batch");
            found.insert(batch.header().base_offset.0, batch.bytes().to_vec());
        }
        assert!(range.next_offset > offset, "reading goes on");
        offset = range.next_offset;
    }
    found
}

/// The epochs that the batches tell are known with the offsets that they begin at.
fn compare_epochs(log: &Log, found: &BTreeMap<i64, Vec<u8>>) {
    let mut latest = LeaderEpoch(-1);
    for (base, bytes) in found {
        let base = &log.log_start_offset().0.max(*base);
        let epoch = view(bytes).header().leader_epoch;
        if epoch > latest {
            latest = epoch;
            log.with_state(|state| {
                assert_eq!(
                    state.epochs().epoch_of(Offset(*base)),
                    Some(epoch),
                    "the epoch at {base}"
                );
                let before = state.epochs().epoch_of(Offset(base - 1));
                assert!(before.is_none_or(|before| before < epoch), "the epoch before {base}");
            });
        }
    }
}

/// Random offsets and timestamps are found where a look at every batch finds them.
pub async fn look_up(log: &Log, found: &BTreeMap<i64, Vec<u8>>, random: &RefCell<Random>) {
    let below = |bound| random.borrow_mut().below(bound).cast_signed();
    let (start, end) = (log.log_start_offset().0, log.log_end_offset().0);
    for _ in 0..4 {
        let offset = start + below(u64::try_from(end - start).expect("not negative"));
        let expected = found.range(..=offset).next_back().map(|(base, _)| *base);
        let read = log
            .read(&request(offset, 1))
            .expect("the disk works")
            .expect("in the log");
        let base = read.map(|range| view(&range.read().expect("the disk works")).header().base_offset.0);
        assert_eq!(base, expected, "the batch of offset {offset}");

        let timestamp = TimestampMs(below(3000));
        let hit = log.offset_for_timestamp(timestamp).await;
        if Simulation::has_crashed() {
            return;
        }
        let hit = hit.expect("the disk works");
        assert_eq!(
            hit.map(|hit| hit.offset.0),
            first_at(found, start, timestamp),
            "{timestamp:?}"
        );
    }
}

fn first_at(found: &BTreeMap<i64, Vec<u8>>, start: i64, timestamp: TimestampMs) -> Option<i64> {
    let mut decompressor = Decompressor::new(1 << 20);
    found.values().find_map(|bytes| {
        let mut records = view(bytes).records(&mut decompressor).expect("records");
        let hit = records.find(|record| {
            let record = record.as_ref().expect("a record");
            record.timestamp >= timestamp && record.offset.0 >= start
        });
        hit.map(|record| record.expect("a record").offset.0)
    })
}
