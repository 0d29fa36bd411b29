//! From the text of a value to the value, under the property's kind and rule. Kafka: `ConfigDef.parseType` and its validators.

use std::collections::BTreeMap;
use std::fmt;

use super::property::{Kind, Property, Rule};

/// A checked value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Bool(bool),
    /// Of 16, 32 or 64 bits, as the property's kind says.
    Whole(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

/// What Kafka says of a text that is no value of a property, to stand in "Invalid value VALUE for configuration NAME: PROBLEM".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    pub value: String,
    pub problem: String,
}

/// The text is no value of the property; [`Property::allowed`] says what is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

/// The checked values of all properties of one scope; a property whose value is null is not in it.
#[derive(Debug)]
pub struct Values(pub BTreeMap<&'static str, Value>);

/// Reads by name. The name is one of the table and the method fits its kind: every read is done at each start and by each test that
/// loads a configuration, so a slip is found at once.
impl Values {
    pub fn whole_or_null(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Value::Whole(number)) => Some(*number),
            None => None,
            Some(other) => panic!("{name} is not a whole number: {other:?}"),
        }
    }

    pub fn whole(&self, name: &str) -> i64 {
        self.whole_or_null(name)
            .unwrap_or_else(|| panic!("{name} has no value"))
    }

    /// Of a property whose rule excludes negative values and whose kind has at most 32 bits.
    pub fn unsigned(&self, name: &str) -> u32 {
        u32::try_from(self.whole(name)).unwrap_or_else(|_| panic!("{name} does not fit"))
    }

    pub fn bool(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(value)) => *value,
            other => panic!("{name} is not true or false: {other:?}"),
        }
    }

    pub fn double(&self, name: &str) -> f64 {
        match self.0.get(name) {
            Some(Value::Double(value)) => *value,
            other => panic!("{name} is not a number: {other:?}"),
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Text(value)) => Some(value),
            None => None,
            Some(other) => panic!("{name} is not a text: {other:?}"),
        }
    }

    /// Empty for a list that is null.
    pub fn list(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some(Value::List(value)) => value,
            None => &[],
            Some(other) => panic!("{name} is not a list: {other:?}"),
        }
    }
}

impl Property {
    /// The value that `text` stands for. Space around it does not count.
    ///
    /// # Errors
    ///
    /// [`Refused`] when it is not of the property's kind or breaks its rule.
    pub fn parse(&self, text: &str) -> Result<Value, Refused> {
        let text = text.trim();
        let value = match self.kind {
            Kind::Bool => parse_bool(text)?,
            Kind::Short => Value::Whole(text.parse::<i16>().map_err(|_| Refused)?.into()),
            Kind::Int => Value::Whole(text.parse::<i32>().map_err(|_| Refused)?.into()),
            Kind::Long => Value::Whole(text.parse().map_err(|_| Refused)?),
            Kind::Double => Value::Double(text.parse().map_err(|_| Refused)?),
            Kind::Text | Kind::Class | Kind::Password => Value::Text(text.to_owned()),
            Kind::List => Value::List(split_list(text)),
        };
        if obeys(&value, self.rule) {
            Ok(value)
        } else {
            Err(Refused)
        }
    }

    /// [`parse`](Self::parse), with Kafka's words for what is wrong.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn parse_or_complain(&self, text: &str) -> Result<Value, Complaint> {
        self.parse(text).map_err(|Refused| {
            let without_rule = Self {
                rule: Rule::Any,
                ..*self
            };
            let (value, problem) = match without_rule.parse(text) {
                Err(Refused) => (text.to_owned(), unreadable(self.kind)),
                Ok(value) => against(&value, self.rule, text),
            };
            Complaint { value, problem }
        })
    }
}

/// Kafka: `ConfigDef.parseType`.
fn unreadable(kind: Kind) -> String {
    let number = match kind {
        Kind::Short => "SHORT",
        Kind::Int => "INT",
        Kind::Long => "LONG",
        Kind::Double => "DOUBLE",
        Kind::Bool | Kind::Text | Kind::List | Kind::Class | Kind::Password => {
            return "Expected value to be either true or false".to_owned();
        }
    };
    format!("Not a number of type {number}")
}

/// The part of a value that breaks a rule, and how. Kafka: the validators of `ConfigDef` and `LogConfig`.
fn against(value: &Value, rule: Rule, text: &str) -> (String, String) {
    let beyond = |is_below: bool, least: &dyn fmt::Display, most: &dyn fmt::Display| match is_below {
        true => format!("Value must be at least {least}"),
        false => format!("Value must be no more than {most}"),
    };
    let problem = match (value, rule) {
        (Value::Whole(_), Rule::AtLeast(least)) => format!("Value must be at least {least}"),
        (Value::Whole(number), Rule::Within(least, most)) => beyond(*number < least, &least, &most),
        (Value::Whole(_), Rule::WithinOr(least, most, other)) => {
            format!("Value must be between {least} and {most} or equal to {other}")
        }
        (Value::Double(number), Rule::Real(least, most)) => {
            return (format!("{number:?}"), beyond(*number < least, &least, &most));
        }
        (Value::List(list), Rule::Each(names)) => {
            let other = list.iter().find(|element| !names.contains(&element.as_str()));
            let problem = format!("String must be one of: {}", names.join(", "));
            return (other.cloned().unwrap_or_default(), problem);
        }
        (_, Rule::OneOf(names)) => format!("String must be one of: {}", names.join(", ")),
        (_, Rule::OneOfAnyCase(names)) => format!("String must be one of (case insensitive): {}", names.join(", ")),
        (_, Rule::Filled) => "String must be non-empty".to_owned(),
        (
            _,
            Rule::Any
            | Rule::AtLeast(_)
            | Rule::Within(..)
            | Rule::WithinOr(..)
            | Rule::Real(..)
            | Rule::Each(_)
            | Rule::ThrottledReplicas,
        ) => "not allowed".to_owned(),
    };
    (text.trim().to_owned(), problem)
}

fn parse_bool(text: &str) -> Result<Value, Refused> {
    if text.eq_ignore_ascii_case("true") {
        Ok(Value::Bool(true))
    } else if text.eq_ignore_ascii_case("false") {
        Ok(Value::Bool(false))
    } else {
        Err(Refused)
    }
}

fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|element| element.trim().to_owned()).collect()
}

fn obeys(value: &Value, rule: Rule) -> bool {
    match (value, rule) {
        (Value::Whole(number), Rule::AtLeast(least)) => *number >= least,
        (Value::Whole(number), Rule::Within(least, most)) => (least..=most).contains(number),
        (Value::Whole(number), Rule::WithinOr(least, most, other)) => {
            (least..=most).contains(number) || *number == other
        }
        (Value::Double(number), Rule::Real(least, most)) => (least..=most).contains(number),
        (Value::Text(text), Rule::OneOf(names)) => names.contains(&text.as_str()),
        (Value::Text(text), Rule::OneOfAnyCase(names)) => names.iter().any(|name| name.eq_ignore_ascii_case(text)),
        (Value::List(list), Rule::Each(names)) => list.iter().all(|element| names.contains(&element.as_str())),
        (Value::Text(text), Rule::Filled) => !text.is_empty(),
        (Value::List(list), Rule::Filled) => !list.is_empty(),
        (Value::List(list), Rule::ThrottledReplicas) => are_throttled_replicas(list),
        (_, Rule::Any) => true,
        (Value::Bool(_) | Value::Whole(_) | Value::Double(_) | Value::Text(_) | Value::List(_), _) => false,
    }
}

fn are_throttled_replicas(list: &[String]) -> bool {
    match list {
        [one] if one == "*" => true,
        pairs => pairs.iter().all(|pair| {
            pair.split_once(':')
                .is_some_and(|(partition, broker)| partition.parse::<u32>().is_ok() && broker.parse::<u32>().is_ok())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::property::{Effect, Update};

    fn parse(kind: Kind, rule: Rule, text: &str) -> Option<Value> {
        let property = Property {
            name: "a.key",
            kind,
            default: None,
            rule,
            update: Update::Start,
            effect: Effect::Used,
            is_internal: false,
            doc: "",
        };
        property.parse(text).ok()
    }

    #[test]
    fn kinds_and_rules() {
        let list = |elements: &[&str]| Some(Value::List(elements.iter().map(|e| (*e).to_owned()).collect()));
        let cases = [
            (Kind::Bool, Rule::Any, " TRUE ", Some(Value::Bool(true))),
            (Kind::Bool, Rule::Any, "yes", None),
            (Kind::Short, Rule::Any, "32768", None),
            (Kind::Int, Rule::Any, "2147483648", None),
            (Kind::Long, Rule::Any, "2147483648", Some(Value::Whole(2_147_483_648))),
            (Kind::Int, Rule::AtLeast(1), "0", None),
            (Kind::Int, Rule::AtLeast(1), "1", Some(Value::Whole(1))),
            (Kind::Int, Rule::Within(1, 9), "10", None),
            (Kind::Int, Rule::WithinOr(1, 9, -1), "0", None),
            (Kind::Int, Rule::WithinOr(1, 9, -1), "-1", Some(Value::Whole(-1))),
            (Kind::Double, Rule::Real(0.0, 1.0), "0.5", Some(Value::Double(0.5))),
            (Kind::Double, Rule::Real(0.0, 1.0), "NaN", None),
            (Kind::Text, Rule::OneOf(&["a", "b"]), "B", None),
            (
                Kind::Text,
                Rule::OneOfAnyCase(&["a", "b"]),
                "B",
                Some(Value::Text("B".to_owned())),
            ),
            (Kind::List, Rule::Any, " a , b", list(&["a", "b"])),
            (Kind::List, Rule::Any, "", list(&[])),
            (Kind::List, Rule::Each(&["a"]), "a,b", None),
            (Kind::List, Rule::Filled, "", None),
            (Kind::List, Rule::ThrottledReplicas, "*", list(&["*"])),
            (Kind::List, Rule::ThrottledReplicas, "0:1,1:2", list(&["0:1", "1:2"])),
            (Kind::List, Rule::ThrottledReplicas, "0:1,x", None),
        ];
        for (kind, rule, text, expected) in cases {
            assert_eq!(parse(kind, rule, text), expected, "{kind:?} {rule:?} {text:?}");
        }
    }
}
