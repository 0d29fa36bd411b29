//! The simulated disk itself: what survives a crash, what may not, and that seeds differ.

use std::collections::BTreeSet;
use std::path::Path;

use duramen::base::offset::FilePosition;
use duramen::rt::fs::{self, File, Open};
use duramen::rt::sim::{Faults, Image, Simulation};

const SEEDS: u64 = 200;

/// The content of `/d/file` after a crash at the end of what `work` does, for many seeds; `None` where it has no name.
fn after_crash<F: Future<Output = std::io::Result<()>> + 'static>(
    faults: Faults,
    work: impl Fn() -> F,
) -> BTreeSet<Option<Vec<u8>>> {
    let run = |seed| {
        let work = work();
        let outcome = Simulation::new(seed, &Image::default(), faults).run(async {
            fs::create_directory_all("/d").expect("a directory");
            fs::sync_directory("/").expect("a sync");
            work.await
        });
        outcome.image.files.get(Path::new("/d/file")).cloned()
    };
    (0..SEEDS).map(run).collect()
}

fn new_file(bytes: &[u8]) -> std::io::Result<File> {
    let file = File::open("/d/file", Open::CreateNew)?;
    file.write_at(FilePosition::ZERO, &[bytes])?;
    Ok(file)
}

#[test]
fn what_is_synced_survives() {
    let found = after_crash(Faults::default(), || async {
        new_file(&[7; 2000])?.sync_data().await?;
        fs::sync_directory("/d")
    });
    assert_eq!(found, BTreeSet::from([Some(vec![7; 2000])]));
}

#[test]
fn what_is_not_synced_survives_or_does_not() {
    let found = after_crash(Faults::default(), || async {
        new_file(&[7; 2000])?;
        fs::sync_directory("/d")
    });
    let whole = Some(vec![7; 2000]);
    let of_kind = |is: &dyn Fn(&[u8]) -> bool| found.iter().flatten().any(|content| is(content));
    assert!(found.contains(&whole), "all of it");
    assert!(found.contains(&Some(Vec::new())), "nothing");
    assert!(of_kind(&|content| content == [0; 2000]), "its length");
    assert!(
        of_kind(&|content| content.len() < 2000 && content.contains(&7)),
        "a torn end"
    );
    assert!(
        of_kind(&|content| content.starts_with(&[0]) && content.contains(&7)),
        "the end before the beginning"
    );
    for content in found.iter().flatten() {
        let is_of_one_kind = |sector: &[u8]| sector.windows(2).all(|pair| pair[0] == pair[1]);
        assert!(content.chunks(512).all(is_of_one_kind), "sectors do not tear");
    }
}

#[test]
fn names_are_durable_with_their_directory() {
    let found = after_crash(Faults::default(), || async { new_file(&[7])?.sync_data().await });
    assert_eq!(found, BTreeSet::from([None, Some(vec![7])]));
}

#[test]
fn a_rename_leaves_the_old_or_the_new() {
    let found = after_crash(Faults::default(), || async {
        new_file(b"old")?.sync_data().await?;
        fs::sync_directory("/d")?;
        let new = File::open("/d/new", Open::CreateNew)?;
        new.write_at(FilePosition::ZERO, &[b"new"])?;
        new.sync_data().await?;
        fs::rename("/d/new", "/d/file")
    });
    assert_eq!(found, BTreeSet::from([Some(b"new".to_vec()), Some(b"old".to_vec())]));
}

#[test]
fn a_sync_after_a_failed_one_covers_nothing_of_it() {
    let faults = Faults {
        // The first sync is that of the root.
        fail_sync: Some(2),
        ..Faults::default()
    };
    let found = after_crash(faults, || async {
        let file = new_file(&[7; 512])?;
        assert!(file.sync_data().await.is_err());
        file.sync_data().await?;
        fs::sync_directory("/d")
    });
    assert!(found.len() > 1, "the second sync says yes, and the data may be gone");
}

#[test]
fn a_crash_comes_at_its_operation() {
    let lengths: Vec<usize> = (0..6)
        .map(|crash_at| {
            let faults = Faults {
                crash_at: Some(crash_at),
                ..Faults::default()
            };
            let outcome = Simulation::new(0, &Image::default(), faults).run(async {
                for _ in 0..3 {
                    fs::create_directory_all("/d").expect("a directory");
                    fs::sync_directory("/").expect("a sync");
                    fs::remove_directory_all("/d").expect("it is there");
                    fs::sync_directory("/").expect("a sync");
                }
            });
            assert!(outcome.output.is_none());
            outcome
                .image
                .directories
                .iter()
                .filter(|path| path.ends_with("d"))
                .count()
        })
        .collect();
    assert_eq!((lengths[0], lengths[2], lengths[4]), (0, 1, 0), "{lengths:?}");
}

#[test]
fn what_is_reserved_takes_room_until_it_is_written_or_given_back() {
    let faults = Faults {
        full_after_bytes: Some(1000),
        fail_reserve: Some(4),
        ..Faults::default()
    };
    let outcome = Simulation::new(0, &Image::default(), faults).run(async {
        fs::create_directory_all("/d").expect("a directory");
        let file = new_file(&[7; 100]).expect("a file");
        let taken = || (file.allocated_bytes().expect("blocks"), free());
        file.reserve(FilePosition(100), 400).await.expect("there is room");
        assert_eq!((taken(), file.len().expect("a length")), ((500, 500), 100));
        file.write_at(FilePosition(100), &[&[7; 500]]).expect("there is room");
        assert_eq!(taken(), (600, 400));
        file.reserve(FilePosition(500), 200).await.expect("there is room");
        assert_eq!(taken(), (700, 300));
        file.give_back_behind(600).await.expect("it is done");
        assert_eq!(taken(), (600, 400));
        file.reserve(FilePosition(600), 500).await.expect_err("there is none");
        assert_eq!(taken(), (850, 150), "half of it");
        file.reserve(FilePosition(850), 100).await.expect_err("as asked for");
        assert_eq!(taken(), (900, 100));
        fs::remove_file("/d/file").expect("it is there");
        assert_eq!(free(), 1000);
    });
    assert!(outcome.output.is_some());
}

fn free() -> u64 {
    fs::space("/d").expect("a disk").free_bytes
}
