//! Sets of the characters that names of topics are made of, as a regular expression means them.

/// Characters of names of topics; all others are in no set, for they are in no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Set(u128);

impl Set {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ALL: Self = Self::between('-', '.')
        .with(Self::between('0', '9'))
        .with(Self::between('_', '_'))
        .with(Self::LETTERS);
    const UPPER: Self = Self::between('A', 'Z');
    const LOWER: Self = Self::between('a', 'z');
    const LETTERS: Self = Self::UPPER.with(Self::LOWER);

    const fn between(first: char, last: char) -> Self {
        Self((u128::MAX >> (127 - last as u32)) & (u128::MAX << first as u32))
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn inverted(self) -> Self {
        Self(Self::ALL.0 & !self.0)
    }

    pub(super) fn inverted_if(self, is_inverted: bool) -> Self {
        if is_inverted { self.inverted() } else { self }
    }

    /// The characters from one to another, with those that differ in case alone where that is of no account.
    pub(super) fn range(first: char, last: char, folds: bool) -> Self {
        let in_ascii = match u32::from(first) {
            0..=127 => Self::between(first, last.min('\x7f')),
            _ => Self::NONE,
        };
        let mut set = Self(in_ascii.0 & Self::ALL.0);
        if folds {
            set = set.folded();
            // Signs that are an upper case of letters.
            for (sign, letters) in [('\u{212A}', ['k', 'K']), ('\u{17F}', ['s', 'S'])] {
                if (first..=last).contains(&sign) {
                    set = letters
                        .into_iter()
                        .fold(set, |set, letter| set.with(Self::between(letter, letter)));
                }
            }
        }
        set
    }

    fn folded(self) -> Self {
        // The cases of a letter are 32 characters apart.
        let (upper, lower) = (self.0 & Self::UPPER.0, self.0 & Self::LOWER.0);
        Self(self.0 | upper << 32 | lower >> 32)
    }

    /// `\d` and its like.
    pub(super) fn perl(name: char) -> Option<Self> {
        Some(match name {
            'd' => Self::between('0', '9'),
            'D' => Self::between('0', '9').inverted(),
            's' => Self::NONE,
            'S' => Self::ALL,
            'w' => Self::WORD,
            'W' => Self::WORD.inverted(),
            _ => return None,
        })
    }

    const WORD: Self = Self::LETTERS
        .with(Self::between('0', '9'))
        .with(Self::between('_', '_'));

    /// `[:alpha:]` and its like, by the name alone.
    pub(super) fn posix(name: &str, folds: bool) -> Option<Self> {
        let set = match name {
            "alnum" => Self::LETTERS.with(Self::between('0', '9')),
            "alpha" => Self::LETTERS,
            "ascii" | "graph" | "print" => Self::ALL,
            "blank" | "cntrl" | "space" => Self::NONE,
            "digit" => Self::between('0', '9'),
            "lower" => Self::LOWER,
            "punct" => Self::between('-', '.').with(Self::between('_', '_')),
            "upper" => Self::UPPER,
            "word" => Self::WORD,
            "xdigit" => Self::between('0', '9')
                .with(Self::between('A', 'F'))
                .with(Self::between('a', 'f')),
            _ => return None,
        };
        Some(if folds { set.folded() } else { set })
    }

    /// `\p{Greek}` and its like, by the name alone: those that RE2/J knows.
    pub(super) fn unicode(name: &str, folds: bool) -> Option<Self> {
        let set = match name {
            "Any" => Self::ALL,
            "L" | "Latin" => Self::LETTERS,
            // Of a lower case, RE2/J folds the signs alone.
            "Ll" if folds => Self::LOWER.with(Self::between('K', 'K')).with(Self::between('S', 'S')),
            "Ll" => Self::LOWER,
            "Lu" if folds => Self::LETTERS,
            "Lu" => Self::UPPER,
            "N" | "Nd" => Self::between('0', '9'),
            "P" => Self::between('-', '.').with(Self::between('_', '_')),
            "Pc" => Self::between('_', '_'),
            "Pd" => Self::between('-', '-'),
            "Po" => Self::between('.', '.'),
            "Common" => Self::LETTERS.inverted(),
            _ if OTHER_CATEGORIES.contains(&name) || OTHER_SCRIPTS.contains(&name) => Self::NONE,
            _ => return None,
        };
        Some(set)
    }

    /// Ranges that it is made of.
    pub(super) fn ranges(self) -> usize {
        let ends = self.0 & !(self.0 >> 1);
        usize::try_from(ends.count_ones()).unwrap_or(usize::MAX)
    }

    /// As the engine reads it, which knows no sign that ends a line.
    pub(super) fn write(self, into: &mut String) {
        if self == Self::NONE {
            into.push_str("[a&&b]");
            return;
        }
        if self == Self::ALL {
            into.push('.');
            return;
        }
        let is_one = self.0.count_ones() == 1;
        if !is_one {
            into.push('[');
        }
        let has = |character: u8| self.0 >> character & 1 == 1;
        for character in (0..128u8).filter(|character| has(*character)) {
            let begins = !has(character - 1);
            let ends = !has(character + 1);
            if begins || ends {
                if ends && !begins {
                    into.push('-');
                }
                if !character.is_ascii_alphanumeric() {
                    into.push('\\');
                }
                into.push(char::from(character));
            }
        }
        if !is_one {
            into.push(']');
        }
    }
}

/// Categories of characters that are in no name.
const OTHER_CATEGORIES: &[&str] = &[
    "C", "Cc", "Cf", "Co", "Cs", "Lm", "Lo", "Lt", "M", "Mc", "Me", "Mn", "Nl", "No", "Pe", "Pf", "Pi", "Ps", "S",
    "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs",
];

/// Scripts that no name is written in.
const OTHER_SCRIPTS: &[&str] = &[
    "Arabic",
    "Armenian",
    "Avestan",
    "Balinese",
    "Bamum",
    "Batak",
    "Bengali",
    "Bopomofo",
    "Brahmi",
    "Braille",
    "Buginese",
    "Buhid",
    "Canadian_Aboriginal",
    "Carian",
    "Cham",
    "Cherokee",
    "Coptic",
    "Cuneiform",
    "Cypriot",
    "Cyrillic",
    "Deseret",
    "Devanagari",
    "Egyptian_Hieroglyphs",
    "Ethiopic",
    "Georgian",
    "Glagolitic",
    "Gothic",
    "Greek",
    "Gujarati",
    "Gurmukhi",
    "Han",
    "Hangul",
    "Hanunoo",
    "Hebrew",
    "Hiragana",
    "Imperial_Aramaic",
    "Inherited",
    "Inscriptional_Pahlavi",
    "Inscriptional_Parthian",
    "Javanese",
    "Kaithi",
    "Kannada",
    "Katakana",
    "Kayah_Li",
    "Kharoshthi",
    "Khmer",
    "Lao",
    "Lepcha",
    "Limbu",
    "Linear_B",
    "Lisu",
    "Lycian",
    "Lydian",
    "Malayalam",
    "Mandaic",
    "Meetei_Mayek",
    "Mongolian",
    "Myanmar",
    "New_Tai_Lue",
    "Nko",
    "Ogham",
    "Ol_Chiki",
    "Old_Italic",
    "Old_Persian",
    "Old_South_Arabian",
    "Old_Turkic",
    "Oriya",
    "Osmanya",
    "Phags_Pa",
    "Phoenician",
    "Rejang",
    "Runic",
    "Samaritan",
    "Saurashtra",
    "Shavian",
    "Sinhala",
    "Sundanese",
    "Syloti_Nagri",
    "Syriac",
    "Tagalog",
    "Tagbanwa",
    "Tai_Le",
    "Tai_Tham",
    "Tai_Viet",
    "Tamil",
    "Telugu",
    "Thaana",
    "Thai",
    "Tibetan",
    "Tifinagh",
    "Ugaritic",
    "Unknown",
    "Vai",
    "Yi",
];
