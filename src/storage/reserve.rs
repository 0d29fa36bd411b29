//! Blocks ahead of the end of a log that fills fast, so that no write waits until the file system has found some.
//!
//! The file system holds a file while it finds or frees blocks of it. So the place of the next batch is taken meanwhile, as by one that is
//! written ahead: appends wait for their turn, the core does not. What is not written by the end of a segment is given back, and where the
//! room on the disk becomes little, or nothing is appended any more.
//!
//! Invariants:
//! * While the blocks behind the end of the active segment are given back, nothing is appended: it would be cut off.
//! * What is reserved counts from before the file system is asked until it is written or given back (`reserves`).

use std::io;
use std::time::Duration;

use super::ahead::Ahead;
use super::error::{Health, StorageError, is_full};
use super::files::Closing;
use super::log::Log;
use super::reserves::Held;
use crate::base::offset::{FilePosition, Offset};
use crate::log::names::{FileKind, file_name};
use crate::log::reserve::{Demand, Extent, Heat, Measures, Standing, plan_reserve};
use crate::log::room::Room;
use crate::log::{LogState, Origin};
use crate::rt::fs::File;
use crate::rt::{task, time};

/// The segments of simulated logs are short.
const MEASURES: Measures = if cfg!(feature = "sim") {
    Measures {
        look_bytes: 300,
        look_within: Duration::from_millis(10),
        ahead_bytes: 1200,
        extent_bytes_min: 100,
    }
} else {
    Measures {
        look_bytes: 8 << 20,
        look_within: Duration::from_secs(4),
        // ext4 finds so many in 0.1 ms.
        ahead_bytes: 128 << 20,
        extent_bytes_min: 4 << 20,
    }
};

/// How often it is looked whether what is reserved is still wanted.
const WATCH_INTERVAL: Duration = Duration::from_millis(if cfg!(feature = "sim") { 5 } else { 500 });

/// What of a log is reserved.
#[derive(Debug)]
pub(super) struct Reserve {
    heat: Heat,
    /// Bytes of the active segment at which to look next.
    look_at: u64,
    active: Reserved,
    /// Of a segment whose files are being made.
    next: Option<(Offset, Reserved)>,
    is_asking: bool,
    /// Of this segment the file system is finding blocks.
    asked_of: Option<Offset>,
    is_watched: bool,
    is_giving_back: bool,
}

/// What of a segment is reserved.
#[derive(Debug)]
pub(super) struct Reserved {
    /// Up to here.
    to: u64,
    /// There may be blocks behind the end that nobody has given back.
    exceeds: bool,
    held: Held,
}

/// What is reserved of a segment that was rolled.
#[derive(Debug)]
pub(super) struct Leftover {
    /// Of its batches.
    bytes: u64,
    _held: Held,
}

impl Reserved {
    fn none(health: &Health) -> Self {
        Self {
            to: 0,
            exceeds: false,
            held: Held::none(health.reserves()),
        }
    }

    fn take(&mut self) -> Self {
        Self {
            to: std::mem::take(&mut self.to),
            exceeds: std::mem::take(&mut self.exceeds),
            held: self.held.take(),
        }
    }

    /// The file ends at its last batch, and so do its blocks.
    fn forget(&mut self) {
        drop(self.take());
    }

    fn note(&mut self, extent: Extent, bytes: u64) {
        self.to = extent.end;
        self.exceeds = true;
        self.held.set(extent.end - bytes);
    }
}

impl Reserve {
    pub(super) fn new(health: &Health) -> Self {
        Self {
            heat: Heat::default(),
            look_at: 0,
            active: Reserved::none(health),
            next: None,
            is_asking: false,
            asked_of: None,
            is_watched: false,
            is_giving_back: false,
        }
    }

    /// While the end of the active segment is given back, nothing may be appended.
    pub(super) fn is_giving_back(&self) -> bool {
        self.is_giving_back
    }

    /// Up to here the active segment has blocks.
    pub(super) fn to(&self) -> u64 {
        self.active.to
    }

    /// The active segment's file was cut off at its last batch.
    pub(super) fn note_cut(&mut self) {
        self.active.forget();
    }

    /// The active segment, of so many bytes, ends, and one at `base_offset` begins; what is left over of the old one.
    pub(super) fn begin_segment(&mut self, bytes: u64, base_offset: Offset) -> Option<Leftover> {
        let mut old = self.active.take();
        if let Some((_, reserved)) = self.next.take().filter(|(base, _)| *base == base_offset) {
            self.active = reserved;
        }
        self.look_at = MEASURES.look_bytes;
        old.held.set(old.to.saturating_sub(bytes));
        old.exceeds.then_some(Leftover { bytes, _held: old.held })
    }

    /// There are other segments now.
    pub(super) fn begin_anew(&mut self) {
        self.active.forget();
        self.next = None;
        self.look_at = 0;
    }
}

impl Log {
    /// Looks, now and then, whether blocks are to be reserved for what comes. They are by a task as those of requests, for these wait for it.
    pub(super) fn look_ahead(&self, state: &LogState, origin: Origin) {
        let bytes = u64::from(state.active_segment().bytes);
        let mut reserve = self.inner.place.reserve.borrow_mut();
        // A coordinator does not wait for its turn.
        if bytes < reserve.look_at || origin != Origin::Client {
            return;
        }
        let now = time::now();
        reserve.look_at = bytes + MEASURES.look_bytes;
        reserve.heat.note(now, &MEASURES);
        let active = &mut reserve.active;
        active.held.set(active.to.saturating_sub(bytes));
        let is_wanted = self.plan_reserve(&reserve, bytes).is_some();
        if is_wanted && !std::mem::replace(&mut reserve.is_asking, true) {
            let log = self.clone();
            task::spawn(async move {
                let place = log.take_place().await;
                // What is reserved may have been given back since.
                if log.inner.place.reserve.borrow().is_asking {
                    // A failure has taken the directory offline.
                    drop(log.reserve_more(&place).await);
                    log.inner.place.reserve.borrow_mut().is_asking = false;
                    log.watch_reserve();
                }
            });
        }
    }

    fn demand(&self, reserve: &Reserve) -> Demand {
        match self.inner.health.room() {
            Room::Enough if self.inner.settings.get().preallocate => Demand::Whole,
            Room::Enough => reserve.heat.demand(time::now(), &MEASURES),
            Room::Little | Room::None => Demand::None,
        }
    }

    fn plan_reserve(&self, reserve: &Reserve, bytes: u64) -> Option<Extent> {
        let standing = Standing {
            bytes,
            reserved_to: reserve.active.to,
            segment_bytes_max: u64::from(self.inner.settings.get().segment_bytes_max),
            allowance_bytes: self.inner.health.reserves().allowance_bytes(time::now()),
        };
        plan_reserve(self.demand(reserve), &standing, &MEASURES)
    }

    /// Reserves what the active segment wants.
    async fn reserve_more(&self, place: &Ahead) -> Result<(), StorageError> {
        self.inner.health.check()?;
        if self.inner.durability.is_retired() {
            return Ok(());
        }
        let (base_offset, bytes) = self.active_end();
        let (extent, before) = {
            let mut reserve = self.inner.place.reserve.borrow_mut();
            let Some(extent) = self.plan_reserve(&reserve, bytes) else {
                return Ok(());
            };
            let before = reserve.active.to;
            reserve.active.note(extent, bytes);
            (extent, before)
        };
        let file = self.inner.files.borrow_mut().active_log()?;
        if self.reserve_of(&file, base_offset, extent).await? {
            return Ok(());
        }
        let (base_offset_after, bytes) = self.active_end();
        if base_offset_after == base_offset {
            let mut reserve = self.inner.place.reserve.borrow_mut();
            reserve.active.to = before;
            reserve.active.held.set(before.saturating_sub(bytes));
        }
        // Some of it may be reserved all the same.
        self.give_back_at(place).await
    }

    /// Reserves the beginning of a segment that is not begun yet, if the log fills fast.
    pub(super) async fn reserve_next(&self, base_offset: Offset, file: &File) -> Result<(), StorageError> {
        let extent = {
            let mut reserve = self.inner.place.reserve.borrow_mut();
            let standing = Standing {
                bytes: 0,
                reserved_to: 0,
                segment_bytes_max: u64::from(self.inner.settings.get().segment_bytes_max),
                allowance_bytes: self.inner.health.reserves().allowance_bytes(time::now()),
            };
            let Some(extent) = plan_reserve(self.demand(&reserve), &standing, &MEASURES) else {
                return Ok(());
            };
            let mut reserved = Reserved::none(&self.inner.health);
            reserved.note(extent, 0);
            reserve.next = Some((base_offset, reserved));
            extent
        };
        // Where it finds no room, what it found is given back with the rest.
        self.reserve_of(file, base_offset, extent).await?;
        self.watch_reserve();
        Ok(())
    }

    /// Whether the file system has reserved it.
    async fn reserve_of(&self, file: &File, base_offset: Offset, extent: Extent) -> Result<bool, StorageError> {
        let at = FilePosition(extent.begin);
        self.inner.place.reserve.borrow_mut().asked_of = Some(base_offset);
        let reserved = self.in_flight(file.reserve(at, extent.bytes())).await;
        self.inner.place.reserve.borrow_mut().asked_of = None;
        let reserves = self.inner.health.reserves();
        match reserved {
            Ok(()) => Ok(true),
            Err(error) if is_full(&error) => {
                reserves.note_no_room(time::now());
                Ok(false)
            }
            Err(error) if is_not_offered(&error) => {
                reserves.note_useless();
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            // A file system that cannot write its own books does not keep records either.
            Err(error) => Err(self.segment_failed("reserve blocks of", base_offset, &error)),
        }
    }

    fn segment_failed(&self, action: &'static str, base_offset: Offset, error: &io::Error) -> StorageError {
        let path = self.path().join(file_name(base_offset, FileKind::Log));
        self.inner.health.fail(action, &path, error)
    }

    /// The active segment, and where it ends.
    pub(super) fn active_end(&self) -> (Offset, u64) {
        self.with_state(|state| {
            let segment = state.active_segment();
            (segment.base_offset, u64::from(segment.bytes))
        })
    }

    /// Gives back what is reserved of the active segment; nothing is reserved again before something is appended.
    pub(super) async fn give_back(&self) -> Result<(), StorageError> {
        {
            let mut reserve = self.inner.place.reserve.borrow_mut();
            reserve.heat = Heat::default();
            reserve.is_asking = false;
        }
        if !self.inner.place.reserve.borrow().active.exceeds {
            return Ok(());
        }
        let place = self.take_place().await;
        self.give_back_at(&place).await
    }

    /// The same for one who has the place of the next batch.
    pub(super) async fn give_back_at(&self, _place: &Ahead) -> Result<(), StorageError> {
        self.landed().await;
        self.inner.health.check()?;
        let (base_offset, bytes) = self.active_end();
        if !self.inner.place.reserve.borrow().active.exceeds || self.inner.durability.is_retired() {
            return Ok(());
        }
        let file = self.inner.files.borrow_mut().active_log()?;
        self.inner.place.reserve.borrow_mut().is_giving_back = true;
        let given = self.in_flight(file.give_back_behind(bytes)).await;
        {
            let mut reserve = self.inner.place.reserve.borrow_mut();
            reserve.is_giving_back = false;
            reserve.active.forget();
        }
        given.map_err(|error| self.segment_failed("truncate", base_offset, &error))
    }

    /// Gives back what is left over of segments that were rolled. Not while the end of the log is taken back.
    pub(super) async fn give_back_rolled(&self, closing: &[Closing]) -> Result<(), StorageError> {
        for segment in closing {
            let leftover = segment.leftover.borrow_mut().take();
            let Some(leftover) = leftover else { continue };
            // A short segment may be full before it has what was asked for.
            while self.inner.place.reserve.borrow().asked_of == Some(segment.base_offset) {
                self.inner.place.landed.wait().await;
            }
            let given = segment.log.give_back_behind(leftover.bytes).await;
            given.map_err(|error| self.segment_failed("truncate", segment.base_offset, &error))?;
        }
        Ok(())
    }

    /// Looks now and then, as long as something is reserved, whether it is still wanted.
    fn watch_reserve(&self) {
        if std::mem::replace(&mut self.inner.place.reserve.borrow_mut().is_watched, true) {
            return;
        }
        let weak = self.downgrade();
        task::spawn(async move {
            loop {
                time::sleep(WATCH_INTERVAL).await;
                let Some(log) = Self::upgrade(&weak) else { return };
                if !log.is_reserve_wanted() && log.give_back().await.is_err() {
                    return;
                }
                if log.leaves_reserve() {
                    return;
                }
            }
        });
    }

    fn is_reserve_wanted(&self) -> bool {
        self.demand(&self.inner.place.reserve.borrow()) != Demand::None
    }

    /// Whether nothing is reserved any more: then nobody looks.
    fn leaves_reserve(&self) -> bool {
        let mut reserve = self.inner.place.reserve.borrow_mut();
        if self.inner.durability.is_retired() {
            reserve.begin_anew();
        }
        reserve.is_watched = reserve.active.exceeds || reserve.next.is_some();
        !reserve.is_watched
    }
}

/// Whether the file system, or who made the rules for this process, has no such call.
fn is_not_offered(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_refusal_means() {
        // EOPNOTSUPP, ENOSYS, EINVAL, EPERM; ENOSPC, EDQUOT; EIO, EROFS, EUCLEAN.
        for (codes, is_not_there, is_no_room) in [
            (&[95, 38, 22, 1][..], true, false),
            (&[28, 122], false, true),
            (&[5, 30, 117], false, false),
        ] {
            for code in codes {
                let error = io::Error::from_raw_os_error(*code);
                assert_eq!(
                    (is_not_offered(&error), is_full(&error)),
                    (is_not_there, is_no_room),
                    "{error}"
                );
            }
        }
    }
}
