//! Offset paging over a list that changes while it is read: rows may repeat, none is left out, and it ends. Pure.
//!
//! Zoho's lists have no cursor, only `from` (1-based) and `limit` (`zoho-desk-api.md` §3.2). A row deleted before our position
//! moves every later row one place forward, so that the next page would skip one. Therefore each page begins with
//! the last row of the page before. When that row is where it should be, nothing moved. When it is not, some row
//! before it (the seam) is; and when none is, the position steps back until one is found. The end is only believed
//! on a page that shows the seam.

use serde::{Deserialize, Serialize};

use crate::limits;

/// The position in one list; plain data, part of the cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// `from` of the next request.
    pub from: u64,
    /// Ids of the rows last accepted, oldest first.
    pub seam: Vec<String>,
    /// Full pages in a row that held nothing new.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stale: u32,
}

/// What a page means.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Rows from this index on are new.
    Rows(usize),
    /// Nothing new; ask again at the position, which has moved.
    Again,
    /// The list ends here.
    End,
    /// The server repeats the same rows whatever is asked.
    Stuck,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Default for Position {
    fn default() -> Self {
        Self { from: 1, seam: Vec::new(), stale: 0 }
    }
}

impl Position {
    /// `from` of the next `pages` requests, each overlapping the one before by one row.
    pub fn plan(&self, limit: u64, pages: usize) -> Vec<u64> {
        let step = limit.saturating_sub(1).max(1);
        (0..pages as u64).map(|page| self.from.saturating_add(page.saturating_mul(step))).collect()
    }

    /// Takes the ids of the page that was asked for at [`Position::from`] with `limit`.
    pub fn accept(&mut self, limit: u64, ids: &[&str]) -> Verdict {
        let length = ids.len() as u64;
        if self.seam.is_empty() {
            return if ids.is_empty() { Verdict::End } else { self.advance(ids, 0) };
        }
        let after_seam = self.seam.iter().rev().find_map(|known| ids.iter().rposition(|id| id == known));
        match after_seam {
            Some(index) if index + 1 < ids.len() => self.advance(ids, index + 1),
            Some(_) if length < limit => Verdict::End,
            Some(_) => {
                self.stale += 1;
                if self.stale > limits::STALE_PAGES_MAX {
                    return Verdict::Stuck;
                }
                self.from += length - 1;
                Verdict::Again
            }
            None if self.from <= 1 && ids.is_empty() => Verdict::End,
            None if self.from <= 1 => self.advance(ids, 0),
            None => {
                self.from = self.from.saturating_sub(limit.saturating_sub(1).max(1)).max(1);
                Verdict::Again
            }
        }
    }

    fn advance(&mut self, ids: &[&str], first_new: usize) -> Verdict {
        self.from += ids.len() as u64 - 1;
        self.stale = 0;
        let keep = ids.len().saturating_sub(limits::SEAM_IDS);
        self.seam = ids[keep..].iter().map(|id| (*id).to_owned()).collect();
        Verdict::Rows(first_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 10;

    /// Reads `list` to its end; `churn` may change it before each request. Answers the ids seen and the requests made.
    fn read(list: &mut Vec<u32>, mut churn: impl FnMut(u32, &mut Vec<u32>)) -> (Vec<u32>, u32) {
        let (mut position, mut seen, mut requests) = (Position::default(), Vec::new(), 0);
        loop {
            churn(requests, list);
            requests += 1;
            assert!(requests < 10_000, "does not end");
            let start = (position.from - 1) as usize;
            let page: Vec<String> =
                list.iter().skip(start).take(LIMIT as usize).map(u32::to_string).collect();
            let ids: Vec<&str> = page.iter().map(String::as_str).collect();
            match position.accept(LIMIT, &ids) {
                Verdict::Rows(first) => seen.extend(ids[first..].iter().map(|id| id.parse::<u32>().unwrap())),
                Verdict::Again => {}
                Verdict::End => return (seen, requests),
                Verdict::Stuck => panic!("stuck"),
            }
        }
    }

    #[test]
    fn a_quiet_list_is_read_once_row_by_row() {
        for length in [0, 1, 9, 10, 11, 19, 20, 100, 101] {
            let expected: Vec<u32> = (0..length).collect();
            let (seen, requests) = read(&mut expected.clone(), |_, _| {});
            assert_eq!(seen, expected);
            assert!(requests <= length / 9 + 2, "{length}: {requests}");
        }
    }

    #[test]
    fn rows_deleted_behind_us_lose_no_row_ahead() {
        for deleted in [1, 5, 12, 25, 60] {
            let (seen, _) = read(&mut (0..200).collect(), |request, list| {
                if request == 12 {
                    list.drain(3..3 + deleted);
                }
            });
            for id in 150..200 {
                assert!(seen.contains(&id), "deleted {deleted}: lost {id}");
            }
        }
    }

    #[test]
    fn rows_deleted_on_every_request_lose_no_surviving_row() {
        let mut list: Vec<u32> = (0..300).collect();
        let (seen, _) = read(&mut list, |request, list| {
            for step in 0..3 {
                let index = (request as usize * 7 + step * 13) % list.len().max(1);
                if list.len() > 150 {
                    list.remove(index);
                }
            }
        });
        assert!(list.iter().all(|id| seen.contains(id)));
    }

    #[test]
    fn rows_inserted_in_front_only_repeat() {
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
    fn an_empty_page_after_many_deletions_is_not_the_end() {
        let mut list: Vec<u32> = (0..60).collect();
        let (seen, _) = read(&mut list, |request, list| {
            if request == 5 {
                list.drain(0..35);
            }
        });
        assert!((46..60).all(|id| seen.contains(&id)));
    }

    #[test]
    fn a_server_that_ignores_from_is_found_out() {
        let page: Vec<String> = (0..LIMIT).map(|id| id.to_string()).collect();
        let ids: Vec<&str> = page.iter().map(String::as_str).collect();
        let mut position = Position::default();
        assert_eq!(position.accept(LIMIT, &ids), Verdict::Rows(0));
        let verdicts: Vec<Verdict> = (0..20).map(|_| position.accept(LIMIT, &ids)).collect();
        assert!(verdicts.contains(&Verdict::Stuck));
        // With fewer rows than a page it is simply the end.
        let mut position = Position::default();
        assert_eq!(position.accept(LIMIT, &ids[..4]), Verdict::Rows(0));
        assert_eq!(position.accept(LIMIT, &ids[..4]), Verdict::End);
    }

    #[test]
    fn pages_planned_ahead_overlap_by_one_row() {
        assert_eq!(Position { from: 100, seam: vec!["x".into()], stale: 0 }.plan(100, 3), [100, 199, 298]);
    }
}
