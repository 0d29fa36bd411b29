//! Reads Rust source: what is code, what is comment or literal, which code is test code, which paths and functions it has.
//!
//! A tokenizer, no parser: enough for rules about text, and simple enough to be right.

/// A Rust file of the tree.
pub struct Source {
    /// From the root of the repository.
    pub path: String,
    pub text: String,
    /// `text` with comments and the insides of literals as spaces; lines and columns stay.
    pub code: String,
    /// `code` with test modules as spaces; all spaces in a file of tests.
    pub product: String,
}

/// A path such as `crate::log::Plan`, with groups in braces taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    pub segments: Vec<String>,
    pub line: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank_comments_and_literals(text);
        let is_tests = path.ends_with("tests.rs") || path.contains("/tests/") || path.starts_with("tests/");
        let product = if is_tests {
            blanks(&code)
        } else {
            blank_test_modules(&code)
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            product,
        }
    }
}

fn blank(character: char) -> char {
    if character == '\n' { '\n' } else { ' ' }
}

fn blanks(text: &str) -> String {
    text.chars().map(blank).collect()
}

/// Where a comment or literal that begins at `characters[0]` ends, with the number of characters at both ends to keep.
fn literal_end(characters: &[char], previous: char) -> Option<usize> {
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let is_word = previous.is_alphanumeric() || previous == '_';
    match (at(0), at(1)) {
        ('/', '/') => Some(characters.iter().position(|c| *c == '\n').unwrap_or(characters.len())),
        ('/', '*') => Some(block_comment_end(characters)),
        ('"', _) => Some(string_end(characters, 0)),
        ('b' | 'c', '"') if !is_word => Some(string_end(characters, 1)),
        ('r', '"' | '#') if !is_word => raw_string_end(characters, 1),
        ('b' | 'c', 'r') if !is_word && matches!(at(2), '"' | '#') => raw_string_end(characters, 2),
        ('\'', '\\') => characters.iter().skip(3).position(|c| *c == '\'').map(|end| end + 4),
        ('\'', _) if at(2) == '\'' => Some(3),
        _ => None,
    }
}

fn block_comment_end(characters: &[char]) -> usize {
    let (mut depth, mut index) = (0, 0);
    while index < characters.len() {
        match characters[index..] {
            ['/', '*', ..] => (depth, index) = (depth + 1, index + 2),
            ['*', '/', ..] => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    characters.len()
}

fn string_end(characters: &[char], quote: usize) -> usize {
    let mut index = quote + 1;
    while index < characters.len() {
        match characters[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    characters.len()
}

fn raw_string_end(characters: &[char], start: usize) -> Option<usize> {
    let hashes = characters[start..].iter().take_while(|c| **c == '#').count();
    let quote = start + hashes;
    if characters.get(quote) != Some(&'"') {
        return None;
    }
    let closes = |index: &usize| {
        characters[*index] == '"'
            && characters[index + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes
    };
    let end = (quote + 1..characters.len()).find(closes);
    Some(end.map_or(characters.len(), |end| end + 1 + hashes))
}

fn blank_comments_and_literals(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let (mut index, mut previous) = (0, ' ');
    while index < characters.len() {
        match literal_end(&characters[index..], previous) {
            Some(length) => {
                code.extend(characters[index..index + length].iter().copied().map(blank));
                (index, previous) = (index + length, ' ');
            }
            None => {
                previous = characters[index];
                code.push(previous);
                index += 1;
            }
        }
    }
    code
}

fn blank_test_modules(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut product = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        let (before, marked) = rest.split_at(start);
        let end = item_end(marked, MARK.len());
        product.push_str(before);
        product.push_str(&blanks(&marked[..end]));
        rest = &marked[end..];
    }
    product + rest
}

const ITEM_WORDS: &[&str] = &[
    "pub", "mod", "fn", "async", "impl", "use", "struct", "enum", "union", "trait", "type", "const", "static",
    "unsafe", "extern",
];

/// Where that ends whose text, after its attribute, begins at `from`: an item after its block or semicolon, a field or an expression after
/// its comma, or before the brace that closes what it stands in.
fn item_end(code: &str, from: usize) -> usize {
    let after_space = code.len() - code[from..].trim_start().len();
    if code[after_space..].starts_with('#') {
        let attribute_end = code[after_space..]
            .find(']')
            .map_or(code.len(), |end| after_space + end + 1);
        return item_end(code, attribute_end);
    }
    let first = tokens(&code[from..])
        .iter()
        .map(|(token, _)| *token)
        .find(|token| is_name(token))
        .unwrap_or_default();
    let is_item = ITEM_WORDS.contains(&first);
    let mut depth = 0_usize;
    for (index, character) in code[from..].char_indices() {
        let after = from + index + 1;
        match character {
            '{' | '(' | '[' => depth += 1,
            '}' if depth == 0 => return after - 1,
            '}' if depth == 1 && is_item => return after,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return after,
            ',' if depth == 0 && !is_item => return after,
            _ => (),
        }
    }
    code.len()
}

/// A word or one sign, and its line.
fn tokens(code: &str) -> Vec<(&str, usize)> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = match () {
                () if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                () if rest.starts_with("::") => 2,
                () => first.len_utf8(),
            };
            tokens.push((&rest[..length], number));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// All paths of at least two segments, and the names of groups in braces each with its prefix.
pub fn paths(code: &str) -> Vec<Path> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let starts = is_name(tokens[index].0) && tokens.get(index + 1).is_some_and(|next| next.0 == "::");
        if starts {
            read_path(&tokens, &mut index, &[], &mut paths);
        } else {
            index += 1;
        }
    }
    paths
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn read_path(tokens: &[(&str, usize)], index: &mut usize, prefix: &[String], paths: &mut Vec<Path>) {
    let mut segments = prefix.to_vec();
    let line = tokens[*index].1;
    while let Some((token, _)) = tokens.get(*index) {
        if is_name(token) {
            segments.push((*token).to_owned());
            *index += 1;
            if tokens.get(*index).is_none_or(|next| next.0 != "::") {
                break;
            }
            *index += 1;
        } else if *token == "{" && !segments.is_empty() {
            *index += 1;
            while tokens.get(*index).is_some_and(|next| next.0 != "}") {
                if tokens[*index].0 == "as" {
                    *index += 2;
                } else if is_name(tokens[*index].0) {
                    read_path(tokens, index, &segments, paths);
                } else {
                    *index += 1;
                }
            }
            *index += 1;
            return;
        } else {
            break;
        }
    }
    if segments.len() > 1 {
        paths.push(Path { segments, line });
    }
}

/// All functions with a body.
pub fn functions(code: &str) -> Vec<Function> {
    let tokens = tokens(code);
    let mut functions = Vec::new();
    for (index, (token, line)) in tokens.iter().enumerate() {
        let name = tokens.get(index + 1).map_or("", |next| next.0);
        if *token == "fn"
            && is_name(name)
            && let Some(last_line) = body_end(&tokens[index..])
        {
            functions.push(Function {
                name: name.to_owned(),
                line: *line,
                lines: last_line - line + 1,
            });
        }
    }
    functions
}

/// The line on which the function's body ends; `None` when it has none.
fn body_end(tokens: &[(&str, usize)]) -> Option<usize> {
    let (mut braces, mut others) = (0, 0);
    for (token, line) in tokens {
        match *token {
            "(" | "[" => others += 1,
            ")" | "]" => others -= 1,
            ";" if braces == 0 && others == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                if braces == 0 {
                    return Some(*line);
                }
            }
            _ => (),
        }
    }
    None
}

/// Whether the word stands in the code by itself.
pub fn lines_with_word(code: &str, word: &str) -> Vec<usize> {
    tokens(code)
        .iter()
        .filter(|(token, _)| *token == word)
        .map(|(_, line)| *line)
        .collect()
}

#[test]
fn comments_and_literals_are_blank() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"f("a\"b", 'x', '\'', '"')"#, "f(      ,    ,     ,    )"),
        ("r#\"a\"b\"# + b\"c\" + br\"d\"", "         +      +      "),
        ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ("for_r\"x\"", "for_r   "),
    ];
    for (text, expected) in cases {
        assert_eq!(blank_comments_and_literals(text), expected, "{text}");
    }
}

#[test]
fn test_modules_are_no_product() {
    let source = Source::new(
        "src/a.rs",
        "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { {} }\n}\nfn c() {}\n#[cfg(test)]\nmod t;\nfn d() {}",
    );
    let names: Vec<_> = functions(&source.product)
        .into_iter()
        .map(|function| function.name)
        .collect();
    assert_eq!(names, ["a", "c", "d"]);
    assert_eq!(Source::new("src/a/tests.rs", "fn a() {}").product.trim(), "");
    let attributes = Source::new("src/a.rs", "#[cfg(test)]\n#[derive(X)]\nstruct S { a: u8 }\nfn a() {}");
    assert_eq!(attributes.product.trim(), "fn a() {}");
    let field = Source::new(
        "src/a.rs",
        "fn a() {\n S {\n #[cfg(test)]\n b: None,\n #[cfg(test)]\n c: f(1, 2)\n }\n}\nfn d() {}",
    );
    let lines: Vec<_> = functions(&field.product)
        .into_iter()
        .map(|function| function.lines)
        .collect();
    assert_eq!(lines, [8, 1]);
}

#[test]
fn paths_are_found() {
    let shown = |code: &str| {
        paths(code)
            .into_iter()
            .map(|path| path.segments.join("::"))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown("use a::b; c::d(); x.e(f::g::<h>())"), ["a::b", "c::d", "f::g"]);
    assert_eq!(
        shown("use crate::{a, b::{self, c}, d as e};\nuse std::io;"),
        ["crate::a", "crate::b::self", "crate::b::c", "crate::d", "std::io"]
    );
    assert_eq!(shown("super::super::x()"), ["super::super::x"]);
    assert_eq!(paths("\nuse a::b;")[0].line, 2);
}

#[test]
fn functions_are_measured() {
    let code = "fn a();\nfn b(x: [u8; 2]) -> T {\n  if x { y }\n}\nimpl X { fn c(&self) {} }\nlet f: fn(u8) = g;";
    let found: Vec<_> = functions(code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(found, [("b".to_owned(), 2, 3), ("c".to_owned(), 5, 1)]);
}
