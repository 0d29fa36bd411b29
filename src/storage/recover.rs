//! Recovers the segments of a log one after another, by the tables of `log::recovery`.
//!
//! Can be interrupted at any moment and begun anew: segments behind a cut are removed, and known to be removed, before the cut.

use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::replace_file;
use super::error::StorageError;
use super::index::IndexFile;
use super::indexes::Indexes;
use super::open::{Cut, Opening, Shutdown};
use super::walk::{Walk, first_batch};
use crate::base::offset::{FilePosition, Offset};
use crate::log::epochs::{EpochStart, LeaderEpochs};
use crate::log::index::OffsetEntry;
use crate::log::names::{FileKind, file_name};
use crate::log::producers::Producers;
use crate::log::recovery::rebuild::{IndexCounts, Rebuild};
use crate::log::recovery::{
    Extent, Role, SegmentCheck, SegmentFacts, Synced, Verdict, WalkEnd, check_for, verdict_for,
};
use crate::log::{Batch, Segment};
use crate::record::{BATCH_HEADER_BYTES, BatchHeader};
use crate::rt::fs::{self, File, Open};

impl Opening<'_> {
    pub(super) async fn recover(&mut self) -> Result<(), StorageError> {
        let segments = self.segments.clone();
        for (index, (base_offset, length)) in segments.iter().enumerate() {
            let next_base = segments.get(index + 1).map(|(next, _)| *next);
            let goes_on = self.recover_segment(*base_offset, *length, next_base).await?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Recovers one segment; says whether those after it stay.
    async fn recover_segment(
        &mut self,
        base_offset: Offset,
        length: u64,
        next_base: Option<Offset>,
    ) -> Result<bool, StorageError> {
        let extent = self.extent(base_offset, next_base);
        let indexes = match extent {
            Extent::Front => Indexes::read_below(&self.request.path, base_offset, self.request.recovery_point)?,
            Extent::Nothing | Extent::Wholly => Indexes::read(&self.request.path, base_offset, length)?,
        };
        let facts = SegmentFacts {
            synced: extent,
            role: next_base.map_or(Role::Active, |_| Role::Closed),
            epochs: self.epochs_known,
            offset_index: indexes.offset_state,
            time_index: indexes.time_state,
        };
        let mut check = check_for(&facts);
        // Producers are made of batches: what no snapshot covers must be walked.
        let tail = indexes.last_offset_entry;
        let covered = match check {
            SegmentCheck::Trust => next_base.is_none_or(|next| next <= self.replay_from),
            SegmentCheck::WalkTail => tail.is_none_or(|entry| entry.last_offset <= self.replay_from),
            SegmentCheck::WalkAll => true,
        };
        if !covered {
            check = SegmentCheck::WalkAll;
        }
        match check {
            SegmentCheck::Trust => {
                self.trust(base_offset, length, next_base);
                Ok(true)
            }
            SegmentCheck::WalkTail => self.walk(base_offset, length, next_base, Some(indexes)).await,
            SegmentCheck::WalkAll => self.walk(base_offset, length, next_base, None).await,
        }
    }

    fn trust(&mut self, base_offset: Offset, length: u64, next_base: Option<Offset>) {
        self.recovered.push(Segment {
            base_offset,
            bytes: u32::try_from(length).unwrap_or(u32::MAX),
            largest_timestamp: None,
        });
        self.log_end_offset = next_base.unwrap_or(base_offset);
    }

    /// How much of a segment was on the disk, with its indexes, when the broker stopped.
    fn extent(&self, base_offset: Offset, next_base: Option<Offset>) -> Extent {
        let recovery_point = self.request.recovery_point;
        match self.request.shutdown {
            Shutdown::Clean => Extent::Wholly,
            // At a recovery point that is the end of a segment, it may have been rolled after: its indexes lack their last entry.
            Shutdown::Unclean if next_base.is_some_and(|next| next < recovery_point) => Extent::Wholly,
            Shutdown::Unclean if base_offset < recovery_point => Extent::Front,
            Shutdown::Unclean => Extent::Nothing,
        }
    }

    /// Whether the record at `offset` was on the disk when the broker stopped.
    fn synced(&self, offset: Offset) -> Synced {
        match self.request.shutdown {
            Shutdown::Unclean if offset >= self.request.recovery_point => Synced::Partly,
            Shutdown::Clean | Shutdown::Unclean => Synced::Wholly,
        }
    }

    /// Walks over a segment, from what its indexes know or from its front; says whether the segments after it stay.
    async fn walk(
        &mut self,
        base_offset: Offset,
        length: u64,
        next_base: Option<Offset>,
        tail_of: Option<Indexes>,
    ) -> Result<bool, StorageError> {
        let path = self.request.path.join(file_name(base_offset, FileKind::Log));
        let failed = |source| StorageError::failed("read", &path)(source);
        let file = File::open(&path, Open::ReadWrite).map_err(failed)?;
        let mut rebuild = Rebuild::new(
            base_offset,
            self.request.now,
            self.request.settings.index_interval_bytes,
        );
        let tail_of = tail_of.filter(|indexes| is_right_about(indexes.last_offset_entry, &file));
        let is_resumed = tail_of.is_some();
        if let Some(indexes) = tail_of {
            rebuild = rebuild.resume(indexes.last_offset_entry, indexes.last_time_entry, indexes.counts);
            if let Some(first) = first_batch(&file).map_err(failed)? {
                rebuild.note_first_batch(&first);
            }
        }
        let began = rebuild.position();
        let walk = Walk {
            file: &file,
            length,
            next_base,
            is_next_empty: self.is_empty_last(next_base),
        };
        let (epochs, producers, replay_from) = (&mut self.epochs, &mut self.producers, self.replay_from);
        let end = walk
            .run(&mut rebuild, |batch| replay(batch, epochs, producers, replay_from))
            .await
            .map_err(failed)?;
        self.bytes_walked += rebuild.position().0 - began.0;
        self.judge(end, &rebuild, &file, &path, length).await?;
        let may_be_cached = !is_resumed || self.request.shutdown == Shutdown::Unclean;
        if may_be_cached && !self.request.is_on_disk {
            // What survived a crash may be in the page cache alone, and what is kept here counts as durable.
            let synced = file.sync_data().await;
            synced.map_err(|error| self.health.fail("sync", &path, &error))?;
        }
        let passed = next_base.filter(|next| rebuild.next_offset() > *next);
        if let Some(empty) = passed {
            self.remove_behind(&[empty]).await?;
        }
        let is_last = next_base.is_none() || self.report.cut.is_some() || passed.is_some();
        self.keep(rebuild, is_last, is_resumed).await?;
        Ok(self.report.cut.is_none() && passed.is_none())
    }

    /// Whether the segment at `base` is the last one, and has nothing.
    fn is_empty_last(&self, base: Option<Offset>) -> bool {
        self.segments
            .last()
            .is_some_and(|(last, length)| Some(*last) == base && *length == 0)
    }

    /// Removes segments, the last one first.
    async fn remove_behind(&mut self, behind: &[Offset]) -> Result<(), StorageError> {
        let directory = &self.request.path;
        for base_offset in behind.iter().rev() {
            remove_segment(directory, *base_offset).map_err(|error| self.health.fail("remove", directory, &error))?;
            self.report.segments_removed += 1;
        }
        let synced = fs::sync_names(directory).await;
        synced.map_err(|error| self.health.fail("sync", directory, &error))
    }

    /// Does what the table says of a walk that ended so.
    async fn judge(
        &mut self,
        end: WalkEnd,
        rebuild: &Rebuild,
        file: &File,
        path: &Path,
        length: u64,
    ) -> Result<(), StorageError> {
        let (position, offset) = (rebuild.position(), rebuild.next_offset());
        match verdict_for(end, self.synced(offset)) {
            Verdict::Keep => Ok(()),
            Verdict::Quarantine => Err(StorageError::Damaged {
                path: path.to_owned(),
                position,
                offset,
                what: what_is_wrong(end),
            }),
            Verdict::CutSurplus => {
                self.report.surplus_cut += 1;
                self.truncate(file, path, position).await
            }
            Verdict::Cut => {
                let cut = Cut {
                    file: path.to_owned(),
                    position,
                    offset,
                    bytes: length - position.0,
                    end,
                };
                self.cut(file, path, cut).await
            }
        }
    }

    /// Ends the log at the end of what is right: first the segments behind it go, the last one first.
    async fn cut(&mut self, file: &File, path: &Path, cut: Cut) -> Result<(), StorageError> {
        let behind = self.segments.iter().map(|(base_offset, _)| *base_offset);
        let behind: Vec<Offset> = behind
            .filter(|base_offset| *base_offset >= cut.offset && !is_name_of(path, *base_offset))
            .collect();
        self.remove_behind(&behind).await?;
        self.truncate(file, path, cut.position).await?;
        tracing::warn!(
            file = %path.display(),
            position = %cut.position,
            offset = %cut.offset,
            bytes = cut.bytes,
            end = ?cut.end,
            "cut off the end of a log that was not synced when the broker stopped"
        );
        self.report.cut = Some(cut);
        Ok(())
    }

    async fn truncate(&self, file: &File, path: &Path, end: FilePosition) -> Result<(), StorageError> {
        let truncated = match file.truncate(end.0) {
            Ok(()) => file.sync_data().await,
            Err(error) => Err(error),
        };
        truncated.map_err(|error| self.health.fail("truncate", path, &error))
    }

    /// Takes a walked segment into the log, with its indexes as the walk made them.
    async fn keep(&mut self, mut rebuild: Rebuild, is_last: bool, is_resumed: bool) -> Result<(), StorageError> {
        let directory = &self.request.path;
        let base_offset = rebuild.segment().base_offset;
        if !is_last {
            rebuild.close();
        }
        let path = |kind| directory.join(file_name(base_offset, kind));
        let (offset_bytes, time_bytes) = rebuild.index_files();
        if is_resumed {
            let counts = self.counts_before(&rebuild, offset_bytes, time_bytes);
            let offset_index = IndexFile::<8>::new(path(FileKind::OffsetIndex), counts.offset);
            self.append_entries(offset_index, offset_bytes).await?;
            let time_index = IndexFile::<12>::new(path(FileKind::TimeIndex), counts.time);
            self.append_entries(time_index, time_bytes).await?;
        } else {
            self.report.segments_walked += 1;
            for (kind, bytes) in [(FileKind::OffsetIndex, offset_bytes), (FileKind::TimeIndex, time_bytes)] {
                let replaced = replace_if_different(path(kind), bytes, self.request.is_on_disk).await;
                replaced.map_err(|error| self.health.fail_write("write", &path(kind), &error))?;
            }
        }
        self.active = rebuild.active();
        self.active_counts = IndexCounts {
            offset: self.active.offset_index_entries,
            time: self.active.time_index_entries,
        };
        self.log_end_offset = rebuild.next_offset();
        self.recovered.push(rebuild.segment());
        Ok(())
    }

    /// Adds what a walk over the tail of a segment has found to its index. After a crash, what stood there is not to be trusted.
    async fn append_entries<const N: usize>(
        &self,
        mut index: IndexFile<N>,
        entries: &[u8],
    ) -> Result<(), StorageError> {
        let was_unclean = self.request.shutdown == Shutdown::Unclean;
        if was_unclean {
            if self.request.is_on_disk && entries.is_empty() && index.ends_at_its_entries() {
                return Ok(());
            }
            index.cut(self.health)?;
        }
        for entry in entries.as_chunks::<N>().0 {
            index.push(*entry, self.health)?;
        }
        index.flush(self.health)?;
        if was_unclean {
            let synced = match index.opened() {
                Ok(file) => file.sync_data().await,
                Err(error) => Err(error),
            };
            synced.map_err(|error| self.health.fail("sync", &self.request.path, &error))?;
        }
        Ok(())
    }

    /// Entries that the index files had before a walk over the tail added some.
    fn counts_before(&self, rebuild: &Rebuild, offset_bytes: &[u8], time_bytes: &[u8]) -> IndexCounts {
        let count = |bytes: usize| u32::try_from(bytes).unwrap_or(0);
        IndexCounts {
            offset: rebuild.active().offset_index_entries - count(offset_bytes.len() / 8),
            time: rebuild.active().time_index_entries - count(time_bytes.len() / 12),
        }
    }
}

/// Takes one batch of the log into what is made of batches.
fn replay(batch: &Batch, epochs: &mut LeaderEpochs, producers: &mut Producers, replay_from: Offset) {
    if epochs.latest().is_none_or(|latest| batch.leader_epoch > latest) {
        epochs.assign(EpochStart {
            epoch: batch.leader_epoch,
            start_offset: batch.base_offset,
        });
    }
    if batch.base_offset >= replay_from {
        producers.note(batch, batch.base_offset);
    }
}

fn what_is_wrong(end: WalkEnd) -> &'static str {
    match end {
        WalkEnd::Complete => "nothing",
        WalkEnd::Short => "offsets are missing before the next segment",
        WalkEnd::Torn => "the file ends inside a batch",
        WalkEnd::Zeroes => "there are zeroes where a batch was",
        WalkEnd::Corrupt => "the batch is not as it was written",
        WalkEnd::Surplus => "there is more in the file than its batches up to the next segment",
    }
}

fn is_name_of(path: &Path, base_offset: Offset) -> bool {
    path.file_name()
        .is_some_and(|name| *name == *file_name(base_offset, FileKind::Log))
}

/// Removes a segment, its batches first: an index without a log is a leftover, the other way round it is a log.
fn remove_segment(directory: &Path, base_offset: Offset) -> io::Result<()> {
    for kind in [
        FileKind::Log,
        FileKind::OffsetIndex,
        FileKind::TimeIndex,
        FileKind::ProducerSnapshot,
    ] {
        match fs::remove_file(directory.join(file_name(base_offset, kind))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Gives a file new content and waits until it is on the disk. The old content, if right, is never in danger: a crash while recovering
/// from another must not leave less than there was.
async fn replace_if_different(path: PathBuf, content: &[u8], is_on_disk: bool) -> io::Result<()> {
    match fs::read(&path) {
        Ok(found) if found == content && is_on_disk => Ok(()),
        Ok(found) if found == content => File::open(&path, Open::ReadWrite)?.sync_data().await,
        Ok(_) | Err(_) => replace_file(path, content).await,
    }
}

/// Whether a batch that ends at this offset stands at this position.
fn is_right_about(entry: Option<OffsetEntry>, file: &File) -> bool {
    let Some(entry) = entry else { return true };
    let mut header = [0; BATCH_HEADER_BYTES];
    let read = file.read_at(entry.position, &mut header);
    read.is_ok() && BatchHeader::decode(&header).is_ok_and(|header| header.last_offset() == entry.last_offset)
}
