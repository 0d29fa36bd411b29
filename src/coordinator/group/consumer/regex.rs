//! Regular expressions in the place of names, resolved by the broker.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_wire::messages::consumer_group_regular_expression_value::ConsumerGroupRegularExpressionValue;
use regex::bytes::{Regex, RegexBuilder};

use crate::base::time::TimestampMs;

use super::heartbeat::Refused;
use super::record::{ConsumerRecord, What};
use super::{Catalogue, Group};

mod piece;
mod set;
mod syntax;

/// A regular expression whose topics are being looked for. Kafka has RE2/J; the engine here is of the same family: no expression takes longer
/// than its length times that of the name.
#[derive(Debug)]
pub struct Resolving {
    regex: Arc<str>,
    /// A name matches where one of these does.
    compiled: Vec<Regex>,
    /// In the syntax of the engine; each is compiled in a step of its own.
    uncompiled: Vec<String>,
    names: BTreeSet<Arc<str>>,
    /// Names that were looked at.
    looked_at: usize,
}

impl Resolving {
    /// # Errors
    /// It is not a regular expression, or one that is too large.
    pub fn begin(regex: Arc<str>) -> Result<Self, Refused> {
        let wrong = |wrong: &str| Refused::InvalidRegex(Arc::clone(&regex), wrong.to_owned());
        let uncompiled = syntax::translate(&regex).map_err(wrong)?;
        let mut begun = Self {
            regex: Arc::clone(&regex),
            compiled: Vec::with_capacity(uncompiled.len()),
            uncompiled,
            names: BTreeSet::new(),
            looked_at: 0,
        };
        begun.compile_next().map_err(|_| wrong(piece::TOO_LARGE))?;
        Ok(begun)
    }

    /// Whether names are looked at from the next step on.
    #[must_use]
    pub fn is_compiled(&self) -> bool {
        self.uncompiled.is_empty()
    }

    fn compile_next(&mut self) -> Result<(), regex::Error> {
        let Some(text) = self.uncompiled.pop() else {
            return Ok(());
        };
        // The whole name has to match.
        let compiled = RegexBuilder::new(&format!("^(?:{text})$")).unicode(false).build()?;
        self.compiled.push(compiled);
        Ok(())
    }

    /// Compiles more, or looks at the next names; true when all were looked at.
    pub fn advance(&mut self, catalogue: &dyn Catalogue, names_max: usize) -> bool {
        if !self.is_compiled() {
            // It is as small as the first part, which could be compiled.
            crate::never!(self.compile_next().is_err());
            return false;
        }
        let mut looked_at = 0;
        for name in catalogue.names().skip(self.looked_at).take(names_max) {
            if self.is_match(name) {
                self.names.insert(name.into());
            }
            looked_at += 1;
        }
        self.looked_at += looked_at;
        looked_at < names_max
    }

    fn is_match(&self, name: &str) -> bool {
        self.compiled.iter().any(|part| part.is_match(name.as_bytes()))
    }

    /// The names that match.
    #[must_use]
    pub fn finish(self) -> BTreeSet<Arc<str>> {
        self.names
    }
}

impl Group {
    /// The regular expressions that members are subscribed to.
    pub fn regexes(&self) -> impl Iterator<Item = &Arc<str>> {
        self.regexes.keys()
    }

    /// The record of topics that were found for a regular expression; `None` if nobody has it any more, or nothing has changed.
    #[must_use]
    pub fn resolved(&self, resolving: Resolving, now: TimestampMs) -> Option<ConsumerRecord> {
        let Resolving { regex, names, .. } = resolving;
        let is_news = self.regexes.contains_key(&regex) && self.resolved.get(&regex) != Some(&names);
        is_news.then(|| self.record(resolved_to(&regex, &names, now)))
    }
}

pub(super) fn resolved_to(regex: &Arc<str>, names: &BTreeSet<Arc<str>>, now: TimestampMs) -> What {
    let value = ConsumerGroupRegularExpressionValue {
        topics: names.iter().map(|name| name.to_string()).collect(),
        version: 0,
        timestamp: now.0,
    };
    What::Regex(Arc::clone(regex), Some(value))
}

#[cfg(test)]
mod tests;
