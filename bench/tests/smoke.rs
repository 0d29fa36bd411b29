//! The whole way, for a moment each: the real broker, every kind of load, results in a file, the page.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bench(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen-bench"));
    command.current_dir(directory).args(arguments);
    command.output().unwrap()
}

/// The broker's binary, beside that of the benchmarks; built if it is not there.
fn broker() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_duramen-bench")).with_file_name("duramen");
    if !path.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "-p", "duramen", "--bin", "duramen"])
            .status();
        assert!(built.unwrap().success());
    }
    path
}

/// A scenario of a fraction of a second, sleeping between its turns: other tests run beside it.
fn scenario(directory: &Path, name: &str, rest: &str) -> String {
    let path = directory.join(format!("{name}.toml"));
    let text = format!(
        "about = \"{name}\"\nagainst = [\"sink\"]\n[run]\nseconds = 0.3\nwarmup_seconds = 0.0\nbusy = false\n[topic]\npartitions = 3\n{rest}"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The requests about a hundred partitions are longer than the front of a produce, which is all that is looked at of those.
#[test]
fn what_keeps_nothing_serves_topics_of_many_partitions() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (broker, acks) in [("sink", "all"), ("bare", "all"), ("bare", "1"), ("bare", "0")] {
        let single = format!(
            "[records]\nvalue_bytes = 200\nbatch_records = 1\n[produce]\nacks = \"{acks}\"\nconnections = 2\ndepth = 3\n"
        );
        let file = scenario(directory.path(), "wide", &single);
        let wide = std::fs::read_to_string(&file)
            .unwrap()
            .replace("partitions = 3", "partitions = 100");
        std::fs::write(&file, wide).unwrap();
        let done = bench(
            directory.path(),
            &["run", "--ballast", "false", "--broker", broker, &file],
        );
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(
            done.status.success() && said.contains("wide"),
            "{broker} {acks}: {said}"
        );
    }
}

#[test]
fn every_kind_of_load_is_verified_on_the_real_broker() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let batch = "[records]\nvalue_bytes = 200\nbatch_records = 10\n";
    let single = "[records]\nvalue_bytes = 100\nbatch_records = 1\n";
    let produce = |acks: &str, more: &str| format!("[produce]\nacks = \"{acks}\"\nconnections = 2\ndepth = 3\n{more}");
    let consume = |from: &str| format!("[[consume]]\nname = \"{from}\"\nfrom = \"{from}\"\nconnections = 2\n");
    let backlog = "[backlog]\nmib = 4\ncold = true\n";
    let scenarios = [
        ("acks-all", format!("{batch}{}", produce("all", "idempotent = true"))),
        (
            "acks-1",
            format!(
                "{batch}codec = \"zstd\"\nkeys = 5\ncompressibility = 0.5\n{}",
                produce("1", "rate = 300.0")
            ),
        ),
        ("acks-0", format!("{batch}{}", produce("0", ""))),
        (
            "recompressed",
            format!(
                "settings = {{ \"compression.type\" = \"lz4\" }}\n{batch}{}",
                produce("1", "")
            ),
        ),
        ("drain", format!("{batch}{backlog}{}", consume("start"))),
        (
            "tail",
            format!("{batch}{}{}", produce("1", "rate = 100.0\n"), consume("end")),
        ),
        ("end-to-end", format!("{single}[end_to_end]\nacks = \"all\"\n")),
        (
            "end-to-end-rate",
            format!("{single}[end_to_end]\nacks = \"1\"\nrate = 50.0\n"),
        ),
    ];
    let files: Vec<_> = scenarios
        .iter()
        .map(|(name, rest)| scenario(directory.path(), name, rest))
        .collect();
    let broker = broker();
    let mut arguments = vec!["run", "--ballast", "false", "--out", "results.jsonl"];
    arguments.extend(["--duramen", broker.to_str().unwrap()]);
    arguments.extend(files.iter().map(String::as_str));
    let done = bench(directory.path(), &arguments);
    let (said, failed) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{failed}");
    for (name, _) in &scenarios {
        assert!(said.contains(name), "{name}: {said}");
    }
    let results = std::fs::read_to_string(directory.path().join("results.jsonl")).unwrap();
    assert_eq!(results.matches("\"kind\":\"run\"").count(), scenarios.len());
    assert!(
        !results.contains("\"verified_records\":0,") && !results.contains("\"verified_records\":null"),
        "{results}"
    );
    // What waits at the end tells how long each batch took to it.
    let tail = results
        .lines()
        .find(|line| line.contains("\"scenario\":\"tail\""))
        .unwrap();
    let (_, tail) = tail.split_once("\"name\":\"end\"").unwrap();
    assert!(tail.contains("\"latency\":{\"samples\":"), "{tail}");
    let page = bench(directory.path(), &["report", "results.jsonl", "--html", "page.html"]);
    assert!(page.status.success());
    assert!(
        std::fs::read_to_string(directory.path().join("page.html"))
            .unwrap()
            .contains("<svg")
    );
    // Brokers take their directories with them.
    assert_eq!(
        std::fs::read_dir(directory.path().join("duramen-bench-data"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn what_cannot_be_is_one_line() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let wrong = scenario(directory.path(), "wrong", "[records]\nvalue_byte = 1\n");
    let right = scenario(
        directory.path(),
        "right",
        "[records]\nvalue_bytes = 1\n[produce]\nacks = \"1\"\nconnections = 1\ndepth = 1\n",
    );
    let cases: &[(&[&str], &str)] = &[
        (&["run", &wrong], "wrong.toml: line 10: unknown field `value_byte`"),
        (&["run", "no-such-scenario"], "no-such-scenario.toml: No such file"),
        (
            &["run", &right, "--target", "127.0.0.1:1"],
            "the broker at 127.0.0.1:1 does not answer: Connection refused",
        ),
        (&["run", &right, "--target", "nowhere"], "--target nowhere: "),
        (
            &["run", &right, "--duramen", "/no/such/binary"],
            "duramen: /no/such/binary does not exist",
        ),
        (&["run", &right, "--load-cpus", "3-1"], "3-1 is no range"),
        (&["run", &right, "--broker", "target"], "needs --target HOST:PORT"),
        (&["report", "no-such-file.jsonl"], "no-such-file.jsonl: No such file"),
    ];
    for (arguments, expected) in cases {
        let done = bench(directory.path(), arguments);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        assert!(
            said.starts_with("duramen-bench: ") && said.contains(expected),
            "{arguments:?}: {said}"
        );
        assert!(done.stdout.is_empty(), "{arguments:?}");
    }
}
