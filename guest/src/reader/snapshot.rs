//! A snapshot over a list: pages asked for ahead, checked at their seams, each row made whole.

use super::children::{self, Fate};
use super::details::{self, Gone, Listed};
use super::{Output, Progress};
use crate::api::{Answer, Api};
use crate::config::Sort;
use crate::cursor::Snapshot;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::paging::Verdict;
use crate::row;
use crate::table::{Follow, List, Slices, Table};
use crate::transport::Transport;
use crate::url::Path;

/// Reads one round of pages, or one slice.
pub(super) fn step<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<Progress> {
    if let Some(slices) = table.list.slices {
        return slice(api, table, slices, snapshot, out);
    }
    let list = &table.list;
    let at_once = pages_at_once(api, table, snapshot, out);
    let froms = snapshot.position.plan(list.limit, at_once);
    let plain: Vec<String> = froms.iter().map(|from| list_path(api, table, *from, None)).collect();
    let mut paths = plain;
    let with_fields = !details::reads_details(api, table)
        && table.detail.is_some_and(|detail| detail.is_chosen)
        && !api.config().custom_field_keys.is_empty();
    if with_fields {
        let keys = api.config().custom_field_keys.join(",");
        paths.extend(froms.iter().map(|from| list_path(api, table, *from, Some(&keys))));
    }
    let in_flight = at_once * if with_fields { 2 } else { 1 };
    let mut answers = api.get_all(&paths, in_flight)?;
    let custom = answers.split_off(froms.len());
    let mut custom = custom.into_iter();
    let full = snapshot.position.from + froms.len() as u64 * table.list.limit.saturating_sub(1);
    let ahead = (froms.len() * 2).min(limits::LIST_PAGES_AT_ONCE);
    for (from, answer) in froms.into_iter().zip(answers) {
        let custom = custom.next();
        if from != snapshot.position.from {
            break; // rows moved, or the page before was short: what was asked for ahead does not fit any more
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return give_up_parameter(api, table, error),
        };
        snapshot.source_began_ms = snapshot.source_began_ms.or(answer.as_of_ms);
        if let Progress::Done = page(api, table, snapshot, out, &answer, custom)? {
            return Ok(Progress::Done);
        }
        if out.failure.is_some() || out.is_full(api.transport().ticks_ms()) {
            break;
        }
    }
    snapshot.ahead = if snapshot.position.from < full { 1 } else { ahead };
    Ok(Progress::More)
}

/// Takes one page.
fn page<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    snapshot: &mut Snapshot,
    out: &mut Output,
    answer: &Answer,
    custom: Option<Result<Answer>>,
) -> Result<Progress> {
    let rows = answer.headed_rows()?;
    let ids: Vec<&str> = rows.iter().map(|(head, _)| head.id.as_str()).collect();
    let before = snapshot.position.clone();
    match snapshot.position.accept(table.list.limit, &ids) {
        Verdict::End => {
            if ids.is_empty() && before.from <= 1 {
                believe_empty(api, table)?;
            }
            Ok(Progress::Done)
        }
        Verdict::Again => {
            out.moved = true;
            Ok(Progress::More)
        }
        Verdict::Stuck => Err(Error::new(
            Kind::Data,
            format!("{} repeats the same rows whatever `from` is asked", table.list.path),
        )
        .hint("this server does not page as Zoho Desk does: check `desk_url`")),
        Verdict::Rows(first) => {
            let chosen: Vec<usize> =
                (first..rows.len()).filter(|&index| api.config().selects(table, rows[index].1)).collect();
            let listed: Vec<Listed<'_>> = chosen
                .iter()
                .map(|&index| (&rows[index], answer.as_of_ms))
                .map(|((head, row), as_of_ms)| Listed { head, row, as_of_ms })
                .collect();
            let written = match custom {
                Some(custom) => details::with_custom_fields(api, table, &listed, custom, out),
                None if table.children.is_some() => children::read(api, table, &listed, Fate::Live, out),
                None => details::read(api, table, &listed, Gone::Skip, out),
            };
            snapshot.gaps |= out.gaps;
            if let Some(&next) = chosen.get(written) {
                // The position stays just behind the last row that is dealt with: a failure, or the batch is full.
                snapshot.position = before;
                if next > first {
                    snapshot.position.accept(table.list.limit, &ids[..next]);
                    out.moved = true;
                }
                return match out.failure.take() {
                    Some(failure) => Err(failure),
                    None => Ok(Progress::More),
                };
            }

            out.moved = true;
            Ok(Progress::More)
        }
    }
}

/// Reads one slice of a list that is not paged.
fn slice<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    slices: Slices,
    snapshot: &mut Snapshot,
    out: &mut Output,
) -> Result<Progress> {
    let Some(value) = slices.values.get(snapshot.slice) else { return Ok(Progress::Done) };
    let path = Path::new(table.list.path).with(slices.parameter, value).into_string();
    let was_read = api.slice_was_read(table.name, value);
    match api.get(&path) {
        Ok(answer) => {
            snapshot.source_began_ms = snapshot.source_began_ms.or(answer.as_of_ms);
            let tag = format!("\"{value}\"");
            let rows = answer.headed_rows()?;
            if !rows.is_empty() {
                api.remember_slice(table.name, value, true);
            } else if was_read == Some(true) {
                snapshot.gaps = true;
                out.warnings.push(format!("{} `{value}` shows no rows any more", slices.parameter));
            }
            for (head, row) in rows {
                let tagged = row::with_member(row, slices.parameter, &tag).unwrap_or_default();
                out.push(details::as_read(table, &head, tagged, answer.as_of_ms));
            }
        }
        Err(error) if lacks_module(&error) => {
            // The edition lacks it, or so it was said in an earlier snapshot too and it never showed a row: then the target
            // has none of it. Any other refusal may pass.
            let never_was =
                was_read == Some(false) || error.code.as_deref() == Some("LICENSE_ACCESS_LIMITED");
            snapshot.gaps |= !never_was;
            if was_read.is_none() {
                api.remember_slice(table.name, value, false);
            }
            out.warnings.push(format!("{} `{value}` is left out: {error}", slices.parameter));
        }
        Err(error) => return Err(error),
    }
    snapshot.slice += 1;
    out.moved = true;
    Ok(if snapshot.slice < slices.values.len() { Progress::More } else { Progress::Done })
}

/// An error when the list shows no rows at all and the source counts some: a wrong portal and a lost permission show as
/// empty lists (`zoho-desk-api.md` §8.12, §8.15), and the target would bury the whole table.
fn believe_empty<T: Transport>(api: &mut Api<T>, table: &Table) -> Result<()> {
    let path = match (table.count, table.follow) {
        (Some(path), _) => Path::new(path),
        (None, Follow::Search { path, .. }) => Path::new(path).with("from", 0).with("limit", 1),
        (None, Follow::Compare { .. }) => return Ok(()),
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
    let message = format!("the list of `{}` shows no rows, and {count} are counted", table.name);
    Err(Error::new(Kind::Permission, message).code("HIDDEN").hint(
        "nothing is deleted for it; the user who generated the code may see none of them, or `organization_id` or \
         `department_ids` are of another portal: generate the code as an administrator of the right one",
    ))
}

/// True when a portal does not have the module at all; a missing scope is another thing.
fn lacks_module(error: &Error) -> bool {
    match error.kind {
        Kind::Data | Kind::NotFound => true,
        Kind::Permission => error.code.as_deref() != Some("SCOPE_MISMATCH"),
        _ => false,
    }
}

/// One page first, more while the list shows to be long; only one where each page is followed by its details.
fn pages_at_once<T: Transport>(api: &mut Api<T>, table: &Table, snapshot: &Snapshot, out: &Output) -> usize {
    if snapshot.ahead <= 1 || table.children.is_some() || details::reads_details(api, table) {
        return 1;
    }
    let room = usize::try_from(out.room().div_ceil(table.list.limit)).unwrap_or(1);
    let most = limits::LIST_PAGES_AT_ONCE.min(api.concurrency());
    snapshot.ahead.min(room).clamp(1, most)
}

/// The path of one page; with `fields`, the projection to those fields instead of the plain rows.
fn list_path<T: Transport>(api: &Api<T>, table: &Table, from: u64, fields: Option<&str>) -> String {
    let List { path, limit, query, sort_by, sort_is_chosen, departments, .. } = table.list;
    let mut path = Path::new(path).with("from", from).with("limit", limit);
    if let Some(field) = sort_by
        && !api.refused(table.name, "sortBy")
    {
        let newest_first = sort_is_chosen && api.config().sort == Sort::NewestFirst;
        path = path.with("sortBy", format_args!("{}{field}", if newest_first { "-" } else { "" }));
    }
    if let Some(parameter) = departments
        && !api.config().department_ids.is_empty()
    {
        path = path.with(parameter, api.config().department_ids.join(","));
    }
    match fields {
        Some(fields) => path = path.with("fields", fields),
        None => {
            for (name, value) in query {
                if !api.refused(table.name, name) {
                    path = path.with(name, value);
                }
            }
        }
    }
    path.into_string()
}

/// A portal that refuses an optional parameter is read without it from then on: the one it names, or else one after the
/// other.
fn give_up_parameter<T: Transport>(api: &mut Api<T>, table: &Table, error: Error) -> Result<Progress> {
    let sent = || table.list.optional.iter().filter(|parameter| !api.refused(table.name, parameter));
    let named = sent().find(|parameter| error.message.contains(**parameter));
    match named.or_else(|| sent().next()) {
        Some(parameter) if error.kind == Kind::Data => {
            api.remember_refused(table.name, parameter);
            Ok(Progress::More)
        }
        _ => Err(error),
    }
}
