//! What Apache Kafka takes for a regular expression, and what it matches: by RE2/J 1.8, in flags and words as Kafka uses it.

use super::*;
use crate::coordinator::group::consumer::NoTopics;

/// Names that each expression is tried on.
const NAMES: &str = "a b ab x X k K s S aa aaa aab abc - 1 12 _ . .. a.b A Ab aB AB 8 a-b Qa c alpha";

/// Expressions, and which of the names each matches, or what is wrong with it.
#[rustfmt::skip]
const BY_RE2J: &[(&str, Result<&str, &str>)] = &[
    (r"a{1000}", Ok("")),
    (r"a{1001}", Err("invalid repeat count")),
    (r"a{0,1001}", Err("invalid repeat count")),
    (r"a{1001,}", Err("invalid repeat count")),
    (r"a{2,1}", Err("invalid repeat count")),
    (r"(a{100}){100}", Ok("")),
    (r"(a{10}){100}", Ok("")),
    (r"(a{10}){101}", Ok("")),
    (r"((a{10}){10}){10}", Ok("")),
    (r"((a{10}){10}){11}", Ok("")),
    (r"a{0}", Ok("")),
    (r"(a{0,1000}){2}", Ok("a aa aaa")),
    (r"(a{500}){2}", Ok("")),
    (r"(a{501}){2}", Ok("")),
    (r"(a{2}){500}", Ok("")),
    (r"(a*){1000}", Ok("a aa aaa")),
    (r"(a{1000}|b{1000}){1}", Ok("")),
    (r"(a{1000}b{1000}c{1000})", Ok("")),
    (r"(?:a{1000}){1,1}", Ok("")),
    (r"(?=x)", Err("invalid or unsupported Perl syntax")),
    (r"(?!x)", Err("invalid or unsupported Perl syntax")),
    (r"(?<=x)", Err("invalid named capture")),
    (r"(?<!x)", Err("invalid named capture")),
    (r"(?>x)", Err("invalid or unsupported Perl syntax")),
    (r"\1", Err("invalid escape sequence")),
    (r"(a)\1", Err("invalid escape sequence")),
    (r"[[:alpha:]]+", Ok("a b ab x X k K s S aa aaa aab abc A Ab aB AB Qa c alpha")),
    (r"[[:foo:]]", Err("invalid character class range")),
    (r"[[:^digit:]]", Ok("a b x X k K s S - _ . A c")),
    (r"[:alpha:]", Ok("a")),
    (r"(?i)x", Ok("x X")),
    (r"(?x)x y", Err("invalid or unsupported Perl syntax")),
    (r"(?s)x", Ok("x")),
    (r"(?m)x", Ok("x")),
    (r"(?U)x*", Ok("x")),
    (r"(?u)x", Err("invalid or unsupported Perl syntax")),
    (r"(?i-s:x)", Ok("x X")),
    (r"(?-i)x", Ok("x")),
    (r"(?ii)x", Ok("x X")),
    (r"(?i", Err("invalid or unsupported Perl syntax")),
    (r"(?)", Ok("")),
    (r"(?:)", Ok("")),
    (r"()", Ok("")),
    (r"", Ok("")),
    (r"(?P<n>a)", Ok("a")),
    (r"(?<n>a)", Ok("a")),
    (r"(?P<n>a)(?P<n>b)", Err("duplicate capture group name")),
    (r"(?P<1>a)", Ok("a")),
    (r"(?P=n)", Err("invalid or unsupported Perl syntax")),
    (r"(?P>n)", Err("invalid or unsupported Perl syntax")),
    (r"(?#c)a", Err("invalid or unsupported Perl syntax")),
    (r"(?'n'a)", Err("invalid or unsupported Perl syntax")),
    (r"\pL", Ok("a b x X k K s S A c")),
    (r"\p{L}", Ok("a b x X k K s S A c")),
    (r"\p{Greek}", Ok("")),
    (r"\p{greek}", Err("invalid character class range")),
    (r"\p{IsGreek}", Err("invalid character class range")),
    (r"\p{Lu}", Ok("X K S A")),
    (r"\p{Foo}", Err("invalid character class range")),
    (r"\pX", Err("invalid character class range")),
    (r"\p{^Greek}", Ok("a b x X k K s S - 1 _ . A 8 c")),
    (r"\P{Greek}", Ok("a b x X k K s S - 1 _ . A 8 c")),
    (r"\p", Err("invalid character class range")),
    (r"\p{", Err("invalid character class range")),
    (r"\p{L", Err("invalid character class range")),
    (r"\p{Script=Greek}", Err("invalid character class range")),
    (r"\p{Any}", Ok("a b x X k K s S - 1 _ . A 8 c")),
    (r"\p{Latin}", Ok("a b x X k K s S A c")),
    (r"\p{Letter}", Err("invalid character class range")),
    (r"\p{Alphabetic}", Err("invalid character class range")),
    (r"\p{Lower}", Err("invalid character class range")),
    (r"\p{ASCII}", Err("invalid character class range")),
    (r"[\pL]", Ok("a b x X k K s S A c")),
    (r"[^\PL]", Ok("a b x X k K s S A c")),
    (r"a++", Err("invalid nested repetition operator")),
    (r"a*+", Err("invalid nested repetition operator")),
    (r"a?+", Err("invalid nested repetition operator")),
    (r"a**", Err("invalid nested repetition operator")),
    (r"a*?", Ok("a aa aaa")),
    (r"a*??", Err("invalid nested repetition operator")),
    (r"a+?", Ok("a aa aaa")),
    (r"a??", Ok("a")),
    (r"a{2}{3}", Err("invalid nested repetition operator")),
    (r"a{2}*", Err("invalid nested repetition operator")),
    (r"a{2}?", Ok("aa")),
    (r"a{2}+", Err("invalid nested repetition operator")),
    (r"a{2}?{3}", Err("invalid nested repetition operator")),
    (r"a*{2}", Err("invalid nested repetition operator")),
    (r"(a*)*", Ok("a aa aaa")),
    (r"(a+)+", Ok("a aa aaa")),
    (r"*", Err("missing argument to repetition operator")),
    (r"+a", Err("missing argument to repetition operator")),
    (r"?", Err("missing argument to repetition operator")),
    (r"{2}", Err("missing argument to repetition operator")),
    (r"{", Ok("")),
    (r"a{", Ok("")),
    (r"a{,2}", Ok("")),
    (r"a{2", Ok("")),
    (r"a{2,", Ok("")),
    (r"a{2,3", Ok("")),
    (r"a{x}", Ok("")),
    (r"a{-1}", Ok("")),
    (r"a{ 1}", Ok("")),
    (r"a{1 }", Ok("")),
    (r"a{01}", Ok("")),
    (r"a{00001}", Ok("")),
    (r"a{99999999999}", Err("invalid repeat count")),
    (r"}", Ok("")),
    (r"a}", Ok("")),
    (r"]", Ok("")),
    (r"a]", Ok("")),
    (r"[", Err("missing closing ]")),
    (r"[a", Err("missing closing ]")),
    (r"[]", Err("missing closing ]")),
    (r"[]a]", Ok("a")),
    (r"[^]a]", Ok("b x X k K s S - 1 _ . A 8 c")),
    (r"[a-]", Ok("a -")),
    (r"[-a]", Ok("a -")),
    (r"[a-b-c]", Ok("a b - c")),
    (r"[b-a]", Err("invalid character class range")),
    (r"[a-\d]", Err("invalid escape sequence")),
    (r"[\d-a]", Ok("a - 1 8")),
    (r"[a&&b]", Ok("a b")),
    (r"[a--b]", Err("invalid character class range")),
    (r"[a~~b]", Ok("a b")),
    (r"[a[b]]", Ok("")),
    (r"[[a]]", Ok("")),
    (r"[^[b]]", Ok("")),
    (r"[\w]", Ok("a b x X k K s S 1 _ A 8 c")),
    (r"[\W\w]", Ok("a b x X k K s S - 1 _ . A 8 c")),
    (r"[^\W\w]", Ok("")),
    (r"[\b]", Err("invalid escape sequence")),
    (r"[\-]", Ok("-")),
    (r"[\]]", Ok("")),
    (r"[a\]", Err("missing closing ]")),
    (r"(", Err("missing closing )")),
    (r")", Err("regexp/syntax: internal error")),
    (r"(a", Err("missing closing )")),
    (r"a)", Err("regexp/syntax: internal error")),
    (r"((a)", Err("missing closing )")),
    (r"\", Err("trailing backslash at end of expression")),
    (r"a\", Err("trailing backslash at end of expression")),
    (r"\Q..\E", Ok("..")),
    (r"\Qa.b", Ok("a.b")),
    (r"\Q\E", Ok("")),
    (r"\Qa\Eb*", Ok("a ab")),
    (r"\Qab\E*", Ok("a ab")),
    (r"\Q(\E", Ok("")),
    (r"a\Eb", Err("invalid escape sequence")),
    (r"\E", Err("invalid escape sequence")),
    (r"[\Qa]\E]", Err("invalid escape sequence")),
    (r"\A", Ok("")),
    (r"\z", Ok("")),
    (r"\Z", Err("invalid escape sequence")),
    (r"\b", Ok("")),
    (r"\B", Ok("")),
    (r"\b{start}", Ok("")),
    (r"\<", Ok("")),
    (r"\>", Ok("")),
    (r"^", Ok("")),
    (r"$", Ok("")),
    (r"^$", Ok("")),
    (r"^*", Ok("")),
    (r"$*", Ok("")),
    (r"\b+", Ok("")),
    (r"(?:^)*", Ok("")),
    (r"a^b", Ok("")),
    (r"\G", Err("invalid escape sequence")),
    (r"\K", Err("invalid escape sequence")),
    (r"\R", Err("invalid escape sequence")),
    (r"\X", Err("invalid escape sequence")),
    (r"\C", Err("invalid escape sequence")),
    (r"\h", Err("invalid escape sequence")),
    (r"\v", Ok("")),
    (r"\H", Err("invalid escape sequence")),
    (r"\N", Err("invalid escape sequence")),
    (r"\d", Ok("1 8")),
    (r"\D", Ok("a b x X k K s S - _ . A c")),
    (r"\s", Ok("")),
    (r"\S", Ok("a b x X k K s S - 1 _ . A 8 c")),
    (r"\w", Ok("a b x X k K s S 1 _ A 8 c")),
    (r"\W", Ok("- .")),
    (r"\a", Ok("")),
    (r"\e", Err("invalid escape sequence")),
    (r"\f", Ok("")),
    (r"\n", Ok("")),
    (r"\r", Ok("")),
    (r"\t", Ok("")),
    (r"\cA", Err("invalid escape sequence")),
    (r"\0", Ok("")),
    (r"\00", Ok("")),
    (r"\012", Ok("")),
    (r"\123", Ok("S")),
    (r"\8", Err("invalid escape sequence")),
    (r"\9", Err("invalid escape sequence")),
    (r"\12", Ok("")),
    (r"\77", Ok("")),
    (r"\400", Ok("")),
    (r"\x41", Ok("A")),
    (r"\x4", Err("invalid escape sequence")),
    (r"\x", Err("invalid escape sequence")),
    (r"\x{41}", Ok("A")),
    (r"\x{}", Err("invalid escape sequence")),
    (r"\x{110000}", Err("invalid escape sequence")),
    (r"\x{10FFFF}", Ok("")),
    (r"\xg", Err("invalid escape sequence")),
    (r"\u0041", Err("invalid escape sequence")),
    (r"\o{101}", Err("invalid escape sequence")),
    (r"\_", Ok("_")),
    (r"\-", Ok("-")),
    (r"\.", Ok(".")),
    (r"\ ", Ok("")),
    (r"\!", Ok("")),
    (r"\é", Ok("")),
    (r"\y", Err("invalid escape sequence")),
    (r"\i", Err("invalid escape sequence")),
    (r"\j", Err("invalid escape sequence")),
    (r"é", Ok("")),
    (r"日本", Ok("")),
    (r"a|b", Ok("a b")),
    (r"|", Ok("")),
    (r"a|", Ok("a")),
    (r"|a", Ok("a")),
    (r"(|a)", Ok("a")),
    (r"a||b", Ok("a b")),
    (r"(a|b|)", Ok("a b")),
    (r".", Ok("a b x X k K s S - 1 _ . A 8 c")),
    (r".*", Ok("a b ab x X k K s S aa aaa aab abc - 1 12 _ . .. a.b A Ab aB AB 8 a-b Qa c alpha")),
    (r".+", Ok("a b ab x X k K s S aa aaa aab abc - 1 12 _ . .. a.b A Ab aB AB 8 a-b Qa c alpha")),
    (r"[^a]", Ok("b x X k K s S - 1 _ . A 8 c")),
    (r"[^\x00-\x{10FFFF}]", Ok("")),
    (r"[[:word:]]", Ok("a b x X k K s S 1 _ A 8 c")),
    (r"\d{2}", Ok("12")),
    (r"[[:alpha:][:digit:]]", Ok("a b x X k K s S 1 A 8 c")),
    (r"[[:alpha:]-z]", Ok("a b x X k K s S - A c")),
    (r"[a-[:alpha:]]", Err("invalid character class range")),
    (r"[[.a.]]", Ok("")),
    (r"[[=a=]]", Ok("")),
    (r"(?i)K", Ok("k K")),
    (r"(?i)[k]", Ok("k K")),
    (r"\p{Han}", Ok("")),
    (r"(?i:ab)c", Ok("abc")),
    (r"(?i)a(?-i)b", Ok("ab Ab")),
    (r"(?i)\Qab\E", Ok("ab Ab aB AB")),
    (r" a", Ok("")),
    (r"a b", Ok("")),
    (r"#a", Ok("")),
    (r"a#b", Ok("")),
    (r"&", Ok("")),
    (r"~", Ok("")),
    (r"(?P<n", Err("invalid named capture")),
    (r"(?P<>a)", Err("invalid named capture")),
    (r"(?<>a)", Err("invalid named capture")),
    (r"(?P<a-b>a)", Err("invalid named capture")),
    (r"(?P<é>a)", Err("invalid named capture")),
    (r"(?:a", Err("missing closing )")),
    (r"(?i:a", Err("missing closing )")),
    (r"(?z)a", Err("invalid or unsupported Perl syntax")),
    (r"(?i:)", Ok("")),
    (r"(?-)a", Err("invalid or unsupported Perl syntax")),
    (r"(?i-)a", Err("invalid or unsupported Perl syntax")),
    (r"(?--i)a", Err("invalid or unsupported Perl syntax")),
    (r"(?i-i)a", Ok("a")),
    (r"(?i-s-m)a", Err("invalid or unsupported Perl syntax")),
    (r"(?^i)a", Err("invalid or unsupported Perl syntax")),
    (r"(?R)", Err("invalid or unsupported Perl syntax")),
    (r"(?1)", Err("invalid or unsupported Perl syntax")),
    (r"(?&n)", Err("invalid or unsupported Perl syntax")),
    (r"(*UTF8)a", Err("missing argument to repetition operator")),
    (r"\g1", Err("invalid escape sequence")),
    (r"\k<n>", Err("invalid escape sequence")),
    (r"a{1,1000}", Ok("a aa aaa")),
    (r"a{1,1001}", Err("invalid repeat count")),
    (r"(a{1,500}){2}", Ok("aa aaa")),
    (r"(a{1,501}){2}", Ok("aa aaa")),
    (r"(a{0,500}){0,2}", Ok("a aa aaa")),
    (r"(a{2,}){501}", Ok("")),
    (r"(a{1000,})*", Ok("")),
    (r"(a+){1001}", Err("invalid repeat count")),
    (r"(a{2}b{2}){500}", Ok("")),
    (r"(a{2}b{2}){501}", Ok("")),
    (r"((a|b{2}){2}){251}", Ok("")),
    (r"((((a{2}){2}){2}){2}){63}", Ok("")),
    (r"x{2}{500}", Err("invalid nested repetition operator")),
    (r"(?i)\x{212A}", Ok("k K")),
    (r"(?i)K", Ok("k K")),
    (r"(?i)[ſ]", Ok("s S")),
    (r"(?i)\p{Ll}", Ok("a b x k K s S c")),
    (r"(?i)\p{Lu}", Ok("a b x X k K s S A c")),
    (r"\p{Common}", Ok("- 1 _ . 8")),
    (r"[\p{Nd}x]", Ok("x 1 8")),
    (r"[^\d\pL]", Ok("- _ .")),
    (r"(a)(?i)*", Ok("a aa aaa")),
    (r"(?i)(a)(?-i:b)", Ok("ab Ab")),
    (r"((?i)a)b", Ok("ab Ab")),
    (r"a(?i)b|x", Ok("ab x X aB")),
    (r"(?i:a|b)x", Ok("")),
    (r"\d+|[-.]{2}", Ok("1 12 .. 8")),
    (r"(?s).(?-s).", Ok("ab aa 12 .. Ab aB AB Qa")),
    (r"a{0,0}", Ok("")),
    (r"(){3}b", Ok("b")),
    (r"(a|){2}b", Ok("b ab aab")),
    (r"(^|b)a", Ok("a")),
    (r"a(^){2}b", Ok("")),
    (r"a(\b){2}\.b", Ok("a.b")),
    (r"(a?){300}", Ok("a aa aaa")),
    (r"[[:a]b:]", Err("invalid character class range")),
    (r"[[:alpha:", Err("missing closing ]")),
    (r"[a-c-]", Ok("a b - c")),
    (r"\x{0000041}", Ok("A")),
    (r"\x{1F600}", Ok("")),
    (r"(?P<n>a)|(?P<m>b)", Ok("a b")),
    (r"(^(a))*", Ok("a")),
    (r"((a))*", Ok("a aa aaa")),
    (r"^(a|b)|1$", Ok("a b 1")),
    (r"(a|b)$|1", Ok("a b 1")),
    (r"((a|b))|1", Ok("a b 1")),
    (r"^(((a|b)))$", Ok("a b")),
];

fn begin(regex: &str) -> Result<Resolving, String> {
    Resolving::begin(regex.into()).map_err(|refused| refused.to_string())
}

/// As clients are told.
fn refusal(regex: &str, wrong: &str) -> String {
    Refused::InvalidRegex(regex.into(), wrong.to_owned()).to_string()
}

#[test]
fn expressions_are_what_they_are_to_kafka() {
    for (regex, expected) in BY_RE2J {
        let matched = begin(regex).map(|resolving| {
            let names = NAMES.split(' ');
            let matched = names.filter(|name| resolving.is_match(name));
            matched.collect::<Vec<_>>().join(" ")
        });
        let expected = expected.map(str::to_owned).map_err(|wrong| refusal(regex, wrong));
        assert_eq!(matched, expected, "{regex}");
    }
}

#[test]
fn lengths_that_only_names_have_need_no_room() {
    let name = |bytes: usize| "a".repeat(bytes);
    let nested = format!("{}a{}", "(".repeat(2000), ")".repeat(2000));
    for (regex, lengths) in [
        ("a{249}", &[249][..]),
        ("a{250}", &[]),
        ("(a{100}){100}", &[]),
        ("((a{10}){10}){2}", &[200]),
        ("(a{1000}|b){2}|aa", &[2]),
        ("a{248,1000}", &[248, 249]),
        ("((a{0,100}){0,1000}){0,1000}", &[1, 2, 200, 248, 249]),
        (&nested, &[1]),
    ] {
        let resolving = begin(regex).unwrap();
        let matched = [1, 2, 200, 248, 249].into_iter();
        let matched = matched.filter(|bytes| resolving.is_match(&name(*bytes)));
        assert_eq!(matched.collect::<Vec<_>>(), lengths, "{regex}");
    }
}

#[test]
fn what_would_take_long_to_compile_is_refused() {
    let deep = format!("{}a{}", "(b|".repeat(300), ")".repeat(300));
    for regex in [
        "([ab]{0,200}c){0,200}",
        "((a|bb){0,200}c){0,200}",
        &deep,
        &"([ab]c){9}|".repeat(700),
        &format!("x({})", "a|".repeat(1500)),
        &"a".repeat(100_000),
    ] {
        assert_eq!(begin(regex).map(drop), Err(refusal(regex, piece::TOO_LARGE)), "{regex}");
    }
}

/// As many names as the longest expression has room for, however they are written.
#[test]
fn alternatives_of_the_whole_are_compiled_one_after_another() {
    let names: Vec<String> = (0..250)
        .map(|index| format!("company.team-{index:03}.orders.v1"))
        .collect();
    let all = names.join("|").replace('.', r"\.");
    for regex in [
        all.clone(),
        format!("({all})"),
        format!("^({all})$"),
        format!("^(?:(?P<all>{all}))$"),
    ] {
        let mut resolving = begin(&regex).unwrap();
        assert!(!resolving.is_compiled());
        while !resolving.is_compiled() {
            assert!(!resolving.advance(&NoTopics, 1));
        }
        assert!(resolving.compiled.len() <= 5, "{}", resolving.compiled.len());
        assert!(names.iter().all(|name| resolving.is_match(name)));
        for other in [
            "company.team-250.orders.v1",
            "company.team-001.orders.v",
            "company_team-001.orders.v1",
            "v1",
        ] {
            assert!(!resolving.is_match(other), "{other}");
        }
    }
}

/// Each of these takes others than this family as many steps as there are ways to cut the name up.
#[test]
fn expressions_that_explode_elsewhere_are_matched() {
    let name = "a".repeat(249);
    for regex in ["(a*)*b", "(a|a)*b", "(a+a+)+b", "(a?){200}a{48}b"] {
        let mut resolving = begin(regex).unwrap();
        assert!(!resolving.is_match(&name), "{regex}");
        assert!(resolving.advance(&NoTopics, 1));
        assert!(resolving.finish().is_empty());
    }
}
