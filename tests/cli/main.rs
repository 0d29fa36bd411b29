//! The binary as a person meets it: what it prints, where, and its exit code.

#![expect(clippy::disallowed_methods, reason = "the test prepares files as a person would")]

mod log;

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn duramen(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    // Variables of this machine are not part of the test.
    command
        .env_clear()
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null());
    command.output().expect("the binary runs")
}

/// What it printed to standard output and standard error.
fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn version_and_reference_go_to_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = [
        (&["--version"][..], "duramen "),
        (&["config"], "\nnum.partitions\n"),
        (&["--help"], "serve"),
    ];
    for (arguments, expected) in cases {
        let output = duramen(folder.path(), arguments);
        let (out, err) = printed(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(out.contains(expected), "{arguments:?}: {out}");
        assert_eq!(err, "", "{arguments:?}");
    }
}

#[test]
fn a_command_line_that_cannot_stand_is_told_with_its_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases: [(&[&str], &str); 3] = [
        (&["surve"], "unrecognized subcommand 'surve'"),
        (&["serve", "a", "b"], "unexpected argument 'b'"),
        (&[], "Usage: duramen <COMMAND>"),
    ];
    for (arguments, expected) in cases {
        let output = duramen(folder.path(), arguments);
        let (out, err) = printed(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(out, "", "{arguments:?}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
}

#[test]
fn a_configuration_that_cannot_stand_is_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("bad.properties"), "# ours\nlog.segment.bytes=12\n").expect("written");
    std::fs::write(folder.path().join("tls.properties"), "listeners=SSL://:9093\n").expect("written");
    let cases = [
        (
            "bad.properties",
            "duramen: bad.properties:2: log.segment.bytes=12 is not allowed: give a whole number of 32 bits, 1048576 or more\n",
        ),
        (
            "tls.properties",
            "duramen: tls.properties:1: listeners: listener SSL uses SSL, and only PLAINTEXT is supported yet: remove it or map it to \
             PLAINTEXT\n",
        ),
        (
            "missing.properties",
            "duramen: cannot read the configuration file missing.properties: No such file or directory (os error 2)\n",
        ),
    ];
    for (file, expected) in cases {
        let output = duramen(folder.path(), &["serve", file]);
        assert_eq!(printed(&output), (String::new(), expected.to_owned()));
        assert_eq!(output.status.code(), Some(2), "{file}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 2, "nothing may be created before the configuration stands");
}
