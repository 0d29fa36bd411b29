//! Those who wait for the disk: rows, not parked tasks, each answered where durability moves. A thousand of them cost one task a log at most,
//! and none where the journal takes what they wait for.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use super::log::Log;
use crate::base::offset::Offset;
use crate::rt::task;

/// How a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitEnd {
    /// All that was waited for is on the disk.
    OnDisk,
    /// It is not known to be, and never will be.
    Failed,
}

/// Hears when what it waits for is on the disk.
pub trait AwaitsDisk {
    /// The wait of this number is over. Called once for each, maybe within the call that began it; no borrow of a log is held.
    fn wait_ended(self: Rc<Self>, number: usize, end: WaitEnd);
}

/// The waits of one log.
#[derive(Default)]
pub(super) struct Waiting {
    rows: RefCell<Vec<Row>>,
    /// A task sees to what the journal does not take.
    is_attended: Cell<bool>,
}

struct Row {
    up_to: Offset,
    who: Rc<dyn AwaitsDisk>,
    number: usize,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("rows", &self.rows.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.rows.borrow().is_empty()
    }

    /// Ends all waits.
    pub(super) fn fail(&self) {
        for row in self.rows.take() {
            row.who.wait_ended(row.number, WaitEnd::Failed);
        }
    }

    /// Up to where somebody waits.
    fn furthest(&self) -> Option<Offset> {
        self.rows.borrow().iter().map(|row| row.up_to).max()
    }
}

impl Log {
    /// [`Log::make_durable`] for one who is told: `who` hears of it, with `number`.
    pub fn when_durable(&self, up_to: Offset, who: Rc<dyn AwaitsDisk>, number: usize) {
        if let Some(end) = self.wait_end(up_to) {
            who.wait_ended(number, end);
            return;
        }
        let row = Row { up_to, who, number };
        self.inner.durability.waiting.rows.borrow_mut().push(row);
        self.attend();
    }

    /// How a wait has ended; `None` while it goes on.
    fn wait_end(&self, up_to: Offset) -> Option<WaitEnd> {
        if self.inner.health.is_offline() {
            return Some(WaitEnd::Failed);
        }
        self.needs_no_disk(up_to).then_some(WaitEnd::OnDisk)
    }

    /// Answers those whose wait is over; for the others the work goes on.
    pub(super) fn answer_waiting(&self) {
        let waiting = &self.inner.durability.waiting;
        if waiting.is_empty() {
            return;
        }
        let mut still = Vec::new();
        for row in waiting.rows.take() {
            match self.wait_end(row.up_to) {
                Some(end) => row.who.wait_ended(row.number, end),
                None => still.push(row),
            }
        }
        if !still.is_empty() {
            // Those who were just answered may have begun new waits.
            waiting.rows.borrow_mut().append(&mut still);
            self.attend();
        }
    }

    /// Has somebody work for those who wait: the journal, or a task that syncs.
    fn attend(&self) {
        if self.join_journal() || self.inner.durability.waiting.is_attended.replace(true) {
            return;
        }
        let log = self.clone();
        task::spawn(async move {
            let waiting = &log.inner.durability.waiting;
            while let Some(up_to) = waiting.furthest() {
                match log.make_durable(up_to).await {
                    Ok(()) => log.answer_waiting(),
                    Err(_) => waiting.fail(),
                }
            }
            waiting.is_attended.set(false);
        });
    }
}
