//! Offset paging over a list that changes while it is read: rows may repeat, none is skipped, and it ends.
//! Pure.
//!
//! Zoho's lists have no cursor, only `from` (1-based) and `limit` (`zoho-desk-api.md` §3.2). A row deleted
//! before the offset moves every later row one place forward, so that the next page would skip one. Therefore
//! each page starts with the last row of the page before. If that row is where it should be, nothing moved.
//! If not, one of the last ids is looked for on the page; if none is there, the offset steps back until one
//! is, or until one of the trail is: the last rows of earlier pages, few of them far back, so that deleting
//! all last rows does not lead back to the first page. A short page is the end of the list only if it shows
//! one of these ids.
//!
//! Below a row of another table lists are many and short, and the page that proves the end would double their
//! cost: [`Longest`] takes most short pages for the last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::members::is_default;

/// The place in one list; plain data, part of the cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offset {
    /// `from` of the next request.
    pub(crate) from: u64,
    /// Ids of the rows last accepted, oldest first.
    pub(crate) last_ids: Vec<String>,
    /// The last rows of earlier pages with their places, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    trail: Vec<(u64, String)>,
    /// Consecutive full pages without a new row.
    #[serde(default, skip_serializing_if = "is_default")]
    stale_pages: u32,
}

/// The result of accepting a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PageOutcome {
    /// The rows from this index on are new.
    NewRows(usize),
    /// No new rows: ask again at the offset, which has moved.
    AskAgain,
    /// The list ends here.
    End,
    /// The server returns the same rows for every `from`.
    Repeating,
}

impl Default for Offset {
    fn default() -> Self {
        Self { from: 1, last_ids: Vec::new(), trail: Vec::new(), stale_pages: 0 }
    }
}

impl Offset {
    /// `from` of the next `pages` requests, each overlapping the one before by one row.
    pub(crate) fn plan(&self, limit: u64, pages: usize) -> Vec<u64> {
        let step = limit.saturating_sub(1).max(1);
        (0..pages as u64).map(|page| self.from.saturating_add(page.saturating_mul(step))).collect()
    }

    /// Accepts the ids of the page that was asked for at [`Offset::from`] with `limit`.
    pub(crate) fn accept(&mut self, limit: u64, ids: &[&str]) -> PageOutcome {
        let length = ids.len() as u64;
        if self.last_ids.is_empty() {
            return if ids.is_empty() { PageOutcome::End } else { self.advance(ids, 0) };
        }
        let known = self.last_ids.iter().rev().chain(self.trail.iter().rev().map(|(_, id)| id));
        let mut known = known.filter_map(|known| ids.iter().rposition(|id| id == known));
        let last_known = known.next();
        match last_known {
            Some(index) if index + 1 < ids.len() => self.advance(ids, index + 1),
            Some(_) if length < limit => PageOutcome::End,
            Some(_) => {
                self.stale_pages += 1;
                if self.stale_pages > limits::STALE_PAGES_MAX {
                    return PageOutcome::Repeating;
                }
                self.from += length - 1;
                PageOutcome::AskAgain
            }
            None if self.from <= 1 && ids.is_empty() => PageOutcome::End,
            None if self.from <= 1 => self.advance(ids, 0),
            None => {
                self.from = self.from.saturating_sub(limit.saturating_sub(1).max(1)).max(1);
                PageOutcome::AskAgain
            }
        }
    }

    /// Goes back to `before` the page and accepts only `ids`, its first rows; none: the page was not started.
    pub(crate) fn rewind(&mut self, before: Self, limit: u64, ids: &[&str]) {
        *self = before;
        if !ids.is_empty() {
            self.accept(limit, ids);
        }
    }

    /// Rows of the list so far.
    pub(crate) fn rows(&self) -> u64 {
        if self.last_ids.is_empty() { 0 } else { self.from }
    }

    fn advance(&mut self, ids: &[&str], first_new: usize) -> PageOutcome {
        if let Some(last) = self.last_ids.pop() {
            self.trail.retain(|(from, _)| *from < self.from);
            self.trail.push((self.from, last));
            thin(&mut self.trail, ids.len() as u64);
        }
        self.from += ids.len() as u64 - 1;
        self.stale_pages = 0;
        let keep = ids.len().saturating_sub(limits::LAST_IDS_MAX);
        self.last_ids = ids[keep..].iter().map(|id| (*id).to_owned()).collect();
        PageOutcome::NewRows(first_new)
    }
}

/// The longest page of each list so far, by its path.
#[derive(Debug, Default)]
pub(crate) struct Longest(BTreeMap<&'static str, usize>);

impl Longest {
    /// Notes the length of a page that was asked for with `limit`. True when it ends its list: it is short,
    /// and shorter than a page that a server would cut, or than another page of the same list.
    pub(crate) fn ends(&mut self, list: &'static str, limit: u64, length: usize) -> bool {
        let longest = self.0.entry(list).or_default();
        let is_shorter = length < *longest;
        *longest = length.max(*longest);
        (length as u64) < limit && (is_shorter || length < limits::CUT_PAGE_ROWS)
    }
}

/// Keeps the oldest and the newest place of each distance from the last place: one to two pages back, two to
/// four, four to eight and so on.
fn thin(trail: &mut Vec<(u64, String)>, page: u64) {
    let Some(last) = trail.last().map(|(from, _)| *from) else { return };
    let distance = |from: u64| ((last - from) / page.max(1) + 1).ilog2();
    let distances: Vec<u32> = trail.iter().map(|(from, _)| distance(*from)).collect();
    let is_kept = |index: usize| {
        let of = |other: Option<&u32>| other != distances.get(index);
        of(index.checked_sub(1).and_then(|before| distances.get(before))) || of(distances.get(index + 1))
    };
    let mut index = 0;
    trail.retain(|_| {
        index += 1;
        is_kept(index - 1)
    });
    let excess = trail.len().saturating_sub(limits::TRAIL_MAX);
    trail.drain(..excess);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 10;

    /// Reads `list` to its end; `churn` may change it before each request. Answers the ids read and the
    /// number of requests.
    fn read(list: &mut Vec<u32>, mut churn: impl FnMut(u32, &mut Vec<u32>)) -> (Vec<u32>, u32) {
        let (mut offset, mut seen, mut requests) = (Offset::default(), Vec::new(), 0);
        loop {
            churn(requests, list);
            requests += 1;
            assert!(requests < 10_000, "does not end");
            let start = (offset.from - 1) as usize;
            let page: Vec<String> =
                list.iter().skip(start).take(LIMIT as usize).map(u32::to_string).collect();
            let ids: Vec<&str> = page.iter().map(String::as_str).collect();
            match offset.accept(LIMIT, &ids) {
                PageOutcome::NewRows(first) => {
                    seen.extend(ids[first..].iter().map(|id| id.parse::<u32>().unwrap()));
                }
                PageOutcome::AskAgain => {}
                PageOutcome::End => return (seen, requests),
                PageOutcome::Repeating => panic!("repeating"),
            }
        }
    }

    #[test]
    fn an_unchanged_list_is_read_once_row_by_row() {
        for length in [0, 1, 9, 10, 11, 19, 20, 100, 101] {
            let expected: Vec<u32> = (0..length).collect();
            let (seen, requests) = read(&mut expected.clone(), |_, _| {});
            assert_eq!(seen, expected);
            assert!(requests <= length / 9 + 2, "{length}: {requests}");
        }
    }

    #[test]
    fn rows_deleted_before_the_offset_skip_no_row_after_it() {
        for deleted in [1, 5, 12, 25, 60] {
            let (seen, _) = read(&mut (0..200).collect(), |request, list| {
                if request == 12 {
                    list.drain(3..3 + deleted);
                }
            });
            for id in 150..200 {
                assert!(seen.contains(&id), "deleted {deleted}: skipped {id}");
            }
        }
    }

    #[test]
    fn rows_deleted_before_every_request_skip_no_surviving_row() {
        let mut list: Vec<u32> = (0..300).collect();
        let (seen, _) = read(&mut list, |request, list| {
            for step in 0..3 {
                let index = (request as usize * 7 + step * 13) % list.len().max(1);
                if list.len() > 150 {
                    list.remove(index);
                }
            }
        });
        assert!(list.len() < 200, "{} of 300 rows survive", list.len());
        assert!(list.iter().all(|id| seen.contains(id)));
    }

    #[test]
    fn deleting_every_last_row_of_a_page_costs_few_requests() {
        let undisturbed = read(&mut (0..5_000).collect(), |_, _| {}).1;
        for deleted in [12, 40, 400] {
            let mut list: Vec<u32> = (0..5_000).collect();
            let (seen, requests) = read(&mut list, |request, list| {
                if request == 400 {
                    list.drain(3_601 - deleted..3_601);
                }
            });
            assert!(list.iter().all(|id| seen.contains(id)), "deleted {deleted}");
            let most = undisturbed + 3 * deleted as u32 / LIMIT as u32 + 5;
            assert!(requests <= most, "deleted {deleted}: {requests} requests, {most} are enough");
        }
    }

    #[test]
    fn the_trail_of_a_long_list_stays_short() {
        let mut offset = Offset::default();
        for page in 0..20_000u32 {
            let ids: Vec<String> = (page * 9..page * 9 + 10).map(|id| id.to_string()).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            offset.accept(LIMIT, &ids);
        }
        assert!((20..=limits::TRAIL_MAX).contains(&offset.trail.len()), "{:?}", offset.trail);
        assert!(offset.trail[0].0 < 110_000, "its oldest place is far back: {:?}", offset.trail[0]);
    }

    #[test]
    fn rows_inserted_in_front_skip_no_row() {
        let mut next = 1000;
        let mut list: Vec<u32> = (0..120).collect();
        let (seen, _) = read(&mut list, |request, list| {
            if request < 40 {
                for _ in 0..4 {
                    list.insert(0, next);
                    next += 1;
                }
            }
        });
        assert!((0..120).all(|id| seen.contains(&id)));
    }

    #[test]
    fn an_empty_page_after_many_deletes_is_not_the_end() {
        let mut list: Vec<u32> = (0..60).collect();
        let (seen, _) = read(&mut list, |request, list| {
            if request == 5 {
                list.drain(0..35);
            }
        });
        assert!((46..60).all(|id| seen.contains(&id)));
    }

    #[test]
    fn a_server_that_ignores_from_is_detected_unless_the_list_is_shorter_than_a_page() {
        let page: Vec<String> = (0..LIMIT).map(|id| id.to_string()).collect();
        let ids: Vec<&str> = page.iter().map(String::as_str).collect();
        let mut offset = Offset::default();
        assert_eq!(offset.accept(LIMIT, &ids), PageOutcome::NewRows(0));
        let outcomes: Vec<PageOutcome> = (0..20).map(|_| offset.accept(LIMIT, &ids)).collect();
        assert!(outcomes.contains(&PageOutcome::Repeating));
        let mut offset = Offset::default();
        assert_eq!(offset.accept(LIMIT, &ids[..4]), PageOutcome::NewRows(0));
        assert_eq!(offset.accept(LIMIT, &ids[..4]), PageOutcome::End);
    }

    #[test]
    fn a_short_page_ends_a_list_unless_pages_may_be_cut_to_its_length() {
        let mut longest = Longest::default();
        let mut ends = |length| longest.ends("/x/{parent}/y", 100, length);
        assert_eq!([0, 1, 9].map(&mut ends), [true; 3], "no server cuts pages to so few rows");
        assert_eq!([30, 29, 30, 31].map(&mut ends), [false, true, false, false], "it may cut them to 30");
        assert_eq!([100, 99, 31, 100].map(&mut ends), [false, true, true, false], "it does not");
        assert!(!longest.ends("/x/{parent}/z", 100, 31), "another list");
    }

    #[test]
    fn planned_pages_overlap_by_one_row() {
        let offset = Offset { from: 100, last_ids: vec!["x".into()], ..Offset::default() };
        assert_eq!(offset.plan(100, 3), [100, 199, 298]);
    }

    #[test]
    fn a_page_accepted_in_part_is_asked_for_again_from_its_last_accepted_row() {
        let mut offset = Offset::default();
        let before = offset.clone();
        assert_eq!(offset.accept(LIMIT, &["1", "2", "3"]), PageOutcome::NewRows(0));
        offset.rewind(before.clone(), LIMIT, &[]);
        assert_eq!(offset, before);
        offset.rewind(before, LIMIT, &["1", "2"]);
        assert_eq!(offset.from, 2);
        assert_eq!(offset.accept(LIMIT, &["2", "3"]), PageOutcome::NewRows(1));
    }
}
