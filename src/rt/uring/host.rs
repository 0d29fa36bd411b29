//! This process and thread, as the system sees them.

use std::io;

/// The kernel's id of the calling thread.
#[must_use]
pub fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// Bytes of memory that this process has in use (resident set).
///
/// # Errors
/// When `/proc` cannot be read.
pub fn resident_bytes() -> io::Result<u64> {
    let text = String::from_utf8(super::fs::read("/proc/self/statm")?).map_err(io::Error::other)?;
    let pages: u64 = text
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other("/proc/self/statm has no second field"))?;
    let page_bytes = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    Ok(pages * page_bytes)
}
