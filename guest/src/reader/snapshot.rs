//! A snapshot of a list: pages asked for ahead, checked for moved rows, and completed row by row; or one
//! partition after the other.

use super::children::{self, Write};
use super::custom_fields;
use super::details::{self, Listed};
use super::output::{Output, Progress};
use super::repeating;
use crate::api::{Answer, Api};
use crate::config::Sort;
use crate::cursor::Snapshot;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::paging::PageOutcome;
use crate::row;
use crate::table::{Incremental, List, Partitions, Table};
use crate::transport::Transport;
use crate::url::Path;

/// Reads one round of pages, or one partition.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<Progress> {
    if let Some(partitions) = table.list.partitions {
        return read_partition(api, table, partitions, snapshot, out);
    }
    let limit = table.list.limit;
    let at_once = pages_at_once(api, table, snapshot, out);
    let froms = snapshot.offset.plan(limit, at_once);
    let mut paths: Vec<String> = froms.iter().map(|from| list_path(api, table, *from, None)).collect();
    let has_projections = needs_projections(api, table);
    if has_projections {
        let keys = api.config().custom_field_keys.join(",");
        paths.extend(froms.iter().map(|from| list_path(api, table, *from, Some(&keys))));
    }
    let in_flight = at_once * if has_projections { 2 } else { 1 };
    let mut answers = api.get_all(&paths, in_flight)?;
    let mut projections = answers.split_off(froms.len()).into_iter();
    let full_from = snapshot.offset.from + froms.len() as u64 * limit.saturating_sub(1);
    let more_at_once = (froms.len() * 2).min(limits::LIST_PAGES_AT_ONCE);
    for (from, answer) in froms.into_iter().zip(answers) {
        let projection = projections.next();
        if from != snapshot.offset.from {
            break; // Rows moved, or the page before was short: pages asked for ahead do not connect.
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return drop_optional_parameter(api, table, error),
        };
        snapshot.source_started_at_ms = snapshot.source_started_at_ms.or(answer.as_of_ms);
        if let Progress::Done = read_page(api, table, snapshot, &answer, projection, out)? {
            return Ok(Progress::Done);
        }
        if out.failure.is_some() || out.is_full(api.transport().ticks_ms()) {
            break;
        }
    }
    snapshot.pages_at_once = if snapshot.offset.from < full_from { 1 } else { more_at_once };
    Ok(Progress::More)
}

/// True when custom fields are read by a second request for each page: tickets without their details.
fn needs_projections<T: Transport>(api: &Api<T>, table: &Table) -> bool {
    !details::reads_details(api, table)
        && table.detail.is_some_and(|detail| detail.optional)
        && !api.config().custom_field_keys.is_empty()
}

/// Writes the new rows of one page.
fn read_page<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    answer: &Answer,
    projection: Option<Result<Answer>>,
    out: &mut Output,
) -> Result<Progress> {
    let rows = answer.rows_with_meta()?;
    let ids: Vec<&str> = rows.iter().map(|(meta, _)| meta.id.as_str()).collect();
    let before = snapshot.offset.clone();
    let first = match snapshot.offset.accept(table.list.limit, &ids) {
        PageOutcome::NewRows(first) => first,
        PageOutcome::AskAgain => {
            out.has_moved = true;
            return Ok(Progress::More);
        }
        PageOutcome::End => {
            if ids.is_empty() && before.from <= 1 {
                verify_empty_list(api, table)?;
            }
            return Ok(Progress::Done);
        }
        PageOutcome::Repeating => return Err(repeating(table.list.path)),
    };
    let selected: Vec<usize> =
        (first..rows.len()).filter(|&index| api.config().selects(table, rows[index].1)).collect();
    let listed: Vec<Listed<'_>> = selected
        .iter()
        .map(|&index| Listed { meta: &rows[index].0, row: rows[index].1, as_of_ms: answer.as_of_ms })
        .collect();
    let written = match projection {
        Some(projection) => custom_fields::read(api, table, &listed, projection, out),
        None if table.children.is_some() => children::read(api, table, &listed, Write::Row, out),
        None => details::read(api, table, &listed, out),
    };
    snapshot.incomplete |= out.incomplete;
    let Some(&next) = selected.get(written) else {
        out.has_moved = true;
        return Ok(Progress::More);
    };
    // The offset stays right after the last row that was processed: a failure, or the batch is full.
    let processed = if next > first { next } else { 0 };
    snapshot.offset.rewind(before, table.list.limit, &ids[..processed]);
    out.has_moved |= processed > 0;
    out.interrupted()
}

/// Reads one partition of a list that is not paged.
fn read_partition<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    partitions: Partitions,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<Progress> {
    let Partitions { parameter, values } = partitions;
    let Some(value) = values.get(snapshot.partition) else { return Ok(Progress::Done) };
    let path = Path::new(table.list.path).with(parameter, value).into_string();
    let had_rows = api.partition_had_rows(table.name, value);
    match api.get(&path) {
        Ok(answer) => {
            snapshot.source_started_at_ms = snapshot.source_started_at_ms.or(answer.as_of_ms);
            let tag = format!("\"{value}\"");
            let rows = answer.rows_with_meta()?;
            if !rows.is_empty() {
                api.remember_partition(table.name, value, true);
            } else if had_rows == Some(true) {
                out.skip(format!("{parameter} `{value}` has no rows any more"));
            }
            for (meta, row) in rows {
                let row = row::with_member(row, parameter, &tag).unwrap_or_default();
                out.row(table, &meta, row, answer.as_of_ms);
            }
        }
        Err(error) if lacks_module(&error) => {
            // The edition lacks the module, or an earlier snapshot was refused too and it never had a row:
            // then the sink holds none of its rows. Any other refusal may be temporary.
            let never_had_rows =
                had_rows == Some(false) || error.code.as_deref() == Some("LICENSE_ACCESS_LIMITED");
            if had_rows.is_none() {
                api.remember_partition(table.name, value, false);
            }
            let warning = format!("{parameter} `{value}` is skipped: {error}");
            if never_had_rows {
                out.warnings.push(warning);
            } else {
                out.skip(warning);
            }
        }
        Err(error) => return Err(error),
    }
    snapshot.incomplete |= out.incomplete;
    snapshot.partition += 1;
    out.has_moved = true;
    Ok(if snapshot.partition < values.len() { Progress::More } else { Progress::Done })
}

/// An error when the list is empty and the source counts rows: a wrong portal and a lost permission look like
/// empty lists (`zoho-desk-api.md` §8.12, §8.15), and the sink would delete the whole table.
fn verify_empty_list<T: Transport>(api: &mut Api<T>, table: &Table) -> Result<()> {
    let path = match (table.count, table.incremental) {
        (Some(path), _) => Path::new(path),
        (None, Incremental::Search { path, .. }) => Path::new(path).with("from", 0).with("limit", 1),
        (None, Incremental::FullRefresh { .. }) => return Ok(()),
    };
    let ids = &api.config().department_ids;
    let paths: Vec<String> = if table.list.departments.is_none() || ids.is_empty() {
        vec![path.into_string()]
    } else {
        ids.iter().map(|id| path.clone().with("departmentId", id).into_string()).collect()
    };
    let mut count = 0;
    for path in paths {
        match api.get(&path) {
            Ok(answer) => count += answer.count().or_else(|_| answer.rows().map(|rows| rows.len() as u64))?,
            Err(error) if matches!(error.kind, Kind::Permission | Kind::NotFound | Kind::Data) => {}
            Err(error) => return Err(error),
        }
    }
    if count == 0 {
        return Ok(());
    }
    let message = format!("the list of `{}` is empty, but the source counts {count} rows", table.name);
    Err(Error::new(Kind::Permission, message).code("HIDDEN").hint(
        "no row is deleted for it; the user who generated the code may see none of them, or \
         `organization_id` or `department_ids` are of another portal: generate the code as an administrator \
         of the right one",
    ))
}

/// True when a portal does not have the module at all; a missing scope is a different failure.
fn lacks_module(error: &Error) -> bool {
    match error.kind {
        Kind::Data | Kind::NotFound => true,
        Kind::Permission => error.code.as_deref() != Some("SCOPE_MISMATCH"),
        _ => false,
    }
}

/// One page first, more while pages are full; only one where each page is followed by calls for its rows.
fn pages_at_once<T: Transport>(api: &mut Api<T>, table: &Table, snapshot: &Snapshot, out: &Output) -> usize {
    if snapshot.pages_at_once <= 1 || table.children.is_some() || details::reads_details(api, table) {
        return 1;
    }
    let room = usize::try_from(out.room().div_ceil(table.list.limit)).unwrap_or(1);
    let most = limits::LIST_PAGES_AT_ONCE.min(api.concurrency());
    snapshot.pages_at_once.min(room).clamp(1, most)
}

/// The path of one page; with `fields`, of its projection to those fields.
fn list_path<T: Transport>(api: &Api<T>, table: &Table, from: u64, fields: Option<&str>) -> String {
    let List { path, limit, query, sort_by, configurable_sort, departments, .. } = table.list;
    let config = api.config();
    let mut path = Path::new(path).with("from", from).with("limit", limit);
    if let Some(field) = sort_by
        && !api.is_unsupported(table.name, "sortBy")
    {
        let is_descending = configurable_sort && config.sort == Sort::NewestFirst;
        path = path.with("sortBy", format_args!("{}{field}", if is_descending { "-" } else { "" }));
    }
    if let Some(parameter) = departments
        && !config.department_ids.is_empty()
    {
        path = path.with(parameter, config.department_ids.join(","));
    }
    if let Some(fields) = fields {
        return path.with("fields", fields).into_string();
    }
    for (name, value) in query {
        if !api.is_unsupported(table.name, name) {
            path = path.with(name, value);
        }
    }
    path.into_string()
}

/// Drops an optional parameter that this portal refuses, for good: the one the refusal names, or else one
/// after the other.
fn drop_optional_parameter<T: Transport>(api: &mut Api<T>, table: &Table, error: Error) -> Result<Progress> {
    let is_sent = |parameter: &&&str| !api.is_unsupported(table.name, parameter);
    let sent = || table.list.optional_parameters.iter().filter(is_sent);
    let named = sent().find(|parameter| error.message.contains(**parameter));
    match named.or_else(|| sent().next()) {
        Some(parameter) if error.kind == Kind::Data => {
            api.remember_unsupported(table.name, parameter);
            Ok(Progress::More)
        }
        _ => Err(error),
    }
}
