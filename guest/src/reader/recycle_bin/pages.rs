//! The pages of the recycle bin that one reading asks for. It has no time filter and no documented order
//! (`zoho-desk-api.md` §7): newest first is read until a page has no new record; oldest first from the first
//! page that has one, which is found by bisection.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::{Api, Entry, RecycleBin};
use crate::error::Result;
use crate::limits;
use crate::members::unquoted;
use crate::reader::repeating;
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

/// Reads every record deleted since `bin.since_ms`, from `bin.start` on.
pub(super) fn fill<T: Transport>(api: &mut Api<T>, bin: &mut RecycleBin) -> Result<()> {
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
        rows = match page_at(api, page + 1) {
            // The pages before it count, unless it is the page that the next reading starts with.
            Err(error) if read > 1 && !error.needs_person() => break,
            rows => rows?,
        };
        page += 1;
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
