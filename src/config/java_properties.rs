//! The syntax of `server.properties`: Java's `Properties.load`, read as UTF-8.
//!
//! A comment begins with `#` or `!`; a line that ends with an odd number of backslashes goes on in the next one; the key ends at the
//! first `=`, `:` or space that is not escaped; `\t \n \r \f \uXXXX` are characters, any other escaped character is itself.

/// One key and value, and the line at which the key stands, counted from 1.
#[derive(PartialEq, Eq, Debug)]
pub struct Entry {
    pub key: String,
    pub value: String,
    pub line: u32,
}

/// A malformed `\uXXXX`, the only thing that is an error in this syntax.
#[derive(PartialEq, Eq, Debug)]
pub struct MalformedEscape {
    pub line: u32,
}

/// All entries in their order; a key may stand several times.
pub fn parse(text: &str) -> Result<Vec<Entry>, MalformedEscape> {
    let mut entries = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((line, first)) = lines.next() {
        let first = first.trim_start_matches(is_space);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while ends_with_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches(is_space)),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        entries.push(Entry {
            key: unescape(key).ok_or(MalformedEscape { line })?,
            value: unescape(value).ok_or(MalformedEscape { line })?,
            line,
        });
    }
    Ok(entries)
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0c')
}

fn ends_with_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The escaped key, and the escaped value without the separator: spaces, at most one `=` or `:`, spaces.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|character: char| {
        let ends = !escaped && (matches!(character, '=' | ':') || is_space(character));
        escaped = !escaped && character == '\\';
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_space);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_space))
}

fn unescape(text: &str) -> Option<String> {
    let mut units = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let character = match character {
            '\\' => match characters.next() {
                None => break,
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => {
                    units.push(hexadecimal_unit(&mut characters)?);
                    continue;
                }
                Some(other) => other,
            },
            other => other,
        };
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    }
    // Java writes a character beyond the first plane as two escapes: a pair of surrogates.
    String::from_utf16(&units).ok()
}

fn hexadecimal_unit(characters: &mut std::str::Chars<'_>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = characters.next()?.to_digit(16)?;
        unit = unit * 16 + u16::try_from(digit).ok()?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_java_reads_them() {
        type Expected = &'static [(&'static str, &'static str, u32)];
        let cases: &[(&str, Expected)] = &[
            ("a=b", &[("a", "b", 1)]),
            ("# c\n! d\n\n  a = b c ", &[("a", "b c ", 4)]),
            ("a:b\r\nc d", &[("a", "b", 1), ("c", "d", 2)]),
            ("a", &[("a", "", 1)]),
            ("a==b", &[("a", "=b", 1)]),
            ("a  b=c", &[("a", "b=c", 1)]),
            ("a=b,\\\n   c,\\\n\td\ne=f", &[("a", "b,c,d", 1), ("e", "f", 4)]),
            ("a=b\\\\\nc=d", &[("a", "b\\", 1), ("c", "d", 2)]),
            ("a\\=b\\ c=d", &[("a=b c", "d", 1)]),
            ("a=\\t\\u00e9\\q\\", &[("a", "\té\u{71}", 1)]),
            ("a=\\ud83d\\ude00é", &[("a", "😀é", 1)]),
            ("a=b\\\n# not a comment", &[("a", "b# not a comment", 1)]),
        ];
        for (text, expected) in cases {
            let entries = parse(text).expect(text);
            let entries: Vec<_> = entries
                .iter()
                .map(|e| (e.key.as_str(), e.value.as_str(), e.line))
                .collect();
            assert_eq!(&entries, expected, "{text:?}");
        }
    }

    #[test]
    fn malformed_escapes() {
        for text in ["a=b\nc=\\u12", "a=b\nc=\\uzzzz", "a=b\nc=\\ud83d"] {
            assert_eq!(parse(text), Err(MalformedEscape { line: 2 }), "{text:?}");
        }
    }
}
