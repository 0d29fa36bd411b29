//! `duramen log`, on files that Apache Kafka wrote (`tests/fixtures/kafka-topic`) and on what is left of them after damage.

use std::path::{Path, PathBuf};

use crate::{duramen, printed};

/// A data directory with a copy of Kafka's topic.
fn data_directory() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kafka-topic");
    for partition in 0..5 {
        let name = format!("kafka-topic-{partition}");
        let to = folder.path().join(&name);
        std::fs::create_dir(&to).expect("made");
        for entry in std::fs::read_dir(fixture.join(name)).expect("the fixture") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "gz") {
                std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
            }
        }
    }
    let identity = "version=1\ncluster.id=c\nnode.id=1\n";
    std::fs::write(folder.path().join("meta.properties"), identity).expect("written");
    folder
}

/// Exit code, standard output and standard error of a command of `duramen log`.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<&str> = std::iter::once("log").chain(arguments.iter().copied()).collect();
    let output = duramen(folder, &arguments);
    let (out, err) = printed(&output);
    (output.status.code(), out, err)
}

/// The last segment of a partition.
fn segment(folder: &Path, partition: u32) -> PathBuf {
    let directory = folder.join(format!("kafka-topic-{partition}"));
    let paths = std::fs::read_dir(directory).expect("a directory");
    let paths = paths.map(|entry| entry.expect("an entry").path());
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    paths.filter(is_log).max().expect("a segment")
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("read");
    change(&mut bytes);
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn what_kafka_wrote_has_no_fault() {
    let folder = data_directory();
    let (code, out, err) = run(folder.path(), &["verify", "."]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.ends_with(": 0 faults\n"), "{out}");
}

#[test]
fn records_of_every_codec_are_shown() {
    let folder = data_directory();
    for (partition, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].iter().enumerate() {
        let name = format!("kafka-topic-{partition}");
        let (code, out, err) = run(folder.path(), &["dump", &name, "--records"]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert!(out.contains(&format!("  codec {codec}  ")), "{out}");
        assert_eq!(
            out.lines().filter(|line| line.starts_with("    record ")).count(),
            24,
            "{out}"
        );
        let (code, json, _) = run(folder.path(), &["dump", &name, "--records", "--json"]);
        assert_eq!(code, Some(0));
        assert_eq!(json.lines().count(), out.lines().count());
        assert!(
            json.lines()
                .all(|line| line.starts_with("{\"type\":\"") && line.ends_with('}')),
            "{json}"
        );
    }
}

#[test]
fn each_fault_is_told_with_its_place() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Change, &str); 7] = [
        ("log", |bytes| bytes[70] ^= 1, "position 0, offset "),
        ("log", |bytes| bytes[16] = 1, "magic 1 is not that of a batch"),
        (
            "log",
            |bytes| bytes.truncate(bytes.len() - 1),
            "the file ends inside a batch of ",
        ),
        (
            "log",
            |bytes| bytes.extend([0; 100]),
            "100 zeroes from here to the end of the file",
        ),
        ("timeindex", |bytes| bytes[7] ^= 0x40, "kafka-topic-0"),
        ("snapshot", |bytes| bytes[20] ^= 1, "the header says "),
        (
            "index",
            |bytes| bytes.extend([0, 0, 0, 1, 0, 0, 0, 1]),
            "no batch begins at position 1",
        ),
    ];
    for (kind, damage, expected) in cases {
        let folder = data_directory();
        let log = segment(folder.path(), 0);
        let path = match kind {
            "snapshot" => {
                let paths = std::fs::read_dir(log.parent().expect("a directory")).expect("a directory");
                let mut paths = paths.map(|entry| entry.expect("an entry").path());
                paths
                    .find(|path| path.extension().is_some_and(|found| found == kind))
                    .expect("a snapshot")
            }
            kind => log.with_extension(kind),
        };
        change(&path, damage);
        let (code, out, _) = run(folder.path(), &["verify", "kafka-topic-0"]);
        assert_eq!(code, Some(1), "{kind}: {out}");
        assert!(out.contains(expected), "{kind}: {out}");
        let name = path.file_name().expect("a name").to_str().expect("text");
        assert!(out.contains(name), "{kind}: {out}");
        let (code, json, _) = run(folder.path(), &["verify", "kafka-topic-0", "--json"]);
        assert_eq!(code, Some(1));
        assert!(json.starts_with("{\"type\":\"fault\",\"file\":\""), "{json}");
    }
}

#[test]
fn a_torn_tail_is_cut_and_indexes_are_made_anew() {
    let folder = data_directory();
    let log = segment(folder.path(), 1);
    let whole = std::fs::read(&log).expect("read");
    change(&log, |bytes| bytes.extend_from_within(..70));
    std::fs::remove_file(log.with_extension("index")).expect("removed");
    let (code, out, err) = run(folder.path(), &["recover", "kafka-topic-1", "--dry-run"]);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    assert!(
        out.contains("would be cut off here") && out.contains("would be made anew"),
        "{out}"
    );
    assert_eq!(
        std::fs::read(&log).expect("read").len(),
        whole.len() + 70,
        "a dry run changes nothing"
    );
    assert!(!folder.path().join(".lock").exists(), "a dry run writes nothing");

    let (code, out, _) = run(folder.path(), &["recover", "."]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("70 bytes cut off at position "), "{out}");
    assert_eq!(std::fs::read(&log).expect("read"), whole);
    let (code, out, _) = run(folder.path(), &["verify", "."]);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn damage_below_the_recovery_point_is_left() {
    let folder = data_directory();
    let log = segment(folder.path(), 2);
    let points = "0\n1\nkafka-topic 2 24\n";
    std::fs::write(folder.path().join("recovery-point-offset-checkpoint"), points).expect("written");
    change(&log, |bytes| bytes[70] ^= 1);
    std::fs::remove_file(log.with_extension("index")).expect("removed");
    let damaged = std::fs::read(&log).expect("read");
    let (code, out, _) = run(folder.path(), &["recover", "kafka-topic-2", "--dry-run"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("was on the disk and would be left"), "{out}");
    let (code, out, _) = run(folder.path(), &["recover", "kafka-topic-2"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("is damaged at position 0, offset "), "{out}");
    assert_eq!(std::fs::read(&log).expect("read"), damaged);
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let folder = data_directory();
    std::fs::create_dir(folder.path().join("empty")).expect("made");
    let cases: [(&[&str], &str); 4] = [
        (
            &["verify", "missing"],
            "duramen: missing: No such file or directory (os error 2)\n",
        ),
        (
            &["dump", "empty"],
            "duramen: empty: it is neither a data directory nor the directory of a partition\n",
        ),
        (
            &["recover", "meta.properties"],
            "duramen: meta.properties: give the directory of a partition, or a data directory\n",
        ),
        (&["verify"], "required arguments were not provided"),
    ];
    for (arguments, expected) in cases {
        let (code, out, err) = run(folder.path(), arguments);
        assert_ne!(code, Some(0), "{arguments:?}");
        assert_eq!(out, "", "{arguments:?}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
    let lock = std::fs::File::create(folder.path().join(".lock")).expect("made");
    lock.lock().expect("locked");
    for more in [&["recover", "."][..], &["recover", ".", "--dry-run"]] {
        let (code, _, err) = run(folder.path(), more);
        assert_eq!(code, Some(1));
        assert!(err.contains("is in use by another process"), "{err}");
    }
}
