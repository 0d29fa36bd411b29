//! Settings of brokers that change while they run (KIP-226): which may be given, and what of them counts.
//! Kafka: `DynamicBrokerConfig`, `ConfigAdminManager`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::error::{Origin, TopicConfigError};
use super::property::{Effect, Property, Update};
use super::source::{Layer, Setting, Settings};
use super::table::broker_property;
use super::topic::TopicConfig;
use super::value::Values;

/// What was set for brokers while they ran, as far as it counts.
#[derive(Clone, Default, Debug)]
pub struct Changes {
    pub(super) own: BTreeMap<String, Setting>,
    pub(super) every: BTreeMap<String, Setting>,
}

/// A broker's setting that is not accepted; the texts are Kafka's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BrokerKeyError {
    #[error("Cannot update these configs dynamically: [{0}]")]
    AtStart(String),
    #[error("These security configs can be dynamically updated only per-listener using the listener prefix: [{0}]")]
    OfListener(String),
    #[error("Cannot update these configs at default cluster level, broker id must be specified: [{0}]")]
    OfOneBroker(String),
    #[error("Invalid value {value} for configuration {name}: {problem}")]
    Value {
        name: String,
        value: String,
        problem: String,
    },
    #[error("requirement failed: {0}")]
    Requirement(&'static str),
    #[error("{name} must be {which} than or equal to {bound}")]
    Bound {
        name: &'static str,
        which: &'static str,
        bound: &'static str,
    },
}

impl From<TopicConfigError> for BrokerKeyError {
    /// Of what a topic would have without settings of its own.
    fn from(error: TopicConfigError) -> Self {
        match error {
            TopicConfigError::Unknown { name } => Self::AtStart(name),
            TopicConfigError::Value { name, value, allowed } => Self::Value {
                name,
                value,
                problem: format!("give {allowed}"),
            },
            TopicConfigError::Conflict { name, problem } => Self::Value {
                name: name.to_owned(),
                value: String::new(),
                problem,
            },
        }
    }
}

impl Changes {
    /// What counts of that which the metadata says of all brokers and of this one. What cannot change while the broker runs, or has a
    /// value that is not allowed, does not count: Apache Kafka, or another version, may have put it there.
    #[must_use]
    pub fn new(every: &BTreeMap<String, String>, own: &BTreeMap<String, String>) -> Self {
        Self {
            own: counting(own, Layer::ThisBroker),
            every: counting(every, Layer::EveryBroker),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.every.is_empty()
    }

    /// What is set for all brokers, by name.
    pub fn of_every_broker(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.every.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// The keys that have no effect, by name.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.own.keys().chain(self.every.keys()).map(String::as_str).collect();
        let is_idle = |name: &&str| broker_property(name).is_none_or(|property| property.effect != Effect::Used);
        names.into_iter().filter(is_idle).collect()
    }

    /// The names that are not in the table: they are kept, and nobody asks for them.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let names = self.own.keys();
        let others = self.every.keys().filter(|name| !self.own.contains_key(*name));
        names
            .chain(others)
            .map(String::as_str)
            .filter(|name| broker_property(name).is_none())
    }
}

/// All of them, values of secrets left out.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (which, set) in [("this broker", &self.own), ("all brokers", &self.every)] {
            write!(f, "[{which}:")?;
            for (name, setting) in set {
                match broker_property(name) {
                    Some(property) if !property.is_sensitive() => write!(f, " {name}={}", setting.text)?,
                    Some(_) | None => write!(f, " {name}")?,
                }
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

fn counting(given: &BTreeMap<String, String>, layer: Layer) -> BTreeMap<String, Setting> {
    let counts = |(name, text): &(&String, &String)| {
        is_allowed(name, layer) && governing(name).is_none_or(|property| property.parse(text).is_ok())
    };
    let origin = match layer {
        Layer::EveryBroker => Origin::EveryBroker,
        Layer::ThisBroker | Layer::Start => Origin::ThisBroker,
    };
    let setting = |(name, text): (&String, &String)| {
        let setting = Setting {
            text: text.clone(),
            origin: origin.clone(),
        };
        (name.clone(), setting)
    };
    given.iter().filter(counts).map(setting).collect()
}

/// The property that a key sets, of the broker or of one of its listeners. A key without one is kept, as in Kafka.
fn governing(name: &str) -> Option<&'static Property> {
    broker_property(of_listener(name).unwrap_or(name))
}

/// The key behind the prefix of a listener.
fn of_listener(name: &str) -> Option<&str> {
    let (listener, key) = name.strip_prefix("listener.name.")?.split_once('.')?;
    (!listener.is_empty()).then_some(key)
}

fn is_allowed(name: &str, layer: Layer) -> bool {
    !is_of_start(name) && !lacks_listener(name) && (layer != Layer::EveryBroker || !is_of_one_broker(name))
}

fn is_of_start(name: &str) -> bool {
    governing(name).is_some_and(|property| property.update == Update::Start)
}

/// Kafka changes TLS on single listeners alone.
fn lacks_listener(name: &str) -> bool {
    name.starts_with("ssl.") && broker_property(name).is_some()
}

fn is_of_one_broker(name: &str) -> bool {
    governing(name).is_some_and(|property| property.update == Update::Broker) || of_listener(name).is_some()
}

/// Whether `next` may be what is set in a layer, where `every` and `own` are what is set in both at present.
///
/// # Errors
///
/// What Kafka finds first: `DynamicBrokerConfig.validate`, then `KafkaConfig.validateValues`.
pub fn check_broker_config(
    settings: &Settings,
    layer: Layer,
    next: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> Result<(), BrokerKeyError> {
    let named = |is: fn(&str) -> bool| {
        let names: Vec<&str> = next.keys().map(String::as_str).filter(|name| is(name)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if let Some(names) = named(is_of_start) {
        return Err(BrokerKeyError::AtStart(names));
    }
    if let Some(names) = named(lacks_listener) {
        return Err(BrokerKeyError::OfListener(names));
    }
    for (name, text) in next {
        if let Some(property) = governing(name)
            && let Err(complaint) = property.parse_or_complain(text)
        {
            return Err(BrokerKeyError::Value {
                name: name.clone(),
                value: complaint.value,
                problem: complaint.problem,
            });
        }
    }
    if layer == Layer::EveryBroker
        && let Some(names) = named(is_of_one_broker)
    {
        return Err(BrokerKeyError::OfOneBroker(names));
    }
    let changes = match layer {
        Layer::EveryBroker => Changes::new(next, other),
        Layer::ThisBroker | Layer::Start => Changes::new(other, next),
    };
    check_together(&settings.with_changes(changes))
}

/// What the rules of single keys cannot say. Kafka: `KafkaConfig.validateValues`.
fn check_together(settings: &Settings) -> Result<(), BrokerKeyError> {
    let values = settings.values();
    let is_below = |name, least| values.whole_or_null(name).is_some_and(|number| number < least);
    if values.whole_or_null("log.retention.ms") == Some(0) {
        let problem = "log.retention.ms must be unlimited (-1) or, greater than or equal to 1";
        return Err(BrokerKeyError::Requirement(problem));
    }
    if is_below("log.roll.ms", 1) {
        return Err(BrokerKeyError::Requirement(
            "log.roll.ms must be greater than or equal to 1",
        ));
    }
    if is_below("log.roll.jitter.ms", 0) {
        let problem = "log.roll.jitter.ms must be greater than or equal to 0";
        return Err(BrokerKeyError::Requirement(problem));
    }
    if values.whole("log.cleaner.dedupe.buffer.size") / values.whole("log.cleaner.threads").max(1) <= 1 << 20 {
        let problem = "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.";
        return Err(BrokerKeyError::Requirement(problem));
    }
    check_assignment_interval(&values)?;
    // Some bounds are those of topics alone.
    TopicConfig::effective(settings, &BTreeMap::new())
        .map(drop)
        .map_err(BrokerKeyError::from)
}

fn check_assignment_interval(values: &Values) -> Result<(), BrokerKeyError> {
    let [name, least, most] = [
        "group.consumer.assignment.interval.ms",
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ];
    let refused = |which, bound| Err(BrokerKeyError::Bound { name, which, bound });
    match values.whole(name) {
        interval if interval < values.whole(least) => refused("greater", least),
        interval if interval > values.whole(most) => refused("less", most),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
