//! Finds many texts at once, in one pass over a text however many there are.
//!
//! An automaton holds most of them. Building it takes time that grows with their number, so that a few new
//! ones are searched one by one until they are worth another build. Does not know that they are secrets.

use std::ops::Range;

use aho_corasick::AhoCorasick;

/// New texts that are searched one by one, at least; a search takes some 50 ns in a line of a log.
const RECENT_MIN: usize = 64;
/// An eighth of all texts may be new, so that n texts cost few builds: about 8 ln n.
const RECENT_SHARE: usize = 8;

#[derive(Default)]
pub(super) struct Search {
    /// None while it has no texts.
    automaton: Option<AhoCorasick>,
    recent: Vec<String>,
}

impl Search {
    /// Adds a text.
    pub(super) fn add(&mut self, text: String) {
        self.recent.push(text);
    }

    /// Whether so many texts are new that another build is worth its time.
    pub(super) fn is_stale(&self) -> bool {
        self.recent.len() > RECENT_MIN.max(self.built() / RECENT_SHARE)
    }

    /// Replaces all texts. When the automaton cannot be built, they are searched one by one.
    pub(super) fn rebuild(&mut self, texts: Vec<String>) {
        match AhoCorasick::new(&texts) {
            Ok(automaton) => (self.automaton, self.recent) = (Some(automaton), Vec::new()),
            Err(error) => {
                tracing::debug!(%error, "texts are searched one by one");
                (self.automaton, self.recent) = (None, texts);
            }
        }
    }

    /// Where texts occur: in order, and those that overlap as one.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let known = self.automaton.iter().flat_map(|automaton| automaton.find_overlapping_iter(text));
        let mut found: Vec<Range<usize>> = known.map(|found| found.range()).collect();
        for recent in &self.recent {
            found.extend(text.match_indices(recent.as_str()).map(|(at, _)| at..at + recent.len()));
        }
        found.sort_unstable_by_key(|found| found.start);
        found.dedup_by(|next, before| {
            let is_joined = next.start < before.end;
            before.end = if is_joined { before.end.max(next.end) } else { before.end };
            is_joined
        });
        found
    }

    /// Texts in the automaton.
    pub(super) fn built(&self) -> usize {
        self.automaton.as_ref().map_or(0, AhoCorasick::patterns_len)
    }
}

#[cfg(test)]
mod tests {
    use super::{RECENT_MIN, Search};

    #[test]
    fn texts_are_found_whether_they_are_new_or_not() {
        let mut search = Search::default();
        assert!(search.find("abc").is_empty());
        search.rebuild(vec!["abcd".to_owned(), "cdef".to_owned()]);
        search.add("efgh".to_owned());
        assert_eq!(search.find("xabcdefghx abcd efg"), [1..9, 11..15], "overlapping ones are one");
        assert_eq!(search.find("efgh").first(), Some(&(0..4)));
    }

    #[test]
    fn builds_are_rare() {
        let (mut search, mut all, mut builds) = (Search::default(), Vec::new(), 0);
        for number in 0..10_000 {
            all.push(format!("text-{number}"));
            search.add(format!("text-{number}"));
            if search.is_stale() {
                builds += 1;
                search.rebuild(all.clone());
            }
            assert!(search.recent.len() <= RECENT_MIN.max(all.len() / 8));
        }
        assert!(builds < 60, "{builds}");
    }
}
