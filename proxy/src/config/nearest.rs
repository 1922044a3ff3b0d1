//! The word that was probably meant.

/// The candidate with the smallest edit distance to `word`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the word may be wrong; two letters in short ones (`prot` for `port`).
    let distance_max = (word.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= distance_max && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, `-` and `_` being the same letter.
fn distance(left: &str, right: &str) -> usize {
    let fold = |letter: char| {
        if letter == '-' {
            '_'
        } else {
            letter.to_ascii_lowercase()
        }
    };
    let right: Vec<char> = right.chars().map(fold).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.chars().map(fold).enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            let above = *cell;
            let changed = diagonal + usize::from(letter != *other);
            before = changed.min(above + 1).min(before + 1);
            diagonal = above;
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, expected) in [
            ("", "", 0),
            ("listen", "listen", 0),
            ("listn", "listen", 1),
            ("", "mode", 4),
            ("mdoe", "mode", 2),
            ("metrics-listen", "metrics_listen", 0),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn nearest_key() {
        let keys = ["listen", "upstream", "mode", "metrics_listen"];
        assert_eq!(nearest("lisen", keys), Some("listen"));
        assert_eq!(nearest("metrics-listen", keys), Some("metrics_listen"));
        assert_eq!(nearest("up_stream", keys), Some("upstream"));
        assert_eq!(nearest("banana", keys), None);
    }
}
