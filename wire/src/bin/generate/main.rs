//! Writes `src/messages/` from the message definitions inside of the jars of Apache Kafka 4.3.1.
//!
//! `cargo run -p duramen-wire --bin generate -- LIBS_DIR`, where LIBS_DIR is the `libs` folder of a Kafka distribution. Run by hand;
//! what it writes is committed. It needs `unzip` and `rustfmt`. The semantics are those of Kafka's own generator
//! (`org.apache.kafka.message.MessageDataGenerator`).

#![expect(
    clippy::disallowed_methods,
    reason = "a tool for developers reads and writes files itself"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the types of Kafka's definitions are a closed set"
)]

mod decode;
mod encode;
mod files;
mod json;
mod names;
mod schema;
mod structs;
mod types;
mod versions;

use std::path::{Path, PathBuf};
use std::process::Command;

use schema::{Kind, Message};

/// The jars with definitions, and whether theirs are of the metadata log.
const JARS: [(&str, bool); 7] = [
    ("kafka-clients", false),
    ("kafka-group-coordinator", false),
    ("kafka-metadata", true),
    ("kafka-raft", false),
    ("kafka-share-coordinator", false),
    ("kafka-storage", false),
    ("kafka-transaction-coordinator", false),
];

const VERSION: &str = "4.3.1";

fn main() -> Result<(), String> {
    let libs = std::env::args().nth(1).ok_or("usage: generate LIBS_DIR")?;
    let mut messages = Vec::new();
    for (jar, of_metadata_log) in JARS {
        let jar = Path::new(&libs).join(format!("{jar}-{VERSION}.jar"));
        for definition in definitions(&jar)? {
            let message = Message::parse(&definition, of_metadata_log);
            messages.extend(message.map_err(|error| format!("{}: {error}", jar.display()))?);
        }
    }
    messages.sort_by(|a: &Message, b| a.name.cmp(&b.name));
    if !messages.iter().any(|message| message.kind == Kind::Metadata) {
        return Err("no metadata records found".into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/messages");
    let written = write(&root, &files::files(&messages))?;
    let status = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .args(&written)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err("rustfmt failed".into()),
    }
}

/// The texts of all definitions inside of a jar, in the order of their paths.
fn definitions(jar: &Path) -> Result<Vec<String>, String> {
    let unzip = |arguments: &[&str]| {
        let output = Command::new("unzip")
            .arg(arguments.first().unwrap_or(&""))
            .arg(jar)
            .args(arguments.iter().skip(1))
            .output();
        let output = output.map_err(|error| format!("unzip: {error}"))?;
        String::from_utf8(output.stdout).map_err(|error| format!("{}: {error}", jar.display()))
    };
    let listing = unzip(&["-Z1"])?;
    let is_definition = |path: &&str| {
        path.ends_with(".json")
            && ["common/message/", "common/metadata/", "message/"]
                .iter()
                .any(|f| path.starts_with(f))
    };
    let mut paths: Vec<&str> = listing.lines().filter(is_definition).collect();
    if paths.is_empty() {
        return Err(format!("{} has no message definitions", jar.display()));
    }
    paths.sort_unstable();
    paths.into_iter().map(|path| unzip(&["-p", path])).collect()
}

/// Replaces all that is below `root`.
fn write(root: &Path, files: &[(String, String)]) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", root.display());
    match std::fs::remove_dir_all(root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    for folder in ["metadata", "borrowed"] {
        std::fs::create_dir_all(root.join(folder)).map_err(failed)?;
    }
    let mut written = Vec::new();
    for (path, content) in files {
        let path = root.join(path);
        std::fs::write(&path, content).map_err(failed)?;
        written.push(path);
    }
    Ok(written)
}
