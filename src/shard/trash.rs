//! Files that nobody finds any more: of segments, until `file.delete.delay.ms` is over, with one heap and one timer a core; and of deleted
//! partitions, at once.
//!
//! What a stop leaves here the next start removes: the names say what it is.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::PathBuf;
use std::rc::Rc;

use crate::base::time::Monotonic;
use crate::rt;
use crate::rt::local::Event;
use crate::storage::{Log, LogDirectory};

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

/// A deleted partition.
struct Removal {
    directory: LogDirectory,
    deleted: PathBuf,
    /// Whose files they are, if it was open.
    log: Option<Log>,
}

/// Directories of deleted partitions, which go one after another.
#[derive(Default)]
pub struct Removals {
    queue: RefCell<Vec<Removal>>,
    is_running: Cell<bool>,
}

impl Removals {
    /// Removes what [`LogDirectory::begin_deletion`] returned, in the background.
    pub fn add(self: &Rc<Self>, directory: LogDirectory, deleted: PathBuf) {
        self.push(Removal {
            directory,
            deleted,
            log: None,
        });
    }

    /// As [`Removals::add`], of a log that is retired: when it has let go of its files.
    pub fn add_log(self: &Rc<Self>, directory: LogDirectory, deleted: PathBuf, log: Log) {
        self.push(Removal {
            directory,
            deleted,
            log: Some(log),
        });
    }

    fn push(self: &Rc<Self>, removal: Removal) {
        self.queue.borrow_mut().push(removal);
        if !self.is_running.replace(true) {
            rt::task::spawn_background(Rc::clone(self).run());
        }
    }

    async fn run(self: Rc<Self>) {
        loop {
            let mut by_directory: BTreeMap<PathBuf, (LogDirectory, Vec<PathBuf>)> = BTreeMap::new();
            for Removal {
                directory,
                deleted,
                log,
            } in self.queue.take()
            {
                rt::task::yield_if_needed().await;
                if let Some(log) = log {
                    log.let_go().await;
                }
                let (_, all) = by_directory
                    .entry(directory.path().to_owned())
                    .or_insert_with(|| (directory, Vec::new()));
                all.push(deleted);
            }
            if by_directory.is_empty() {
                break;
            }
            for (path, (directory, deleted)) in by_directory {
                if let Err(error) = directory.remove(&deleted).await {
                    tracing::warn!(directory = %path.display(), %error, "files of deleted partitions are left; the next start removes them");
                }
            }
        }
        self.is_running.set(false);
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
