//! What can be wrong with bytes that came in, and with a value that is to go out.

use std::fmt;

/// Why bytes are not a message. Whoever sent them speaks another protocol, or lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The message has no such version.
    UnsupportedVersion(i16),
    /// The bytes end within a value.
    Truncated,
    /// A length is negative where null is not allowed, or reaches beyond the bytes that are left.
    InvalidLength,
    /// Null where the version does not allow it.
    UnexpectedNull,
    /// A varint of more than five bytes, or beyond 32 bits.
    InvalidVarint,
    /// A string that is handed out in place is not UTF-8. Owned decoding replaces what is not, as Kafka does, unless the string
    /// becomes too long to be written again.
    InvalidString,
    /// A known tagged field that this version does not have, or whose size is not that of its value.
    InvalidTag(u32),
    /// The message would take more memory than its reader may reserve.
    OverBudget,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedVersion(version) => write!(f, "version {version} is not supported"),
            Self::Truncated => f.write_str("the bytes end within a value"),
            Self::InvalidLength => f.write_str("a length is negative or reaches beyond the end"),
            Self::UnexpectedNull => f.write_str("a field that cannot be null is null"),
            Self::InvalidVarint => f.write_str("a varint does not fit 32 bits"),
            Self::InvalidString => f.write_str("a string is not UTF-8"),
            Self::InvalidTag(tag) => write!(f, "tagged field {tag} is not valid here"),
            Self::OverBudget => f.write_str("the message takes more memory than it may"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why a value cannot be written in the version asked for. The value is our own: this is a defect of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// The message has no such version.
    UnsupportedVersion(i16),
    /// The named field is set, cannot be ignored, and the version does not have it.
    FieldNotInVersion(&'static str),
    /// The named field is null, which the version cannot say.
    UnexpectedNull(&'static str),
    /// A string, an array, or the whole is longer than its length field can say.
    TooLong,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedVersion(version) => write!(f, "version {version} is not supported"),
            Self::FieldNotInVersion(field) => write!(f, "{field} is set, but the version does not have it"),
            Self::UnexpectedNull(field) => write!(f, "{field} is null, but the version does not allow it"),
            Self::TooLong => f.write_str("a value is longer than its length field can say"),
        }
    }
}

impl std::error::Error for EncodeError {}
