//! What only one does at a time.

use std::cell::Cell;

use crate::rt::local::Event;

/// What only one does at a time.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_taken: Cell<bool>,
    pub(super) left: Event,
}

/// The right to pass. Given back when the one who has it ends, or is dropped before.
pub(super) struct Turn<'a>(&'a Gate);

impl Gate {
    /// `None` while another has it.
    pub(super) fn try_enter(&self) -> Option<Turn<'_>> {
        (!self.is_taken.replace(true)).then(|| Turn(self))
    }

    /// Whether one has it.
    pub(super) fn is_taken(&self) -> bool {
        self.is_taken.get()
    }

    pub(super) async fn enter(&self) -> Turn<'_> {
        loop {
            let left = self.left.listen();
            match self.try_enter() {
                Some(turn) => return turn,
                None => left.await,
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.is_taken.set(false);
        self.0.left.notify();
    }
}
