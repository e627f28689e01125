//! Finds many texts at once, in one pass over a text however many there are.
//!
//! An automaton holds most of them. Building it takes time that grows with their number, so that a few new
//! ones are searched one by one until they are worth another build. Does not know that they are secrets.

use std::ops::Range;
use std::sync::Arc;

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;

/// New texts that are searched one by one, at least; a search takes some 50 ns in a line of a log.
const RECENT_MIN: usize = 16;
/// An eighth of all texts may be new, so that n texts cost few builds: about 8 ln n.
const RECENT_SHARE: usize = 8;

#[derive(Clone, Default)]
pub(super) struct Search {
    /// None while it has no texts.
    automaton: Option<Arc<NFA>>,
    recent: Vec<String>,
}

impl Search {
    /// Builds an automaton of the texts. When it cannot be built, they are searched one by one.
    pub(super) fn of(texts: Vec<String>) -> Self {
        // A table of every state and byte would take hundreds of MiB if some texts are long.
        match NFA::new(&texts) {
            Ok(automaton) => Self { automaton: Some(Arc::new(automaton)), recent: Vec::new() },
            Err(error) => {
                tracing::debug!(%error, "texts are searched one by one");
                Self { automaton: None, recent: texts }
            }
        }
    }

    /// Adds a text.
    pub(super) fn add(&mut self, text: String) {
        self.recent.push(text);
    }

    /// Whether so many texts are new that another build is worth its time.
    pub(super) fn is_stale(&self) -> bool {
        self.recent.len() > RECENT_MIN.max(self.built() / RECENT_SHARE)
    }

    /// Replaces all texts except those that were added after the first `recent`, during the build.
    pub(super) fn replace(&mut self, built: Self, recent: usize) {
        let added = self.recent.split_off(recent.min(self.recent.len()));
        *self = built;
        self.recent.extend(added);
    }

    /// Texts that were added since the build.
    pub(super) fn recent(&self) -> usize {
        self.recent.len()
    }

    /// Where texts occur: in order, and those that overlap as one.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        // Come in the order of their ends, and are joined at once.
        for mut range in self.automaton.iter().flat_map(|automaton| longest(automaton, text)) {
            while let Some(before) = found.pop_if(|before| range.start < before.end) {
                range = range.start.min(before.start)..range.end.max(before.end);
            }
            found.push(range);
        }
        for recent in &self.recent {
            let before = found.len();
            found.extend(text.match_indices(recent.as_str()).map(|(at, _)| at..at + recent.len()));
            if found.len() > before {
                found = joined(found);
            }
        }
        found
    }

    /// Bytes of the longest text.
    pub(super) fn longest(&self) -> usize {
        let built = self.automaton.as_ref().map_or(0, |automaton| automaton.max_pattern_len());
        self.recent.iter().map(String::len).max().unwrap_or(0).max(built)
    }

    /// Texts in the automaton.
    pub(super) fn built(&self) -> usize {
        self.automaton.as_ref().map_or(0, |automaton| automaton.patterns_len())
    }
}

/// At each byte the longest of the texts that end there: of texts within each other, hundreds may.
fn longest(automaton: &NFA, text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut state = automaton.start_state(Anchored::No).ok();
    text.bytes().enumerate().filter_map(move |(at, byte)| {
        let next = automaton.next_state(Anchored::No, state?, byte);
        state = Some(next);
        // Its own text comes first, before those that are its ends.
        automaton.is_match(next).then(|| {
            let bytes = automaton.pattern_len(automaton.match_pattern(next, 0));
            at + 1 - bytes..at + 1
        })
    })
}

/// Places in order, and those that overlap as one.
pub(super) fn joined(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_unstable_by_key(|found| found.start);
    found.dedup_by(|next, before| {
        let is_joined = next.start < before.end;
        before.end = if is_joined { before.end.max(next.end) } else { before.end };
        is_joined
    });
    found
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::{RECENT_MIN, Search};

    #[test]
    fn texts_are_found_whether_they_are_new_or_not() {
        let mut search = Search::default();
        assert!(search.find("abc").is_empty());
        search.add("abcd".to_owned());
        let built = Search::of(vec!["abcd".to_owned(), "cdef".to_owned()]);
        search.add("efgh".to_owned());
        search.replace(built, 1);
        assert_eq!((search.built(), search.recent()), (2, 1), "one was added during the build");
        assert_eq!(search.find("xabcdefghx abcd efg"), [1..9, 11..15], "overlapping ones are one");
        assert_eq!(search.find("efgh").first(), Some(&(0..4)));
    }

    #[test]
    fn texts_within_each_other_are_joined_as_they_are_found() {
        let nested: Vec<String> = (8..72).map(|bytes| "a".repeat(bytes)).collect();
        let search = Search::of(nested.clone());
        assert_eq!(search.find(&"a".repeat(1 << 16)), [Range { start: 0, end: 1 << 16 }]);
        // One for each byte, however many texts end there.
        let automaton = search.automaton.as_ref().expect("built");
        let found: Vec<_> = super::longest(automaton, &"a".repeat(1_000)).collect();
        assert_eq!((found.len(), found.last()), (1_000 - 7, Some(&(929..1_000))));
        let new = Search { recent: nested, ..Search::default() };
        // None of them, one after the other, ends at the start of another one.
        assert_eq!(new.find(&"a".repeat(72 * 71)), [Range { start: 0, end: 72 * 71 }]);
    }

    #[test]
    fn builds_are_rare() {
        let (mut search, mut all, mut builds) = (Search::default(), Vec::new(), 0);
        for number in 0..10_000 {
            all.push(format!("text-{number}"));
            search.add(format!("text-{number}"));
            if search.is_stale() {
                builds += 1;
                search.replace(Search::of(all.clone()), search.recent());
            }
            assert!(search.recent.len() <= RECENT_MIN.max(all.len() / 8));
        }
        assert!(builds < 60, "{builds}");
    }
}
