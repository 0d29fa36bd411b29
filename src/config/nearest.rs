//! Finds the name that a person probably meant.

/// The candidate fewest edits away from `name`, if that is near enough to be a slip of the hand.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = name.len() / 5 + 1;
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance: how many bytes to insert, remove or replace.
fn distance(from: &str, to: &str) -> usize {
    let to = to.as_bytes();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, from_byte) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to_byte) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from_byte != *to_byte);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, expected) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn only_near_names() {
        let names = ["num.partitions", "log.dirs", "log.dir"];
        let find = |name| nearest(name, names.iter().copied());
        assert_eq!(find("num.partition"), Some("num.partitions"));
        assert_eq!(find("log.dri"), Some("log.dir"));
        assert_eq!(find("something.else"), None);
    }
}
