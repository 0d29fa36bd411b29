//! What must not stand in the tree, and what must stand beside unsafe code and expectations.

use crate::source::{Source, lines_with_word};

/// Work that is not done, tests that do not run, lints that are silenced, places that only one machine has. Written in two parts, so
/// that this file does not contain them.
const BANNED: &[(&str, &str)] = &[
    ("todo", "!("),
    ("unimplemented", "!("),
    ("dbg", "!("),
    ("FIX", "ME"),
    ("XX", "X"),
    ("TO", "DO"),
    ("#[allow", "("),
    ("#![allow", "("),
    ("#[ig", "nore"),
    ("/wo", "rk/"),
    ("/tmp", "/wt"),
    ("../sha", "red"),
    ("DESIGN", ".md"),
    ("reference/", "style"),
];

/// Every banned word of a file, of any kind.
pub fn banned(path: &str, text: &str) -> Vec<String> {
    let mut failures = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for (head, tail) in BANNED {
            let word = format!("{head}{tail}");
            if contains_word(line, &word) {
                failures.push(format!("{path}:{number}: {word}"));
            }
        }
    }
    failures
}

/// Whether the word stands in the line, and not within another word.
fn contains_word(line: &str, word: &str) -> bool {
    let joins = |side: Option<char>, end: Option<char>| {
        side.is_some_and(char::is_alphanumeric) && end.is_some_and(char::is_alphanumeric)
    };
    line.match_indices(word).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + word.len()..]);
        !joins(before.chars().next_back(), word.chars().next())
            && !joins(after.chars().next(), word.chars().next_back())
    })
}

/// Unsafe code stands where it may, each with its reason.
pub fn unsafe_code(source: &Source) -> Vec<String> {
    let is_allowed = source.path.starts_with("src/rt/") || source.path == "src/base/bytes.rs";
    let lines: Vec<&str> = source.text.lines().collect();
    let mut failures = Vec::new();
    for number in lines_with_word(&source.code, "unsafe") {
        if !is_allowed {
            failures.push(format!(
                "{}:{number}: unsafe outside of src/rt/ and src/base/bytes.rs",
                source.path
            ));
        } else if !has_reason(&lines[..number]) {
            failures.push(format!(
                "{}:{number}: unsafe without a SAFETY comment right above",
                source.path
            ));
        }
    }
    failures
}

/// Whether the last line, the rest of its statement or the comment above it says why it is safe.
fn has_reason(lines: &[&str]) -> bool {
    let says = |line: &&str| line.contains("SAFETY:") || line.contains("# Safety");
    lines
        .iter()
        .rev()
        .take(8)
        .take_while(|line| !line.trim().is_empty())
        .any(says)
}

/// Every expected lint says why.
pub fn expectations(source: &Source) -> Vec<String> {
    let mut failures = Vec::new();
    for (start, mark) in source
        .code
        .match_indices("#[expect(")
        .chain(source.code.match_indices("#![expect("))
    {
        let rest = &source.code[start + mark.len()..];
        let attribute = &rest[..rest.find(")]").unwrap_or(rest.len())];
        if !attribute.contains("reason") {
            let line = source.code[..start].lines().count();
            failures.push(format!("{}:{line}: an expectation without a reason", source.path));
        }
    }
    failures
}

#[test]
fn the_checks_can_fail() {
    for (head, tail) in BANNED {
        assert_eq!(banned("a", &format!("x\n{head}{tail}")).len(), 1);
    }
    assert_eq!(banned("a", r"todo, a list; \uXXXX"), Vec::<String>::new());
    let cases = [
        ("src/log/a.rs", "// SAFETY: fine\nunsafe { x }", 1),
        ("src/rt/a.rs", "// SAFETY: fine\nunsafe { x }", 0),
        ("src/rt/a.rs", "// SAFETY: fine\n\nunsafe { x }", 1),
        ("src/rt/a.rs", "// unsafe\nlet unsafe_code = 1;", 0),
        ("src/base/bytes.rs", "unsafe { x }", 1),
    ];
    for (path, text, expected) in cases {
        assert_eq!(unsafe_code(&Source::new(path, text)).len(), expected, "{path} {text}");
    }
    assert_eq!(expectations(&Source::new("a.rs", "#[expect(x)]")).len(), 1);
    assert_eq!(
        expectations(&Source::new("a.rs", "#[expect(x, reason = \"y\")]")).len(),
        0
    );
}
