//! Parts of a regular expression, as text for the engine, and how large a program that makes.

use super::set::Set;
use super::syntax::Wrong;
use crate::base::limits::{REGEX_COST_MAX, REGEX_DEPTH_MAX, TOPIC_NAME_BYTES_MAX};

/// Not in the words of RE2/J, which takes any.
pub(super) const TOO_LARGE: Wrong = "expression is too large";

const COST_OF_CLASS: usize = 4;
const COST_OF_RANGE: usize = 2;
const COST_OF_REPETITION: usize = 4;

/// A part of an expression.
#[derive(Debug)]
pub(super) struct Piece {
    text: String,
    /// Whether a repetition behind the text is of all of it.
    is_atom: bool,
    /// The length of the shortest that it matches.
    shortest: usize,
    /// Whether it matches nothing wherever that stands.
    is_optional: bool,
    /// Of compiling it, in characters that are compiled by themselves, about.
    cost: usize,
    depth: usize,
}

impl Piece {
    pub(super) fn set(set: Set) -> Self {
        let mut text = String::new();
        set.write(&mut text);
        let cost = match text.len() {
            ..=2 => 1,
            _ => COST_OF_CLASS + COST_OF_RANGE * set.ranges(),
        };
        Self {
            text,
            is_atom: true,
            shortest: 1,
            is_optional: false,
            cost,
            depth: 0,
        }
    }

    /// What matches at some places, and takes nothing.
    pub(super) fn edge(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            is_atom: false,
            shortest: 0,
            ..Self::set(Set::NONE)
        }
    }

    fn nothing() -> Self {
        Self {
            text: String::new(),
            is_atom: false,
            shortest: 0,
            is_optional: true,
            cost: 1,
            depth: 0,
        }
    }

    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Within the bounds of what is compiled, and of what a name can be.
    fn bounded(self) -> Result<Self, Wrong> {
        if self.shortest > TOPIC_NAME_BYTES_MAX {
            return Ok(Self {
                shortest: TOPIC_NAME_BYTES_MAX + 1,
                ..Self::set(Set::NONE)
            });
        }
        match self.cost > REGEX_COST_MAX || self.depth > REGEX_DEPTH_MAX {
            true => Err(TOO_LARGE),
            false => Ok(self),
        }
    }

    fn as_atom(&self) -> String {
        match self.is_atom {
            true => self.text.clone(),
            false => format!("(?:{})", self.text),
        }
    }

    pub(super) fn any_of(mut alternatives: Vec<Self>) -> Result<Self, Wrong> {
        if alternatives.len() == 1 {
            return alternatives.pop().ok_or(TOO_LARGE);
        }
        let all = alternatives.iter();
        let texts: Vec<&str> = all.clone().map(|one| one.text.as_str()).collect();
        let any = Self {
            text: format!("(?:{})", texts.join("|")),
            is_atom: true,
            shortest: all.clone().map(|one| one.shortest).min().unwrap_or(0),
            is_optional: all.clone().any(|one| one.is_optional),
            cost: all.clone().map(|one| one.cost + 1).sum(),
            depth: all.map(|one| one.depth).max().unwrap_or(0) + 1,
        };
        any.bounded()
    }

    /// `least` times or more, up to `most`.
    pub(super) fn repeated(self, least: u32, most: Option<u32>) -> Result<Self, Wrong> {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        // As often as it is wanted, where any number will do.
        let least = if self.is_optional { 0 } else { count(least) };
        // What takes something comes no more often than a name has characters.
        let takes_something = self.is_optional || self.shortest > 0;
        let most = most
            .map(count)
            .filter(|most| !takes_something || *most <= TOPIC_NAME_BYTES_MAX);
        let counts = match most {
            _ if self.shortest * least > TOPIC_NAME_BYTES_MAX => String::new(),
            None if least == 0 => "*".to_owned(),
            None if least == 1 => "+".to_owned(),
            Some(1) if least == 0 => "?".to_owned(),
            None => format!("{{{least},}}"),
            Some(most) => format!("{{{least},{most}}}"),
        };
        let repeated = Self {
            text: format!("(?:{}{counts})", self.as_atom()),
            is_atom: true,
            shortest: self.shortest * least,
            is_optional: least == 0,
            cost: (self.cost + 1).saturating_mul(most.unwrap_or(least).max(1)) + COST_OF_REPETITION,
            depth: self.depth + 1,
        };
        repeated.bounded()
    }
}

/// Parts behind each other.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    pieces: Vec<Piece>,
    cost: usize,
}

impl Sequence {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether it is nothing yet but the begin of a name.
    pub(super) fn is_begin(&self) -> bool {
        self.pieces.iter().all(|piece| piece.text == "^")
    }

    pub(super) fn push(&mut self, piece: Piece) -> Result<(), Wrong> {
        self.cost += piece.cost;
        self.pieces.push(piece);
        match self.cost > REGEX_COST_MAX {
            true => Err(TOO_LARGE),
            false => Ok(()),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop()?;
        self.cost -= piece.cost;
        Some(piece)
    }

    pub(super) fn finish(mut self) -> Result<Piece, Wrong> {
        if self.pieces.len() == 1
            && let Some(piece) = self.pieces.pop()
        {
            return Ok(piece);
        }
        let mut all = Piece {
            depth: 1,
            ..Piece::nothing()
        };
        for piece in &self.pieces {
            all.text.push_str(&piece.text);
            all.shortest += piece.shortest;
            all.is_optional &= piece.is_optional;
            all.cost += piece.cost;
            all.depth = all.depth.max(piece.depth + 1);
        }
        all.bounded()
    }
}
