//! Regular expressions in the place of names, resolved by the broker.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_wire::messages::consumer_group_regular_expression_value::ConsumerGroupRegularExpressionValue;
use regex::{Regex, RegexBuilder};

use crate::base::time::TimestampMs;

use super::heartbeat::Refused;
use super::record::{ConsumerRecord, What};
use super::{Catalogue, Group};

/// Bytes of a compiled regular expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A regular expression whose topics are being looked for. Kafka has RE2; this is of the same family: no expression takes longer than its
/// length times that of the name.
#[derive(Debug)]
pub struct Resolving {
    regex: Arc<str>,
    compiled: Regex,
    names: BTreeSet<Arc<str>>,
    /// Names that were looked at.
    looked_at: usize,
}

impl Resolving {
    /// # Errors
    /// It is not a regular expression, or one that is too large.
    pub fn begin(regex: Arc<str>) -> Result<Self, Refused> {
        // The whole name has to match.
        let whole = format!("^(?:{regex})$");
        let compiled = RegexBuilder::new(&whole).size_limit(REGEX_BYTES_MAX).build();
        let compiled = compiled.map_err(|error| Refused::InvalidRegex(Arc::clone(&regex), error.to_string()))?;
        Ok(Self {
            regex,
            compiled,
            names: BTreeSet::new(),
            looked_at: 0,
        })
    }

    /// Looks at the next names; true when all were looked at.
    pub fn advance(&mut self, catalogue: &dyn Catalogue, names_max: usize) -> bool {
        let mut looked_at = 0;
        for name in catalogue.names().skip(self.looked_at).take(names_max) {
            if self.compiled.is_match(name) {
                self.names.insert(name.into());
            }
            looked_at += 1;
        }
        self.looked_at += looked_at;
        looked_at < names_max
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
mod tests {
    use super::*;
    use crate::coordinator::group::consumer::NoTopics;

    #[test]
    fn expressions_that_explode_are_refused() {
        let nested = format!("{}a{}", "(".repeat(300), ")".repeat(300));
        for regex in [
            "a{1000}{1000}{1000}",
            "((a{100}){100}){100}",
            "(a{9999}){9999}",
            &nested,
        ] {
            let refused = Resolving::begin(regex.into()).map(|_| ());
            assert!(
                matches!(refused, Err(Refused::InvalidRegex(..))),
                "{regex}: {refused:?}"
            );
        }
    }

    /// Each of these takes others than this family as many steps as there are ways to cut the name up.
    #[test]
    fn expressions_that_explode_elsewhere_are_matched() {
        let name = "a".repeat(249);
        for regex in ["(a*)*b", "(a|a)*b", "(a+a+)+b", "(a?){200}a{249}b"] {
            let mut resolving = Resolving::begin(regex.into()).unwrap();
            assert!(!resolving.compiled.is_match(&name), "{regex}");
            assert!(resolving.advance(&NoTopics, 1));
            assert!(resolving.finish().is_empty());
        }
    }
}
