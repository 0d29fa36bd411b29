//! The JSON of Kafka's message definitions: plain JSON with `//` comments.

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, position: 0 };
        let value = parser.value()?;
        parser.skip_space();
        if parser.position < text.len() {
            parser.fail("something after the end")
        } else {
            Ok(value)
        }
    }

    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }

    /// A scalar as text; null is none, as Kafka's generator has it.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(text) | Self::String(text) => Some(text.clone()),
            _ => None,
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
}

impl Parser<'_> {
    fn value(&mut self) -> Result<Json, String> {
        self.skip_space();
        match self.peek() {
            Some('{') => self.object(),
            Some('[') => self.array(),
            Some('"') => self.string().map(Json::String),
            Some(_) => self.word(),
            None => self.fail("unexpected end"),
        }
    }

    fn object(&mut self) -> Result<Json, String> {
        self.expect('{')?;
        let mut entries = Vec::new();
        while !self.accept('}') {
            self.skip_space();
            let key = self.string()?;
            self.expect(':')?;
            entries.push((key, self.value()?));
            if !self.accept(',') {
                self.expect('}')?;
                break;
            }
        }
        Ok(Json::Object(entries))
    }

    fn array(&mut self) -> Result<Json, String> {
        self.expect('[')?;
        let mut items = Vec::new();
        while !self.accept(']') {
            items.push(self.value()?);
            if !self.accept(',') {
                self.expect(']')?;
                break;
            }
        }
        Ok(Json::Array(items))
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.extend(self.next()),
                Some(char) => text.push(char),
                None => return self.fail("string without end"),
            }
        }
    }

    fn word(&mut self) -> Result<Json, String> {
        let rest = self.text.get(self.position..).unwrap_or_default();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
            .unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        self.position += end;
        match word {
            "" => self.fail("value expected"),
            "null" => Ok(Json::Null),
            "true" | "false" => Ok(Json::Bool(word == "true")),
            number => Ok(Json::Number(number.to_owned())),
        }
    }

    fn accept(&mut self, char: char) -> bool {
        self.skip_space();
        let found = self.peek() == Some(char);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, char: char) -> Result<(), String> {
        if self.accept(char) {
            Ok(())
        } else {
            self.fail(&format!("{char} expected"))
        }
    }

    fn skip_space(&mut self) {
        loop {
            let rest = self.text.get(self.position..).unwrap_or_default();
            let trimmed = rest.trim_start();
            self.position += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.position += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.position..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.position += char.len_utf8();
        Some(char)
    }

    fn fail<T>(&self, why: &str) -> Result<T, String> {
        Err(format!("{why} at byte {}", self.position))
    }
}
