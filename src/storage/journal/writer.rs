//! Writes groups, one at a time, and frees the files that they fill.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::{Journal, LogInner, room_for};
use crate::base::offset::FilePosition;
use crate::base::time::Monotonic;
use crate::log::journal::format::{
    ENTRY_HEADER_BYTES, GROUP_HEADER_BYTES, GroupHeader, Place, encode_entry_header, padded_group, seal_group,
};
use crate::log::journal::ring::{Placed, rest_between_syncs};
use crate::rt::fs::{AlignedBuffer, DirectFile};
use crate::rt::local::Event;
use crate::rt::{task, time};
use crate::storage::durability::Unsynced;
use crate::storage::error::StorageError;
use crate::storage::log::Log;

/// Logs that are synced side by side where files are running out.
const FREEING_MAX: usize = 4;

/// When a log could not be synced and its disk has not failed: its file could not be opened.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// When another sync is under way.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// Logs whose batches stand in one group, and where each ends.
struct Group {
    logs: Vec<(Log, Unsynced)>,
    length: usize,
}

/// Writes group after group until nobody waits.
pub(super) async fn write_groups(journal: Journal) {
    loop {
        if journal.inner.health.is_offline() {
            // Nothing is written after a failure; those who wait hear of it.
            for log in journal.inner.joined.take() {
                log.leave_journal();
                log.durability_moved();
            }
        }
        let mut buffer = journal.inner.buffer.take();
        let group = collect(&journal, &mut buffer).await;
        if group.logs.is_empty() {
            journal.inner.buffer.replace(buffer);
            if journal.inner.joined.borrow().is_empty() {
                journal.inner.is_writing.set(false);
                return;
            }
            continue;
        }
        let placed = journal.inner.ring.borrow_mut().place(padded_group(group.length));
        journal.make_file_if_wanted();
        free_if_wanted(&journal);
        let Ok(placed) = placed else {
            journal.inner.buffer.replace(buffer);
            overflow(&journal, group);
            continue;
        };
        register(&journal, &group, &placed);
        let buffer = write(&journal, &group, &placed, buffer).await;
        journal.inner.buffer.replace(buffer);
    }
}

/// Takes logs that have joined, as many as a group has room for, and copies what they have to make durable. They leave when that is written:
/// what is appended to them meanwhile is for the next group.
async fn collect(journal: &Journal, buffer: &mut AlignedBuffer) -> Group {
    let mut joined = journal.inner.joined.take();
    let mut group = Group {
        logs: Vec::with_capacity(joined.len()),
        length: GROUP_HEADER_BYTES,
    };
    let mut taken = 0;
    let bytes_max = journal.group_bytes_max();
    for log in &joined {
        let unsynced = log.unsynced();
        if unsynced.bytes == 0 || !journal.takes(&unsynced) {
            // Durable by now, or grown too long: whoever waits looks again, and has it synced.
            taken += 1;
            log.leave_journal();
            log.durability_moved();
            continue;
        }
        let room = room_for(&unsynced);
        if group.length + room > bytes_max {
            break;
        }
        taken += 1;
        grow(buffer, group.length + room);
        if copy(log, &unsynced, &mut buffer[group.length..group.length + room]).is_err() {
            log.leave_journal();
            log.sync_in_background();
            continue;
        }
        group.length += room;
        group.logs.push((log.clone(), unsynced));
        task::yield_if_needed().await;
    }
    joined.drain(..taken);
    let mut later = journal.inner.joined.borrow_mut();
    joined.append(&mut later);
    *later = joined;
    group
}

/// Gives the buffer room for a group of `length`.
fn grow(buffer: &mut AlignedBuffer, length: usize) {
    let wanted = padded_group(length);
    if buffer.len() < wanted {
        let mut larger = AlignedBuffer::new(wanted.next_power_of_two());
        larger[..buffer.len()].copy_from_slice(buffer);
        *buffer = larger;
    }
}

/// Puts one entry into a group.
fn copy(log: &Log, unsynced: &Unsynced, into: &mut [u8]) -> std::io::Result<()> {
    let length = usize::try_from(unsynced.bytes).unwrap_or(usize::MAX);
    let place = Place {
        topic_id: log.topic_id(),
        partition: log.partition().partition,
        segment: unsynced.from.segment,
        position: unsynced.from.position,
        base_offset: unsynced.from.offset,
        next_offset: unsynced.to.offset,
    };
    encode_entry_header(into, &place, u32::try_from(unsynced.bytes).unwrap_or(u32::MAX));
    let (batches, padding) = into[ENTRY_HEADER_BYTES..].split_at_mut(length);
    padding.fill(0);
    if let Some(run) = log.take_kept(unsynced) {
        batches.copy_from_slice(run.bytes());
        if cfg!(debug_assertions) {
            let mut there = vec![0; length];
            log.read_active(unsynced.from.position, &mut there)?;
            crate::check!(there == batches, "the journal has what the segment has");
        }
        return Ok(());
    }
    // Appended a moment ago: in the page cache, and dirty.
    let read = log.read_active(unsynced.from.position, batches)?;
    if read < length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Notes which logs have entries in the file, for the time when it is full.
fn register(journal: &Journal, group: &Group, placed: &Placed) {
    let fillings = &journal.inner.fillings;
    if placed.position == FilePosition(super::BLOCK_BYTES as u64) {
        fillings.set(fillings.get() + 1);
        let now = time::now();
        let since = journal.inner.filling_since.replace(now);
        journal.inner.filled_in.set(now.since(since));
    }
    let mut files = journal.inner.files.borrow_mut();
    for (log, _) in &group.logs {
        if log.note_filling(fillings.get()) {
            files[placed.slot].logs.push(log.downgrade());
        }
    }
}

/// Writes a group and tells its logs.
async fn write(journal: &Journal, group: &Group, placed: &Placed, mut buffer: AlignedBuffer) -> AlignedBuffer {
    let header = GroupHeader {
        length: u32::try_from(group.length).unwrap_or(u32::MAX),
        entries: u32::try_from(group.logs.len()).unwrap_or(u32::MAX),
        epoch: journal.inner.epoch,
        sequence: placed.sequence,
        tail: placed.tail,
    };
    let bytes = seal_group(&mut buffer, &header);
    let file: DirectFile = journal.inner.files.borrow()[placed.slot].file.clone();
    let (written, buffer) = file.write_durable(placed.position, buffer, bytes).await;
    journal.count(|statistics| {
        statistics.groups += 1;
        statistics.entries += u64::from(header.entries);
        statistics.bytes_written += u64::try_from(bytes).unwrap_or(0);
    });
    match written {
        Ok(()) => {
            for (log, unsynced) in &group.logs {
                log.leave_journal();
                log.note_durable(unsynced.to);
                task::yield_if_needed().await;
            }
        }
        Err(error) => {
            let path = journal.path_of(placed.slot);
            // The error is in the health of the directory, where all who wait look.
            let _ = journal.inner.health.fail("write", &path, &error);
            for (log, _) in &group.logs {
                log.leave_journal();
                log.durability_moved();
            }
        }
    }
    buffer
}

/// The journal is full: these are synced where they are, and so are all others until a file is free.
fn overflow(journal: &Journal, group: Group) {
    journal.inner.is_full.set(true);
    journal.count(|statistics| statistics.overflows += 1);
    for (log, _) in group.logs {
        log.leave_journal();
        log.durability_moved();
    }
}

/// Has full files freed, when it is time and nobody does that.
fn free_if_wanted(journal: &Journal) {
    let logs = {
        let (ring, files) = (journal.inner.ring.borrow(), journal.inner.files.borrow());
        ring.last_full().map_or(0, |slot| files[slot].logs.len())
    };
    let slots = journal.inner.ring.borrow().wants_freed(logs);
    if !slots.is_empty() && !journal.inner.is_freeing.replace(true) {
        task::spawn_background(free(journal.clone(), slots));
    }
}

/// Has all logs of full files synced, so that these can be filled again: before two more are full, or as fast as can be where files are
/// running out.
async fn free(journal: Journal, slots: Vec<usize>) {
    let take = |slot: &usize| std::mem::take(&mut journal.inner.files.borrow_mut()[*slot].logs);
    let logs: Vec<_> = slots.iter().map(take).collect();
    let syncs = logs.iter().map(Vec::len).max().unwrap_or(0);
    journal.inner.freeings.set(journal.inner.freeings.get() + 1);
    let freeing = Rc::new(Freeing {
        number: journal.inner.freeings.get(),
        logs: RefCell::new(logs),
        rest: rest_between_syncs(journal.inner.filled_in.get(), syncs),
        next: Cell::new(time::now()),
        syncing: Cell::new(0),
        running: Cell::new(FREEING_MAX),
        ended: Event::new(),
        failed: RefCell::default(),
    });
    for _ in 0..FREEING_MAX {
        let (freeing, journal) = (Rc::clone(&freeing), journal.clone());
        task::spawn_background(async move {
            while let Some(log) = freeing.next_log() {
                freeing.wait_for_turn(&journal).await;
                freeing.syncing.set(freeing.syncing.get() + 1);
                if let Err(error) = log.sync_durable().await {
                    let log = (log.downgrade(), error);
                    freeing.failed.borrow_mut().push(log);
                }
                freeing.syncing.set(freeing.syncing.get() - 1);
            }
            freeing.running.set(freeing.running.get() - 1);
            freeing.ended.notify();
        });
    }
    while freeing.running.get() > 0 {
        let ended = freeing.ended.listen();
        ended.await;
    }
    let failed = freeing.failed.take();
    match failed.first() {
        None => {
            let mut ring = journal.inner.ring.borrow_mut();
            slots.iter().for_each(|slot| ring.free(*slot));
            journal.inner.is_full.set(false);
        }
        // What the files hold is needed at the next start.
        Some(_) if journal.inner.health.is_offline() => return,
        Some((_, error)) => {
            tracing::warn!(logs = failed.len(), %error, "logs cannot be synced; the journal keeps what it has of them until they are");
            time::sleep(TRY_AGAIN).await;
            let mut files = journal.inner.files.borrow_mut();
            for slot in slots {
                files[slot].logs.extend(failed.iter().map(|(log, _)| log.clone()));
            }
        }
    }
    journal.inner.is_freeing.set(false);
    free_if_wanted(&journal);
}

/// The logs of full files, while they are synced.
struct Freeing {
    /// Counted from 1. A log is synced once in each, whatever files it is in: they were full before.
    number: u64,
    /// Those of each file that are not looked at yet.
    logs: RefCell<Vec<Vec<Weak<LogInner>>>>,
    rest: Duration,
    /// When the next one is synced.
    next: Cell<Monotonic>,
    /// Syncs that are under way, and tasks that make them.
    syncing: Cell<usize>,
    running: Cell<usize>,
    ended: Event,
    failed: RefCell<Vec<(Weak<LogInner>, StorageError)>>,
}

impl Freeing {
    /// A log that is not synced yet.
    fn next_log(&self) -> Option<Log> {
        let mut logs = self.logs.borrow_mut();
        loop {
            let Some(log) = logs.last_mut()?.pop() else {
                logs.pop();
                continue;
            };
            let log = Log::upgrade(&log).filter(|log| log.note_freeing(self.number));
            if log.is_some() {
                return log;
            }
        }
    }

    /// Waits until the next sync may begin: one after another, side by side only where files are running out. What is late goes without rests.
    async fn wait_for_turn(&self, journal: &Journal) {
        while !journal.inner.ring.borrow().is_short() {
            let next = self.next.get();
            let wait = next.since(time::now());
            if wait.is_zero() && self.syncing.get() == 0 {
                self.next.set(next.plus(self.rest));
                break;
            }
            time::sleep(wait.max(LOOK_AGAIN)).await;
        }
    }
}
