//! How a file system is mounted.

use std::path::Path;

/// Whether the file system of `path` tells its disk at once which blocks are free (mount option `discard`). Where that cannot be found out it does not.
#[must_use]
pub fn discards(path: impl AsRef<Path>) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    rustix::fs::stat(path.as_ref()).is_ok_and(|status| {
        let device = (rustix::fs::major(status.st_dev), rustix::fs::minor(status.st_dev));
        mounts.lines().any(|mount| is_discarding(mount, device))
    })
}

/// Whether a line of `mountinfo` (`proc_pid_mountinfo(5)`) is of this device, and says so.
fn is_discarding(mount: &str, (major, minor): (u32, u32)) -> bool {
    let Some((place, kind)) = mount.split_once(" - ") else {
        return false;
    };
    let is_device = place.split(' ').nth(2) == Some(&format!("{major}:{minor}"));
    let options = kind.rsplit(' ').next().unwrap_or_default();
    is_device
        && options
            .split(',')
            .any(|option| option == "discard" || option.starts_with("discard="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_discards() {
        let table = [
            (
                "36 35 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard,resuid=65534",
                true,
            ),
            ("36 35 254:0 / / rw,relatime - xfs /dev/vda rw,discard", true),
            ("36 35 254:0 / / rw - btrfs /dev/vda rw,discard=async,space_cache", true),
            ("36 35 254:0 / / rw,relatime - ext4 /dev/vda rw", false),
            ("36 35 254:0 / / rw,discard - ext4 /dev/vda rw", false),
            ("36 35 254:0 / / rw - ext4 /dev/vda rw,nodiscard", false),
            ("36 35 254:1 / / rw - ext4 /dev/vdb rw,discard", false),
            ("36 35 254:0 / / rw", false),
            ("", false),
        ];
        for (mount, expected) in table {
            assert_eq!(is_discarding(mount, (254, 0)), expected, "{mount}");
        }
    }
}
