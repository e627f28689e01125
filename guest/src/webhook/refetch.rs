//! Refetches the records that deliveries name: each record once for all deliveries of a call, concurrently,
//! and a bounded number of them.

use std::collections::BTreeMap;

use super::plan::Lookup;
use super::trust::Proof;
use crate::api::{Answer, Api};
use crate::change::{Change, ChangeSource, Operation};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::reader;
use crate::record::{self, Record};
use crate::row;
use crate::table::{ChildKind, Table};
use crate::tables;
use crate::transport::Transport;
use crate::url::Path;

/// The session's name for `include` of details, which some portals refuse.
const DETAIL_INCLUDE: &str = "detail.include";

/// Records to be read, by their paths.
type Paths = BTreeMap<String, &'static Table>;

/// The records that the deliveries of one call need.
#[derive(Default)]
pub(super) struct Reads {
    paths: Paths,
    /// Those of unsigned deliveries.
    pub(super) unsigned: Vec<String>,
    is_full: bool,
}

impl Reads {
    /// The records of `lookups` that are neither wanted yet nor answered.
    pub(super) fn missing<'a>(
        &self,
        config: &Config,
        lookups: impl Iterator<Item = &'a Lookup>,
        answers: &Answers,
    ) -> Paths {
        let mut missing = Paths::new();
        for lookup in lookups {
            let itself = (path(lookup), lookup.table);
            let parent = parent_check(config, lookup).map(|(parent, path)| (path, parent));
            for (path, table) in [Some(itself), parent].into_iter().flatten() {
                if !self.paths.contains_key(&path) && answers.since(&path, lookup.arrived_ms).is_none() {
                    missing.insert(path, table);
                }
            }
        }
        missing
    }

    /// True when `more` fit into the call. One delivery alone always does.
    pub(super) fn has_room(&mut self, more: &Paths) -> bool {
        let count = self.paths.len() + more.len();
        self.is_full |= !self.paths.is_empty() && count > limits::REFETCHES_MAX;
        !self.is_full
    }

    /// True once a delivery had no room: those behind it wait, so that changes stay in order.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn add(&mut self, more: Paths) {
        self.paths.extend(more);
    }
}

/// The records of the last call that read some. A delivery that arrived before one was read needs no other
/// answer: that happens when many deliveries are about one record.
#[derive(Default)]
pub(super) struct Answers {
    /// When the calls were sent.
    read_at_ms: u64,
    by_path: BTreeMap<String, Result<Answer>>,
}

impl Answers {
    /// Forgets answers that lie in the future: the clock was set back, and deliveries after it seem older.
    pub(super) fn set_back(&mut self, now_ms: u64) {
        if self.read_at_ms > now_ms {
            *self = Self::default();
        }
    }

    /// The answer that was read after `arrived_ms`.
    fn since(&self, path: &str, arrived_ms: u64) -> Option<&Result<Answer>> {
        self.by_path.get(path).filter(|answer| answer.is_ok() && self.read_at_ms > arrived_ms)
    }
}

/// The API's answers about the records of one call.
pub(super) struct Records<'a> {
    /// Of this call, or of the last one that read records.
    answers: &'a Answers,
    /// Of the last call, where this one read others.
    earlier: Answers,
}

impl<'a> Records<'a> {
    /// Reads the records. The outer error is about the token: nothing could be read.
    pub(super) fn read<T: Transport>(
        api: &mut Api<T>,
        reads: Reads,
        answers: &'a mut Answers,
    ) -> Result<Self> {
        if reads.paths.is_empty() {
            return Ok(Self { answers, earlier: Answers::default() });
        }
        let read_at_ms = api.transport().now_ms();
        let by_path = read(api, reads.paths)?;
        let earlier = std::mem::replace(answers, Answers { read_at_ms, by_path });
        Ok(Self { answers, earlier })
    }

    /// The change to the state of a record; none when there is nothing to apply or this user may not see it.
    pub(super) fn change(&self, config: &Config, lookup: &Lookup) -> Result<Option<Change>> {
        self.found(config, lookup).map_err(passing)
    }

    fn found(&self, config: &Config, lookup: &Lookup) -> Result<Option<Change>> {
        if let Some((parent, path)) = parent_check(config, lookup)
            && !self.is_selected(config, parent, &path, lookup)?
        {
            return Ok(None);
        }
        let answer = self.answer(&path(lookup), lookup)?;
        match &lookup.child {
            Some((kind, parent)) => {
                let Some(children) = &lookup.table.children else { return Ok(None) };
                match child(answer, kind, parent, &lookup.id)? {
                    Child::Present(row) => {
                        let row = row::as_child(&row, children, parent, kind);
                        present(lookup, answer, row).map(Some)
                    }
                    Child::Missing if lookup.is_deleted => Ok(Some(delete(lookup, answer))),
                    Child::Missing | Child::Unknown => Ok(None),
                }
            }
            None if lookup.record.is_some() => touched(config, lookup, answer),
            None => {
                let record = record::judge(config, lookup.table, &lookup.id, answer)?;
                changed(lookup, answer, record)
            }
        }
    }

    /// True when a record may be read by a later attempt.
    pub(super) fn has_failed(&self, path: &str) -> bool {
        let is_temporary = |error: &Error| matches!(error.kind, Kind::Unavailable | Kind::RateLimited);
        let has_failed = |error: &Error| is_temporary(&passing(error.clone()));
        self.answers.by_path.get(path).is_none_or(|answer| answer.as_ref().is_err_and(has_failed))
    }

    fn is_selected(&self, config: &Config, table: &Table, path: &str, lookup: &Lookup) -> Result<bool> {
        match self.answer(path, lookup)? {
            Ok(answer) => Ok(config.selects(table, answer.object()?.map_or("{}", |raw| raw.get()))),
            // The department of a deleted parent is not known; a child that never was here has no row.
            Err(error) if error.is_missing() => Ok(lookup.is_deleted),
            Err(error) if error.kind == Kind::Permission => Ok(false),
            Err(error) => Err(error.clone()),
        }
    }

    fn answer(&self, path: &str, lookup: &Lookup) -> Result<&Result<Answer>> {
        let of_earlier = || self.earlier.since(path, lookup.arrived_ms);
        self.answers
            .by_path
            .get(path)
            .or_else(of_earlier)
            .ok_or_else(|| Error::new(Kind::Internal, "webhook delivery: a record was not read"))
    }
}

/// An answer that is not the API's, such as a proxy's page or a text that was cut short, may be another the
/// next time: the delivery is tried again. Refusals of the API have a code.
fn passing(error: Error) -> Error {
    let is_odd = error.code.is_none() && matches!(error.kind, Kind::Data | Kind::NotFound);
    if is_odd { Error { kind: Kind::Unavailable, ..error } } else { error }
}

/// GETs each path, with its `include` unless the portal refuses it.
fn read<T: Transport>(api: &mut Api<T>, paths: Paths) -> Result<BTreeMap<String, Result<Answer>>> {
    let mut records = BTreeMap::new();
    let mut left: Vec<(String, &'static Table)> = paths.into_iter().collect();
    while !left.is_empty() {
        let sent: Vec<String> = left.iter().map(|(path, table)| with_include(api, path, table)).collect();
        let answers = api.get_each(&sent)?;
        let mut again = Vec::new();
        for (((path, table), sent), answer) in left.into_iter().zip(&sent).zip(answers) {
            match answer {
                Err(error) if *sent != path && refuses_include(&error) => {
                    api.note_unsupported(table.name, DETAIL_INCLUDE);
                    again.push((path, table));
                }
                answer => drop(records.insert(path, answer)),
            }
        }
        left = again;
    }
    Ok(records)
}

fn path(lookup: &Lookup) -> String {
    match &lookup.child {
        Some((kind, parent)) if kind.record.is_empty() => reader::child_list_path(kind, parent, 1),
        Some((kind, parent)) => kind.record_path(parent, &lookup.id),
        None => {
            let record = lookup.record.clone().or_else(|| lookup.table.record_path(&lookup.id));
            record.unwrap_or_default()
        }
    }
}

/// The record that has a child's department: its parent. None when all departments are selected.
fn parent_check(config: &Config, lookup: &Lookup) -> Option<(&'static Table, String)> {
    let (_, id) = lookup.child.as_ref().filter(|_| !config.department_ids.is_empty())?;
    let parent = tables::parent(lookup.table)?;
    Some((parent, parent.record_path(id)?))
}

/// The path with the `include` that gives the record the members of list rows, unless the portal refuses it.
fn with_include<T: Transport>(api: &Api<T>, path: &str, table: &Table) -> String {
    let include = table.detail.and_then(|detail| detail.include);
    match include.filter(|_| !api.is_unsupported(table.name, DETAIL_INCLUDE)) {
        Some(include) => Path::new(path).with("include", include).into_string(),
        None => path.to_owned(),
    }
}

fn refuses_include(error: &Error) -> bool {
    error.kind == Kind::Data && error.message.contains("include")
}

/// A child by the answer to its record, or to the list where the API has no record.
enum Child {
    Present(String),
    Missing,
    /// Hidden, or on a later page of the list.
    Unknown,
}

fn child(answer: &Result<Answer>, kind: &ChildKind, parent: &str, id: &str) -> Result<Child> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.is_missing() => return Ok(Child::Missing),
        Err(error) if error.kind == Kind::Permission => return Ok(Child::Unknown),
        Err(error) => return Err(error.clone()),
    };
    if !kind.record.is_empty() {
        return Ok(Child::Present(answer.object()?.map_or("{}", |raw| raw.get()).to_owned()));
    }
    let rows = reader::rows_of(answer, kind.rows, kind.identity, parent)?;
    let is_whole = kind.limit == 0 || (rows.len() as u64) < kind.limit;
    let found = rows.into_iter().find(|(meta, _)| meta.id == id);
    Ok(match found {
        Some((_, row)) => Child::Present(row),
        None if is_whole => Child::Missing,
        None => Child::Unknown,
    })
}

fn delete(lookup: &Lookup, answer: &Result<Answer>) -> Change {
    let as_of_ms = Some(as_of_ms(lookup, answer));
    Change::delete(lookup.table, &lookup.id, lookup.previous.clone(), as_of_ms, ChangeSource::Refetch)
}

/// The change of a record that is no child.
fn changed(lookup: &Lookup, answer: &Result<Answer>, record: Record<'_>) -> Result<Option<Change>> {
    let is_deleted = match record {
        Record::Present { detail, .. } => {
            return present(lookup, answer, record::row(lookup.table, detail, None)).map(Some);
        }
        // A record that left the selected departments is deleted in the sink.
        Record::Trashed { .. } | Record::Foreign => true,
        // A 404 alone may be of an outage: it confirms a delete, and is none.
        Record::Missing => lookup.is_deleted,
        // It may be hidden only: then the event alone says that it is deleted.
        Record::Hidden => lookup.is_deleted && lookup.proof == Proof::Webhook && lookup.table.hides_deleted,
    };
    Ok(is_deleted.then(|| delete(lookup, answer)))
}

/// The change of a record that takes more than its id. A 404 alone is no delete, and its key is not known.
fn touched(config: &Config, lookup: &Lookup, answer: &Result<Answer>) -> Result<Option<Change>> {
    let Lookup { table, id, .. } = lookup;
    let record = match answer {
        Ok(answer) => answer.object()?.map_or("{}", |raw| raw.get()),
        Err(error) if error.is_missing() || error.is_hidden() => return Ok(None),
        Err(error) => return Err(error.clone()),
    };
    let meta = row::meta_by(record, table.id_member())
        .filter(|_| row::text(record, "id").as_deref() == Some(id.as_str()))
        .ok_or_else(|| {
            Error::new(Kind::Data, format!("`{}` {id}: the detail is of another record", table.name))
        })?;
    let as_of_ms = Some(as_of_ms(lookup, answer));
    if meta.deleted || !config.selects(table, record) {
        return Ok(Some(Change::delete_of_row(table, &meta, record, as_of_ms, ChangeSource::Refetch)));
    }
    let Some(row) = record::row(table, record, None) else { return Ok(None) };
    let change = Change::of_row(table, Operation::Update, &meta, row, as_of_ms, ChangeSource::Refetch);
    Ok(Some(Change { partial: true, ..change }))
}

/// The change of a record that exists.
fn present(lookup: &Lookup, answer: &Result<Answer>, row: Option<String>) -> Result<Change> {
    let Lookup { table, id, .. } = lookup;
    let no_row = |what: &str| Error::new(Kind::Data, format!("`{}` {id}: {what}", table.name));
    let row = row.ok_or_else(|| no_row("the row is no object"))?;
    let meta = row::meta(&row).filter(|meta| meta.id == *id);
    let meta = meta.ok_or_else(|| no_row("the detail is of another record"))?;
    let as_of_ms = Some(as_of_ms(lookup, answer));
    let change = Change::of_row(table, Operation::Update, &meta, row, as_of_ms, ChangeSource::Refetch);
    Ok(Change { before: lookup.previous.clone(), partial: true, ..change })
}

/// The record was read after the event, so its state is at least as new.
fn as_of_ms(lookup: &Lookup, answer: &Result<Answer>) -> u64 {
    Answer::time_of(answer).unwrap_or(0).max(lookup.event_ms)
}
