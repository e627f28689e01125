//! Deletes that no webhook reported: a scan of the records moved to the recycle bin since the last scan.
//!
//! Source: `zoho-desk-api.md` §7. One reading serves all tables of a round; where it ends early, each table
//! continues it from its cursor. A record that was purged before the scan is found by a verification or a
//! full refresh.

mod pages;

use pages::fill;

use super::children::{self, Write};
use super::output::{Output, Progress};
use super::{seen, wait};
use crate::api::{Api, BinFailure, Entry, RecycleBin};
use crate::cursor::{BinPlace, ChildPlace, Search};
use crate::error::Result;
use crate::limits;
use crate::table::Table;
use crate::tables;
use crate::transport::Transport;

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
        // Those of the pages behind are not needed to continue.
        seen::bound(&mut search.seen, limits::SEARCH_SEEN_MAX, 0);
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
        // After a few refusals the others of the group were not asked for.
        let is_failure = out.failure.as_ref().is_some_and(|error| !error.is_not_asked());
        if !out.has_listed && !is_failure && done.contains(&true) {
            out.failure = None;
            return found.len();
        }
        if done.contains(&false) {
            return processed;
        }
    }
    processed
}

#[cfg(test)]
mod tests;
