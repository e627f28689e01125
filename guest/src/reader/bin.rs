//! Deletes that nothing told: a sweep over what came into the recycle bin since the last one.
//!
//! Source: `zoho-desk-api.md` §7. The bin has no time filter and no documented order, so pages are read until one shows nothing
//! new. What was purged from the bin before the sweep is found by the next complete read.

use serde::Deserialize;

use super::children::{self, Fate};
use super::details::Listed;
use super::{Output, Progress};
use crate::api::Api;
use crate::cursor::Search;
use crate::error::{Kind, Result};
use crate::limits;
use crate::row::Head;
use crate::table::Table;
use crate::tables;
use crate::time;
use crate::transport::Transport;
use crate::url::Path;

/// Rows of a page of the bin (§3.2: 50 by its schema).
const PAGE: u64 = 50;

/// One entry of the bin.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: String,
    #[serde(rename = "type")]
    module: Option<String>,
    deleted_time: Option<String>,
}

/// Writes a delete for each row of `table` that came into the bin since the last sweep.
pub(super) fn sweep<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    // Children have no entries of their own: they went with their parents.
    let parents = table.children.and_then(|children| tables::find(children.parent));
    let module = parents.unwrap_or(table).title;
    let mut binned = Vec::new();
    let horizon_ms = search.bin_since_ms.saturating_sub(limits::BIN_OVERLAP_MS);
    for page in 0..limits::BIN_PAGES_MAX {
        let path = Path::new("/api/v1/recycleBin").with("from", 1 + page * PAGE).with("limit", PAGE);
        let answer = match api.get(&path.into_string()) {
            Ok(answer) => answer,
            Err(error) if matches!(error.kind, Kind::Permission | Kind::NotFound) => {
                out.warnings
                    .push(format!("the recycle bin cannot be read, so a delete may be found late: {error}"));
                return Ok(Progress::Done);
            }
            Err(error) => return Err(error),
        };
        let rows = answer.rows()?;
        let mut shows_new = false;
        for raw in &rows {
            let Ok(entry) = serde_json::from_str::<Entry>(raw.get()) else { continue };
            let Some(deleted_ms) = entry.deleted_time.as_deref().and_then(time::parse) else { continue };
            if deleted_ms < horizon_ms {
                continue;
            }
            shows_new = true;
            let is_ours = entry.module.as_deref().is_some_and(|its| its.eq_ignore_ascii_case(module));
            if is_ours && api.config().selects(table, raw.get()) {
                binned.push((entry.id, deleted_ms));
            }
        }
        if !shows_new || (rows.len() as u64) < PAGE {
            break;
        }
    }
    // The bin counts whole seconds: the row may have changed earlier within the same one.
    let as_of_ms = |ms: u64| if ms.is_multiple_of(1000) { ms + 999 } else { ms };
    if parents.is_some() {
        let parents: Vec<(Head, u64)> = binned
            .into_iter()
            .map(|(id, deleted_ms)| {
                (Head { id, modified_time_ms: None, deleted: true }, as_of_ms(deleted_ms))
            })
            .collect();
        bury_children(api, table, &parents, out)?;
    } else {
        for (id, deleted_ms) in binned {
            out.delete(table.name, &id, None, Some(as_of_ms(deleted_ms)));
        }
    }
    search.bin_since_ms = search.since_ms;
    Ok(Progress::Done)
}

/// Writes deletes of the children of parents in the bin, as far as the API still lists them there; nowhere is it said
/// whether it does. Where it shows none of several parents it is not asked about more.
fn bury_children<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    parents: &[(Head, u64)],
    out: &mut Output,
) -> Result<()> {
    for some in
        parents.chunks(limits::PARENTS_AT_ONCE).take(limits::BIN_PARENTS_MAX / limits::PARENTS_AT_ONCE)
    {
        let listed: Vec<Listed<'_>> =
            some.iter().map(|(head, ms)| Listed { head, row: "{}", as_of_ms: Some(*ms) }).collect();
        let (changes, warnings) = (out.changes.len(), out.warnings.len());
        children::read(api, table, &listed, Fate::Gone, out);
        // That they are not shown any more is no news.
        out.warnings.truncate(warnings);
        if let Some(failure) = out.failure.take() {
            return Err(failure);
        }
        if out.changes.len() == changes {
            break;
        }
    }
    Ok(())
}
