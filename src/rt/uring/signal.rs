//! Signals as a thing to wait for, on the main thread.

#![expect(unsafe_code, reason = "signal masks have no wrapper")]

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// What the outside asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM: a service manager.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
}

/// The signals that [`Signals::wait`] takes. They are blocked in every thread, so that none of them ends the process.
#[derive(Debug)]
pub struct Signals {
    set: libc::sigset_t,
}

impl Signals {
    /// Blocks SIGTERM and SIGINT and ignores SIGPIPE, for this thread and all that it starts: call it before any is started.
    ///
    /// # Errors
    /// What `pthread_sigmask(3)` says.
    pub fn block() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` initialises the set, and the other calls take it as it is; ignoring SIGPIPE calls no code of ours.
        let (set, outcome) = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            let mut set = set.assume_init();
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            (
                set,
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()),
            )
        };
        if outcome != 0 {
            return Err(io::Error::from_raw_os_error(outcome));
        }
        Ok(Self { set })
    }

    /// Waits for the next signal, at most `duration`; `None` when none came.
    #[must_use]
    pub fn wait(&self, duration: Duration) -> Option<Signal> {
        let timeout = libc::timespec {
            tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(duration.subsec_nanos()),
        };
        // SAFETY: the set was initialised by `block`, and both live through the call.
        match unsafe { libc::sigtimedwait(&raw const self.set, std::ptr::null_mut(), &raw const timeout) } {
            libc::SIGTERM => Some(Signal::Terminate),
            libc::SIGINT => Some(Signal::Interrupt),
            _ => None,
        }
    }
}
