//! Files that nobody finds any more, until `file.delete.delay.ms` is over. One heap and one timer a core.
//!
//! What a stop leaves here the next start removes: the names say what it is.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::rc::Rc;

use crate::base::time::Monotonic;
use crate::rt;
use crate::rt::local::Event;

/// The files of one core that wait for their removal, by their time.
#[derive(Default)]
pub struct Trash {
    heap: RefCell<BinaryHeap<Reverse<(Monotonic, u64, PathBuf)>>>,
    /// Keeps the order of files with the same time.
    number: Cell<u64>,
    earlier: Event,
}

impl Trash {
    /// Removes these files at `at`.
    pub fn add(&self, at: Monotonic, files: Vec<PathBuf>) {
        let mut heap = self.heap.borrow_mut();
        for file in files {
            let number = self.number.get();
            self.number.set(number + 1);
            heap.push(Reverse((at, number, file)));
        }
        drop(heap);
        self.earlier.notify();
    }

    /// A file whose time has come, else the time of the next one.
    fn due(&self, now: Monotonic) -> Result<PathBuf, Option<Monotonic>> {
        let mut heap = self.heap.borrow_mut();
        match heap.peek() {
            Some(Reverse((at, ..))) if *at > now => Err(Some(*at)),
            Some(_) | None => heap.pop().map(|Reverse((_, _, file))| file).ok_or(None),
        }
    }

    /// Removes files as their time comes, for ever.
    pub async fn run(self: Rc<Self>) {
        loop {
            let earlier = self.earlier.listen();
            let now = rt::time::now();
            match self.due(now) {
                Ok(file) => match rt::fs::unlink(&file).await {
                    // It went with its partition.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::warn!(file = %file.display(), %error, "a file cannot be removed; the next start tries again");
                    }
                    Ok(()) => {}
                },
                Err(Some(next)) => {
                    // Either the time has come or an earlier one is known: both are looked at again.
                    let _woken_or_due = rt::time::timeout(next.since(now), earlier).await;
                }
                Err(None) => earlier.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_due_in_order() {
        let trash = Trash::default();
        trash.add(Monotonic(20), vec!["c".into(), "d".into()]);
        trash.add(Monotonic(10), vec!["a".into()]);
        assert_eq!(trash.due(Monotonic(9)), Err(Some(Monotonic(10))));
        assert_eq!(trash.due(Monotonic(10)), Ok("a".into()));
        assert_eq!(trash.due(Monotonic(10)), Err(Some(Monotonic(20))));
        assert_eq!(trash.due(Monotonic(30)), Ok("c".into()));
        assert_eq!(trash.due(Monotonic(30)), Ok("d".into()));
        assert_eq!(trash.due(Monotonic(30)), Err(None));
    }
}
