//! The open files of the logs of one core: there may be only so many. Who opens one more closes those of a log that was not used lately.
//!
//! Logs with open files stand in a ring with a hand: the hand takes the used mark of a log that it passes, and closes the files of one without.
//! What is counted of a log is never less than what it has open, and may be more until its files are closed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use super::log::Inner as LogInner;

/// Logs whose mark the hand takes before it closes the next one's files all the same: a step is short, however many logs are in use.
const PASSED_MAX: usize = 32;

/// How many files the logs of a core may have open. Clones are the same.
#[derive(Clone, Debug)]
pub struct OpenFiles {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    max: usize,
    counted: Cell<usize>,
    /// Logs that have files open, the one at the hand first; some may have closed theirs since.
    logs: RefCell<VecDeque<Weak<LogInner>>>,
}

impl OpenFiles {
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            inner: Rc::new(Inner {
                max,
                counted: Cell::new(0),
                logs: RefCell::default(),
            }),
        }
    }

    /// Files that count as open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.counted.get()
    }

    fn add(&self, files: usize) {
        self.inner.counted.set(self.count() + files);
        while self.count() > self.inner.max && self.close_one() {}
    }

    fn subtract(&self, files: usize) {
        self.inner.counted.set(self.count() - files);
    }

    fn next(&self) -> Option<Weak<LogInner>> {
        self.inner.logs.borrow_mut().pop_front()
    }

    fn put_back(&self, log: Weak<LogInner>) {
        self.inner.logs.borrow_mut().push_back(log);
    }

    /// A log comes into the ring. For each that comes one is looked at, so that those that are gone do not gather.
    fn enter(&self, log: Weak<LogInner>) {
        if let Some(first) = self.next()
            && first.strong_count() > 0
        {
            self.put_back(first);
        }
        self.put_back(log);
    }

    /// Closes the files of one log; false when there is none whose files could be closed.
    fn close_one(&self) -> bool {
        // Twice around: the first time the hand may take marks alone.
        let steps = 2 * self.inner.logs.borrow().len();
        for passed in 0..steps {
            let Some(weak) = self.next() else { return false };
            let Some(log) = weak.upgrade() else { continue };
            let Ok(mut files) = log.files.try_borrow_mut() else {
                // It is the one that opens a file.
                self.put_back(weak);
                continue;
            };
            if files.take_used_mark() && passed < PASSED_MAX {
                self.put_back(weak);
                continue;
            }
            if files.leave_ring() {
                return true;
            }
        }
        false
    }
}

/// One log's part in the count.
#[derive(Debug)]
pub(super) struct Share {
    open_files: OpenFiles,
    log: Weak<LogInner>,
    counted: usize,
    is_in_ring: bool,
}

impl Share {
    pub(super) fn open_files(&self) -> OpenFiles {
        self.open_files.clone()
    }

    pub(super) fn new(open_files: OpenFiles, log: Weak<LogInner>) -> Self {
        Self {
            open_files,
            log,
            counted: 0,
            is_in_ring: false,
        }
    }

    /// The log is about to have up to so many files open.
    pub(super) fn raise_to(&mut self, files: usize) {
        if files <= self.counted {
            return;
        }
        let more = files - self.counted;
        self.counted = files;
        if !std::mem::replace(&mut self.is_in_ring, true) {
            self.open_files.enter(self.log.clone());
        }
        self.open_files.add(more);
    }

    /// The log has closed its files.
    pub(super) fn closed(&mut self) {
        self.open_files.subtract(std::mem::take(&mut self.counted));
    }

    /// The hand has taken the log out of the ring; says whether it had files open.
    pub(super) fn leave_ring(&mut self) -> bool {
        self.is_in_ring = false;
        self.counted > 0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.closed();
    }
}

#[cfg(test)]
#[cfg(not(feature = "sim"))]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::base::ids::{LeaderEpoch, NodeId, TopicId, TopicPartition};
    use crate::base::time::TimestampMs;
    use crate::log::{Origin, ReadRequest, Settings};
    use crate::record::{BatchBuilder, BatchView, Record};
    use crate::rt::task::block_on;
    use crate::storage::{Claim, Log, LogDirectory, NewBatch};

    async fn logs(path: &Path, open_files: &OpenFiles, count: i32) -> Vec<Log> {
        let directory = LogDirectory::open(path, Claim::of(NodeId(1))).unwrap();
        let mut logs = Vec::new();
        for partition in 0..count {
            let partition = TopicPartition {
                topic: Arc::from("t"),
                partition,
            };
            let made = directory.make_log(&partition, TopicId([1; 16]), Settings::default(), TimestampMs(0));
            let (log, _) = made.await.unwrap();
            log.count_files(open_files);
            logs.push(log);
        }
        logs
    }

    fn append(log: &Log) {
        let mut builder = BatchBuilder::new();
        builder.append(&Record::new(TimestampMs(1), None, Some(b"x"))).unwrap();
        let bytes = builder.build().unwrap();
        let view = BatchView::parse(&bytes).unwrap();
        let batch = NewBatch::as_it_is(&view);
        log.append(&[batch], Origin::Client, LeaderEpoch(0), TimestampMs(5))
            .unwrap();
    }

    fn open(logs: &[Log]) -> Vec<usize> {
        let is_open = |log: &Log| !log.inner.files.borrow().are_closed();
        let open = logs.iter().enumerate().filter(|(_, log)| is_open(log));
        open.map(|(index, _)| index).collect()
    }

    #[test]
    fn files_are_closed_for_others_those_in_use_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        block_on(async move || {
            let open_files = OpenFiles::new(4);
            let logs = logs(&path, &open_files, 8).await;
            logs[..4].iter().for_each(append);
            assert_eq!((open(&logs), open_files.count()), (vec![0, 1, 2, 3], 4));
            // All are in use: the marks go, then one of them.
            append(&logs[4]);
            let left = open(&logs);
            assert_eq!((left.len(), left[3]), (4, 4));
            for used in [left[0], left[1]] {
                append(&logs[used]);
            }
            append(&logs[5]);
            assert_eq!((open(&logs), open_files.count()), (vec![left[0], left[1], 4, 5], 4));
            for _ in 0..3 {
                logs.iter().for_each(append);
                assert_eq!((open(&logs).len(), open_files.count()), (4, 4));
            }
            assert!(logs.iter().all(|log| log.log_end_offset().0 >= 3));
        });
    }

    #[test]
    fn logs_that_are_gone_do_not_gather() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        block_on(async move || {
            let open_files = OpenFiles::new(100);
            let logs = logs(&path, &open_files, 40).await;
            for log in logs {
                append(&log);
            }
            assert_eq!(open_files.count(), 0);
            assert!(open_files.inner.logs.borrow().len() <= 2);
        });
    }

    #[test]
    fn a_reader_counts_with_all_that_it_may_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        block_on(async move || {
            let open_files = OpenFiles::new(100);
            let logs = logs(&path, &open_files, 1).await;
            append(&logs[0]);
            let request = ReadRequest {
                offset: logs[0].log_start_offset(),
                upper: logs[0].log_end_offset(),
                bytes_max: 100,
                first_batch: crate::log::read::FirstBatch::Whole,
            };
            assert!(logs[0].read(&request).unwrap().unwrap().is_some());
            assert!(open_files.count() >= 3);
            logs[0].release_files();
            assert_eq!(open_files.count(), 0);
        });
    }
}
