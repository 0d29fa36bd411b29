//! The reference of all configuration keys, written from the table.

use std::fmt::Write;

use crate::config::table::{broker_properties, group_properties, topic_properties};
use crate::config::{Effect, Property, Update};

/// All keys with type, default, allowed values and meaning, as `duramen config` prints them.
pub fn reference() -> String {
    let mut text = String::from("Keys of the broker: server.properties, DURAMEN_KEY, KAFKA_KEY, --set KEY=VALUE\n\n");
    section(&mut text, broker_properties());
    text.push_str("\nKeys of a topic\n\n");
    section(&mut text, topic_properties());
    text.push_str("\nKeys of a group\n\n");
    section(&mut text, group_properties());
    text
}

/// Of a key that has effect, when a change has it.
fn when(update: Update) -> &'static str {
    match update {
        Update::Broker => "    may change while the broker runs, for one broker\n",
        Update::Cluster => "    may change while the broker runs, for one broker or for all\n",
        Update::Start | Update::Topic | Update::Group => "",
    }
}

/// First what has effect, then the rest, each by name.
fn section(text: &mut String, properties: impl Iterator<Item = &'static Property>) {
    let mut properties: Vec<_> = properties.collect();
    properties.sort_by_key(|property| (property.effect != Effect::Used, property.name));
    for property in properties {
        let default = match property.default {
            None => "not set",
            Some("") => "empty",
            Some(default) => default,
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}\n    {}; default: {default}",
            property.name,
            property.allowed()
        );
        if !property.doc.is_empty() {
            let _ = writeln!(text, "    {}", property.doc);
        }
        match property.effect {
            Effect::Used => text.push_str(when(property.update)),
            Effect::Later => text.push_str("    accepted, not in effect yet\n"),
            Effect::Without => text.push_str("    accepted, without meaning here\n"),
        }
    }
}
