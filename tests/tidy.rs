//! The house rules as tests: layers, purity, sizes, words, unsafe code, dependencies, the code map.
//!
//! Each rule is a function over text with tests of its own that show that it can fail; here they are held against the tree.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/size.rs"]
mod size;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use std::collections::BTreeSet;
use std::path::Path;

use source::Source;

/// Folders that hold no source of ours.
const SKIPPED: &[&str] = &[
    "target",
    "duramen-data",
    "corpus",
    "artifacts",
    "__pycache__",
    "node_modules",
];

/// Kinds of files that people read; scripts have no extension.
const READ: &[&str] = &[
    "rs",
    "md",
    "toml",
    "py",
    "sh",
    "java",
    "go",
    "xml",
    "service",
    "conf",
    "properties",
    "",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that people read: its path from the root, and its text.
fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_hidden = name.starts_with('.') && name != ".ci";
            let is_venv = path.join("pyvenv.cfg").exists();
            if is_hidden || is_venv || SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            // What is no text has no words.
            if READ.contains(&extension.as_str())
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                let relative = path.strip_prefix(root()).expect("below the root");
                files.push((relative.to_string_lossy().into_owned(), text));
            }
        }
    }
    files.sort();
    files
}

fn sources() -> Vec<Source> {
    let is_source = |path: &str| path.ends_with(".rs");
    files()
        .iter()
        .filter(|(path, _)| is_source(path))
        .map(|(path, text)| Source::new(path, text))
        .collect()
}

fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

#[test]
fn the_tree_is_found() {
    let sources = sources();
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"));
    assert!(sources.iter().any(|source| source.path == "tests/tidy/source.rs"));
    assert!(
        sources
            .iter()
            .filter(|source| source.path.starts_with("wire/src/"))
            .count()
            > 0
    );
}

#[test]
fn imports_go_downwards() {
    assert_none(&layers::check_all(&sources(), layers::EXCEPTIONS));
}

#[test]
fn files_and_functions_are_small() {
    let oversized: Vec<_> = sources().iter().flat_map(size::oversized).collect();
    assert_none(&size::check(&oversized, size::EXCEPTIONS));
}

#[test]
fn no_banned_words() {
    assert_none(
        &files()
            .iter()
            .flat_map(|(path, text)| words::banned(path, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn unsafe_code_is_reasoned() {
    assert_none(&sources().iter().flat_map(words::unsafe_code).collect::<Vec<_>>());
}

#[test]
fn expectations_are_reasoned() {
    assert_none(&sources().iter().flat_map(words::expectations).collect::<Vec<_>>());
}

#[test]
fn dependencies_are_reasoned() {
    let files = files();
    let manifests = files.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    assert_none(
        &manifests
            .flat_map(|(path, text)| manifest::dependencies(path, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn modules_say_what_they_are() {
    let files = files();
    let sources = files.iter().filter(|(path, _)| path.ends_with(".rs"));
    assert_none(
        &sources
            .filter_map(|(path, text)| manifest::opening(path, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_code_map_shows_what_is_there() {
    let readme = std::fs::read_to_string(root().join("src/README.md")).expect("src/README.md");
    let parts: BTreeSet<String> = files()
        .iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .filter_map(|(path, _)| layers::part_of(path).map(str::to_owned))
        .filter(|part| part != "lib" && part != "main")
        .collect();
    assert_none(&manifest::code_map(&readme, &parts));
}
