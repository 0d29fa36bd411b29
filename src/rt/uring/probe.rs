//! Can this machine run a core? Asked before the first core starts, and answered with what to do about each thing that is missing.
//!
//! Limits that the process may raise itself (open files, locked memory) are raised here.

use std::fmt;
use std::io;
use std::os::fd::RawFd;

use io_uring::{IoUring, Probe, opcode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::buffers::BufferPool;
use super::ring::Ring;

/// The oldest kernel with all that is needed (DEFER_TASKRUN came with it).
const KERNEL_OLDEST: (u32, u32) = (6, 1);

/// Descriptors that the process has room for from the start, where it may open so many.
const DESCRIPTORS_READY: u64 = 1 << 16;

/// Glommio refuses to start an executor with less.
const LOCKED_MEMORY_BYTES_MIN: u64 = 512 * 1024;

/// The operations of the ring that are used, with their names for people.
const OPERATIONS: [(u8, &str); 15] = [
    (opcode::AcceptMulti::CODE, "accept"),
    (opcode::RecvMulti::CODE, "recv"),
    (opcode::Send::CODE, "send"),
    (opcode::SendMsg::CODE, "sendmsg"),
    (opcode::PollAdd::CODE, "poll"),
    (opcode::Read::CODE, "read"),
    (opcode::Write::CODE, "write"),
    (opcode::Fsync::CODE, "fsync"),
    (opcode::Fallocate::CODE, "fallocate"),
    (opcode::Fadvise::CODE, "fadvise"),
    (opcode::OpenAt::CODE, "open"),
    (opcode::MkDirAt::CODE, "mkdir"),
    (opcode::RenameAt::CODE, "rename"),
    (opcode::UnlinkAt::CODE, "unlink"),
    (opcode::AsyncCancel::CODE, "cancel"),
];

/// What the machine offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// As `uname -r` says.
    pub kernel: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// Files and connections that this process may have open.
    pub descriptors: u64,
}

/// One thing that is missing: what, and how to grant it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    pub what: String,
    pub remedy: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

/// Looks at everything that a core needs, and raises the limits that it may raise.
///
/// # Errors
/// All that is missing, not only the first of it.
pub fn check() -> Result<Report, Vec<Missing>> {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut missing = Vec::new();
    missing.extend(missing_kernel(&kernel));
    missing.extend(missing_ring());
    let descriptors = raise(Resource::Nofile);
    grow_descriptor_table(descriptors);
    missing.extend(missing_locked_memory(raise(Resource::Memlock)));
    let cpus = super::cores::available_cpus().map_or(0, |cpus| cpus.len());
    if missing.is_empty() {
        Ok(Report {
            kernel,
            cpus,
            descriptors,
        })
    } else {
        Err(missing)
    }
}

fn missing_kernel(release: &str) -> Option<Missing> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (version < KERNEL_OLDEST).then(|| Missing {
        what: format!("the kernel is Linux {release}"),
        remedy: format!("run Linux {}.{} or later", KERNEL_OLDEST.0, KERNEL_OLDEST.1),
    })
}

fn missing_ring() -> Vec<Missing> {
    if let Err(error) = IoUring::new(8) {
        return vec![explain_setup(&error, io_uring_disabled())];
    }
    let ring = match Ring::builder().build(8) {
        Ok(ring) => ring,
        Err(error) => {
            return vec![Missing {
                what: format!("io_uring lacks SINGLE_ISSUER, DEFER_TASKRUN or SUBMIT_ALL ({error})"),
                remedy: "run Linux 6.1 or later".to_owned(),
            }];
        }
    };
    let mut missing = missing_operations(&ring);
    // The kernel forgets the buffers with the ring, which is dropped before the pool.
    let registered = BufferPool::new().and_then(|pool| pool.register(&ring.submitter()).map(|()| pool));
    drop(ring);
    if let Err(error) = registered {
        missing.push(Missing {
            what: format!("io_uring refuses a ring of provided buffers ({error})"),
            remedy:
                "run Linux 6.1 or later; with ENOMEM, allow more locked memory (LimitMEMLOCK= in the unit, ulimit -l)"
                    .to_owned(),
        });
    }
    missing
}

fn missing_operations(ring: &IoUring) -> Vec<Missing> {
    let mut probe = Probe::new();
    if let Err(error) = ring.submitter().register_probe(&mut probe) {
        return vec![Missing {
            what: format!("io_uring does not tell its operations ({error})"),
            remedy: "permit io_uring_register in the seccomp profile of the container".to_owned(),
        }];
    }
    let lacking: Vec<_> = OPERATIONS
        .iter()
        .filter(|(code, _)| !probe.is_supported(*code))
        .map(|(_, name)| *name)
        .collect();
    if lacking.is_empty() {
        return Vec::new();
    }
    vec![Missing {
        what: format!("io_uring lacks {}", lacking.join(", ")),
        remedy: "run Linux 6.1 or later".to_owned(),
    }]
}

/// `kernel.io_uring_disabled`; `None` where the kernel has no such switch (before Linux 6.6).
fn io_uring_disabled() -> Option<u8> {
    let text = super::fs::read("/proc/sys/kernel/io_uring_disabled").ok()?;
    text.first().map(|digit| digit.wrapping_sub(b'0'))
}

/// Why `io_uring_setup` failed.
fn explain_setup(error: &io::Error, disabled: Option<u8>) -> Missing {
    let (what, remedy) = match (error.raw_os_error(), disabled) {
        (Some(libc::EPERM), Some(2)) => (
            "io_uring is switched off on this machine (kernel.io_uring_disabled = 2)",
            "sysctl -w kernel.io_uring_disabled=0, and the same line in /etc/sysctl.d/",
        ),
        (Some(libc::EPERM), Some(1)) => (
            "io_uring is reserved to a group on this machine (kernel.io_uring_disabled = 1)",
            "add the user of Duramen to the group whose number is in kernel.io_uring_group, or sysctl -w kernel.io_uring_disabled=0",
        ),
        (Some(libc::EPERM | libc::EACCES), _) => (
            "something forbids io_uring to this process, most likely the seccomp profile of a container",
            "permit io_uring_setup, io_uring_enter and io_uring_register in the profile (docker: --security-opt seccomp=...; Kubernetes: securityContext.seccompProfile)",
        ),
        (Some(libc::ENOSYS), _) => (
            "there is no io_uring here: the kernel was built without it, or the seccomp profile of a container hides it",
            "permit io_uring_setup, io_uring_enter and io_uring_register in the profile, or run a kernel with CONFIG_IO_URING",
        ),
        (Some(libc::ENOMEM), _) => (
            "io_uring may not lock enough memory",
            "LimitMEMLOCK=infinity in the systemd unit, or ulimit -l unlimited",
        ),
        (Some(libc::EMFILE | libc::ENFILE), _) => (
            "there are too many open files for another ring",
            "raise LimitNOFILE= in the systemd unit, or ulimit -n",
        ),
        _ => ("io_uring cannot be set up", "see the manual page of io_uring_setup"),
    };
    Missing {
        what: format!("{what} ({error})"),
        remedy: remedy.to_owned(),
    }
}

fn missing_locked_memory(bytes: u64) -> Option<Missing> {
    (bytes < LOCKED_MEMORY_BYTES_MIN).then(|| Missing {
        what: format!("this process may lock only {bytes} bytes of memory"),
        remedy: "LimitMEMLOCK=8M in the systemd unit, or ulimit -l 8192".to_owned(),
    })
}

/// Raises a limit as far as the process may; gives what it is then.
fn raise(resource: Resource) -> u64 {
    let Rlimit { current, maximum } = getrlimit(resource);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let reached = if current != maximum && setrlimit(resource, raised).is_ok() {
        maximum
    } else {
        current
    };
    reached.unwrap_or(u64::MAX)
}

/// Has the kernel make the process's table of descriptors as large as it will be needed: where threads share it, whoever opens the file that it
/// has no room for waits until all CPUs have seen the new one, up to 12 ms. Half a MiB of the kernel's.
fn grow_descriptor_table(limit: u64) {
    let Some(highest) = limit.min(DESCRIPTORS_READY).checked_sub(1) else {
        return;
    };
    // The table stays as large when the descriptor goes. Where there is none to be had, it grows as files are opened.
    let highest = RawFd::try_from(highest).unwrap_or(RawFd::MAX);
    drop(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), highest));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_runs_cores() {
        let report = check().unwrap();
        assert!(report.cpus >= 1);
        assert!(report.descriptors >= 1024);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        assert!(size.trim().parse::<u64>().unwrap() >= report.descriptors.min(DESCRIPTORS_READY));
    }

    #[test]
    fn old_kernels_are_told() {
        for (release, missing) in [
            ("6.1.0-18-amd64", false),
            ("6.18.44-fc-v445", false),
            ("10.0", false),
            ("6.0.19", true),
            ("5.15.0-1057-aws", true),
            ("nonsense", true),
        ] {
            assert_eq!(missing_kernel(release).is_some(), missing, "{release}");
        }
    }

    #[test]
    fn each_refusal_has_its_remedy() {
        for (code, disabled, remedy) in [
            (libc::EPERM, Some(2), "kernel.io_uring_disabled=0"),
            (libc::EPERM, Some(1), "kernel.io_uring_group"),
            (libc::EPERM, Some(0), "seccomp"),
            (libc::EPERM, None, "seccomp"),
            (libc::ENOSYS, None, "CONFIG_IO_URING"),
            (libc::ENOMEM, None, "LimitMEMLOCK"),
        ] {
            let missing = explain_setup(&io::Error::from_raw_os_error(code), disabled);
            assert!(missing.remedy.contains(remedy), "{missing}");
        }
    }

    #[test]
    fn little_locked_memory_is_told() {
        assert!(missing_locked_memory(64 * 1024).is_some());
        assert!(missing_locked_memory(u64::MAX).is_none());
    }
}
