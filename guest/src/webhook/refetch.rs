//! Refetches the records that deliveries name: each record once for all deliveries of a call, concurrently.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::plan::Lookup;
use crate::api::{Answer, Api};
use crate::change::{Change, ChangeSource, Operation};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::row;
use crate::table::Table;
use crate::tables;
use crate::transport::Transport;
use crate::url::Path;

/// The session's name for `include` of details, which some portals refuse.
const DETAIL_INCLUDE: &str = "detail.include";

/// The API's answers about some records, by their paths.
pub(super) struct Records(BTreeMap<String, Result<Answer>>);

impl Records {
    /// Reads the records. The outer error is about the token: nothing could be read.
    pub(super) fn read<'a, T: Transport>(
        api: &mut Api<T>,
        lookups: impl Iterator<Item = &'a Lookup>,
    ) -> Result<Self> {
        let mut distinct: BTreeMap<String, &'static Table> = BTreeMap::new();
        for lookup in lookups {
            distinct.insert(path(lookup), lookup.table);
            if let Some((parent, path)) = parent_check(api.config(), lookup) {
                distinct.insert(path, parent);
            }
        }
        let mut records = BTreeMap::new();
        let mut left: Vec<(String, &'static Table)> = distinct.into_iter().collect();
        while !left.is_empty() {
            let paths: Vec<String> =
                left.iter().map(|(path, table)| with_include(api, path, table)).collect();
            let answers = api.get_each(&paths)?;
            let mut again = Vec::new();
            for (((path, table), sent), answer) in left.into_iter().zip(&paths).zip(answers) {
                match answer {
                    Err(error) if *sent != path && refuses_include(&error) => {
                        api.remember_unsupported(table.name, DETAIL_INCLUDE);
                        again.push((path, table));
                    }
                    answer => drop(records.insert(path, answer)),
                }
            }
            left = again;
        }
        Ok(Self(records))
    }

    /// The change to the state of a record; none when there is nothing to apply or this user may not see it.
    pub(super) fn change(&self, config: &Config, lookup: &Lookup) -> Result<Option<Change>> {
        if let Some((parent, path)) = parent_check(config, lookup) {
            match self.0.get(&path) {
                Some(Ok(answer)) if config.selects(parent, answer.object()?.map_or("{}", RawValue::get)) => {}
                Some(Err(error)) if !matches!(error.kind, Kind::NotFound | Kind::Permission) => {
                    return Err(error.clone());
                }
                _ => return Ok(None),
            }
        }
        match self.0.get(&path(lookup)) {
            Some(Ok(answer)) => found(config, lookup, answer),
            Some(Err(error)) => not_found(lookup, error),
            None => Err(Error::new(Kind::Internal, "webhook delivery: a record was not read")),
        }
    }
}

fn path(lookup: &Lookup) -> String {
    match &lookup.child {
        Some((kind, parent)) => kind.record_path(parent, &lookup.id),
        None => lookup.table.record_path(&lookup.id).unwrap_or_default(),
    }
}

/// The record that has a child's department: its parent. None when all departments are selected.
fn parent_check(config: &Config, lookup: &Lookup) -> Option<(&'static Table, String)> {
    let (_, id) = lookup.child.as_ref().filter(|_| !config.department_ids.is_empty())?;
    let parent = tables::find(lookup.table.children?.parent)?;
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

fn found(config: &Config, lookup: &Lookup, answer: &Answer) -> Result<Option<Change>> {
    let Lookup { table, id, .. } = lookup;
    let record = answer.object()?.map_or("{}", RawValue::get);
    let meta = row::meta(record).filter(|meta| meta.id == *id).ok_or_else(|| {
        Error::new(Kind::Data, format!("`{}` {id}: the detail is of another record", table.name))
    })?;
    // The record was read after the event, so its state is at least as new.
    let as_of_ms = answer.as_of_ms.unwrap_or(0).max(lookup.event_ms);
    // A record of a department that is not selected has left the selected ones: it is deleted in the sink.
    if lookup.child.is_none() && (meta.deleted || !config.selects(table, record)) {
        return Ok(Some(delete(lookup, as_of_ms)));
    }
    let row = match (&lookup.child, table.children) {
        (Some((kind, parent)), Some(children)) => row::as_child(record, children.parent_key, parent, kind)
            .ok_or_else(|| Error::new(Kind::Data, format!("`{}` {id}: the row is no object", table.name)))?,
        _ => record.to_owned(),
    };
    let change = Change::of_row(table, Operation::Update, &meta, row, Some(as_of_ms), ChangeSource::Refetch);
    Ok(Some(Change { before: lookup.previous.clone(), partial: true, ..change }))
}

/// The change of a record that the API refuses.
fn not_found(lookup: &Lookup, error: &Error) -> Result<Option<Change>> {
    let is_deleted = match (error.kind, error.code.as_deref()) {
        // A deleted child is found when its parent's children are read.
        (Kind::NotFound | Kind::Permission, _) if lookup.child.is_some() => false,
        (Kind::NotFound, _) => true,
        // A deleted account answers 403, not 404 (§3.4), and so does a record that this user may not see.
        (Kind::Permission, Some("FORBIDDEN")) => lookup.is_deleted,
        _ => return Err(error.clone()),
    };
    // The record was asked for after the event, so it was deleted at least as late.
    let as_of_ms = error.as_of_ms().unwrap_or(0).max(lookup.event_ms);
    Ok(is_deleted.then(|| delete(lookup, as_of_ms)))
}

fn delete(lookup: &Lookup, as_of_ms: u64) -> Change {
    let Lookup { table, id, previous, .. } = lookup;
    Change::delete(table, id, previous.clone(), Some(as_of_ms), ChangeSource::Refetch)
}
