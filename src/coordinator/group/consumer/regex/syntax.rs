//! Regular expressions as Apache Kafka reads them, which is as RE2/J does: what is one, and what it means for names of topics.
//!
//! An expression is written anew in the syntax of the engine, with what cannot matter left out: which part of a name a group matches, which of
//! several ways is preferred, signs that no name has. What only a name could match that is longer than names are matches nothing.

use std::collections::BTreeSet;

use super::piece::{Piece, Sequence, TOO_LARGE};
use super::set::Set;
use crate::base::limits::{REGEX_BYTES_MAX, REGEX_COST_MAX, REGEX_COST_OF_ALL_MAX};

/// Most repetitions that RE2/J takes.
const REPEATS_MAX: u32 = 1000;

/// What is wrong with an expression, in the words of RE2/J, which clients are told.
pub(super) type Wrong = &'static str;

const BAD_ESCAPE: Wrong = "invalid escape sequence";
const BAD_RANGE: Wrong = "invalid character class range";
const BAD_REPEAT: Wrong = "invalid repeat count";
const BAD_FLAGS: Wrong = "invalid or unsupported Perl syntax";
const BAD_NAME: Wrong = "invalid named capture";
const NAMED_TWICE: Wrong = "duplicate capture group name";
const NESTED_REPEAT: Wrong = "invalid nested repetition operator";
const NOTHING_TO_REPEAT: Wrong = "missing argument to repetition operator";
const NO_BRACKET: Wrong = "missing closing ]";
const NO_GROUP_END: Wrong = "missing closing )";
const NO_GROUP_BEGIN: Wrong = "regexp/syntax: internal error";
const TRAILING_BACKSLASH: Wrong = "trailing backslash at end of expression";

/// Expressions of the engine, one or more, of which one matches where this does: many alternatives are several expressions.
///
/// # Errors
/// It is none, or one that is too large.
pub(super) fn translate(expression: &str) -> Result<Vec<String>, Wrong> {
    if expression.len() > REGEX_BYTES_MAX {
        return Err(TOO_LARGE);
    }
    let mut parser = Parser {
        rest: expression,
        folds: false,
        open: Vec::new(),
        group: Group::of_whole(),
        names: BTreeSet::new(),
        has_no_named_class: false,
    };
    let mut may_repeat = true;
    while let Some(next) = parser.rest.chars().next() {
        let is_repetition = parser.step(next, may_repeat)?;
        may_repeat = !is_repetition;
    }
    match parser.open.is_empty() {
        true => parser.group.into_texts(),
        false => Err(NO_GROUP_END),
    }
}

/// A group that is open, or the whole.
#[derive(Default)]
struct Group {
    alternatives: Vec<Piece>,
    /// Of the alternatives.
    cost: usize,
    /// Whether nothing stands beside its alternatives, as far as is known: then they need not be one expression.
    is_whole: bool,
    sequence: Sequence,
    /// Whether case was of no account before it.
    folded_before: bool,
}

impl Group {
    fn of_whole() -> Self {
        Self {
            is_whole: true,
            ..Self::default()
        }
    }

    /// Whether a group that begins now may be the whole: names match as a whole, so that the begin of one says nothing.
    fn is_at_begin(&self) -> bool {
        self.is_whole && self.alternatives.is_empty() && self.sequence.is_begin()
    }

    fn end_alternative(&mut self) -> Result<(), Wrong> {
        let piece = std::mem::take(&mut self.sequence).finish()?;
        self.cost += piece.cost() + 1;
        self.alternatives.push(piece);
        let cost_max = match self.is_whole {
            true => REGEX_COST_OF_ALL_MAX,
            false => REGEX_COST_MAX,
        };
        match self.cost > cost_max {
            true => Err(TOO_LARGE),
            false => Ok(()),
        }
    }

    /// Alternatives together, as many as are compiled in one step.
    fn into_texts(mut self) -> Result<Vec<String>, Wrong> {
        self.end_alternative()?;
        let mut texts = Vec::new();
        let (mut together, mut cost) = (Vec::new(), 0);
        for piece in self.alternatives {
            cost += piece.cost() + 1;
            if cost > REGEX_COST_MAX && !together.is_empty() {
                texts.push(Piece::any_of(std::mem::take(&mut together))?.into_text());
                cost = piece.cost() + 1;
            }
            together.push(piece);
        }
        texts.push(Piece::any_of(together)?.into_text());
        Ok(texts)
    }

    fn finish(mut self) -> Result<Piece, Wrong> {
        self.end_alternative()?;
        Piece::any_of(self.alternatives)
    }
}

struct Parser<'a> {
    rest: &'a str,
    /// Whether case is of no account.
    folds: bool,
    open: Vec<Group>,
    group: Group,
    /// Of groups.
    names: BTreeSet<&'a str>,
    /// No named class ends in what is left.
    has_no_named_class: bool,
}

impl<'a> Parser<'a> {
    /// Takes one thing; says whether it is a repetition, behind which no other may stand.
    fn step(&mut self, next: char, may_repeat: bool) -> Result<bool, Wrong> {
        match next {
            '(' => self.begin_group()?,
            ')' => {
                self.skip(1);
                let outer = self.open.pop().ok_or(NO_GROUP_BEGIN)?;
                let group = std::mem::replace(&mut self.group, outer);
                self.folds = group.folded_before;
                if group.is_whole && self.ends_whole() {
                    self.group = group;
                } else {
                    self.group.sequence.push(group.finish()?)?;
                }
            }
            '|' => {
                self.skip(1);
                self.group.end_alternative()?;
            }
            '[' => {
                let set = self.class()?;
                self.group.sequence.push(Piece::set(set))?;
            }
            '.' => {
                self.skip(1);
                self.group.sequence.push(Piece::set(Set::ALL))?;
            }
            '^' | '$' => {
                let edge = self.take(1);
                self.group.sequence.push(Piece::edge(edge))?;
            }
            '*' => return self.repeat(1, 0, None, may_repeat),
            '+' => return self.repeat(1, 1, None, may_repeat),
            '?' => return self.repeat(1, 0, Some(1), may_repeat),
            '{' => match counts(self.rest) {
                Some((length, least, most)) => {
                    let is_bad = |count: u32| count > REPEATS_MAX;
                    if is_bad(least) || most.is_some_and(|most| is_bad(most) || most < least) {
                        return Err(BAD_REPEAT);
                    }
                    return self.repeat(length, least, most, may_repeat);
                }
                None => self.literal()?,
            },
            '\\' => self.escaped()?,
            _ => self.literal()?,
        }
        Ok(false)
    }

    /// Whether the group that has ended is all that there is in the present one: then it takes the place of that.
    fn ends_whole(&mut self) -> bool {
        if self.rest == "$" {
            self.rest = "";
        }
        match self.open.is_empty() {
            true => self.rest.is_empty(),
            false => self.rest.starts_with(')') && self.group.sequence.is_empty(),
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.skip(next.len_utf8());
        Some(next)
    }

    fn literal(&mut self) -> Result<(), Wrong> {
        match self.next() {
            Some(character) => self.push_character(character),
            None => Ok(()),
        }
    }

    fn push_character(&mut self, character: char) -> Result<(), Wrong> {
        let set = Set::range(character, character, self.folds);
        self.group.sequence.push(Piece::set(set))
    }

    fn repeat(&mut self, length: usize, least: u32, most: Option<u32>, may_repeat: bool) -> Result<bool, Wrong> {
        self.skip(length);
        if self.rest.starts_with('?') {
            self.skip(1);
        }
        if !may_repeat {
            return Err(NESTED_REPEAT);
        }
        let repeated = self.group.sequence.pop().ok_or(NOTHING_TO_REPEAT)?;
        self.group.sequence.push(repeated.repeated(least, most)?)?;
        Ok(true)
    }

    fn begin_group(&mut self) -> Result<(), Wrong> {
        let before = self.folds;
        if !self.rest.starts_with("(?") {
            self.skip(1);
        } else if let Some(named) = ["(?P<", "(?<"].iter().find(|named| self.rest.starts_with(**named)) {
            self.skip(named.len());
            let end = self.rest.find('>').ok_or(BAD_NAME)?;
            let name = self.take(end);
            self.skip(1);
            let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(BAD_NAME);
            }
            if !self.names.insert(name) {
                return Err(NAMED_TWICE);
            }
        } else if !self.flags()? {
            return Ok(());
        }
        let group = Group {
            is_whole: self.group.is_at_begin(),
            folded_before: before,
            ..Group::default()
        };
        self.open.push(std::mem::replace(&mut self.group, group));
        Ok(())
    }

    /// Whether a group begins behind the flags; otherwise they are of the present one.
    fn flags(&mut self) -> Result<bool, Wrong> {
        self.skip(2);
        let (mut is_on, mut has_flag) = (true, false);
        loop {
            match self.next().ok_or(BAD_FLAGS)? {
                'i' => {
                    self.folds = is_on;
                    has_flag = true;
                }
                // Lines, and which way is preferred.
                'm' | 's' | 'U' => has_flag = true,
                '-' if is_on => (is_on, has_flag) = (false, false),
                end @ (':' | ')') if is_on || has_flag => return Ok(end == ':'),
                _ => return Err(BAD_FLAGS),
            }
        }
    }

    fn escaped(&mut self) -> Result<(), Wrong> {
        let edge = ["\\A", "\\z", "\\b", "\\B"]
            .iter()
            .find(|edge| self.rest.starts_with(**edge));
        if let Some(edge) = edge {
            self.skip(edge.len());
            return self.group.sequence.push(Piece::edge(edge));
        }
        if self.rest.starts_with("\\Q") {
            self.skip(2);
            let end = self.rest.find("\\E").unwrap_or(self.rest.len());
            for character in self.take(end).chars() {
                self.push_character(character)?;
            }
            self.skip(2);
            return Ok(());
        }
        match self.set_escape()? {
            Some(set) => self.group.sequence.push(Piece::set(set)),
            None => {
                let character = self.escape()?;
                self.push_character(character)
            }
        }
    }

    /// `\pL`, `\d`, and their like.
    fn set_escape(&mut self) -> Result<Option<Set>, Wrong> {
        let mut characters = self.rest.chars();
        let (Some('\\'), Some(kind)) = (characters.next(), characters.next()) else {
            return Ok(None);
        };
        if let Some(set) = Set::perl(kind) {
            self.skip(2);
            return Ok(Some(set));
        }
        if !matches!(kind, 'p' | 'P') {
            return Ok(None);
        }
        self.skip(2);
        let name = match self.rest.chars().next() {
            Some('{') => {
                let end = self.rest.find('}').ok_or(BAD_RANGE)?;
                let braced = self.take(end + 1);
                braced.get(1..end).ok_or(BAD_RANGE)?
            }
            Some(letter) => self.take(letter.len_utf8()),
            None => return Err(BAD_RANGE),
        };
        let (name, is_inverted) = match name.strip_prefix('^') {
            Some(name) => (name, kind == 'p'),
            None => (name, kind == 'P'),
        };
        let set = Set::unicode(name, self.folds).ok_or(BAD_RANGE)?;
        Ok(Some(set.inverted_if(is_inverted)))
    }

    /// One character behind a backslash.
    fn escape(&mut self) -> Result<char, Wrong> {
        self.skip(1);
        let next = self.next().ok_or(TRAILING_BACKSLASH)?;
        let octal = |rest: &str| rest.chars().next().and_then(|digit| digit.to_digit(8));
        let code = match next {
            '1'..='7' if octal(self.rest).is_none() => return Err(BAD_ESCAPE),
            '0'..='7' => {
                let mut code = next.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = octal(self.rest) else { break };
                    self.skip(1);
                    code = code * 8 + digit;
                }
                code
            }
            'x' => self.hexadecimal().ok_or(BAD_ESCAPE)?,
            'a' => 7,
            't' => 9,
            'n' => 10,
            'v' => 11,
            'f' => 12,
            'r' => 13,
            _ if next.is_ascii_alphanumeric() => return Err(BAD_ESCAPE),
            _ => return Ok(next),
        };
        // A half of a pair of UTF-16 is in no name.
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        if !self.rest.starts_with('{') {
            let [first, second] = [self.next()?, self.next()?].map(|digit| digit.to_digit(16));
            return Some(first? * 16 + second?);
        }
        self.skip(1);
        let mut code: Option<u32> = None;
        loop {
            match self.next()? {
                '}' => return code,
                digit => {
                    let more = code.unwrap_or(0) * 16 + digit.to_digit(16)?;
                    code = Some(more).filter(|code| *code <= u32::from(char::MAX));
                    code?;
                }
            }
        }
    }

    /// A class in brackets.
    fn class(&mut self) -> Result<Set, Wrong> {
        self.skip(1);
        let is_inverted = self.rest.starts_with('^');
        if is_inverted {
            self.skip(1);
        }
        let mut set = Set::NONE;
        let mut is_first = true;
        while is_first || !self.rest.starts_with(']') {
            is_first = false;
            let more = match self.named_class()? {
                Some(named) => named,
                None => match self.set_escape()? {
                    Some(escaped) => escaped,
                    None => self.class_range()?,
                },
            };
            set = set.with(more);
        }
        self.skip(1);
        Ok(set.inverted_if(is_inverted))
    }

    fn named_class(&mut self) -> Result<Option<Set>, Wrong> {
        let Some(rest) = self.rest.strip_prefix("[:").filter(|_| !self.has_no_named_class) else {
            return Ok(None);
        };
        let Some((name, _)) = rest.split_once(":]") else {
            self.has_no_named_class = true;
            return Ok(None);
        };
        let (name, is_inverted) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let set = Set::posix(name, self.folds).ok_or(BAD_RANGE)?;
        let length = "[::]".len() + name.len() + usize::from(is_inverted);
        self.skip(length);
        Ok(Some(set.inverted_if(is_inverted)))
    }

    fn class_range(&mut self) -> Result<Set, Wrong> {
        let first = self.class_character()?;
        let last = match self.rest.strip_prefix('-') {
            Some(rest) if !rest.starts_with(']') => {
                self.skip(1);
                self.class_character()?
            }
            Some(_) | None => first,
        };
        if last < first {
            return Err(BAD_RANGE);
        }
        Ok(Set::range(first, last, self.folds))
    }

    fn class_character(&mut self) -> Result<char, Wrong> {
        if self.rest.starts_with('\\') {
            return self.escape();
        }
        self.next().ok_or(NO_BRACKET)
    }
}

/// `{2}`, `{2,}`, `{2,3}` at the front: its length and the counts. Anything else is no repetition.
fn counts(rest: &str) -> Option<(usize, u32, Option<u32>)> {
    let inside = rest.strip_prefix('{')?;
    let end = inside.find(|character: char| !character.is_ascii_digit() && character != ',')?;
    let (inside, rest) = inside.split_at_checked(end)?;
    if !rest.starts_with('}') {
        return None;
    }
    let count = |digits: &str| {
        let is_count = digits == "0" || !digits.is_empty() && !digits.starts_with('0') && !digits.contains(',');
        // One that is too large is refused, not read.
        is_count.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let (least, most) = match inside.split_once(',') {
        None => (count(inside)?, Some(count(inside)?)),
        Some((least, "")) => (count(least)?, None),
        Some((least, most)) => (count(least)?, Some(count(most)?)),
    };
    Some((inside.len() + 2, least, most))
}
