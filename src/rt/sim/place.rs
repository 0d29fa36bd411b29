//! What `rt::fs` says of the place where files are: its room, its kind, and whose it is.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use super::executor::Core;
use super::fs::operate;

/// # Errors
/// None here.
pub fn exists(path: impl AsRef<Path>) -> io::Result<bool> {
    Ok(operate(|disk| disk.exists(path.as_ref())))
}

/// Of a disk that has no end.
const TOTAL_BYTES: u64 = 1 << 40;

/// The room on a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    pub total_bytes: u64,
    pub free_bytes: u64,
}

/// # Errors
/// None here.
pub fn space(_path: impl AsRef<Path>) -> io::Result<Space> {
    let free_bytes = Core::current().disk.borrow().free_bytes();
    Ok(Space {
        total_bytes: TOTAL_BYTES,
        free_bytes: free_bytes.unwrap_or(TOTAL_BYTES),
    })
}

#[must_use]
pub fn is_on_disk(_path: impl AsRef<Path>) -> bool {
    true
}

/// This disk need not be told which blocks are free.
#[must_use]
pub fn discards(_path: impl AsRef<Path>) -> bool {
    false
}

/// Nothing, or more than anybody would wait for.
#[must_use]
pub fn dirty_bytes() -> Option<u64> {
    let is_idle = Core::current().random.borrow_mut().percent(50);
    Some(if is_idle { 0 } else { u64::MAX })
}

thread_local! {
    static LOCKED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// A directory that nobody else may use meanwhile; dropped, it is free.
#[derive(Debug)]
pub struct DirectoryLock {
    path: PathBuf,
}

/// # Errors
/// `WouldBlock` when it is locked.
pub fn lock_directory(path: impl AsRef<Path>) -> io::Result<DirectoryLock> {
    let path = path.as_ref().to_owned();
    LOCKED.with_borrow_mut(|locked| {
        if locked.contains(&path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        locked.push(path.clone());
        Ok(DirectoryLock { path })
    })
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        LOCKED.with_borrow_mut(|locked| locked.retain(|path| *path != self.path));
    }
}
