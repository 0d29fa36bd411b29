//! This process and thread, as the system sees them.

#![expect(unsafe_code, reason = "prctl has no wrapper")]

use std::io;

use rustix::event::EventfdFlags;

/// Each takes 8 bytes of the kernel's memory. A limit may be a thousand times as high, and mean that there is none.
const DESCRIPTORS_RESERVED_MAX: u64 = 1 << 20;

/// From here on this process gets no huge pages. Whoever touches one first waits until all of it is cleared (2 MiB: 0.2 ms, and 6 ms where
/// a host has to find the memory first), or until the kernel has put one together of what is free.
///
/// # Errors
/// The kernel's, or what a sandbox makes of it; then all is as before.
pub fn refuse_huge_pages() -> io::Result<()> {
    let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: it sets a flag of this process; no memory is named.
    match unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, on, unused, unused, unused) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The kernel's id of the calling thread.
#[must_use]
pub fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// Files and sockets that this process may have open.
#[must_use]
pub fn descriptors_max() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.unwrap_or(u64::MAX)
}

/// Has the kernel make its table of this process's descriptors as long as it may become, up to [`DESCRIPTORS_RESERVED_MAX`] of them. It doubles
/// a table that is full, and where a process has several threads the one that opens a file then waits until every CPU has let go of the
/// old table: tens of milliseconds. For a process of one thread.
///
/// # Errors
/// The kernel's, when it lacks the memory; then the table grows as it is used.
pub fn reserve_descriptors() -> io::Result<()> {
    let last = descriptors_max().min(DESCRIPTORS_RESERVED_MAX).saturating_sub(1);
    let last = i32::try_from(last).map_err(io::Error::other)?;
    let one = rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?;
    rustix::io::fcntl_dupfd_cloexec(&one, last)?;
    Ok(())
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

/// The address of a host name and port; an empty name is every interface. IPv4 is preferred, as clients of either family reach it.
///
/// # Errors
/// The name is unknown.
pub fn resolve(host: &str, port: u16) -> io::Result<std::net::SocketAddr> {
    use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
    if host.is_empty() {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first
        .copied()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address is known for this name"))
}
