//! Brings the configuration's sources together: file, environment, host name.

use std::ffi::OsStr;

use crate::config::{Config, ConfigError, File, Inputs};
use crate::rt::fs;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read the configuration file {name}: {source}")]
    Unreadable { name: String, source: std::io::Error },
    #[error("cannot read the configuration file {name}: it is not UTF-8 at byte {position}")]
    NotText { name: String, position: usize },
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The configuration that `serve` was asked for.
pub fn load(file: Option<&OsStr>, sets: &[String]) -> Result<Config, LoadError> {
    let name = file.map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let text = match file {
        Some(file) => Some(read(file, &name)?),
        None => None,
    };
    Ok(Config::load(&Inputs {
        file: text.as_deref().map(|text| File { name: &name, text }),
        environment: &environment(),
        sets,
        host_name: &host_name(),
    })?)
}

fn read(file: &OsStr, name: &str) -> Result<String, LoadError> {
    let bytes = fs::read(file).map_err(|source| LoadError::Unreadable {
        name: name.to_owned(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|error| LoadError::NotText {
        name: name.to_owned(),
        position: error.utf8_error().valid_up_to(),
    })
}

/// The variables of this process in the order of their names, so that messages have one order; those that are no text cannot be keys.
fn environment() -> Vec<(String, String)> {
    let mut variables: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    variables.sort();
    variables
}

/// What this host calls itself.
fn host_name() -> String {
    let name = fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
    match String::from_utf8_lossy(&name).trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}
