//! What directories and files tell of themselves, by either body.

use std::ffi::OsString;

/// One entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: OsString,
    pub is_directory: bool,
}

/// How large a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileSize {
    pub bytes: u64,
    /// Bytes that its blocks take.
    pub allocated_bytes: u64,
}
