//! The io_uring of a core: creation, submission, waiting, reaping. Knows nothing of what the entries mean.
//!
//! Made and used on one thread (SINGLE_ISSUER). Completions are posted only inside [`Ring::enter`] (DEFER_TASKRUN), so between two
//! calls of it nothing changes under our feet.

#![expect(unsafe_code, reason = "the ring is shared memory with the kernel")]

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use io_uring::{EnterFlags, IoUring, cqueue, squeue, types};

/// Entries that the submission queue holds; more wait beside it.
const SUBMISSION_ENTRIES: u32 = 512;

/// Entries that one [`Ring::enter`] submits. The kernel works on each at once, and a small send over loopback takes 6 µs; the rest goes
/// after a turn, in which the completions of these are looked at.
const SUBMITTED_MAX: u32 = 16;

/// Bytes that the kernel copies for the entries of one [`Ring::enter`]; an entry with more leaves alone. Some 100 us, and twice that into new
/// memory or over loopback, where what is sent is received too.
const SUBMITTED_BYTES_MAX: usize = 256 * 1024;

/// Completions that the ring holds; what exceeds it waits in the kernel (NODROP) and comes with the next [`Ring::enter`].
const COMPLETION_ENTRIES: u32 = 8192;

/// One completion as the kernel posts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub user_data: u64,
    pub result: i32,
    pub flags: u32,
}

/// See the module.
pub(super) struct Ring {
    uring: IoUring,
    /// Entries that the submission queue had no room for.
    backlog: VecDeque<squeue::Entry>,
    /// What the kernel copies for each of the entries that are queued, those of the backlog last.
    copied_bytes: VecDeque<usize>,
    enter_flags: EnterFlags,
}

impl Ring {
    /// Makes the ring of the calling thread.
    ///
    /// # Errors
    /// What `io_uring_setup(2)` says; [`super::probe`] explains it.
    pub fn new() -> io::Result<Self> {
        let uring = Self::builder().build(SUBMISSION_ENTRIES)?;
        let mut enter_flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if uring.params().is_feature_no_iowait() {
            // Waiting for a client is idling, not waiting for a disk.
            enter_flags |= EnterFlags::NO_IOWAIT;
        }
        Ok(Self {
            uring,
            backlog: VecDeque::new(),
            copied_bytes: VecDeque::new(),
            enter_flags,
        })
    }

    /// The setup that every ring here has, and that the probe tries.
    pub fn builder() -> io_uring::Builder {
        let mut builder = IoUring::builder();
        builder
            .dontfork()
            .setup_cqsize(COMPLETION_ENTRIES)
            .setup_submit_all()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag();
        builder
    }

    /// Queues an entry; it reaches the kernel with one of the next calls of [`Ring::enter`], in order. `copied_bytes` is what the kernel
    /// copies for it at once, or may.
    ///
    /// # Safety
    /// All memory and descriptors that the entry names must stay valid until its last completion has been reaped.
    pub unsafe fn push(&mut self, entry: squeue::Entry, copied_bytes: usize) {
        self.copied_bytes.push_back(copied_bytes);
        if self.backlog.is_empty() {
            // SAFETY: passed on to the caller.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    /// Whether [`Ring::enter`] without a wait would do something.
    pub fn needs_enter(&mut self) -> bool {
        let submission = self.uring.submission();
        !submission.is_empty() || submission.taskrun() || submission.cq_overflow() || !self.backlog.is_empty()
    }

    /// Whether one [`Ring::enter`] submits all that is queued.
    pub fn submits_all(&self) -> bool {
        self.copied_bytes.len() == self.brief() as usize
    }

    /// Submits what is queued, or as much of it as is brief, and lets the kernel post completions; with `wait`, sleeps until there is one,
    /// at most that long, unless something is still queued.
    pub fn enter(&mut self, wait: Option<Duration>) {
        self.move_backlog();
        let wait = wait.filter(|_| self.submits_all());
        let to_submit = self.brief();
        let timeout = types::Timespec::from(wait.unwrap_or_default());
        let arguments = types::SubmitArgs::new().timespec(&timeout);
        let wanted = u32::from(wait.is_some());
        // SAFETY: `arguments` is what EXT_ARG announces, and it and `timeout` outlive the call.
        let outcome = unsafe {
            self.uring
                .submitter()
                .enter(to_submit, wanted, self.enter_flags.bits(), Some(&arguments))
        };
        Self::check_entered(outcome);
        self.forget_submitted();
    }

    /// Moves all posted completions to the end of `into`.
    pub fn reap(&mut self, into: &mut Vec<Completion>) {
        into.extend(self.uring.completion().map(|entry: cqueue::Entry| Completion {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
    }

    /// The ring itself, for registrations.
    pub fn submitter(&self) -> io_uring::Submitter<'_> {
        self.uring.submitter()
    }

    /// How many of what is queued one call submits.
    fn brief(&self) -> u32 {
        brief(self.copied_bytes.iter().copied())
    }

    fn forget_submitted(&mut self) {
        let left = self.uring.submission().len() + self.backlog.len();
        let submitted = self.copied_bytes.len().saturating_sub(left);
        self.copied_bytes.drain(..submitted);
    }

    fn move_backlog(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: the caller of `push` promised it for this entry.
            if unsafe { self.uring.submission().push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// A wait that ended by its time, a signal, or a kernel short of memory for now is no error: the next turn goes on.
    fn check_entered(outcome: io::Result<usize>) {
        let Err(error) = outcome else { return };
        match error.raw_os_error() {
            Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => {}
            code => panic!("io_uring_enter failed on this core's ring ({code:?}): {error}"),
        }
    }
}

/// How many of these entries, each of which makes the kernel copy so many bytes, are brief together: one at least.
fn brief(copied_bytes: impl Iterator<Item = usize>) -> u32 {
    let mut entries = 0;
    let mut sum = 0usize;
    for bytes in copied_bytes {
        sum = sum.saturating_add(bytes);
        if entries == SUBMITTED_MAX || (entries > 0 && sum > SUBMITTED_BYTES_MAX) {
            break;
        }
        entries += 1;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_together_is_brief() {
        const MOST: usize = SUBMITTED_BYTES_MAX;
        let table: [(&[usize], u32); 8] = [
            (&[], 0),
            (&[0], 1),
            (&[0; 100], SUBMITTED_MAX),
            (&[MOST / 2, MOST / 2, 0, 0, 1, 0], 4),
            (&[4 * MOST, 0], 1),
            (&[0, 4 * MOST], 1),
            (&[usize::MAX, usize::MAX], 1),
            (&[100; 17], SUBMITTED_MAX),
        ];
        for (copied_bytes, expected) in table {
            assert_eq!(brief(copied_bytes.iter().copied()), expected, "{copied_bytes:?}");
        }
    }
}
