//! Configuration: one table of properties, and what a start makes of it.
//!
//! Owns the names, types, defaults and bounds of all keys ([`table`]), the order in which file, environment and command line win
//! ([`source`]), and the typed, immutable structs that the broker reads ([`BrokerConfig`], [`TopicConfig`]).
//! Pure: file contents, environment and host name are arguments.
//!
//! Invariants: every value in a [`Settings`] obeys its property's kind and rule; a key that is not in the table is in no `Settings`.

mod broker;
mod changes;
mod cleaner;
mod describe;
mod error;
mod group;
mod java_properties;
mod listener;
mod nearest;
mod one_group;
mod property;
mod source;
pub mod table;
mod topic;
mod value;

use std::collections::BTreeMap;

pub use broker::{BrokerConfig, MetadataLogConfig, SocketConfig};
pub use changes::{BrokerKeyError, Changes, check_broker_config};
pub use cleaner::CleanerConfig;
pub use describe::{Described, DescribedSynonym, Source};
pub use error::{ConfigError, Origin, TopicConfigError};
pub use group::{ConsumerGroupConfig, GroupConfig};
pub use listener::{Endpoint, Listener};
pub use one_group::{GroupKeyError, OneGroupConfig, check_group_config};
pub use property::{Effect, Kind, Property, Rule, Update};
pub use source::{File, Inputs, Layer, Setting, Settings};
pub use topic::{Cleanup, Compression, Durability, TimestampType, TopicConfig};

/// All that a start needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    pub broker: BrokerConfig,
    /// The keys that were set, as they were written.
    pub settings: Settings,
    /// Sentences for the person who started the broker.
    pub notices: Vec<String>,
}

impl Config {
    /// Reads the configuration from all its sources.
    ///
    /// # Errors
    ///
    /// The first value that cannot stand: where it was set, and what is allowed.
    pub fn load(inputs: &Inputs<'_>) -> Result<Self, ConfigError> {
        let (settings, mut notices) = Settings::gather(inputs)?;
        let broker = BrokerConfig::from_settings(&settings, inputs.host_name)?;
        notices.extend(broker.notices());
        Ok(Self {
            broker,
            settings,
            notices,
        })
    }

    /// The settings of a topic: its own `overrides`, for the rest those of the broker.
    ///
    /// # Errors
    ///
    /// The first override that is no topic key or not allowed.
    pub fn topic(&self, overrides: &BTreeMap<String, String>) -> Result<TopicConfig, TopicConfigError> {
        TopicConfig::effective(&self.settings, overrides)
    }

    /// All settings of a topic with these `overrides`, for clients.
    #[must_use]
    pub fn describe_topic(&self, overrides: &BTreeMap<String, String>) -> Vec<Described> {
        describe::topic(&self.settings, overrides)
    }

    /// All settings of a group with these `overrides`, for clients.
    #[must_use]
    pub fn describe_group(&self, overrides: &BTreeMap<String, String>) -> Vec<Described> {
        describe::group(&self.settings, overrides)
    }

    /// All settings of the broker, for clients.
    #[must_use]
    pub fn describe_broker(&self) -> Vec<Described> {
        describe::broker(&self.settings)
    }

    /// What is set for all brokers while they run, for clients.
    #[must_use]
    pub fn describe_every_broker(&self) -> Vec<Described> {
        describe::every_broker(&self.settings)
    }

    /// The configuration with what was set since the start; what was set before does not count any more.
    ///
    /// # Errors
    ///
    /// A value that a topic cannot have: it was not checked by this version.
    pub fn with_changes(&self, changes: Changes) -> Result<Self, TopicConfigError> {
        let settings = self.settings.with_changes(changes);
        Ok(Self {
            broker: self.broker.with_changes(&settings)?,
            settings,
            notices: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests;
