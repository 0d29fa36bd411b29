//! What the partitions of a core share to look into batches, and how large batches take turns with it.

use std::cell::{Cell, RefCell};

use crate::base::limits::{BATCH_EXPANDED_BYTES_MAX, BATCHES_IN_STEPS_MAX, STEP_MAX, VALIDATION_STEP_BYTES};
use crate::base::step_bytes::StepBytes;
use crate::record::{BatchError, BlockBytes, Decompressor};
use crate::rt;
use crate::rt::local::Event;

/// Fewest bytes of records of a long batch that are checked in one step.
const CHECK_BYTES_MIN: usize = VALIDATION_STEP_BYTES / 8;

/// See the module. One a core, shared by `Rc`.
pub struct Workspace {
    /// For batches that are looked at in one step.
    pub(super) decompressor: RefCell<Decompressor>,
    /// Bytes of records of a long batch that are checked in one step.
    pub(super) check_bytes: StepBytes,
    pub(super) block_bytes: BlockBytes,
    /// Batches that may be looked at in steps at one time; each has a decompressor of its own.
    in_steps: Places,
    /// A turn of the core has one step for them all, so that others do not wait for more than one.
    stepping: Places,
}

impl Default for Workspace {
    fn default() -> Self {
        Self {
            decompressor: RefCell::new(Decompressor::new(BATCH_EXPANDED_BYTES_MAX)),
            check_bytes: StepBytes::new(CHECK_BYTES_MIN, VALIDATION_STEP_BYTES),
            block_bytes: BlockBytes::default(),
            in_steps: Places::new(BATCHES_IN_STEPS_MAX),
            stepping: Places::new(1),
        }
    }
}

impl Workspace {
    /// Waits for a place among the batches that are looked at in steps.
    pub(super) async fn enter(&self) -> Place<'_> {
        self.in_steps.enter().await
    }

    /// Calls `advance` until it gives a value or fails; other tasks of the core have their turn after each step of calls.
    pub(super) async fn in_steps<T>(
        &self,
        part: &'static str,
        mut advance: impl FnMut() -> Result<Option<T>, BatchError>,
    ) -> Result<T, BatchError> {
        loop {
            let stepping = self.stepping.enter().await;
            rt::task::begin_part(part);
            let outcome = advance().transpose();
            // A block of a codec is not divided: brief calls before it leave it the time of a step.
            rt::task::end_step_after(STEP_MAX / 8).await;
            drop(stepping);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }
}

/// A number of places, taken one by one.
struct Places {
    free: Cell<usize>,
    changed: Event,
}

/// A place that is taken until it is dropped.
pub(super) struct Place<'a> {
    places: &'a Places,
}

impl Places {
    fn new(free: usize) -> Self {
        Self {
            free: Cell::new(free),
            changed: Event::new(),
        }
    }

    async fn enter(&self) -> Place<'_> {
        loop {
            let changed = self.changed.listen();
            if let Some(left) = self.free.get().checked_sub(1) {
                self.free.set(left);
                return Place { places: self };
            }
            changed.await;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.places.free.set(self.places.free.get() + 1);
        self.places.changed.notify();
    }
}
