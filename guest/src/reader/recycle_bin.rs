//! Deletes that no webhook reported: a scan of the records moved to the recycle bin since the last scan.
//!
//! Source: `zoho-desk-api.md` §7. The recycle bin has no time filter and no documented order, so pages are
//! read until one has no new record. A record that was purged before the scan is found by the next snapshot.

use serde::Deserialize;

use super::children::{self, Write};
use super::details::Listed;
use super::output::{Output, Progress};
use crate::api::Api;
use crate::cursor::Search;
use crate::error::{Kind, Result};
use crate::limits;
use crate::row::RowMeta;
use crate::table::Table;
use crate::tables;
use crate::time;
use crate::transport::Transport;
use crate::url::Path;

/// Rows of a page (§3.2: 50 by its schema).
const PAGE: u64 = 50;

/// One record in the recycle bin.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: String,
    #[serde(rename = "type")]
    module: Option<String>,
    deleted_time: Option<String>,
}

/// A record that was deleted, and when.
struct Deleted {
    id: String,
    at_ms: u64,
}

/// Writes a delete for each row of `table` that was moved to the recycle bin since the last scan.
pub(super) fn scan<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    search: &mut Search,
    out: &mut Output,
) -> Result<Progress> {
    // Children have no entries: they are deleted with their parents.
    let parents = table.children.and_then(|children| tables::find(children.parent));
    if let Some(module) = parents.unwrap_or(table).recycle_bin {
        let horizon_ms = search.recycle_bin_since_ms.saturating_sub(limits::RECYCLE_BIN_OVERLAP_MS);
        let deleted = match entries(api, table, module, horizon_ms) {
            Ok(deleted) => deleted,
            Err(error) if matches!(error.kind, Kind::Permission | Kind::NotFound) => {
                let warning = format!("the recycle bin cannot be read, deletes may be found late: {error}");
                out.warnings.push(warning);
                return Ok(Progress::Done);
            }
            Err(error) => return Err(error),
        };
        if parents.is_some() {
            delete_children(api, table, &deleted, out)?;
        } else {
            for Deleted { id, at_ms } in deleted {
                out.delete(table, &id, None, Some(at_ms));
            }
        }
    }
    search.recycle_bin_since_ms = search.since_ms;
    Ok(Progress::Done)
}

/// The records of `module` deleted since `horizon_ms`, of the selected departments.
fn entries<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    module: &str,
    horizon_ms: u64,
) -> Result<Vec<Deleted>> {
    let mut found = Vec::new();
    for page in 0..limits::RECYCLE_BIN_PAGES_MAX {
        let path = Path::new("/api/v1/recycleBin").with("from", 1 + page * PAGE).with("limit", PAGE);
        let answer = api.get(&path.into_string())?;
        let rows = answer.rows()?;
        let mut has_new = false;
        for raw in &rows {
            let Ok(entry) = serde_json::from_str::<Entry>(raw.get()) else { continue };
            let Some(deleted_ms) = entry.deleted_time.as_deref().and_then(time::parse) else { continue };
            if deleted_ms < horizon_ms {
                continue;
            }
            has_new = true;
            let is_ours = entry.module.is_some_and(|found| found.eq_ignore_ascii_case(module));
            if is_ours && api.config().selects(table, raw.get()) {
                // Times are whole seconds: the row may have changed earlier within the same one.
                let at_ms = if deleted_ms.is_multiple_of(1000) { deleted_ms + 999 } else { deleted_ms };
                found.push(Deleted { id: entry.id, at_ms });
            }
        }
        if !has_new || (rows.len() as u64) < PAGE {
            break;
        }
    }
    Ok(found)
}

/// Writes deletes of the children of deleted parents, as far as the API still lists them: whether it does is
/// not documented. After one group of parents without any the others are not asked for.
fn delete_children<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    parents: &[Deleted],
    out: &mut Output,
) -> Result<()> {
    let groups = limits::RECYCLE_BIN_PARENTS_MAX / limits::PARENTS_AT_ONCE;
    for group in parents.chunks(limits::PARENTS_AT_ONCE).take(groups) {
        let metas: Vec<RowMeta> = group
            .iter()
            .map(|parent| RowMeta { id: parent.id.clone(), modified_time_ms: None, deleted: true })
            .collect();
        let listed: Vec<Listed<'_>> = group
            .iter()
            .zip(&metas)
            .map(|(parent, meta)| Listed { meta, row: "{}", as_of_ms: Some(parent.at_ms) })
            .collect();
        let (changes, warnings) = (out.changes.len(), out.warnings.len());
        children::read(api, table, &listed, Write::Delete, out);
        // That children of a deleted parent are refused is expected.
        out.warnings.truncate(warnings);
        out.interrupted()?;
        if out.changes.len() == changes {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
        let mut search = Search { since_ms: 0, window: None, recycle_bin_since_ms: 0, seen: BTreeMap::new() };
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
