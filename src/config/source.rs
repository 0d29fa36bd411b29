//! Where settings come from, and which of them wins: `--set`, then `DURAMEN_` variables, then `KAFKA_` variables, then the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::changes::Changes;
use super::error::{ConfigError, Origin};
use super::java_properties;
use super::nearest::nearest;
use super::property::{Effect, Property};
use super::table::{broker_properties, broker_property, reason_of_removal, synonyms, topic_property};
use super::value::Values;

/// A configuration file that was read.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// As the person wrote it, for messages.
    pub name: &'a str,
    pub text: &'a str,
}

/// Everything outside of this process that configures it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    pub file: Option<File<'a>>,
    pub environment: &'a [(String, String)],
    /// The arguments of `--set`: `KEY=VALUE`.
    pub sets: &'a [String],
    /// What clients are told when a listener is bound to every interface and no advertised address is given.
    pub host_name: &'a str,
}

/// A value as it was written, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    pub text: String,
    pub origin: Origin,
}

/// The broker keys that are set. What is not in it has the table's default.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// At the start, by name.
    by_name: BTreeMap<&'static str, Setting>,
    /// While the broker ran.
    changes: Changes,
}

/// Where a set key may stand, the strongest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layer {
    /// Set for this broker while it ran.
    ThisBroker,
    /// Set for all brokers while they ran.
    EveryBroker,
    /// Set at the start.
    Start,
}

impl Layer {
    pub const ALL: [Self; 3] = [Self::ThisBroker, Self::EveryBroker, Self::Start];
}

/// A key as it was found, before anything is known of it.
struct Found {
    key: String,
    setting: Setting,
}

impl Settings {
    /// The setting of a key that counts, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Setting> {
        Layer::ALL.into_iter().find_map(|layer| self.get_in(layer, name))
    }

    /// The setting of a key in one place.
    #[must_use]
    pub fn get_in(&self, layer: Layer, name: &str) -> Option<&Setting> {
        match layer {
            Layer::ThisBroker => self.changes.own.get(name),
            Layer::EveryBroker => self.changes.every.get(name),
            Layer::Start => self.by_name.get(name),
        }
    }

    /// What was set while the broker ran.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The settings of the start with other changes since.
    #[must_use]
    pub fn with_changes(&self, changes: Changes) -> Self {
        Self {
            by_name: self.by_name.clone(),
            changes,
        }
    }

    /// Where the value of a key comes from.
    #[must_use]
    pub fn origin(&self, name: &str) -> Origin {
        self.get(name).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// The checked values of all broker keys.
    pub(super) fn values(&self) -> Values {
        let value_of = |property: &Property| {
            let text = self
                .get(property.name)
                .map(|setting| setting.text.as_str())
                .or(property.default)?;
            property.parse(text).ok()
        };
        Values(
            broker_properties()
                .filter_map(|property| Some((property.name, value_of(property)?)))
                .collect(),
        )
    }

    /// Collects all sources, the weakest first, and checks every value. The sentences tell of keys without effect.
    pub(super) fn gather(inputs: &Inputs<'_>) -> Result<(Self, Vec<String>), ConfigError> {
        let mut settings = Self::default();
        let mut notices = Notices::default();
        let mut found = Vec::new();
        if let Some(file) = inputs.file {
            found.append(&mut read_file(file, &mut notices)?);
        }
        found.append(&mut read_environment(inputs.environment, "KAFKA_"));
        found.append(&mut read_environment(inputs.environment, "DURAMEN_"));
        found.append(&mut read_sets(inputs.sets)?);
        for one in found {
            settings.take(one, &mut notices)?;
        }
        for name in settings.by_name.keys() {
            notices.note_effect(name);
        }
        Ok((settings, notices.into_sentences()))
    }

    fn take(&mut self, found: Found, notices: &mut Notices) -> Result<(), ConfigError> {
        let Found { key, setting } = found;
        if key == "zookeeper.connect" {
            return Err(ConfigError::Conflict {
                origin: setting.origin,
                key,
                problem:
                    "ZooKeeper mode does not exist since Kafka 4.0, and Duramen needs no other process: remove the key"
                        .to_owned(),
            });
        }
        match broker_property(&key) {
            Some(property) => {
                check(property, &setting)?;
                self.by_name.insert(property.name, setting);
            }
            None => notices.note_unknown(&key, &setting.origin),
        }
        Ok(())
    }
}

/// Says what is wrong when the value of a setting is not allowed.
fn check(property: &Property, setting: &Setting) -> Result<(), ConfigError> {
    match property.parse(&setting.text) {
        Ok(_) => Ok(()),
        Err(_) => Err(refusal(property, setting)),
    }
}

/// The error for a value that the property does not allow.
pub(super) fn refusal(property: &Property, setting: &Setting) -> ConfigError {
    ConfigError::Value {
        origin: setting.origin.clone(),
        key: property.name.to_owned(),
        value: if property.is_sensitive() {
            "[hidden]".to_owned()
        } else {
            setting.text.clone()
        },
        allowed: property.allowed(),
    }
}

fn read_file(file: File<'_>, notices: &mut Notices) -> Result<Vec<Found>, ConfigError> {
    let name: Arc<str> = file.name.into();
    let at = |line| Origin::File {
        name: name.clone(),
        line,
    };
    let entries = java_properties::parse(file.text).map_err(|malformed| ConfigError::Syntax {
        origin: at(malformed.line),
        problem: "\\u must be followed by four hexadecimal digits".to_owned(),
    })?;
    let mut lines = BTreeMap::new();
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(earlier) = lines.insert(entry.key.clone(), entry.line) {
            notices.sentences.push(format!(
                "{}: {} stands in line {earlier} too; this one wins",
                at(entry.line),
                entry.key
            ));
        }
        let setting = Setting {
            text: entry.value,
            origin: at(entry.line),
        };
        found.push(Found {
            key: entry.key,
            setting,
        });
    }
    Ok(found)
}

/// The variables with this prefix, as the images of Kafka spell them: `_` is a dot, `__` an underscore, `___` a dash.
fn read_environment(environment: &[(String, String)], prefix: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (variable, text) in environment {
        let Some(rest) = variable.strip_prefix(prefix) else {
            continue;
        };
        let key = rest
            .to_lowercase()
            .replace("___", "-")
            .replace("__", "\0")
            .replace('_', ".")
            .replace('\0', "_");
        let near = || nearest(&key, broker_properties().map(|property| property.name)).is_some();
        // Start scripts of Kafka, and Kubernetes for a service named "kafka", set variables that are no keys.
        if prefix == "KAFKA_" && !is_known(&key) && !near() {
            continue;
        }
        let origin = Origin::Environment {
            variable: variable.clone(),
        };
        found.push(Found {
            key,
            setting: Setting {
                text: text.clone(),
                origin,
            },
        });
    }
    found
}

/// Whether the key is one that a person can have meant. Kubernetes sets KAFKA_PORT for a service named "kafka", so `port` does not count.
fn is_known(key: &str) -> bool {
    broker_property(key).is_some() || (reason_of_removal(key).is_some() && key != "port")
}

fn read_sets(sets: &[String]) -> Result<Vec<Found>, ConfigError> {
    sets.iter()
        .map(|set| {
            let (key, value) = set.split_once('=').ok_or_else(|| ConfigError::Syntax {
                origin: Origin::CommandLine,
                problem: format!("{set} is not of the form KEY=VALUE"),
            })?;
            let setting = Setting {
                text: value.to_owned(),
                origin: Origin::CommandLine,
            };
            Ok(Found {
                key: key.trim().to_owned(),
                setting,
            })
        })
        .collect()
}

/// What to tell about keys that do nothing.
#[derive(Default)]
struct Notices {
    later: Vec<&'static str>,
    without: Vec<String>,
    sentences: Vec<String>,
}

/// Beginnings of keys that Kafka passes on to plugins or to one listener.
const PASSED_ON: [&str; 4] = ["listener.name.", "config.providers.", "rsm.config.", "rlmm.config."];

impl Notices {
    fn note_effect(&mut self, name: &'static str) {
        match broker_property(name).map(|property| property.effect) {
            Some(Effect::Later) => self.later.push(name),
            Some(Effect::Without) => self.without.push(name.to_owned()),
            Some(Effect::Used) | None => (),
        }
    }

    fn note_unknown(&mut self, key: &str, origin: &Origin) {
        if PASSED_ON.iter().any(|prefix| key.starts_with(prefix)) {
            self.without.push(key.to_owned());
        } else if let Some(reason) = reason_of_removal(key) {
            self.sentences.push(format!(
                "{origin}: {key} no longer exists in Kafka 4 and is ignored; remove it: {reason}"
            ));
        } else if topic_property(key).is_some() {
            let hint = match synonyms(key).first() {
                Some(synonym) => format!("; the broker's key is {}", synonym.name),
                None => String::new(),
            };
            self.sentences
                .push(format!("{origin}: {key} is a key of topics and is ignored{hint}"));
        } else {
            let hint = match nearest(key, broker_properties().map(|property| property.name)) {
                Some(near) => format!("; did you mean {near}?"),
                None => String::new(),
            };
            self.sentences
                .push(format!("{origin}: {key} is not known and is ignored{hint}"));
        }
    }

    fn into_sentences(self) -> Vec<String> {
        let mut parts = Vec::new();
        if !self.later.is_empty() {
            parts.push(format!("not in effect yet: {}", self.later.join(", ")));
        }
        if !self.without.is_empty() {
            parts.push(format!("without meaning here: {}", self.without.join(", ")));
        }
        let mut sentences = self.sentences;
        if !parts.is_empty() {
            sentences.push(format!("accepted keys of Kafka {}", parts.join("; ")));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::property::{Kind, Rule, Update};

    #[test]
    fn passwords_are_not_shown() {
        let property = |kind| Property {
            name: "a.key",
            kind,
            default: None,
            rule: Rule::Filled,
            update: Update::Start,
            effect: Effect::Used,
            is_internal: false,
            doc: "",
        };
        let setting = Setting {
            text: "secret".to_owned(),
            origin: Origin::CommandLine,
        };
        assert!(refusal(&property(Kind::Text), &setting).to_string().contains("secret"));
        assert!(
            !refusal(&property(Kind::Password), &setting)
                .to_string()
                .contains("secret")
        );
    }
}
