//! Search criteria that all modules share: text and time ranges.

/// Whether a text contains the wanted one. Ignores case and wildcards; `${Empty}` and `${NotEmpty}` match
/// by presence.
pub(crate) fn contains(text: &str, wanted: &str) -> bool {
    match wanted {
        "${Empty}" => text.is_empty(),
        "${NotEmpty}" => !text.is_empty(),
        wanted => text.to_lowercase().contains(&wanted.replace('*', "").to_lowercase()),
    }
}

/// Whether a time lies in a range, both ends included.
pub(crate) fn in_range(range: Option<(i64, i64)>, at: i64) -> bool {
    range.is_some_and(|(from, to)| (from..=to).contains(&at))
}

#[cfg(test)]
mod tests {
    use super::{contains, in_range};

    #[test]
    fn text_is_matched_without_case_and_wildcards() {
        assert!(contains("Invoice 17", "*VOICE*") && !contains("Invoice", "order"));
    }

    #[test]
    fn the_empty_criteria_match_by_presence() {
        assert!(contains("", "${Empty}") && !contains("x", "${Empty}"));
        assert!(contains("x", "${NotEmpty}") && !contains("", "${NotEmpty}"));
    }

    #[test]
    fn a_range_includes_both_ends() {
        let inside = [0, 1, 3, 4].map(|at| in_range(Some((1, 3)), at));
        assert_eq!(inside, [false, true, true, false]);
        assert!(!in_range(None, 1));
    }
}
