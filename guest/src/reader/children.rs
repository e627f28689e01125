//! Children of listed rows: the lists of a few parents at a time, then the records of children whose list is
//! incomplete.
//!
//! Parents are finished one by one: the failure of one discards nothing of the others. A parent with more
//! children than a batch holds is left in the middle, at a [`ChildPlace`].
//!
//! Long because it is one algorithm over one struct.

mod together;
mod whole;

use together::Joint;
pub(super) use together::TOGETHER;

use std::collections::BTreeMap;

use super::known::Known;
use super::output::Output;
use super::tally::{Calls, Tally};
use super::{again, rows};
use crate::api::{Answer, Api};
use crate::change::{Change, Listing, Operation};
use crate::cursor::ChildPlace;
use crate::error::{Error, Result};
use crate::limits;
use crate::paging::{Offset, PageOutcome};
use crate::row::{self, RowMeta};
use crate::table::{ChildKind, Children, Table};
use crate::transport::Transport;
use crate::url::Path;

/// A row whose children are read.
#[derive(Clone, Copy)]
pub(super) struct Parent<'a> {
    pub(super) id: &'a str,
    /// The row, or only its counters.
    pub(super) row: &'a str,
    pub(super) as_of_ms: Option<u64>,
}

/// The change that is written for each child.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Write<'a> {
    /// Its row.
    All,
    /// Its row if it is not known, or may have changed; of others what the list has.
    New(Known<'a>),
    /// Its delete, as of its parent's `as_of_ms`: the parent was moved to another department.
    Delete,
    /// The same for a parent in the recycle bin: whether its children are still listed is not documented.
    DeleteTrashed,
}

impl Write<'_> {
    fn deletes(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteTrashed)
    }
}

/// One child of a list.
struct Child {
    /// Index into the parents of the group.
    parent: usize,
    kind: &'static ChildKind,
    meta: RowMeta,
    row: String,
    as_of_ms: Option<u64>,
}

/// The children of one list.
struct Listed {
    children: Vec<Child>,
    /// There are more, beyond the pages that are read.
    is_cut: bool,
    /// When there were no others, by the earliest of its pages; none where it does not show that.
    whole_ms: Option<u64>,
}

/// When each list that was read had no other rows, by parent and name of the kind.
type Shown = BTreeMap<(usize, &'static str), Option<u64>>;

/// The children of all parents.
struct Found {
    children: Vec<Child>,
    /// For each parent, whether all its lists could be read. A failed one has no children here.
    is_whole: Vec<bool>,
    /// For each parent, all its rows, where its lists prove that there are no others.
    listings: Vec<Option<Listing>>,
}

/// Writes all children of the parents. True for each parent that was processed; where some were not, the
/// batch is full or `out.failure` says why. `place` is where the first parent continues.
pub(super) fn read<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    parents: &[Parent<'_>],
    write: Write<'_>,
    place: &mut Option<ChildPlace>,
    out: &mut Output,
) -> Vec<bool> {
    let mut done = Vec::with_capacity(parents.len());
    let Some(children) = &table.children else { return vec![false; parents.len()] };
    let mut rest = parents;
    while !rest.is_empty() {
        let (group, others) = rest.split_at(group_size(children, rest));
        let mut reading = Group { table, children, parents: group, write, is_done: Vec::new() };
        let result = reading.read(api, place, out);
        reading.is_done.resize(group.len(), false);
        done.append(&mut reading.is_done);
        out.value_or_end(result);
        if out.failure.is_some() || out.is_full(api.transport().ticks_ms()) {
            break;
        }
        rest = others;
    }
    done.resize(parents.len(), false);
    done
}

/// How many of the parents are read together: as many as have few enough children, and one at least.
fn group_size(children: &Children, parents: &[Parent<'_>]) -> usize {
    let of_kind = |parent: &Parent<'_>, kind: &ChildKind| {
        row::number(parent.row, kind.count).unwrap_or(limits::CHILDREN_UNKNOWN)
    };
    let mut sum = 0;
    let fits = |parent: &&Parent<'_>| {
        sum += children.kinds.iter().map(|kind| of_kind(parent, kind)).sum::<usize>();
        sum <= limits::CHILDREN_AT_ONCE
    };
    parents.iter().take(limits::PARENTS_AT_ONCE).take_while(fits).count().max(1)
}

/// Parents that are read together.
struct Group<'a> {
    table: &'static Table,
    children: &'static Children,
    parents: &'a [Parent<'a>],
    write: Write<'a>,
    /// Parents that were processed.
    is_done: Vec<bool>,
}

impl Group<'_> {
    fn read<T: Transport>(
        &mut self,
        api: &mut Api<T>,
        place: &mut Option<ChildPlace>,
        out: &mut Output,
    ) -> Result<()> {
        self.is_done = vec![false; self.parents.len()];
        let Found { children: found, mut is_whole, listings } = self.lists(api, out)?;
        let start = self.start(place.take(), &found);
        let place_of = |child: &Child| (child.parent, child.meta.id.clone());
        // The last child before the first that is not written, and the parent of that one.
        let (mut last, mut next) = (start.checked_sub(1).map(|index| place_of(&found[index])), None);
        let mut left = found.into_iter().skip(start).peekable();
        while left.peek().is_some() {
            let slice: Vec<Child> = left.by_ref().take(limits::CHILDREN_AT_ONCE).collect();
            let places: Vec<(usize, String)> = slice.iter().map(place_of).collect();
            for (child, is_written) in places.into_iter().zip(self.records(api, slice, out)?) {
                is_whole[child.0] &= is_written;
                match next {
                    None if is_written => last = Some(child),
                    _ => drop(next.get_or_insert(child.0)),
                }
            }
            let is_full = out.failure.is_some() || out.is_full(api.transport().ticks_ms());
            if let Some(child) = left.peek().filter(|_| is_full) {
                next.get_or_insert(child.parent);
                is_whole[child.parent..].fill(false);
                break;
            }
        }
        // Only the first parent that is left can be continued in its middle.
        let is_time = out.failure.as_ref().is_none_or(Error::is_not_asked);
        if let (Some((parent, child)), true) = (last, is_time)
            && next == Some(parent)
            && is_whole[..parent].iter().all(|is_whole| *is_whole)
        {
            let parent = self.parents[parent].id.to_owned();
            *place = Some(ChildPlace { parent, child, has_failed: false });
        }
        for (listing, _) in listings.into_iter().zip(&is_whole).filter(|(_, is_whole)| **is_whole) {
            listing.into_iter().for_each(|listing| out.listing(listing));
        }
        self.is_done = is_whole;
        Ok(())
    }

    /// The index of the first child that is not written yet.
    fn start(&self, place: Option<ChildPlace>, found: &[Child]) -> usize {
        let Some(place) = place else { return 0 };
        let is_it =
            |child: &Child| self.parents[child.parent].id == place.parent && child.meta.id == place.child;
        found.iter().position(is_it).map_or(0, |index| index + 1)
    }

    /// All children of the parents. Their order is the same whichever lists they are from, so that a parent
    /// can be continued in its middle.
    fn lists<T: Transport>(&self, api: &mut Api<T>, out: &mut Output) -> Result<Found> {
        let mut is_whole = vec![true; self.parents.len()];
        let joint = self.together(api, &mut is_whole, out)?;
        let mut wanted: Vec<(usize, &'static ChildKind)> = Vec::new();
        for (index, joint) in joint.iter().enumerate() {
            if is_whole[index] && !matches!(joint, Joint::Whole(..)) {
                wanted.extend(self.kinds_of(index).map(|kind| (index, kind)));
            }
        }
        let paths: Vec<String> =
            wanted.iter().map(|(parent, kind)| list_path(kind, self.parents[*parent].id, 1)).collect();
        let answers = api.get_each(&paths)?;
        out.has_listed |= answers.iter().any(Result::is_ok);
        let mut lists = Vec::with_capacity(wanted.len());
        let tally = Tally::of(api, self.table, Calls::Lists, &paths, &answers);
        for ((parent, kind), answer) in wanted.into_iter().zip(answers) {
            let list = match answer {
                Err(error) if error.is_missing() && !tally.proves_missing() => Err(error),
                answer => self.list(api, kind, parent, answer),
            };
            lists.push((parent, kind, list));
        }
        let (mut found, mut shown) = (Vec::new(), Shown::new());
        for (parent, kind, list) in lists {
            match list {
                Ok(list) => {
                    shown.insert((parent, kind.name), list.whole_ms);
                    if list.is_cut {
                        let (id, count) = (self.parents[parent].id, list.children.len());
                        out.skip(format!(
                            "{id} has more than {count} {}s: the others are skipped",
                            kind.name
                        ));
                    }
                    found.extend(list.children);
                }
                Err(error) => {
                    // The next step starts with this parent, and has all the time for it.
                    let error = if error.is_slow() && parent > 0 { Error::not_asked() } else { error };
                    is_whole[parent] &= self.skips(api, kind, parent, error, tally, out);
                }
            }
        }
        self.judge(api, &joint, &found, out);
        for (parent, joint) in joint.into_iter().enumerate() {
            if let Joint::Whole(children, whole_ms) = joint {
                shown.extend(self.children.kinds.iter().map(|kind| ((parent, kind.name), whole_ms)));
                found.extend(children);
            }
        }
        for (parent, kind) in shown.keys() {
            api.learned().forget_failures(self.table.name, &list_key(self.parents[*parent].id, kind));
        }
        found.retain(|child| is_whole[child.parent]);
        let kind = |child: &Child| self.children.kinds.iter().position(|kind| kind.name == child.kind.name);
        found.sort_by_cached_key(|child| (child.parent, kind(child), child.meta.id.clone()));
        let listings = self.listings(&shown, &found, out);
        Ok(Found { children: found, is_whole, listings })
    }

    /// The kinds of which a parent may have children.
    fn kinds_of(&self, parent: usize) -> impl Iterator<Item = &'static ChildKind> {
        let row = self.parents[parent].row;
        self.children.kinds.iter().filter(|kind| row::may_have(row, kind.count))
    }

    /// True when the children of a parent whose list failed are skipped.
    fn skips<T: Transport>(
        &self,
        api: &mut Api<T>,
        kind: &ChildKind,
        parent: usize,
        error: Error,
        tally: Tally,
        out: &mut Output,
    ) -> bool {
        let id = self.parents[parent].id;
        // Its refusals have a code; a page of a proxy has none.
        if self.write == Write::DeleteTrashed && error.is_refusal() && error.code.is_some() {
            return true;
        }
        let is_expected = self.write == Write::Delete && error.is_refusal();
        let key = list_key(id, kind.name);
        if is_expected || error.is_hidden() || tally.gives_up(api, self.table, &key, &error) {
            if !error.is_hidden() && !self.write.deletes() {
                again::note(api, self.table, id);
            }
            out.skip(format!("the {}s of {id} are skipped: {error}", kind.name));
            out.unread.push(id.to_owned());
            return true;
        }
        out.fail_of(id, error);
        false
    }

    /// The children of one list, its first page and the others.
    fn list<T: Transport>(
        &self,
        api: &mut Api<T>,
        kind: &'static ChildKind,
        parent: usize,
        first: Result<Answer>,
    ) -> Result<Listed> {
        let parent_id = self.parents[parent].id;
        let mut offset = Offset::default();
        let (mut found, mut bytes) = (Vec::new(), 0);
        // New rows of a list that only grows are all that is read of it.
        let mut whole_ms = kind.append_only.is_none().then_some(u64::MAX);
        let mut page = first;
        for _ in 0..limits::CHILD_PAGES_MAX {
            let answer = match page {
                Ok(answer) => answer,
                // The parent was deleted since it was listed.
                Err(error) if error.is_missing() => {
                    return Ok(Listed { children: found, is_cut: false, whole_ms: None });
                }
                Err(error) => return Err(error),
            };
            whole_ms = whole_ms.zip(answer.as_of_ms).map(|(whole_ms, as_of_ms)| whole_ms.min(as_of_ms));
            let rows = rows::of(&answer, kind.rows, kind.identity, parent_id)?;
            let length = rows.len();
            bytes += rows.iter().map(|(_, row)| row.len()).sum::<usize>();
            let is_old = rows.last().is_some_and(|(_, row)| self.is_known(kind, parent_id, row));
            let ids: Vec<&str> = rows.iter().map(|(meta, _)| meta.id.as_str()).collect();
            let new = match offset.accept(kind.limit.max(1), &ids) {
                PageOutcome::NewRows(new) => new,
                PageOutcome::AskAgain => length,
                PageOutcome::End => return Ok(Listed { children: found, is_cut: false, whole_ms }),
                PageOutcome::Repeating => break,
            };
            let as_of_ms = answer.as_of_ms;
            let new_rows = rows.into_iter().skip(new).filter(|(_, row)| !self.is_known(kind, parent_id, row));
            found.extend(new_rows.map(|(meta, row)| Child { parent, kind, meta, row, as_of_ms }));
            let is_last = new < length && api.longest.ends(kind.list, kind.limit, length);
            if kind.limit == 0 || is_old || is_last {
                return Ok(Listed { children: found, is_cut: false, whole_ms });
            }
            if bytes > limits::CHILD_LIST_BYTES_MAX {
                break;
            }
            page = api.get(&list_path(kind, parent_id, offset.from));
        }
        Ok(Listed { children: found, is_cut: true, whole_ms: None })
    }

    /// True for a row of an append-only list that an earlier reading has shown.
    fn is_known(&self, kind: &ChildKind, parent: &str, row: &str) -> bool {
        let (Some(member), Write::New(known)) = (kind.append_only, self.write) else { return false };
        row::time(row, member).is_some_and(|at_ms| known.has_child(parent, at_ms))
    }

    /// True when the child's record has members that are still to be read.
    fn needs_record(&self, child: &Child) -> bool {
        match self.write {
            Write::All => !child.kind.list_is_complete,
            Write::Delete | Write::DeleteTrashed => false,
            // A message that was sent does not change any more.
            Write::New(known) => {
                let is_sent = row::text(&child.row, "status")
                    .is_some_and(|status| matches!(status.as_str(), "SENT" | "SUCCESS"));
                let is_known = row::time(&child.row, "createdTime")
                    .is_some_and(|at_ms| known.has_child(self.parents[child.parent].id, at_ms));
                !child.kind.list_is_complete && (!is_sent || !is_known)
            }
        }
    }

    /// Writes the children, those whose list is incomplete with their records. True for each that was
    /// written; `out.failure` says why the others were not.
    fn records<T: Transport>(
        &self,
        api: &mut Api<T>,
        children: Vec<Child>,
        out: &mut Output,
    ) -> Result<Vec<bool>> {
        let paths: Vec<String> = children
            .iter()
            .filter(|child| self.needs_record(child))
            .map(|child| child.kind.record_path(self.parents[child.parent].id, &child.meta.id))
            .collect();
        let answers = api.get_each(&paths)?;
        let tally = Tally::of(api, self.table, Calls::Records, &paths, &answers);
        let mut answers = answers.into_iter();
        let write = |child: Child| {
            let answer = if self.needs_record(&child) { answers.next() } else { None };
            self.write(api, child, answer, tally, out)
        };
        Ok(children.into_iter().map(write).collect())
    }

    /// Writes one child. False when its record failed.
    fn write<T: Transport>(
        &self,
        api: &mut Api<T>,
        child: Child,
        answer: Option<Result<Answer>>,
        tally: Tally,
        out: &mut Output,
    ) -> bool {
        let parent = &self.parents[child.parent];
        if self.write.deletes() {
            if let Some(row) = row::as_child(&child.row, self.children, parent.id, child.kind) {
                let (meta, as_of_ms) = (&child.meta, parent.as_of_ms);
                out.push(Change::delete_of_row(self.table, meta, &row, as_of_ms, out.source));
            }
            return true;
        }
        let is_listed_only = answer.is_none() && !child.kind.list_is_complete;
        let (row, as_of_ms, partial) = match answer.map(|answer| with_record(&child, answer)) {
            None => (child.row.clone(), child.as_of_ms, is_listed_only),
            Some(Ok((row, as_of_ms))) => {
                api.learned().forget_failures(self.table.name, &child.meta.id);
                (row, as_of_ms, false)
            }
            // Deleted since it was listed.
            Some(Err(error)) if error.is_missing() && tally.proves_missing() => return true,
            Some(Err(error)) => {
                let is_hidden = error.is_hidden();
                if !is_hidden && !tally.gives_up(api, self.table, &child.meta.id, &error) {
                    out.fail_of(parent.id, error);
                    return false;
                }
                if !is_hidden {
                    out.incomplete = true;
                    again::note(api, self.table, parent.id);
                }
                out.unread.push(parent.id.to_owned());
                out.partial_row(|| format!("{} {}", child.kind.name, child.meta.id), &error);
                (child.row.clone(), child.as_of_ms, true)
            }
        };
        let row = row::as_child(&row, self.children, parent.id, child.kind);
        if let Some(row) = row {
            let as_of_ms = out.observed(as_of_ms);
            let change = Change::of_row(self.table, Operation::Read, &child.meta, row, as_of_ms, out.source);
            out.push(Change { partial, ..change });
        }
        true
    }
}

/// The name under which failures of a list are counted: several lists of a parent may fail.
fn list_key(parent: &str, kind: &str) -> String {
    format!("{parent}.{kind}")
}

/// The child with its record and its time.
fn with_record(child: &Child, answer: Result<Answer>) -> Result<(String, Option<u64>)> {
    let answer = answer?;
    let Some(record) = answer.object()? else { return Ok((child.row.clone(), child.as_of_ms)) };
    let row = row::overlay(record.get(), &child.row, |_| true).unwrap_or_else(|| child.row.clone());
    Ok((row, answer.as_of_ms))
}

/// Lists may count their rows from 0 or from 1 (`zoho-desk-api.md` §3.2): asked for one row early, none is
/// left out by either.
pub(crate) fn list_path(kind: &ChildKind, parent: &str, from: u64) -> String {
    let path = Path::new(&kind.list.replace("{parent}", parent));
    if kind.limit == 0 {
        return path.into_string();
    }
    path.with("from", from.saturating_sub(1)).with("limit", kind.limit).into_string()
}
