//! Files and directories. What the page cache answers is done at once; what waits for a disk goes through the ring.

mod cold;
mod descriptor;
mod direct;
mod directory;
mod dirty;
mod file;
mod mount;
mod names;
mod residency;

pub use crate::rt::aligned::{AlignedBuffer, BLOCK_BYTES};
pub use crate::rt::entry::{Entry, FileSize};
pub use direct::DirectFile;
pub use directory::{
    DirectoryLock, Space, create_directory_all, exists, give_name, is_on_disk, list, list_aside, lock_directory,
    make_directory, read, remove_directory, remove_directory_all, remove_file, rename, size, space, sync_directory,
    sync_file_system, sync_names, unlink,
};
pub use dirty::dirty_bytes;
pub use file::{File, Open};
pub use mount::discards;
pub use names::Directory;
