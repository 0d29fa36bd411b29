//! Conditions on `version`, as short as the versions that can occur allow.

use crate::schema::Versions;

/// Whether a version out of those that can occur is in a set.
pub enum Condition {
    Always,
    Never,
    /// An expression over `version`.
    If(String),
}

impl Condition {
    pub fn new(wanted: Versions, possible: Versions) -> Self {
        let both = wanted.and(possible);
        if both.is_empty() {
            return Self::Never;
        }
        if wanted.covers(possible) {
            return Self::Always;
        }
        let Versions { low, high } = both;
        Self::If(match (low == possible.low, high == possible.high) {
            _ if low == high => format!("version == {low}"),
            (false, true) => format!("version >= {low}"),
            (true, false) => format!("version <= {high}"),
            _ => format!("({low}..={high}).contains(&version)"),
        })
    }

    /// The expression that a condition does not hold.
    pub fn negation(condition: &str) -> String {
        if condition.contains("..=") {
            return format!("!{condition}");
        }
        condition.replace("==", "!=").replace(">=", "<").replace("<=", ">")
    }

    /// The condition as an expression.
    pub fn expression(&self) -> &str {
        match self {
            Self::Always => "true",
            Self::Never => "false",
            Self::If(condition) => condition,
        }
    }
}
