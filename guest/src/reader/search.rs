//! Following by search: windows of modified times, split where they hold more than a search can page through.
//!
//! Source: `zoho-desk-api.md` §3.2 (0-based, 5,000 cap), §3.5 (`modifiedTimeRange`; the index lags, so windows overlap).

use std::collections::BTreeMap;

use super::bin;
use super::children;
use super::details::{self, Gone, Listed};
use super::{Output, Progress};
use crate::api::Api;
use crate::cursor::{Search, Window};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::paging::{Position, Verdict};
use crate::row::{Change, Head, Operation};
use crate::table::{Follow, Table};
use crate::time;
use crate::transport::Transport;
use crate::url::Path;

/// Rows of a search page: the most it takes (§3.2).
const PAGE: u64 = 100;

/// Reads one page of the window, or opens the next window.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    let Follow::Search { path } = table.follow else {
        return Err(Error::new(Kind::Internal, "the cursor follows by search and the table does not"));
    };
    let now_ms = api.transport().now_ms();
    let since_ms = search.since_ms;
    let window = search.window.get_or_insert_with(|| open(since_ms, now_ms));
    if window.position.from - 1 + PAGE > limits::SEARCH_ROWS_MAX {
        // It grew while it was read, or the search does not say how many rows there are.
        out.moved = true;
        return if halve(window, "more", out) { Ok(Progress::More) } else { end(api, table, search, out) };
    }
    let answer = api.get(&window_path(path, window))?;
    window.source_now_ms = window.source_now_ms.or(answer.as_of_ms);
    let source_now_ms = window.source_now_ms.unwrap_or(now_ms);
    if window.position.seam.is_empty()
        && let Ok(count) = answer.count()
        && count > limits::SEARCH_WINDOW_ROWS_MAX
        && halve(window, &count.to_string(), out)
    {
        out.moved = true;
        return Ok(Progress::More);
    }
    let rows = answer.headed_rows()?;
    let ids: Vec<&str> = rows.iter().map(|(head, _)| head.id.as_str()).collect();
    let before = window.position.clone();
    match window.position.accept(PAGE, &ids) {
        Verdict::Rows(first) => {
            let unseen: Vec<usize> =
                (first..rows.len()).filter(|&index| is_new(&search.seen, &rows[index].0)).collect();
            let listed: Vec<Listed<'_>> = unseen
                .iter()
                .map(|&index| Listed { head: &rows[index].0, row: rows[index].1, as_of_ms: None })
                .collect();
            let written = write(api, table, &listed, out);
            for Listed { head, .. } in &listed[..written] {
                // What changed just now may change again within the same second: it is read once more next time.
                if let Some(modified_ms) =
                    head.modified_time_ms.filter(|ms| ms + limits::SETTLED_MS < source_now_ms)
                {
                    search.seen.insert(head.id.clone(), modified_ms);
                }
            }
            out.moved |= written > 0;
            if written < listed.len() {
                // The position stays just behind the last row that is dealt with: a failure, or the batch is full.
                if let Some(window) = &mut search.window {
                    window.position = before;
                    if let Some(&last) = written.checked_sub(1).and_then(|last| unseen.get(last)) {
                        window.position.accept(PAGE, &ids[..=last]);
                    }
                }
                return match out.failure.take() {
                    Some(failure) => Err(failure),
                    None => Ok(Progress::More),
                };
            }
            out.moved = true;
            Ok(Progress::More)
        }
        Verdict::Again => {
            out.moved = true;
            Ok(Progress::More)
        }
        Verdict::End => {
            out.moved = true;
            end(api, table, search, out)
        }
        Verdict::Stuck => {
            Err(Error::new(Kind::Data, format!("{path} repeats the same rows whatever `from` is asked"))
                .hint("this server does not page as Zoho Desk does: check `desk_url`"))
        }
    }
}

/// The window from a while before `since_ms` to now.
fn open(since_ms: u64, now_ms: u64) -> Window {
    let end_ms = now_ms.max(since_ms);
    Window {
        from_ms: since_ms.saturating_sub(limits::SEARCH_OVERLAP_MS),
        to_ms: end_ms,
        end_ms,
        source_now_ms: None,
        position: Position::default(),
    }
}

/// Halves a window that holds more rows than a search can page through, and begins it again. False when it is too short:
/// then it is read as far as the search goes.
fn halve(window: &mut Window, rows: &str, out: &mut Output) -> bool {
    let length = window.to_ms.saturating_sub(window.from_ms);
    if length <= limits::SEARCH_WINDOW_MIN_MS {
        out.warnings.push(format!(
            "{rows} rows were modified within one second at {}; the search shows only {} of them: read the table from \
             the beginning to get them all",
            time::format(window.from_ms),
            limits::SEARCH_ROWS_MAX
        ));
        return false;
    }
    window.to_ms = window.from_ms + length / 2;
    window.position = Position::default();
    true
}

/// The end of a window: the next one, or what came into the bin.
fn end<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    match finish_window(search) {
        Progress::Done => bin::sweep(api, table, search, out),
        Progress::More => Ok(Progress::More),
    }
}

/// Moves on behind the window; done when it was the last of its range.
fn finish_window(search: &mut Search) -> Progress {
    let Some(window) = search.window.take() else { return Progress::Done };
    if window.to_ms < window.end_ms {
        search.window = Some(Window {
            from_ms: window.to_ms,
            to_ms: window.end_ms,
            end_ms: window.end_ms,
            source_now_ms: window.source_now_ms,
            position: Position::default(),
        });
        return Progress::More;
    }
    // Our clock may be ahead of the source's: never believe to have read its future.
    search.since_ms = window.end_ms.min(window.source_now_ms.unwrap_or(window.end_ms)).max(search.since_ms);
    let horizon_ms = search.since_ms.saturating_sub(limits::SEARCH_OVERLAP_MS);
    search.seen.retain(|_, modified_ms| *modified_ms >= horizon_ms);
    while search.seen.len() > limits::SEARCH_SEEN_MAX {
        let oldest =
            search.seen.iter().min_by_key(|(_, modified_ms)| **modified_ms).map(|(id, _)| id.clone());
        let Some(oldest) = oldest else { break };
        search.seen.remove(&oldest);
    }
    Progress::Done
}

fn is_new(seen: &BTreeMap<String, u64>, head: &Head) -> bool {
    head.modified_time_ms.is_none() || seen.get(&head.id).copied() != head.modified_time_ms
}

/// Writes changed rows: by their detail where the table has one, so that they look as a pass would show them.
fn write<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    out: &mut Output,
) -> usize {
    let first_change = out.changes.len();
    let written = match table.children {
        Some(_) => children::read(api, table, listed, out),
        None => details::read(api, table, listed, Gone::Bury, out),
    };
    for change in &mut out.changes[first_change..] {
        follow_up(change);
    }
    written
}

/// A row found by following changed, whatever it was before. It replaces only what it shows: a list row of the pass may
/// have had members that neither search nor detail have.
fn follow_up(change: &mut Change) {
    if change.operation == Operation::Read {
        change.operation = Operation::Update;
        // The index may lag, so a search row is as old as its own modified time says.
        change.as_of_ms = change.as_of_ms.or(change.source_time_ms);
        if change.attributes.iter().all(|(name, _)| name != "partial") {
            change.attributes.push(("partial".to_owned(), "true".to_owned()));
        }
    }
}

fn window_path(path: &str, window: &Window) -> String {
    let range = format!("{},{}", time::format(window.from_ms), time::format(window.to_ms));
    Path::new(path)
        .with("modifiedTimeRange", range)
        .with("sortBy", "modifiedTime")
        .with("from", window.position.from - 1)
        .with("limit", PAGE)
        .into_string()
}
