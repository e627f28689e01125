//! Children of listed rows: a few parents at a time, their lists side by side, then the records that the lists only hint at.

use super::Output;
use super::details::{self, Listed};
use crate::api::{Answer, Api};
use crate::error::{Kind as Failure, Result};
use crate::limits;
use crate::row::{self, Head};
use crate::table::{Children, Kind, Table};
use crate::transport::Transport;
use crate::url::Path;

/// One child found in a list.
struct Child {
    parent: usize,
    kind: &'static Kind,
    head: Head,
    row: String,
    as_of_ms: Option<u64>,
    /// Its record may not be seen: the target keeps what it has beside this.
    partial: bool,
}

/// What becomes of the children of a parent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Live,
    /// The parent went out of what is read, as of its `as_of_ms`, and they with it.
    Gone,
}

/// Writes all children of the listed parents, in their order. Answers how many parents were dealt with; fewer than all
/// means that the batch is full, or that `out.failure` says why.
pub(super) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    parents: &[Listed<'_>],
    fate: Fate,
    out: &mut Output,
) -> usize {
    let Some(children) = table.children else { return 0 };
    let mut done = 0;
    for some in parents.chunks(limits::PARENTS_AT_ONCE) {
        let found = match fate {
            Fate::Live => lists(api, &children, some, out).and_then(|found| complete(api, some, found, out)),
            Fate::Gone => lists(api, &children, some, out),
        };
        match found {
            Ok(found) => {
                for child in found {
                    if fate == Fate::Gone {
                        let as_of_ms = some[child.parent].as_of_ms;
                        out.delete(table.name, &child.head.id, None, as_of_ms);
                        continue;
                    }
                    let parent = &some[child.parent].head.id;
                    let Some(document) = row::as_child(&child.row, children.parent_key, parent, child.kind)
                    else {
                        continue;
                    };
                    let mut change = details::as_read(table, &child.head, document, child.as_of_ms);
                    change.partial = child.partial;
                    out.push(change);
                }
            }
            Err(error) => {
                out.failure = Some(error);
                return done;
            }
        }
        done += some.len();
        if out.is_full(api.transport().ticks_ms()) {
            break;
        }
    }
    done
}

/// All children of a few parents, as the lists show them.
fn lists<T: Transport>(
    api: &mut Api<T>,
    children: &Children,
    parents: &[Listed<'_>],
    out: &mut Output,
) -> Result<Vec<Child>> {
    let mut wanted: Vec<(usize, &'static Kind)> = Vec::new();
    for (index, parent) in parents.iter().enumerate() {
        wanted.extend(
            children
                .kinds
                .iter()
                .filter(|kind| row::counts_some(parent.row, kind.count))
                .map(|kind| (index, kind)),
        );
    }
    let paths: Vec<String> =
        wanted.iter().map(|(parent, kind)| list_path(kind, &parents[*parent].head.id, 1)).collect();
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let at_once = api.concurrency();
    let answers = api.get_all(&paths, at_once)?;
    let mut found = Vec::new();
    for ((parent, kind), answer) in wanted.into_iter().zip(answers) {
        list(api, kind, parent, &parents[parent].head.id, answer, &mut found, out)?;
    }
    Ok(found)
}

/// Takes one list of children, and its further pages.
fn list<T: Transport>(
    api: &mut Api<T>,
    kind: &'static Kind,
    parent: usize,
    parent_id: &str,
    first: Result<Answer>,
    found: &mut Vec<Child>,
    out: &mut Output,
) -> Result<()> {
    let mut page = first;
    for number in 1..=limits::CHILD_PAGES_MAX {
        let answer = match page {
            Ok(answer) => answer,
            // The parent went since it was listed.
            Err(error) if error.kind == Failure::NotFound => return Ok(()),
            Err(error) if details::is_hidden(&error) => {
                out.leave_out(format!("the {}s of {parent_id} are left out: {error}", kind.name));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let rows = answer.headed_rows()?;
        let length = rows.len() as u64;
        found.extend(rows.into_iter().map(|(head, row)| Child {
            parent,
            kind,
            head,
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
    out.leave_out(format!("{parent_id} has more than {most} {}s: the others are left out", kind.name));
    Ok(())
}

/// Replaces the children whose list is not whole by their records.
fn complete<T: Transport>(
    api: &mut Api<T>,
    parents: &[Listed<'_>],
    found: Vec<Child>,
    out: &mut Output,
) -> Result<Vec<Child>> {
    let paths: Vec<String> = found
        .iter()
        .filter(|child| !child.kind.list_is_whole)
        .map(|child| child.kind.record_path(&parents[child.parent].head.id, &child.head.id))
        .collect();
    let at_once = api.concurrency();
    let mut answers = if paths.is_empty() { Vec::new() } else { api.get_all(&paths, at_once)? }.into_iter();
    let mut whole = Vec::with_capacity(found.len());
    for mut child in found {
        if !child.kind.list_is_whole {
            let answer = match answers.next() {
                Some(Ok(answer)) => answer,
                Some(Err(error)) if error.kind == Failure::NotFound => continue,
                Some(Err(error)) if details::is_hidden(&error) => {
                    out.warnings.push(format!(
                        "{} {}: only what the list shows: {error}",
                        child.kind.name, child.head.id
                    ));
                    child.partial = true;
                    whole.push(child);
                    continue;
                }
                Some(Err(error)) => return Err(error),
                None => continue,
            };
            if let Some(record) = answer.object()? {
                let wanted = |_: &str| true;
                child.row = row::overlay(record.get(), &child.row, wanted).unwrap_or(child.row);
                child.as_of_ms = answer.as_of_ms;
            }
        }
        whole.push(child);
    }
    Ok(whole)
}

fn list_path(kind: &Kind, parent: &str, from: u64) -> String {
    Path::new(&kind.list.replace("{parent}", parent))
        .with("from", from)
        .with("limit", kind.limit)
        .into_string()
}
