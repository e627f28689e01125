//! Following by search: windows of moments (of modified times first), split where they hold more than a search can page through.
//!
//! Source: `zoho-desk-api.md` §3.2 (0-based, 5,000 cap), §3.5 (`modifiedTimeRange`; the index lags, so windows overlap).

use super::bin;
use super::children::{self, Fate};
use super::details::{self, Gone, Listed};
use super::sight::{self, Sight};
use super::{Output, Progress};
use crate::api::Api;
use crate::cursor::{Search, Window};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::paging::{Position, Verdict};
use crate::row::{Change, Head, Operation};
use crate::table::{Follow, Moment, Table};
use crate::time;
use crate::transport::Transport;
use crate::url::Path;

/// Rows of a search page: the most it takes (§3.2).
const PAGE: u64 = 100;

/// A row of a page that is not dealt with yet.
struct Found<'a> {
    /// Where on the page it is.
    at: usize,
    head: &'a Head,
    row: &'a str,
    sight: Sight,
}

impl<'a> Found<'a> {
    fn listed(&self, as_of_ms: Option<u64>) -> Listed<'a> {
        Listed { head: self.head, row: self.row, as_of_ms }
    }
}

/// Reads one page of the window, or opens the next window.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    let Follow::Search { path, moments } = table.follow else {
        return Err(Error::new(Kind::Internal, "the cursor follows by search and the table does not"));
    };
    let now_ms = api.transport().now_ms();
    let since_ms = search.since_ms;
    let window = search.window.get_or_insert_with(|| open(since_ms, now_ms));
    let index = window.moment;
    let Some(&moment) = moments.get(index) else { return end(api, table, moments, search, out) };
    if window.position.from - 1 + PAGE > limits::SEARCH_ROWS_MAX {
        // It grew while it was read, or the search does not say how many rows there are.
        out.moved = true;
        return if halve(window, "more", out) {
            Ok(Progress::More)
        } else {
            end(api, table, moments, search, out)
        };
    }
    let answer = match api.get(&window_path(path, moment, window)) {
        Ok(answer) => answer,
        // Every search takes modified times; what else it takes may differ from portal to portal.
        Err(error)
            if index > 0
                && error.kind == Kind::Data
                && [moment.range, "sortBy"].iter().any(|name| error.message.contains(name)) =>
        {
            api.remember_refused(table.name, moment.range);
            out.moved = true;
            window.to_ms = window.end_ms;
            return end(api, table, moments, search, out);
        }
        Err(error) => return Err(error),
    };
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
    let sight_of = |at: usize| Sight::of(table, moment, index, &rows[at].0, rows[at].1);
    let before = window.position.clone();
    match window.position.accept(PAGE, &ids) {
        Verdict::Rows(first) => {
            let (chosen, foreign): (Vec<Found<'_>>, Vec<Found<'_>>) = (first..rows.len())
                .map(|at| Found { at, head: &rows[at].0, row: rows[at].1, sight: sight_of(at) })
                .filter(|found| found.sight.is_new(&search.seen))
                .partition(|found| api.config().selects(table, found.row));
            // Those of other departments come first: they may have been moved there, and are few calls or none.
            let left: Vec<Listed<'_>> =
                foreign.iter().map(|found| found.listed(found.head.modified_time_ms)).collect();
            let buried = bury(api, table, &left, out);
            let is_behind = buried < foreign.len();
            let listed: Vec<Listed<'_>> = chosen.iter().map(|found| found.listed(None)).collect();
            let written = if is_behind { 0 } else { write(api, table, &listed, out) };
            let is_behind = is_behind || written < chosen.len();
            let last = written.checked_sub(1).and_then(|last| chosen.get(last)).map(|found| found.at);
            for found in foreign.into_iter().take(buried).chain(chosen.into_iter().take(written)) {
                found.sight.note(&mut search.seen, source_now_ms);
            }
            out.moved |= buried + written > 0;
            if is_behind {
                // The position stays just behind the last row that is dealt with: a failure, or the batch is full.
                if let Some(window) = &mut search.window {
                    window.position = before;
                    if let Some(last) = last {
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
            end(api, table, moments, search, out)
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
        moment: 0,
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

/// The end of a window: the next one, the same by the next moment, or what came into the bin.
fn end<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    moments: &[Moment],
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    let Some(window) = search.window.take() else { return bin::sweep(api, table, search, out) };
    let Window { to_ms, end_ms, source_now_ms, .. } = window;
    if to_ms < end_ms {
        search.window =
            Some(Window { from_ms: to_ms, to_ms: end_ms, position: Position::default(), ..window });
        return Ok(Progress::More);
    }
    let is_taken = |index: &usize| !api.refused(table.name, moments[*index].range);
    if let Some(moment) = (window.moment + 1..moments.len()).find(is_taken) {
        search.window = Some(Window { moment, source_now_ms, ..open(search.since_ms, end_ms) });
        return Ok(Progress::More);
    }
    // Our clock may be ahead of the source's: never believe to have read its future.
    search.since_ms = end_ms.min(source_now_ms.unwrap_or(end_ms)).max(search.since_ms);
    sight::forget(&mut search.seen, search.since_ms.saturating_sub(limits::SEARCH_OVERLAP_MS));
    bin::sweep(api, table, search, out)
}

/// Writes deletes of rows that changed and are of other departments now: nothing else tells that one was moved there.
/// Where they are parents it is their children that are gone.
fn bury<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    foreign: &[Listed<'_>],
    out: &mut Output,
) -> usize {
    if table.children.is_some() {
        return children::read(api, table, foreign, Fate::Gone, out);
    }
    for Listed { head, as_of_ms, .. } in foreign {
        out.delete(table.name, &head.id, None, *as_of_ms);
    }
    foreign.len()
}

/// Writes changed rows: by their detail where the table has one, so that they look as a snapshot would show them.
fn write<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    listed: &[Listed<'_>],
    out: &mut Output,
) -> usize {
    let first_change = out.changes.len();
    let written = match table.children {
        Some(_) => children::read(api, table, listed, Fate::Live, out),
        None => details::read(api, table, listed, Gone::Bury, out),
    };
    for change in &mut out.changes[first_change..] {
        follow_up(change);
    }
    written
}

/// A row found by following changed, whatever it was before. It replaces only what it shows: a list row of the snapshot may
/// have had members that neither search nor detail have.
fn follow_up(change: &mut Change) {
    if change.operation == Operation::Read {
        change.operation = Operation::Update;
        // The index may lag, so a search row is as old as its own modified time says.
        change.as_of_ms = change.as_of_ms.or(change.source_updated_at_ms);
        change.partial = true;
    }
}

fn window_path(path: &str, moment: Moment, window: &Window) -> String {
    let range = format!("{},{}", time::format(window.from_ms), time::format(window.to_ms));
    Path::new(path)
        .with(moment.range, range)
        .with("sortBy", moment.member)
        .with("from", window.position.from - 1)
        .with("limit", PAGE)
        .into_string()
}
