//! Deletes that no webhook reported: a scan of the records moved to the recycle bin since the last scan.
//!
//! Source: `zoho-desk-api.md` §7. The recycle bin has no time filter and no documented order. Newest first is
//! read until a page has no new record; oldest first from the first page that has one, which is found by
//! bisection. One reading serves all tables of a round; where it ends early, each table continues it from
//! its cursor. A record that was purged before the scan is found by a verification or a
//! full refresh.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::children::{self, Write};
use super::output::{Output, Progress};
use super::{repeating, seen, wait};
use crate::api::{Api, BinFailure, Entry, RecycleBin};
use crate::cursor::{BinPlace, ChildPlace, Search};
use crate::error::Result;
use crate::limits;
use crate::members::unquoted;
use crate::table::Table;
use crate::tables;
use crate::time;
use crate::transport::Transport;
use crate::url::Path;

const PATH: &str = "/api/v1/recycleBin";

/// Rows of a page (§3.2: 50 by its schema).
const PAGE: u64 = 50;

/// The members of an entry that the scan uses.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow, rename = "type")]
    module: &'a RawValue,
    #[serde(borrow)]
    deleted_time: &'a RawValue,
}

/// Writes a delete for each row of `table` that was moved to the recycle bin since the last scan. A recycle
/// bin that cannot be read makes deletes late, and nothing else: the table is caught up, and the next poll
/// scans again from where the last scan ended.
pub(super) fn scan<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    if !out.changes.is_empty() {
        // The rows found are kept even if reading the recycle bin stops the next call.
        out.is_ended = true;
        return Ok(Progress::More);
    }
    // Children have no entries: they are deleted with their parents.
    let parents = tables::parent(table);
    let Some(module) = parents.unwrap_or(table).recycle_bin else { return Ok(end(search, search.since_ms)) };
    let horizon_ms = search.recycle_bin_since_ms.saturating_sub(limits::RECYCLE_BIN_OVERLAP_MS);
    let now_ms = api.to_source_clock(api.transport().now_ms());
    let recent_ms = wait::shared_ms(search.recycle_bin_since_ms, now_ms);
    let place = search.bin_place;
    let mut bin = match take(api, table, horizon_ms, place.map(|place| place.page), recent_ms) {
        Ok(bin) => bin,
        // Credentials are the connection's: the scan is repeated when they work again.
        Err(error) if error.needs_person() => return Err(error),
        Err(error) => {
            out.wait_ms = error.retry_after_ms;
            out.warnings.push(format!("the recycle bin cannot be read, deletes may be found late: {error}"));
            return Ok(end(search, search.recycle_bin_since_ms));
        }
    };
    let is_new = |entry: &&Entry| {
        let is_ours = entry.module.eq_ignore_ascii_case(module) && entry.deleted_ms >= horizon_ms;
        is_ours && search.seen.get(&name(&entry.id)) != Some(&entry.deleted_ms)
    };
    let mut found: Vec<&Entry> =
        bin.entries.iter().filter(is_new).filter(|entry| api.config().selects(table, &entry.raw)).collect();
    found.sort_by_key(|entry| entry.deleted_ms);
    let last_ms = search.recycle_bin_since_ms;
    let read_ms = place.map_or_else(|| api.to_source_clock(bin.read_at_ms), |place| place.read_ms);
    let written = match parents {
        Some(_) => delete_children(api, table, &found, last_ms, &mut search.child, out),
        None => delete(api, table, &found, last_ms, out),
    };
    for entry in &found[..written] {
        search.seen.insert(name(&entry.id), entry.deleted_ms);
    }
    out.has_moved |= written > 0 || search.child.is_some();
    if written < found.len() {
        // The next step continues the same reading.
        bin.used_by.retain(|name| *name != table.name);
        api.recycle_bin = Some(bin);
        return out.interrupted();
    }
    search.bin_place = bin.next.map(|page| BinPlace { page, read_ms });
    api.recycle_bin = Some(bin);
    if search.bin_place.is_some() {
        out.has_moved = true;
        return Ok(Progress::More);
    }
    Ok(end(search, search.since_ms.min(read_ms)))
}

/// Ends a scan: every record deleted before `since_ms` has been found. Rows that neither the next search nor
/// the next scan returns again are forgotten: only now, because this scan returned older ones than the next.
fn end(search: &mut Search, since_ms: u64) -> Progress {
    search.scans_recycle_bin = false;
    let is_scanned = since_ms > search.recycle_bin_since_ms;
    search.recycle_bin_since_ms = since_ms.max(search.recycle_bin_since_ms);
    let known_ms = if is_scanned { search.since_ms.min(since_ms) } else { search.since_ms };
    let overlap_ms = limits::SEARCH_OVERLAP_MS.max(limits::RECYCLE_BIN_OVERLAP_MS);
    seen::evict(&mut search.seen, known_ms.saturating_sub(overlap_ms));
    Progress::Done
}

/// The name of a deleted record among the seen rows.
fn name(id: &str) -> String {
    format!("{id}@deletedTime")
}

/// Writes the deletes until the batch is full; how many were written.
fn delete<T: Transport>(
    api: &Api<T>,
    table: &'static Table,
    found: &[&Entry],
    last_ms: u64,
    out: &mut Output,
) -> usize {
    for (index, entry) in found.iter().enumerate() {
        if index > 0 && out.is_full(api.transport().ticks_ms()) {
            return index;
        }
        out.delete(table, &entry.id, None, Some(as_of_ms(entry, last_ms)));
    }
    found.len()
}

/// When an entry was deleted: at the end of its second, because the row may have changed earlier within it.
/// A delete that the last scan, at `last_ms`, did not find is later than that scan, even if its time is
/// earlier: the source's clock may have been set back.
fn as_of_ms(entry: &Entry, last_ms: u64) -> u64 {
    let ms = entry.deleted_ms.max(last_ms);
    if ms.is_multiple_of(1000) { ms + 999 } else { ms }
}

/// The records deleted since `horizon_ms`, from a page on where an earlier reading ended there: of a reading
/// for another table less than `recent_ms` ago, which may have failed, or of a new one. The caller puts it
/// back for the other tables.
fn take<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    horizon_ms: u64,
    start: Option<u64>,
    recent_ms: u64,
) -> Result<RecycleBin> {
    let now_ms = api.transport().now_ms();
    let is_recent = |at_ms: u64| now_ms.abs_diff(at_ms) <= recent_ms;
    let is_usable = |bin: &mut RecycleBin| {
        let is_recent = is_recent(bin.read_at_ms);
        let is_unread = bin.start == start && !bin.used_by.contains(&table.name);
        is_recent && bin.since_ms <= horizon_ms && is_unread
    };
    let mut bin = match api.recycle_bin.take_if(is_usable) {
        Some(bin) => bin,
        None => {
            if let Some(failure) = api.bin_failure.as_mut()
                && is_recent(failure.at_ms)
                && failure.start == start
                && !failure.used_by.contains(&table.name)
            {
                failure.used_by.push(table.name);
                return Err(failure.error.clone());
            }
            // The other tables of the round were scanned at other times.
            let since_ms = horizon_ms.saturating_sub(limits::RECYCLE_BIN_SHARED_HORIZON_MS);
            let page = api.recycle_bin.as_ref().map_or(0, |bin| bin.page);
            let mut bin = RecycleBin {
                since_ms,
                read_at_ms: now_ms,
                used_by: Vec::new(),
                entries: Vec::new(),
                start,
                next: None,
                page,
            };
            let result = fill(api, &mut bin);
            api.bin_failure = result.as_ref().err().map(|error| BinFailure {
                error: error.clone(),
                at_ms: now_ms,
                start,
                used_by: vec![table.name],
            });
            result?;
            bin
        }
    };
    bin.used_by.push(table.name);
    Ok(bin)
}

/// Reads every record deleted since `bin.since_ms`, from `bin.start` on.
fn fill<T: Transport>(api: &mut Api<T>, bin: &mut RecycleBin) -> Result<()> {
    let horizon_ms = bin.since_ms;
    let before = if bin.start.is_none() { std::mem::take(&mut bin.page) } else { bin.page };
    let mut page = bin.start.unwrap_or_default();
    let mut rows = page_at(api, page)?;
    // A full page without a new record is the end of a recycle bin that lists the newest first, and only
    // then.
    let may_be_oldest_first = bin.start.is_none()
        && rows.len() as u64 == PAGE
        && rows.iter().all(|entry| entry.deleted_ms < horizon_ms)
        && rows.first().zip(rows.last()).is_some_and(|(first, last)| first.deleted_ms <= last.deleted_ms);
    let mut is_oldest_first = false;
    if may_be_oldest_first {
        let top_ms = rows.first().map_or(0, |first| first.deleted_ms);
        let Some(first_new) = first_new_page(api, top_ms, horizon_ms, before)? else { return Ok(()) };
        is_oldest_first = true;
        page = first_new;
        bin.page = page;
        rows = page_at(api, page)?;
    }
    for read in 1.. {
        let is_last = (rows.len() as u64) < PAGE;
        let before = bin.entries.len();
        let last_id = bin.entries.last().map(|last| last.id.clone());
        let is_new = |entry: &Entry| entry.deleted_ms >= horizon_ms && last_id.as_ref() != Some(&entry.id);
        bin.entries.extend(rows.into_iter().filter(is_new));
        if is_last || (bin.entries.len() == before && !is_oldest_first) {
            return Ok(());
        }
        if read >= limits::RECYCLE_BIN_PAGES_MAX {
            break;
        }
        let first = bin.entries.get(before).map(|entry| entry.id.clone());
        page += 1;
        rows = page_at(api, page)?;
        if first.is_some() && rows.first().map(|entry| &entry.id) == first.as_ref() {
            return Err(repeating(PATH));
        }
    }
    // Records that are purged meanwhile move the others to earlier pages.
    bin.next = Some(page);
    Ok(())
}

/// The index of the page before the first one that begins with a record deleted since `horizon_ms`, in a
/// recycle bin that lists the oldest first; looked for from page `before` on, where it was the last time.
/// None where it lists the newest first after all: a page of records that were deleted together, at `top_ms`,
/// shows no order.
fn first_new_page<T: Transport>(
    api: &mut Api<T>,
    top_ms: u64,
    horizon_ms: u64,
    before: u64,
) -> Result<Option<u64>> {
    let mut first_ms =
        |page| -> Result<Option<u64>> { Ok(page_at(api, page)?.first().map(|first| first.deleted_ms)) };
    let is_old = |first_ms: Option<u64>| first_ms.is_some_and(|at_ms| at_ms < horizon_ms);
    // Records that were purged meanwhile move the others to earlier pages.
    let mut old = if before > 0 && is_old(first_ms(before)?) { before } else { 0 };
    let mut new = old + 1;
    // 2^20 pages are fifty million records.
    while new < 1 << 20 {
        let first_ms = first_ms(new)?;
        if first_ms.is_some_and(|at_ms| at_ms < top_ms) {
            return Ok(None);
        }
        if !is_old(first_ms) {
            break;
        }
        (old, new) = (new, new * 2);
    }
    while new - old > 1 {
        let middle = old + (new - old) / 2;
        if is_old(first_ms(middle)?) { old = middle } else { new = middle }
    }
    Ok(Some(old))
}

/// One page; an entry that cannot be read is as old as can be. Whether entries count from 0 or from 1 is not
/// documented (`zoho-desk-api.md` §3.2): where they count from 1, a page starts with the last one before it.
fn page_at<T: Transport>(api: &mut Api<T>, page: u64) -> Result<Vec<Entry>> {
    let path = Path::new(PATH).with("from", page * PAGE).with("limit", PAGE);
    let answer = api.get(&path.into_string())?;
    Ok(answer.rows()?.into_iter().map(|raw| entry(raw.get())).collect())
}

/// An entry; its id and time may be numbers.
fn entry(raw: &str) -> Entry {
    let parsed: Option<RawEntry<'_>> = serde_json::from_str(raw).ok();
    let text = |value: &RawValue| unquoted(value.get()).to_owned();
    let at = |value: &RawValue| {
        let text = unquoted(value.get());
        time::parse(text).or_else(|| text.parse().ok()).unwrap_or(0)
    };
    Entry {
        id: parsed.as_ref().map(|entry| text(entry.id)).unwrap_or_default(),
        module: parsed.as_ref().map(|entry| text(entry.module)).unwrap_or_default(),
        deleted_ms: parsed.as_ref().map_or(0, |entry| at(entry.deleted_time)),
        raw: raw.to_owned(),
    }
}

/// Writes deletes of the children of deleted parents, as far as the API still lists them: whether it does is
/// not documented. Where it refuses the lists of one group of parents, the others are not asked for. How many
/// parents were processed; the others come with the next step.
fn delete_children<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    found: &[&Entry],
    last_ms: u64,
    place: &mut Option<ChildPlace>,
    out: &mut Output,
) -> usize {
    let mut processed = 0;
    let most = found.len().min(limits::RECYCLE_BIN_PARENTS_MAX);
    for group in found[..most].chunks(limits::PARENTS_AT_ONCE) {
        let parents: Vec<children::Parent<'_>> = group
            .iter()
            .map(|entry| children::Parent {
                id: &entry.id,
                row: "{}",
                as_of_ms: Some(as_of_ms(entry, last_ms)),
            })
            .collect();
        out.has_listed = false;
        let done = children::read(api, table, &parents, Write::DeleteTrashed, place, out);
        processed += done.iter().take_while(|is_done| **is_done).count();
        if done.contains(&false) {
            return processed;
        }
        if !out.has_listed {
            return found.len();
        }
    }
    processed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{ChangeSource, Operation};
    use crate::config::Config;
    use crate::reader::Limits;
    use crate::session::Session;
    use crate::transport::{Failure, Request, Response};

    /// A server whose every answer is this body.
    struct Answers(&'static str);

    impl Transport for Answers {
        fn now_ms(&self) -> u64 {
            0
        }

        fn ticks_ms(&self) -> u64 {
            0
        }

        fn send(&mut self, requests: &[Request], _: usize) -> Vec<std::result::Result<Response, Failure>> {
            let response = Response { status: 200, headers: Vec::new(), body: self.0.as_bytes().to_vec() };
            requests.iter().map(|_| Ok(response.clone())).collect()
        }
    }

    /// Keys of the deletes that a scan for rows of `table` finds in `bin`.
    fn deletes(table: &'static Table, bin: &'static str) -> Vec<String> {
        let config = r#"{"organization_id":"1","client_id":"a","client_secret":"s"}"#;
        let session = r#"{"client_id":"a","access_token":"t","access_token_ends_ms":9999999999999}"#;
        let session = Session::parse(Some(session), "a").unwrap();
        let mut api = Api::new(Answers(bin), Config::parse(config).unwrap(), session);
        let mut search = Search::since(0);
        let limits = Limits { max_changes: 100, max_bytes: 1 << 20, max_ms: 1000 };
        let mut out = Output::new(ChangeSource::Incremental, limits, 0);
        scan(&mut api, table, &mut search, &mut out).unwrap();
        assert!(out.changes.iter().all(|change| change.operation == Operation::Delete));
        out.changes.into_iter().map(|change| change.key).collect()
    }

    const BIN: &str = r#"{"data":[
        {"id":"1","type":"Tickets","deletedTime":"2026-11-22T17:25:10.000Z"},
        {"id":"2","type":"Contacts","deletedTime":"2026-11-22T17:25:10.000Z"}]}"#;

    #[test]
    fn deletes_are_found_by_the_name_of_the_module_whatever_the_title_of_the_table_is() {
        static REWORDED: Table =
            Table { name: "tickets", title: "Support cases", recycle_bin: Some("Tickets"), ..Table::DEFAULT };
        assert_eq!(deletes(&REWORDED, BIN), [r#"{"id":"1"}"#]);
    }

    #[test]
    fn a_table_without_a_module_in_the_recycle_bin_finds_no_deletes_there() {
        static OTHER: Table = Table { name: "tickets", title: "Tickets", ..Table::DEFAULT };
        assert!(deletes(&OTHER, BIN).is_empty());
    }
}
