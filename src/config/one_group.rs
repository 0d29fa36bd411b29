//! The settings of one group: its own, for the rest the broker's. Kafka: `GroupConfig`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::property::Property;
use super::source::Settings;
use super::table::{broker_key_of_group, broker_property, group_property};
use super::value::{Complaint, Value};

/// What a group of the consumer protocol has of its own.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OneGroupConfig {
    pub session_timeout: Option<Duration>,
    pub heartbeat_interval_ms: Option<i32>,
    pub assignment_interval: Option<Duration>,
}

/// A group's setting that is not accepted; the texts are Kafka's (`InvalidConfigurationException`).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GroupKeyError {
    #[error("Unknown group config name: {0}")]
    Unknown(String),
    #[error("Invalid value {value} for configuration {name}: {problem}")]
    Value {
        name: &'static str,
        value: String,
        problem: String,
    },
    #[error("{name} must be greater than or equal to {bound}")]
    Below { name: &'static str, bound: String },
    #[error("{name} must be less than or equal to {bound}")]
    Above { name: &'static str, bound: String },
    #[error("{session} must be greater than {heartbeat}")]
    SessionTooShort { session: String, heartbeat: String },
}

impl OneGroupConfig {
    /// What of these `overrides` counts. One that is out of the broker's bounds, which may be others since it was set, counts as the bound.
    #[must_use]
    pub fn effective(settings: &Settings, overrides: &BTreeMap<String, String>) -> Self {
        let whole = |name| {
            let property = group_property(name)?;
            let number = parse(property, overrides.get(name)?).ok()??;
            let bounds = Bounds::of(property, settings);
            Some(number.max(*bounds.allowed.start()).min(*bounds.allowed.end()))
        };
        let milliseconds = |name| Some(Duration::from_millis(u64::try_from(whole(name)?).ok()?));
        Self {
            session_timeout: milliseconds("consumer.session.timeout.ms"),
            heartbeat_interval_ms: whole("consumer.heartbeat.interval.ms")
                .and_then(|number| i32::try_from(number).ok()),
            assignment_interval: milliseconds("consumer.assignment.interval.ms"),
        }
    }
}

/// Whether a group may have these settings.
///
/// # Errors
///
/// The first that is no key of a group, not allowed, or at odds with another. Kafka: `GroupConfig.validate`.
pub fn check_group_config(settings: &Settings, overrides: &BTreeMap<String, String>) -> Result<(), GroupKeyError> {
    for (name, text) in overrides {
        let property = group_property(name).ok_or_else(|| GroupKeyError::Unknown(name.clone()))?;
        let Some(number) = parse(property, text)? else { continue };
        let name = property.name;
        let bounds = Bounds::of(property, settings);
        if number < *bounds.allowed.start() {
            let bound = bounds.least;
            return Err(GroupKeyError::Below { name, bound });
        }
        if number > *bounds.allowed.end() {
            let bound = bounds.most;
            return Err(GroupKeyError::Above { name, bound });
        }
    }
    for protocol in ["consumer", "share", "streams"] {
        let [session, heartbeat] =
            ["session.timeout.ms", "heartbeat.interval.ms"].map(|key| format!("{protocol}.{key}"));
        let value = |name: &str| {
            let property = group_property(name)?;
            match overrides.get(name) {
                Some(text) => parse(property, text).ok()?,
                None => broker_number(settings, &broker_key_of_group(name)),
            }
        };
        if value(&session) <= value(&heartbeat) {
            return Err(GroupKeyError::SessionTooShort { session, heartbeat });
        }
    }
    Ok(())
}

/// The number that a text stands for; `None` for what is no number.
fn parse(property: &'static Property, text: &str) -> Result<Option<i64>, GroupKeyError> {
    match property.parse_or_complain(text) {
        Ok(Value::Whole(number)) => Ok(Some(number)),
        Ok(Value::Bool(_) | Value::Double(_) | Value::Text(_) | Value::List(_)) => Ok(None),
        Err(Complaint { value, problem }) => Err(GroupKeyError::Value {
            name: property.name,
            value,
            problem,
        }),
    }
}

/// Between what a number of a group has to be, and the broker's keys that say so.
struct Bounds {
    allowed: RangeInclusive<i64>,
    least: String,
    most: String,
}

impl Bounds {
    fn of(property: &Property, settings: &Settings) -> Self {
        let (protocol, rest) = property.name.split_once('.').unwrap_or_default();
        let key = |bound: &str| match rest {
            "num.standby.replicas" => format!("group.{protocol}.{bound}.standby.replicas"),
            rest => format!("group.{protocol}.{bound}.{rest}"),
        };
        let (least, most) = (key("min"), key("max"));
        let start = broker_number(settings, &least).unwrap_or(i64::MIN);
        let end = broker_number(settings, &most).unwrap_or(i64::MAX);
        Self {
            allowed: start..=end,
            least,
            most,
        }
    }
}

/// The broker's number of this name, if there is such a key.
fn broker_number(settings: &Settings, name: &str) -> Option<i64> {
    let property = broker_property(name)?;
    let set = settings.get(name).map(|setting| setting.text.as_str());
    match property.parse(set.or(property.default)?) {
        Ok(Value::Whole(number)) => Some(number),
        Ok(Value::Bool(_) | Value::Double(_) | Value::Text(_) | Value::List(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Inputs};

    const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
    const SESSION: &str = "consumer.session.timeout.ms";

    fn settings(sets: &[&str]) -> Settings {
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        let inputs = Inputs {
            sets: &sets,
            ..Inputs::default()
        };
        Config::load(&inputs).expect("valid").settings
    }

    fn overrides(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
        given.iter().map(own).collect()
    }

    /// The texts were read from Apache Kafka 4.3.1.
    #[test]
    fn what_a_group_may_have() {
        let settings = settings(&[]);
        for (name, value, expected) in [
            (HEARTBEAT, "5000", ""),
            (HEARTBEAT, "15000", ""),
            (SESSION, " 50000 ", ""),
            ("consumer.assignment.interval.ms", "0", ""),
            ("share.isolation.level", "read_committed", ""),
            (
                HEARTBEAT,
                "4999",
                "consumer.heartbeat.interval.ms must be greater than or equal to group.consumer.min.heartbeat.interval.ms",
            ),
            (
                HEARTBEAT,
                "15001",
                "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms",
            ),
            (
                SESSION,
                "60001",
                "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms",
            ),
            (
                HEARTBEAT,
                "0",
                "Invalid value 0 for configuration consumer.heartbeat.interval.ms: Value must be at least 1",
            ),
            (
                HEARTBEAT,
                "x",
                "Invalid value x for configuration consumer.heartbeat.interval.ms: Not a number of type INT",
            ),
            (
                "streams.num.standby.replicas",
                "3",
                "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
            ),
            ("nope", "1", "Unknown group config name: nope"),
        ] {
            let result = check_group_config(&settings, &overrides(&[(name, value)]));
            let said = result.map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(said, expected, "{name}={value}");
        }
    }

    #[test]
    fn a_session_is_longer_than_a_heartbeat() {
        let settings = settings(&["group.consumer.max.heartbeat.interval.ms=60000"]);
        let given = overrides(&[(HEARTBEAT, "50000"), (SESSION, "50000")]);
        let error = check_group_config(&settings, &given).unwrap_err().to_string();
        assert_eq!(
            error,
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"
        );
        assert_eq!(
            check_group_config(&settings, &overrides(&[(HEARTBEAT, "44999")])),
            Ok(())
        );
    }

    #[test]
    fn what_counts_is_within_the_bounds_of_the_broker() {
        let given = overrides(&[(HEARTBEAT, "15000"), (SESSION, "45000")]);
        let wide = OneGroupConfig::effective(&settings(&[]), &given);
        assert_eq!(wide.heartbeat_interval_ms, Some(15_000));
        assert_eq!(wide.session_timeout, Some(Duration::from_secs(45)));
        assert_eq!(wide.assignment_interval, None);
        let narrow = settings(&[
            "group.consumer.max.heartbeat.interval.ms=7000",
            "group.consumer.min.session.timeout.ms=50000",
            "group.consumer.session.timeout.ms=50000",
        ]);
        let narrow = OneGroupConfig::effective(&narrow, &given);
        assert_eq!(narrow.heartbeat_interval_ms, Some(7000));
        assert_eq!(narrow.session_timeout, Some(Duration::from_secs(50)));
    }
}
