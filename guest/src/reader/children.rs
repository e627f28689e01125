//! Children of listed rows: the lists of a few parents at a time, then the records of children whose list is
//! incomplete.

use super::details::{self, Listed};
use super::output::Output;
use crate::api::{Answer, Api};
use crate::change::{Change, Operation};
use crate::error::{Kind, Result};
use crate::limits;
use crate::row::{self, RowMeta};
use crate::table::{ChildKind, Children, Table};
use crate::transport::Transport;
use crate::url::Path;

/// One child of a list.
struct Child {
    /// Index into the parents.
    parent: usize,
    kind: &'static ChildKind,
    meta: RowMeta,
    row: String,
    as_of_ms: Option<u64>,
    /// This user may not see its record: the sink keeps the members that the list lacks.
    partial: bool,
}

/// The change that is written for each child.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Row,
    /// Its delete, as of its parent's `as_of_ms`: the parent was deleted or moved to another department.
    Delete,
}

/// Writes all children of the listed parents, in their order. Returns how many parents were processed; if
/// fewer than all, the batch is full or `out.failure` says why.
pub(super) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    parents: &[Listed<'_>],
    write: Write,
    out: &mut Output,
) -> usize {
    let Some(children) = table.children else { return 0 };
    let mut done = 0;
    for some in parents.chunks(limits::PARENTS_AT_ONCE) {
        let found = lists(api, &children, some, out).and_then(|found| match write {
            Write::Row => complete(api, some, found, out),
            Write::Delete => Ok(found),
        });
        let Some(found) = out.value_or_end(found) else { return done };
        for child in found {
            let parent = &some[child.parent];
            match write {
                Write::Row => push(table, &children, &parent.meta.id, child, out),
                Write::Delete => out.delete(table, &child.meta.id, None, parent.as_of_ms),
            }
        }
        done += some.len();
        if out.is_full(api.transport().ticks_ms()) {
            break;
        }
    }
    done
}

fn push(table: &'static Table, children: &Children, parent: &str, child: Child, out: &mut Output) {
    let Some(row) = row::as_child(&child.row, children.parent_key, parent, child.kind) else { return };
    let change = Change::of_row(table, Operation::Read, &child.meta, row, child.as_of_ms, out.source);
    out.push(Change { partial: child.partial, ..change });
}

/// All children of a few parents, as the lists return them.
fn lists<T: Transport>(
    api: &mut Api<T>,
    children: &Children,
    parents: &[Listed<'_>],
    out: &mut Output,
) -> Result<Vec<Child>> {
    let mut wanted: Vec<(usize, &'static ChildKind)> = Vec::new();
    for (index, parent) in parents.iter().enumerate() {
        let has_some = |kind: &&ChildKind| row::may_have(parent.row, kind.count);
        wanted.extend(children.kinds.iter().filter(has_some).map(|kind| (index, kind)));
    }
    let paths: Vec<String> =
        wanted.iter().map(|(parent, kind)| list_path(kind, &parents[*parent].meta.id, 1)).collect();
    let answers = api.get_each(&paths)?;
    let mut found = Vec::new();
    for ((parent, kind), answer) in wanted.into_iter().zip(answers) {
        list(api, kind, (parent, &parents[parent].meta.id), answer, &mut found, out)?;
    }
    Ok(found)
}

/// Adds the children of one list, its first page and the others; `parent` is its index and id.
fn list<T: Transport>(
    api: &mut Api<T>,
    kind: &'static ChildKind,
    (parent, parent_id): (usize, &str),
    first: Result<Answer>,
    found: &mut Vec<Child>,
    out: &mut Output,
) -> Result<()> {
    let mut page = first;
    for number in 1..=limits::CHILD_PAGES_MAX {
        let answer = match page {
            Ok(answer) => answer,
            // The parent was deleted since it was listed.
            Err(error) if error.kind == Kind::NotFound => return Ok(()),
            Err(error) if details::is_hidden(&error) => {
                out.skip(format!("the {}s of {parent_id} are skipped: {error}", kind.name));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let rows = answer.rows_with_meta()?;
        let length = rows.len() as u64;
        found.extend(rows.into_iter().map(|(meta, row)| Child {
            parent,
            kind,
            meta,
            row: row.to_owned(),
            as_of_ms: answer.as_of_ms,
            partial: false,
        }));
        if length < kind.limit {
            return Ok(());
        }
        page = api.get(&list_path(kind, parent_id, 1 + number * kind.limit));
    }
    let most = limits::CHILD_PAGES_MAX * kind.limit;
    out.skip(format!("{parent_id} has more than {most} {}s: the others are skipped", kind.name));
    Ok(())
}

/// Completes the children whose list is incomplete with their records.
fn complete<T: Transport>(
    api: &mut Api<T>,
    parents: &[Listed<'_>],
    found: Vec<Child>,
    out: &mut Output,
) -> Result<Vec<Child>> {
    let paths: Vec<String> = found
        .iter()
        .filter(|child| !child.kind.list_is_complete)
        .map(|child| child.kind.record_path(&parents[child.parent].meta.id, &child.meta.id))
        .collect();
    let mut answers = api.get_each(&paths)?.into_iter();
    let mut completed = Vec::with_capacity(found.len());
    for child in found {
        if child.kind.list_is_complete {
            completed.push(child);
        } else if let Some(answer) = answers.next() {
            completed.extend(with_record(child, answer, out)?);
        }
    }
    Ok(completed)
}

/// The child with its record; none when it was deleted since it was listed.
fn with_record(mut child: Child, answer: Result<Answer>, out: &mut Output) -> Result<Option<Child>> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.kind == Kind::NotFound => return Ok(None),
        Err(error) if details::is_hidden(&error) => {
            let (kind, id) = (child.kind.name, &child.meta.id);
            out.warnings.push(format!("{kind} {id}: only the members of the list: {error}"));
            child.partial = true;
            return Ok(Some(child));
        }
        Err(error) => return Err(error),
    };
    if let Some(record) = answer.object()? {
        child.row = row::overlay(record.get(), &child.row, |_| true).unwrap_or(child.row);
        child.as_of_ms = answer.as_of_ms;
    }
    Ok(Some(child))
}

fn list_path(kind: &ChildKind, parent: &str, from: u64) -> String {
    Path::new(&kind.list.replace("{parent}", parent))
        .with("from", from)
        .with("limit", kind.limit)
        .into_string()
}
