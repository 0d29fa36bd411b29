//! How files go where the disk is told which blocks are free.

use std::time::Duration;

use super::*;
use crate::log::reclaim::PIECE_BYTES;
use crate::rt::fs::Directory;
use crate::rt::time;

const SEGMENT: &str = "00000000000000000000.log";
const DELETED: &str = "00000000000000000000.log.deleted";
const LENGTH: u64 = 3 * PIECE_BYTES + 1;

/// Makes a long file, and gives it a second name outside of the log, by which it is seen when its own name is gone.
fn long_file(path: &Path) -> PathBuf {
    let file = File::open(path, Open::CreateNew).unwrap();
    file.truncate(LENGTH).unwrap();
    let other_name = path.with_extension("seen");
    std::fs::hard_link(path, &other_name).unwrap();
    other_name
}

fn length(path: &Path) -> u64 {
    fs::size(path).unwrap().bytes
}

/// Whether the file system grants leases, by which it is seen whether somebody has a file open.
fn has_leases(path: &Path) -> bool {
    let probe = File::open(path.join("probe"), Open::CreateNew).unwrap();
    !probe.is_open_elsewhere()
}

#[test]
fn a_long_file_that_nobody_reads_goes_bit_by_bit() {
    on_core(async |path| {
        if !has_leases(&path) {
            return;
        }
        let health = Health::new(&path);
        health.reclaim().note_told();
        for name in [SEGMENT, DELETED] {
            let seen = long_file(&path.join(name));
            health.remove_file(&path.join(name), time::now()).await.unwrap();
            assert!(!fs::exists(path.join(name)).unwrap(), "{name}");
            assert_eq!(length(&seen), 1, "{name}");
            fs::remove_file(&seen).unwrap();
        }
    });
}

#[test]
fn who_reads_a_removed_file_goes_on() {
    on_core(async |path| {
        let health = Health::new(&path);
        health.reclaim().note_told();
        let seen = long_file(&path.join(DELETED));
        let reader = File::open(path.join(DELETED), Open::Read).unwrap();
        health.remove_file(&path.join(DELETED), time::now()).await.unwrap();
        assert!(!fs::exists(path.join(DELETED)).unwrap());
        assert_eq!(reader.len().unwrap(), LENGTH);
        assert_eq!(length(&seen), LENGTH);
    });
}

#[test]
fn what_holds_no_records_goes_at_once() {
    on_core(async |path| {
        let health = Health::new(&path);
        health.reclaim().note_told();
        let name = path.join("00000000000000000000.timeindex.deleted");
        let seen = long_file(&name);
        health.remove_file(&name, time::now()).await.unwrap();
        assert_eq!(length(&seen), LENGTH);
        let missing = health.remove_file(&path.join(DELETED), time::now()).await;
        assert_eq!(missing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
    });
}

/// A segment that is compacted twice within `file.delete.delay.ms` takes the name of the one before.
#[test]
fn a_file_whose_name_another_takes_goes_bit_by_bit() {
    on_core(async |path| {
        if !has_leases(&path) {
            return;
        }
        let health = Health::new(&path);
        health.reclaim().note_told();
        let directory = Directory::open(&path).unwrap();
        let seen = long_file(&path.join(DELETED));
        fs::remove_file(path.join("probe")).unwrap();
        drop(File::open(path.join(SEGMENT), Open::CreateNew).unwrap());
        assert!(health.put_away(&directory, SEGMENT, DELETED).await.unwrap());
        assert_eq!(length(&path.join(DELETED)), 0);
        while length(&seen) > 1 {
            time::sleep(Duration::from_millis(1)).await;
        }
    });
}
