//! What the page cache has and the disks do not.

/// Bytes of all files of this machine that are yet to be written to a disk; `None` where that cannot be found out.
#[must_use]
pub fn dirty_bytes() -> Option<u64> {
    unwritten_in(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// From the text of `meminfo` (`proc_meminfo(5)`): what waits, and what is on its way.
fn unwritten_in(meminfo: &str) -> Option<u64> {
    let kibibytes = |name: &str| -> Option<u64> {
        let line = meminfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    kibibytes("Dirty")?
        .checked_add(kibibytes("Writeback")?)?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unwritten() {
        let table = [
            (
                "MemFree:  12 kB\nDirty:   100 kB\nWriteback:    28 kB\nWritebackTmp:  7 kB\n",
                Some(128 * 1024),
            ),
            ("WritebackTmp:  7 kB\nWriteback: 0 kB\nDirty: 0 kB", Some(0)),
            ("Dirty:   100 kB\n", None),
            ("Dirty:   100\nWriteback:    28 kB\n", None),
            ("Dirty:   -1 kB\nWriteback:    28 kB\n", None),
            ("Dirty:   18446744073709551615 kB\nWriteback:    1 kB\n", None),
            ("", None),
        ];
        for (meminfo, expected) in table {
            assert_eq!(unwritten_in(meminfo), expected, "{meminfo}");
        }
    }
}
