//! Records read again by their ids, because a delivery was not enough: every one once for all deliveries of a call, side
//! by side within what the edition allows.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::plan::Wanted;
use crate::api::{Answer, Api};
use crate::error::{Error, Kind as Failure, Result};
use crate::row::{self, Change, Operation};
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
        let mut distinct: BTreeMap<String, &Wanted> = BTreeMap::new();
        for wanted in wanted {
            distinct.entry(path(wanted)).or_insert(wanted);
        }
        let mut records = BTreeMap::new();
        // One to ask whether it is understood, so that a portal that refuses it is not asked by all.
        let mut left: Vec<(String, &Wanted)> = distinct.into_iter().collect();
        while !left.is_empty() {
            let at_once = if left.len() > 1 { api.concurrency() } else { 1 };
            let paths: Vec<String> = left.iter().map(|(path, wanted)| included(api, path, wanted)).collect();
            let answers = api.get_all(&paths, at_once)?;
            let mut again = Vec::new();
            for (((path, wanted), sent), answer) in left.into_iter().zip(&paths).zip(answers) {
                match answer {
                    Err(error) if *sent != path && refuses_include(&error) => {
                        api.remember_refused(wanted.table.name, DETAIL_INCLUDE);
                        again.push((path, wanted));
                    }
                    answer => drop(records.insert(path, answer)),
                }
            }
            left = again;
        }
        Ok(Self(records))
    }

    /// The change that a record's state is; none when it is gone already or this user may not see it.
    pub(super) fn change(&self, wanted: &Wanted) -> Result<Option<Change>> {
        match self.0.get(&path(wanted)) {
            Some(Ok(answer)) => found(wanted, answer),
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

/// The path with what gives the record alone what its list row has beside it, where the portal gives that.
fn included<T: Transport>(api: &Api<T>, path: &str, wanted: &Wanted) -> String {
    let include = wanted.table.detail.and_then(|detail| detail.include);
    match include.filter(|_| wanted.child.is_none() && !api.refused(wanted.table.name, DETAIL_INCLUDE)) {
        Some(include) => Path::new(path).with("include", include).into_string(),
        None => path.to_owned(),
    }
}

fn refuses_include(error: &Error) -> bool {
    error.kind == Failure::Data && error.message.contains("include")
}

fn found(wanted: &Wanted, answer: &Answer) -> Result<Option<Change>> {
    let Wanted { table, id, .. } = wanted;
    let record = answer.object()?.map_or("{}", RawValue::get);
    let head = row::head(record).filter(|head| head.id == *id).ok_or_else(|| {
        Error::new(Failure::Data, format!("`{}` {id}: the detail is of another record", table.name))
    })?;
    // It was read after the event, so it is at least as new.
    let as_of_ms = answer.as_of_ms.unwrap_or(0).max(wanted.event_ms);
    if head.deleted && wanted.child.is_none() {
        return Ok(Some(Change::gone(table.name, id, wanted.previous.clone(), Some(as_of_ms))));
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
        source_time_ms: head.modified_time_ms,
        as_of_ms: Some(as_of_ms),
        id: row::change_id(id, &document),
        after: Some(document),
        attributes: vec![
            ("partial".to_owned(), "true".to_owned()),
            ("lineage".to_owned(), "read-back".to_owned()),
        ],
    }))
}

/// A record that the API does not give.
fn missing(wanted: &Wanted, error: &Error) -> Result<Option<Change>> {
    // An account that is gone answers 403, not 404 (§3.4); so does what this user may not see.
    let hidden = error.kind == Failure::Permission && error.code.as_deref() == Some("FORBIDDEN");
    let is_gone = match error.kind {
        Failure::NotFound => true,
        _ if hidden => wanted.gone,
        Failure::Permission if wanted.child.is_some() => false,
        _ => return Err(error.clone()),
    };
    // A child that is gone is found when its parent's children are read.
    let is_gone = is_gone && wanted.child.is_none();
    // It was asked for after the event, so it is gone at least as late.
    let as_of_ms = error.as_of_ms.unwrap_or(0).max(wanted.event_ms);
    Ok(is_gone.then(|| Change::gone(wanted.table.name, &wanted.id, wanted.previous.clone(), Some(as_of_ms))))
}
