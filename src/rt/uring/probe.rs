//! Can this machine run a core? Said before the first core starts, with what to do about each thing that is missing.

use std::fmt;

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

/// Looks at everything that a core needs.
///
/// # Errors
/// All that is missing, not only the first of it.
pub fn check() -> Result<Report, Vec<Missing>> {
    let ring = super::ring::Ring::builder().build(8);
    if let Err(error) = ring {
        return Err(vec![Missing {
            what: format!("this kernel refuses an io_uring as Duramen needs it ({error})"),
            remedy: "run Linux 6.1 or later, with io_uring allowed (sysctl kernel.io_uring_disabled=0, and in a container a seccomp profile that permits io_uring)".to_owned(),
        }]);
    }
    Ok(Report {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        cpus: super::cores::available_cpus().map_or(0, |cpus| cpus.len()),
        descriptors: rustix::process::getrlimit(rustix::process::Resource::Nofile)
            .current
            .unwrap_or(u64::MAX),
    })
}
