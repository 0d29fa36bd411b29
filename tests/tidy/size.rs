//! Files and functions stay small: 500 lines and 70 lines are ceilings, not aims.

use crate::source::{Source, functions};

pub const FILE_LINES_MAX: usize = 500;
pub const FUNCTION_LINES_MAX: usize = 70;

/// What is larger, and by how much. The list may only shrink: an entry must state the exact number of lines, and goes when the file or
/// function is small enough.
pub struct Exception {
    /// A file, or a file and a function: `src/a.rs` or `src/a.rs:name`.
    pub what: &'static str,
    pub lines: usize,
}

pub const EXCEPTIONS: &[Exception] = &[];

/// The output of the generator, which nobody reads as a whole.
fn is_generated(path: &str) -> bool {
    path.starts_with("wire/src/messages/")
}

/// Everything above its ceiling, as `(what, lines, ceiling)`.
pub fn oversized(source: &Source) -> Vec<(String, usize, usize)> {
    if is_generated(&source.path) {
        return Vec::new();
    }
    let mut oversized = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        oversized.push((source.path.clone(), lines, FILE_LINES_MAX));
    }
    for function in functions(&source.product) {
        if function.lines > FUNCTION_LINES_MAX {
            oversized.push((
                format!("{}:{}", source.path, function.name),
                function.lines,
                FUNCTION_LINES_MAX,
            ));
        }
    }
    oversized
}

/// Holds what is oversized against the exceptions.
pub fn check(oversized: &[(String, usize, usize)], exceptions: &[Exception]) -> Vec<String> {
    let mut failures = Vec::new();
    for (what, lines, ceiling) in oversized {
        let allowed = exceptions
            .iter()
            .find(|exception| exception.what == what)
            .map_or(*ceiling, |exception| exception.lines);
        if *lines > allowed {
            failures.push(format!(
                "{what} has {lines} lines, at most {allowed} are allowed: split it by what it is responsible for"
            ));
        }
    }
    for exception in exceptions {
        match oversized.iter().find(|(what, ..)| what == exception.what) {
            None => failures.push(format!("{} is small enough: remove its exception", exception.what)),
            Some((what, lines, _)) if *lines < exception.lines => {
                failures.push(format!("{what} has shrunk to {lines} lines: lower its exception"));
            }
            Some(_) => (),
        }
    }
    failures
}

#[test]
fn the_check_can_fail() {
    let long_file = Source::new("src/a.rs", &"\n".repeat(501));
    assert_eq!(oversized(&long_file), [("src/a.rs".to_owned(), 501, 500)]);
    assert_eq!(oversized(&Source::new("src/a.rs", &"\n".repeat(500))), []);
    let body = "x;\n".repeat(69);
    let long_function = Source::new("src/a.rs", &format!("fn f() {{\n{body}}}"));
    assert_eq!(oversized(&long_function), [("src/a.rs:f".to_owned(), 71, 70)]);
    assert_eq!(oversized(&Source::new("wire/src/messages/a.rs", &"\n".repeat(900))), []);
    let large = [("src/a.rs".to_owned(), 510, 500)];
    let exception = |lines| {
        [Exception {
            what: "src/a.rs",
            lines,
        }]
    };
    assert_eq!(check(&large, &[]).len(), 1);
    assert_eq!(check(&large, &exception(509)).len(), 1);
    assert_eq!(check(&large, &exception(510)).len(), 0);
    assert_eq!(check(&large, &exception(511)).len(), 1);
    assert_eq!(check(&[], &exception(510)).len(), 1);
}
