//! What ends a run: one line that says what failed, and how. Nobody handles it; it is told, and the run has no result.

use std::fmt;

/// One line for the person who started the run.
pub struct Failure(String);

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whatever was said by others in several lines is one here.
        let mut words = self.0.split_whitespace();
        f.write_str(words.next().unwrap_or("it is not known why"))?;
        words.try_for_each(|word| write!(f, " {word}"))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `Failure` is not an error itself, so that every error becomes one by `?`.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Says what was being done when it failed.
pub trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Failure>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure(format!("{}: {}", what(), error.into())))
    }
}

/// Fails with a formatted line.
macro_rules! fail {
    ($($line:tt)*) => {
        return Err($crate::failure::Failure::new(format!($($line)*)))
    };
}
pub(crate) use fail;

#[test]
fn a_failure_is_one_line() {
    let error: Result<()> = Err(std::io::Error::other("a\nb")).context(|| "reading c".to_owned());
    assert_eq!(error.unwrap_err().to_string(), "reading c: a b");
    assert_eq!(Failure::new("").to_string(), "it is not known why");
}
