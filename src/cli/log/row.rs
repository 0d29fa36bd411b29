//! One line of output: for people, or as a JSON object.

use std::fmt::Write;

/// A value of a [`Row`].
#[derive(Clone, Debug)]
pub enum Value {
    Number(i64),
    Text(String),
    /// Bytes that a client wrote: shown as text where they are text, else as hexadecimal digits.
    Bytes(Option<Vec<u8>>),
    Headers(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Flag(bool),
}

/// Named values of one kind of thing.
#[derive(Clone, Debug)]
pub struct Row {
    kind: &'static str,
    /// How deep it stands below a file, for people.
    depth: usize,
    values: Vec<(&'static str, Value)>,
}

/// How rows are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    Plain,
    Json,
}

/// Bytes of a key or a value that a person is shown.
const SHOWN_BYTES_MAX: usize = 120;

impl Row {
    pub fn new(kind: &'static str, depth: usize) -> Self {
        Self {
            kind,
            depth,
            values: Vec::new(),
        }
    }

    #[must_use]
    pub fn number(self, name: &'static str, number: impl Into<i64>) -> Self {
        self.with(name, Value::Number(number.into()))
    }

    #[must_use]
    pub fn text(self, name: &'static str, text: impl Into<String>) -> Self {
        self.with(name, Value::Text(text.into()))
    }

    #[must_use]
    pub fn bytes(self, name: &'static str, bytes: Option<&[u8]>) -> Self {
        self.with(name, Value::Bytes(bytes.map(<[u8]>::to_vec)))
    }

    /// Told only where there are some.
    #[must_use]
    pub fn headers(self, headers: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Self {
        if headers.is_empty() {
            return self;
        }
        self.with("headers", Value::Headers(headers))
    }

    /// A property that is told to people only where it is there.
    #[must_use]
    pub fn flag(self, name: &'static str, flag: bool) -> Self {
        self.with(name, Value::Flag(flag))
    }

    fn with(mut self, name: &'static str, value: Value) -> Self {
        self.values.push((name, value));
        self
    }

    /// The line, without its end.
    #[must_use]
    pub fn show(&self, style: Style) -> String {
        match style {
            Style::Plain => self.plain(),
            Style::Json => self.json(),
        }
    }

    fn plain(&self) -> String {
        let mut line = "  ".repeat(self.depth);
        line.push_str(self.kind);
        for (name, value) in &self.values {
            let shown = match value {
                Value::Flag(false) => continue,
                Value::Flag(true) => {
                    let _ = write!(line, "  {name}");
                    continue;
                }
                Value::Number(number) => number.to_string(),
                Value::Text(text) => text.clone(),
                Value::Bytes(bytes) => shown_bytes(bytes.as_deref()),
                Value::Headers(headers) => {
                    let one = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
                        format!("{}={}", shown_bytes(Some(key)), shown_bytes(value.as_deref()))
                    };
                    headers.iter().map(one).collect::<Vec<_>>().join(",")
                }
            };
            let _ = write!(line, "  {name} {shown}");
        }
        line
    }

    fn json(&self) -> String {
        let mut line = format!("{{\"type\":{}", quoted(self.kind));
        for (name, value) in &self.values {
            let shown = match value {
                Value::Flag(flag) => flag.to_string(),
                Value::Number(number) => number.to_string(),
                Value::Text(text) => quoted(text),
                Value::Bytes(bytes) => json_bytes(bytes.as_deref()),
                Value::Headers(headers) => {
                    let one = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
                        format!("[{},{}]", json_bytes(Some(key)), json_bytes(value.as_deref()))
                    };
                    format!("[{}]", headers.iter().map(one).collect::<Vec<_>>().join(","))
                }
            };
            let _ = write!(line, ",{}:{shown}", quoted(&name.replace(' ', "_")));
        }
        line.push('}');
        line
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// A JSON string, or an object with hexadecimal digits where the bytes are no text.
fn json_bytes(bytes: Option<&[u8]>) -> String {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => "null".to_owned(),
        Some((_, Ok(text))) => quoted(text),
        Some((bytes, Err(_))) => format!("{{\"hex\":\"{}\"}}", hex(bytes)),
    }
}

fn shown_bytes(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else {
        return "null".to_owned();
    };
    let is_text = |text: &str| !text.chars().any(char::is_control);
    let (mut shown, whole) = match std::str::from_utf8(bytes) {
        Ok(text) if is_text(text) => (format!("{text:?}"), text.len()),
        Ok(_) | Err(_) => (format!("0x{}", hex(bytes)), bytes.len()),
    };
    if shown.len() > SHOWN_BYTES_MAX {
        let end = (0..=SHOWN_BYTES_MAX).rev().find(|at| shown.is_char_boundary(*at));
        shown.truncate(end.unwrap_or(0));
        let _ = write!(shown, "... ({whole} bytes)");
    }
    shown
}

/// A JSON string.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            character if u32::from(character) < 0x20 => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_people_and_for_programs() {
        let row = Row::new("record", 1)
            .number("offset", 7)
            .bytes("key", Some(b"a\"b"))
            .bytes("value", Some(&[0xff, 0]))
            .bytes("next value", None)
            .flag("control", true)
            .flag("transactional", false)
            .text("codec", "none");
        assert_eq!(
            row.show(Style::Plain),
            r#"  record  offset 7  key "a\"b"  value 0xff00  next value null  control  codec none"#
        );
        assert_eq!(
            row.show(Style::Json),
            r#"{"type":"record","offset":7,"key":"a\"b","value":{"hex":"ff00"},"next_value":null,"control":true,"transactional":false,"codec":"none"}"#
        );
    }

    #[test]
    fn long_and_odd_text() {
        let long = "é".repeat(100);
        let shown = shown_bytes(Some(long.as_bytes()));
        assert!(shown.ends_with("... (200 bytes)") && shown.len() < 150, "{shown}");
        assert_eq!(shown_bytes(Some(b"a\n")), "0x610a");
        assert_eq!(quoted("a\n\\"), "\"a\\u000a\\\\\"");
    }
}
