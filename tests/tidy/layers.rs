//! Imports go downwards only; the machine is reached through `rt` alone; the layers that decide are pure.

use crate::source::{Path, Source, lines_with_word, paths};

/// A folder of `src/`, or a file beside the folders.
pub struct Layer {
    pub number: u8,
    pub name: &'static str,
}

const fn layer(number: u8, name: &'static str) -> Layer {
    Layer { number, name }
}

/// A part may import parts of lower layers, and itself. `log` is one of the two parts of layer 2 that build on another: the
/// controller and the coordinators speak of logs only through values.
pub const LAYERS: &[Layer] = &[
    layer(0, "base"),
    layer(1, "record"),
    layer(1, "config"),
    layer(2, "log"),
    layer(2, "metadata"),
    layer(2, "coordinator"),
    layer(2, "security"),
    layer(3, "rt"),
    layer(4, "storage"),
    layer(4, "net"),
    layer(5, "partition"),
    layer(6, "shard"),
    layer(7, "kafka"),
    layer(7, "fast"),
    layer(7, "admin"),
    layer(8, "server"),
    layer(8, "cli"),
    layer(9, "main"),
    layer(9, "lib"),
];

/// Layers 0 to 2 decide: no machine, no clock, no chance.
const PURE_MAX: u8 = 2;

/// Crates and modules that are the machine.
const MACHINE: &[&[&str]] = &[
    &["glommio"],
    &["io_uring"],
    &["libc"],
    &["rustix"],
    &["socket2"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "thread"],
    &["tokio"],
];

/// Files that name the machine outside of `rt`. The list may only shrink: an entry that is not needed fails.
pub const EXCEPTIONS: &[&str] = &[];

/// Names that make code depend on when, where or how often it runs.
const IMPURE: &[&str] = &["Instant", "SystemTime", "HashMap", "HashSet", "RandomState"];

/// What waits for other threads: cores share nothing that could be locked.
const LOCKS: &[&str] = &["Mutex", "RwLock", "Condvar"];

/// Parts that know Kafka's protocol.
const SPEAK_KAFKA: &[&str] = &[
    "metadata",
    "coordinator",
    "security",
    "log",
    "partition",
    "shard",
    "kafka",
    "server",
    "cli",
];

/// The part that a file of `src/` belongs to: its folder, or its name without `.rs`.
pub fn part_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("src/")?;
    let first = rest.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

fn number_of(part: &str) -> Option<u8> {
    LAYERS.iter().find(|layer| layer.name == part).map(|layer| layer.number)
}

/// Holds what was found in all files against the exceptions.
pub fn check_all(sources: &[Source], exceptions: &[&str]) -> Vec<String> {
    let is_excepted = |failure: &str| exceptions.iter().find(|path| failure.starts_with(&format!("{path}:")));
    let mut unused: Vec<&str> = exceptions.to_vec();
    let mut failures = Vec::new();
    for failure in sources.iter().flat_map(check) {
        match is_excepted(&failure) {
            Some(path) => unused.retain(|unused| unused != path),
            None => failures.push(failure),
        }
    }
    failures.extend(
        unused
            .iter()
            .map(|path| format!("{path} imports as it should: remove its exception")),
    );
    failures
}

/// What the file imports that its layer may not.
fn check(source: &Source) -> Vec<String> {
    let Some(part) = part_of(&source.path) else {
        return check_wire(source);
    };
    let Some(number) = number_of(part) else {
        return vec![format!(
            "{}: {part} is no part of LAYERS in tests/tidy/layers.rs",
            source.path
        )];
    };
    let mut failures = Vec::new();
    let mut fail = |line: usize, what: String| failures.push(format!("{}:{line}: {what}", source.path));
    for path in paths(&source.code) {
        if let Some(target) = target_of(&path, &source.path) {
            let allowed = target == part || number_of(target).is_some_and(|target| target < number);
            let is_rt_exception = part == "rt" && target != "base" && target != "rt";
            if !allowed || is_rt_exception {
                fail(
                    path.line,
                    format!("{part} must not import {target}: imports go downwards only"),
                );
            }
        }
    }
    for word in if number <= PURE_MAX {
        &["async", "await"][..]
    } else {
        &[]
    } {
        for line in lines_with_word(&source.product, word) {
            fail(
                line,
                format!("{word} in pure code: it returns plans, others carry them out"),
            );
        }
    }
    for word in if part == "rt" { &[] } else { LOCKS } {
        for line in lines_with_word(&source.product, word) {
            fail(line, format!("{word} outside of rt: cores send each other messages"));
        }
    }
    for path in paths(&source.product) {
        if part != "rt" && part != "main" && is_machine(&path) {
            fail(
                path.line,
                format!("{} is the machine: it is reached through rt", path.segments.join("::")),
            );
        }
        if number <= PURE_MAX && is_impure(&path) {
            fail(
                path.line,
                format!(
                    "{} in pure code: time, chance and order are arguments",
                    path.segments.join("::")
                ),
            );
        }
        if path.segments[0] == "duramen_wire" && !SPEAK_KAFKA.contains(&part) {
            fail(path.line, format!("{part} knows no Kafka protocol"));
        }
    }
    failures
}

/// The codec is pure; its generator, a program run by hand, is not.
fn check_wire(source: &Source) -> Vec<String> {
    if !source.path.starts_with("wire/src/") || source.path.starts_with("wire/src/bin/") {
        return Vec::new();
    }
    let wrong = |path: &Path| is_machine(path) || is_impure(path);
    let say = |path: Path| {
        format!(
            "{}:{}: {} in the codec, which is pure",
            source.path,
            path.line,
            path.segments.join("::")
        )
    };
    paths(&source.product).into_iter().filter(wrong).map(say).collect()
}

/// The part that a path leads to, if it leads out of its own folder by `crate::` or by enough `super::`.
fn target_of<'a>(path: &'a Path, file: &str) -> Option<&'a str> {
    let supers = path.segments.iter().take_while(|segment| *segment == "super").count();
    let next = path.segments.get(supers.max(1)).map(String::as_str);
    if path.segments[0] == "crate" {
        return next.filter(|next| next.starts_with(|c: char| c.is_lowercase()) && !is_macro(next));
    }
    // Only as deep as the file lies; a module within the file lies one deeper, so the name must be one of a part.
    let inside = file.strip_prefix("src/").unwrap_or(file);
    let depth = inside.split('/').count() - usize::from(inside.ends_with("/mod.rs"));
    next.filter(|next| supers > 0 && supers >= depth && number_of(next).is_some())
}

/// The two assertions of `base` are exported at the root, as all macros are.
fn is_macro(name: &str) -> bool {
    matches!(name, "check" | "never")
}

fn is_machine(path: &Path) -> bool {
    MACHINE
        .iter()
        .any(|machine| path.segments.len() >= machine.len() && path.segments.iter().zip(*machine).all(|(a, b)| a == b))
}

fn is_impure(path: &Path) -> bool {
    path.segments.iter().any(|segment| IMPURE.contains(&segment.as_str()))
        || path.segments.last().is_some_and(|last| last == "now")
}

#[test]
fn the_check_can_fail() {
    let cases = [
        ("src/log/a.rs", "use crate::base::ids::TopicId;", 0),
        ("src/log/a.rs", "use crate::record::BatchView;", 0),
        ("src/log/a.rs", "use crate::metadata::Image;", 1),
        ("src/log/a.rs", "use crate::{base::x, storage::{a, b}};", 2),
        ("src/log/a.rs", "fn f() { crate::rt::time::now() }", 2),
        (
            "src/log/a.rs",
            "// crate::rt\nconst A: &str = \"crate::rt::x\"; crate::check!(x);",
            0,
        ),
        ("src/log/a/b.rs", "use super::super::super::rt::time;", 1),
        ("src/log/a/b.rs", "use super::log::x;", 0),
        ("src/log/a.rs", "use std::collections::HashMap;", 1),
        ("src/log/a.rs", "use std::collections::{BTreeMap, HashSet};", 1),
        (
            "src/log/a.rs",
            "#[cfg(test)]\nmod tests { use std::collections::HashSet; use crate::storage::x; }",
            1,
        ),
        (
            "src/rt/a.rs",
            "use glommio::Task; use std::fs::File; use crate::base::x;",
            0,
        ),
        ("src/rt/a.rs", "use crate::config::Config;", 1),
        ("src/storage/a.rs", "use std::{fs, path::Path, net::SocketAddr};", 2),
        ("src/storage/a.rs", "let t = std::time::Instant::now();", 0),
        ("src/kafka/a.rs", "use libc::c_int;", 1),
        ("src/kafka/a.rs", "use duramen_wire::Reader;", 0),
        ("src/net/a.rs", "use duramen_wire::Reader;", 1),
        ("src/cli/a.rs", "use crate::server::serve;", 1),
        ("src/log/a.rs", "async fn f() {}", 1),
        ("src/storage/a.rs", "async fn f() {}", 0),
        ("src/storage/a.rs", "use std::sync::{Arc, Mutex};", 1),
        ("src/rt/a.rs", "use std::sync::{Arc, Mutex};", 0),
        ("src/other/a.rs", "", 1),
        ("wire/src/reader.rs", "use std::fs;", 1),
        ("wire/src/bin/generate.rs", "use std::fs;", 0),
    ];
    for (path, text, expected) in cases {
        let failures = check(&Source::new(path, text));
        assert_eq!(failures.len(), expected, "{path}: {text}: {failures:?}");
    }
}

#[test]
fn exceptions_are_needed() {
    let sources = [Source::new("src/cli/a.rs", "use std::fs;")];
    assert_eq!(check_all(&sources, &[]).len(), 1);
    assert_eq!(check_all(&sources, &["src/cli/a.rs"]).len(), 0);
    assert_eq!(check_all(&sources, &["src/cli/a.rs", "src/cli/b.rs"]).len(), 1);
}
