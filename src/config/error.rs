//! What can be wrong with a configuration, said so that a person can mend it.

use std::fmt;
use std::sync::Arc;

/// Where a value was set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    Default,
    File {
        name: Arc<str>,
        line: u32,
    },
    Environment {
        variable: String,
    },
    CommandLine,
    /// Set for this broker while it ran.
    ThisBroker,
    /// Set for all brokers while they ran.
    EveryBroker,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::CommandLine => f.write_str("--set"),
            Self::ThisBroker => f.write_str("setting of this broker"),
            Self::EveryBroker => f.write_str("setting of all brokers"),
        }
    }
}

/// A configuration with which the broker does not start.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{origin}: {key}={value} is not allowed: give {allowed}")]
    Value {
        origin: Origin,
        key: String,
        value: String,
        allowed: String,
    },
    /// The value is well formed, but cannot stand together with something else.
    #[error("{origin}: {key}: {problem}")]
    Conflict {
        origin: Origin,
        key: String,
        problem: String,
    },
    #[error("{origin}: {problem}")]
    Syntax { origin: Origin, problem: String },
}

/// A topic's setting that is not accepted (Kafka: `InvalidConfigurationException`).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TopicConfigError {
    #[error("Unknown topic config name: {name}")]
    Unknown { name: String },
    #[error("Invalid value {value} for configuration {name}: give {allowed}")]
    Value {
        name: String,
        value: String,
        allowed: String,
    },
    #[error("{name}: {problem}")]
    Conflict { name: &'static str, problem: String },
}
