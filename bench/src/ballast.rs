//! Keeps a virtual machine's free memory backed by its host.
//!
//! A guest that reports free pages to its host pays for the first touch of each page that it gets back, some seconds of CPU for a GiB, and
//! that falls on whoever writes to the page cache: mostly the broker. So before each run what is free is filled with the pages of a file
//! that has no blocks on the disk. They are clean: the kernel takes them back for nothing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Result};
use crate::number::count;

/// What is left free.
const FREE_KIB: u64 = 400 << 10;

/// Bytes that are touched between two looks at what is free.
const STEP_BYTES: usize = 8 << 20;

/// The file, and how far it was touched.
pub struct Ballast {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
    position: u64,
}

impl Ballast {
    pub fn new(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(format!("ballast-{}", std::process::id()));
        let make = || {
            let file = File::options()
                .create(true)
                .truncate(true)
                .read(true)
                .write(true)
                .open(&path)?;
            file.set_len(kibibytes("MemTotal:") * 1024)?;
            Ok::<_, std::io::Error>(file)
        };
        let file = make().context(|| path.display().to_string())?;
        Ok(Self {
            file,
            path,
            buffer: vec![0; STEP_BYTES],
            position: 0,
        })
    }

    /// Whether the processor says that this is a virtual machine.
    pub fn is_wanted() -> bool {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        text.lines()
            .any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor"))
    }

    /// Touches memory until nearly none is free.
    pub fn fill(&mut self) -> Result<()> {
        // What others free meanwhile waits for the next time: the kernel gives back what is touched here as fast.
        let touched_max = kibibytes("MemFree:") * 1024;
        let mut touched = 0;
        while touched < touched_max && kibibytes("MemFree:") > FREE_KIB {
            let read = self.file.read_at(&mut self.buffer, self.position)?;
            touched += count(read.max(1));
            self.position = if read == 0 { 0 } else { self.position + count(read) };
        }
        Ok(())
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn kibibytes(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn memory_is_known() {
    assert!(kibibytes("MemTotal:") > kibibytes("MemFree:"));
    assert_eq!(kibibytes("NoSuchThing:"), 0);
}
