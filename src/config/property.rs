//! What one property is: the columns of the table.

use std::fmt;

/// One row of the table.
#[derive(Debug)]
pub struct Property {
    pub name: &'static str,
    pub kind: Kind,
    /// As a person would write it; `None` is Kafka's null: not set.
    pub default: Option<&'static str>,
    pub rule: Rule,
    pub update: Update,
    pub effect: Effect,
    /// For tests and experts: not shown to clients.
    pub is_internal: bool,
    /// Empty where Kafka's name says it all, or where the key has no meaning here.
    pub doc: &'static str,
}

/// Kafka's `ConfigDef.Type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Bool,
    Short,
    Int,
    Long,
    Double,
    Text,
    List,
    Class,
    Password,
}

/// Which values are allowed, beyond what the kind says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rule {
    Any,
    AtLeast(i64),
    Within(i64, i64),
    /// Within the first two, or equal to the third.
    WithinOr(i64, i64, i64),
    Real(f64, f64),
    OneOf(&'static [&'static str]),
    OneOfAnyCase(&'static [&'static str]),
    /// Every element of the list.
    Each(&'static [&'static str]),
    /// Not empty.
    Filled,
    /// `*`, or `PARTITION:BROKER` pairs.
    ThrottledReplicas,
}

/// When a change takes effect (KIP-226). A broker's key that may change while it runs is one that Kafka changes so, and of which the change
/// holds at once here, or which governs what there is not: what Kafka can change and Duramen reads at the start alone is of `Start`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Update {
    /// At the next start.
    Start,
    /// At once, set for one broker.
    Broker,
    /// At once, set for one broker or for all.
    Cluster,
    /// At once, set for a topic.
    Topic,
    /// At once, set for a group.
    Group,
}

/// What Duramen does with the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    Used,
    /// Accepted and checked; what it governs is not built yet.
    Later,
    /// Accepted and checked; what it governs in Kafka does not exist here.
    Without,
}

impl Property {
    /// Whether its value must never be shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// The allowed values in words, to stand after "give".
    #[must_use]
    pub fn allowed(&self) -> String {
        match self.rule {
            Rule::Any => self.kind.to_string(),
            Rule::AtLeast(least) => format!("{}, {least} or more", self.kind),
            Rule::Within(least, most) => format!("{} from {least} to {most}", self.kind),
            Rule::WithinOr(least, most, other) => format!("{} from {least} to {most}, or {other}", self.kind),
            Rule::Real(least, most) => format!("{} from {least} to {most}", self.kind),
            Rule::OneOf(names) | Rule::OneOfAnyCase(names) => format!("one of {}", names.join(", ")),
            Rule::Each(names) => format!("a list of {}", names.join(", ")),
            Rule::Filled => format!("{} that is not empty", self.kind),
            Rule::ThrottledReplicas => "* or a list of PARTITION:BROKER".to_owned(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "true or false",
            Self::Short => "a whole number of 16 bits",
            Self::Int => "a whole number of 32 bits",
            Self::Long => "a whole number of 64 bits",
            Self::Double => "a number",
            Self::Text => "a text",
            Self::List => "a list separated by commas",
            Self::Class => "the name of a Java class",
            Self::Password => "a password",
        })
    }
}
