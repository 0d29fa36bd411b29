//! Files that nobody finds any more: of segments, until `file.delete.delay.ms` is over, with one schedule and one timer a core; and of deleted
//! partitions, at once.
//!
//! What a stop leaves here the next start removes: the names say what it is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use crate::base::time::Monotonic;
use crate::rt;
use crate::rt::local::Event;
use crate::storage::{Health, Log, LogDirectory};

/// What waits for its time.
#[derive(Debug)]
struct Schedule<T> {
    /// By their times; numbers keep the order of those with the same.
    waiting: BTreeMap<(Monotonic, u64), T>,
    number: u64,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            number: 0,
        }
    }
}

impl<T> Schedule<T> {
    fn add(&mut self, at: Monotonic, what: T) {
        self.waiting.insert((at, self.number), what);
        self.number += 1;
    }

    /// One whose time has come, with that time; else the time of the next one.
    fn due(&mut self, now: Monotonic) -> Result<(Monotonic, T), Option<Monotonic>> {
        match self.waiting.first_entry() {
            None => Err(None),
            Some(first) if first.key().0 > now => Err(Some(first.key().0)),
            Some(first) => Ok((first.key().0, first.remove())),
        }
    }
}

/// The files of one core that wait for their removal, by their time.
#[derive(Default)]
pub struct Trash {
    files: RefCell<Schedule<(Health, PathBuf)>>,
    earlier: Event,
}

impl Trash {
    /// Removes these files of a directory at `at`.
    pub fn add(&self, at: Monotonic, directory: &Health, files: Vec<PathBuf>) {
        let mut schedule = self.files.borrow_mut();
        for file in files {
            schedule.add(at, (directory.clone(), file));
        }
        drop(schedule);
        self.earlier.notify();
    }

    /// Removes files as their time comes, for ever.
    pub async fn run(self: Rc<Self>) {
        loop {
            let earlier = self.earlier.listen();
            let now = rt::time::now();
            let due = self.files.borrow_mut().due(now);
            match due {
                Ok((at, (directory, file))) => match directory.remove_file(&file, at).await {
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
    fn what_waits_comes_due_in_order() {
        let mut schedule = Schedule::default();
        schedule.add(Monotonic(20), "c");
        schedule.add(Monotonic(20), "d");
        schedule.add(Monotonic(10), "a");
        assert_eq!(schedule.due(Monotonic(9)), Err(Some(Monotonic(10))));
        assert_eq!(schedule.due(Monotonic(10)), Ok((Monotonic(10), "a")));
        assert_eq!(schedule.due(Monotonic(10)), Err(Some(Monotonic(20))));
        assert_eq!(schedule.due(Monotonic(30)), Ok((Monotonic(20), "c")));
        assert_eq!(schedule.due(Monotonic(30)), Ok((Monotonic(20), "d")));
        assert_eq!(schedule.due(Monotonic(30)), Err(None));
    }
}
