//! Files and directories. What the page cache answers is done at once; what waits for a disk goes through the ring.

mod directory;
mod file;
mod residency;

pub use directory::{
    DirectoryLock, Entry, create_directory_all, exists, free_bytes, list, lock_directory, read, remove_directory,
    remove_directory_all, remove_file, rename, sync_directory, sync_names, unlink,
};
pub use file::{File, Open};
