//! Records read again by their ids, because a delivery was not enough: every one once for all deliveries of a call, side
//! by side within what the edition allows.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::plan::Wanted;
use crate::api::{Answer, Api};
use crate::config::Config;
use crate::error::{Error, Kind as Failure, Result};
use crate::row::{self, Change, ChangeSource, Operation};
use crate::table::Table;
use crate::tables;
use crate::transport::Transport;
use crate::url::Path;

/// How the session remembers that a portal refuses `include` on details.
const DETAIL_INCLUDE: &str = "detail.include";

/// What the API says of some records, by their paths.
pub(super) struct Records(BTreeMap<String, Result<Answer>>);

impl Records {
    /// Reads what is wanted. The outer error is about the token: nothing could be read.
    pub(super) fn read<'a, T: Transport>(
        api: &mut Api<T>,
        wanted: impl Iterator<Item = &'a Wanted>,
    ) -> Result<Self> {
        let mut distinct: BTreeMap<String, &'static Table> = BTreeMap::new();
        for wanted in wanted {
            distinct.insert(path(wanted), wanted.table);
            if let Some((parent, path)) = guard(api.config(), wanted) {
                distinct.insert(path, parent);
            }
        }
        let mut records = BTreeMap::new();
        let mut left: Vec<(String, &'static Table)> = distinct.into_iter().collect();
        while !left.is_empty() {
            let at_once = if left.len() > 1 { api.concurrency() } else { 1 };
            let paths: Vec<String> = left.iter().map(|(path, table)| included(api, path, table)).collect();
            let answers = api.get_all(&paths, at_once)?;
            let mut again = Vec::new();
            for (((path, table), sent), answer) in left.into_iter().zip(&paths).zip(answers) {
                match answer {
                    Err(error) if *sent != path && refuses_include(&error) => {
                        api.remember_refused(table.name, DETAIL_INCLUDE);
                        again.push((path, table));
                    }
                    answer => drop(records.insert(path, answer)),
                }
            }
            left = again;
        }
        Ok(Self(records))
    }

    /// The change that a record's state is; none when it is gone already or this user may not see it.
    pub(super) fn change(&self, config: &Config, wanted: &Wanted) -> Result<Option<Change>> {
        if let Some((parent, path)) = guard(config, wanted) {
            match self.0.get(&path) {
                Some(Ok(answer)) if config.selects(parent, answer.object()?.map_or("{}", RawValue::get)) => {}
                Some(Err(error)) if !matches!(error.kind, Failure::NotFound | Failure::Permission) => {
                    return Err(error.clone());
                }
                _ => return Ok(None),
            }
        }
        match self.0.get(&path(wanted)) {
            Some(Ok(answer)) => found(config, wanted, answer),
            Some(Err(error)) => missing(wanted, error),
            None => Err(Error::new(Failure::Internal, "webhook delivery: a record was not read")),
        }
    }
}

fn path(wanted: &Wanted) -> String {
    match &wanted.child {
        Some((kind, parent)) => kind.record_path(parent, &wanted.id),
        None => wanted.table.detail_path(&wanted.id).unwrap_or_default(),
    }
}

/// Where a child's department is to be seen: its parent, when only some departments are chosen.
fn guard(config: &Config, wanted: &Wanted) -> Option<(&'static Table, String)> {
    let (_, id) = wanted.child.as_ref().filter(|_| !config.department_ids.is_empty())?;
    let parent = tables::find(wanted.table.children?.parent)?;
    Some((parent, parent.detail_path(id)?))
}

/// The path with what gives the record alone what its list row has beside it, where the portal gives that.
fn included<T: Transport>(api: &Api<T>, path: &str, table: &Table) -> String {
    let include = table.detail.and_then(|detail| detail.include);
    match include.filter(|_| !api.refused(table.name, DETAIL_INCLUDE)) {
        Some(include) => Path::new(path).with("include", include).into_string(),
        None => path.to_owned(),
    }
}

fn refuses_include(error: &Error) -> bool {
    error.kind == Failure::Data && error.message.contains("include")
}

fn found(config: &Config, wanted: &Wanted, answer: &Answer) -> Result<Option<Change>> {
    let Wanted { table, id, .. } = wanted;
    let record = answer.object()?.map_or("{}", RawValue::get);
    let head = row::head(record).filter(|head| head.id == *id).ok_or_else(|| {
        Error::new(Failure::Data, format!("`{}` {id}: the detail is of another record", table.name))
    })?;
    // It was read after the event, so it is at least as new.
    let as_of_ms = answer.as_of_ms.unwrap_or(0).max(wanted.event_ms);
    // One of a department that is not chosen has left the chosen ones: in the target it is gone.
    if wanted.child.is_none() && (head.deleted || !config.selects(table, record)) {
        return Ok(Some(Change::delete(
            table.name,
            id,
            wanted.previous.clone(),
            Some(as_of_ms),
            ChangeSource::Refetch,
        )));
    }
    let document = match (&wanted.child, table.children) {
        (Some((kind, parent)), Some(children)) => row::as_child(record, children.parent_key, parent, kind)
            .ok_or_else(|| {
                Error::new(Failure::Data, format!("`{}` {id}: the row is no object", table.name))
            })?,
        _ => record.to_owned(),
    };
    Ok(Some(Change {
        table: table.name,
        operation: Operation::Update,
        key: row::key(id),
        before: wanted.previous.clone(),
        source_updated_at_ms: head.modified_time_ms,
        as_of_ms: Some(as_of_ms),
        id: row::change_id(id, &document),
        after: Some(document),
        partial: true,
        source: ChangeSource::Refetch,
    }))
}

/// A record that the API does not give.
fn missing(wanted: &Wanted, error: &Error) -> Result<Option<Change>> {
    if wanted.child.is_some() {
        // One that is gone is found when its parent's children are read.
        return match error.kind {
            Failure::NotFound | Failure::Permission => Ok(None),
            _ => Err(error.clone()),
        };
    }
    let is_gone = match (error.kind, error.code.as_deref()) {
        (Failure::NotFound, _) => true,
        // An account that is gone answers 403, not 404 (§3.4); so does what this user may not see.
        (Failure::Permission, Some("FORBIDDEN")) => wanted.gone,
        _ => return Err(error.clone()),
    };
    // It was asked for after the event, so it is gone at least as late.
    let as_of_ms = error.as_of_ms().unwrap_or(0).max(wanted.event_ms);
    Ok(is_gone.then(|| {
        Change::delete(
            wanted.table.name,
            &wanted.id,
            wanted.previous.clone(),
            Some(as_of_ms),
            ChangeSource::Refetch,
        )
    }))
}
