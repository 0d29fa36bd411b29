//! Which names a topic may have. Kafka: `org.apache.kafka.common.internals.Topic`.

use crate::base::limits::TOPIC_NAME_BYTES_MAX;

/// What is wrong with a name; the text is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    #[error("the empty string is not allowed")]
    Empty,
    #[error("'{0}' is not allowed")]
    Directory(String),
    #[error("the length of '{0}' is longer than the max allowed length {TOPIC_NAME_BYTES_MAX}")]
    TooLong(String),
    #[error("'{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")]
    Character(String),
}

/// Checks a name, which is also that of directories and metrics.
///
/// # Errors
///
/// The first rule that the name breaks.
pub fn validate_topic_name(name: &str) -> Result<(), TopicNameError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match name {
        "" => Err(TopicNameError::Empty),
        "." | ".." => Err(TopicNameError::Directory(name.to_owned())),
        _ if name.chars().count() > TOPIC_NAME_BYTES_MAX => Err(TopicNameError::TooLong(name.to_owned())),
        _ if !name.bytes().all(is_allowed) => Err(TopicNameError::Character(name.to_owned())),
        _ => Ok(()),
    }
}

/// What metrics make of a name with a dot or an underscore; `None` for a name without.
#[must_use]
pub fn metric_name(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}
