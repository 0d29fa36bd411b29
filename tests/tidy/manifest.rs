//! Dependencies have reasons; modules say what they are; the code map shows what is there.

use std::collections::BTreeSet;

use crate::layers::LAYERS;

/// Dependencies of a `Cargo.toml` without a comment that says why, and those that come from elsewhere than the registry.
pub fn dependencies(path: &str, text: &str) -> Vec<String> {
    let mut failures = Vec::new();
    let mut in_dependencies = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies && line.contains('=') && !line.starts_with('#') {
            if !line.contains(" # ") {
                failures.push(format!("{path}:{number}: a dependency without a comment that says why"));
            }
            if line.contains("git =") {
                failures.push(format!("{path}:{number}: a dependency from a git repository"));
            }
        }
    }
    failures
}

/// A file of the product opens by saying what it is for.
pub fn opening(path: &str, text: &str) -> Option<String> {
    let is_tests = path.ends_with("tests.rs") || path.contains("/tests/");
    let is_product = path.starts_with("src/") || path.starts_with("wire/src/");
    (is_product && !is_tests && !text.starts_with("//!")).then(|| format!("{path}: does not open with //!"))
}

/// The parts that the code map names: lines such as `2 log/   what it is`, each with its layer.
fn mapped(readme: &str) -> BTreeSet<(u8, String)> {
    let entry = |line: &str| {
        let (number, rest) = line.split_once(' ')?;
        let name = rest.trim_start().split(' ').next()?;
        let name = name.strip_suffix('/').or_else(|| name.strip_suffix(".rs"))?;
        Some((number.parse().ok()?, name.to_owned()))
    };
    readme.lines().filter_map(entry).collect()
}

/// Holds the code map against the parts that exist and their layers.
pub fn code_map(readme: &str, parts: &BTreeSet<String>) -> Vec<String> {
    let mapped = mapped(readme);
    let mut failures = Vec::new();
    for part in parts {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == part) else {
            continue;
        };
        if !mapped.contains(&(layer.number, part.clone())) {
            failures.push(format!(
                "src/README.md: the code map has no line `{} {part}`",
                layer.number
            ));
        }
    }
    for (number, name) in &mapped {
        if !parts.contains(name) {
            failures.push(format!(
                "src/README.md: the code map names `{number} {name}`, which does not exist"
            ));
        }
    }
    failures
}

#[test]
fn the_checks_can_fail() {
    let manifest = "[package]\nname = \"a\"\n[dependencies]\nb = \"1\"   # why\nc = \"1\"\n[lints]\nd = \"deny\"\n[dev-dependencies]\ne = { git = \"x\" } # why\n";
    assert_eq!(dependencies("Cargo.toml", manifest).len(), 2);
    assert!(opening("src/a/mod.rs", "use x;").is_some());
    assert!(opening("src/a/mod.rs", "//! Yes.").is_none());
    assert!(opening("src/a/tests.rs", "use x;").is_none());
    let parts: BTreeSet<_> = ["base", "log", "server"].map(str::to_owned).into();
    let map = "text\n0 base/    ids\n2 log/ x\n8 server.rs   wiring\n";
    assert_eq!(code_map(map, &parts), Vec::<String>::new());
    assert_eq!(code_map("0 base/ ids\n8 server.rs", &parts).len(), 1);
    assert_eq!(code_map(&map.replace('2', "3"), &parts).len(), 1);
    assert_eq!(code_map(&format!("{map}5 partition/ x"), &parts).len(), 1);
}
