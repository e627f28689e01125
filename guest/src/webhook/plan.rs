//! Plans a delivery: changes that can be applied from its body, and records to be refetched. Pure.

use serde_json::value::RawValue;

use super::events::{self, Event, Route};
use crate::change::{Change, ChangeSource, Operation};
use crate::config::{Config, Refetch};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::members::Members;
use crate::row;
use crate::table::{ChildKind, Table};

/// The steps of one delivery, in order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Names of events that belong to no table that is read.
    pub(super) ignored: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Step {
    /// The payload is proof enough.
    Apply(Change),
    Refetch(Lookup),
}

/// A record to be refetched, with the facts of its event.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) table: &'static Table,
    pub(super) id: String,
    /// Of a child: its kind and its parent's id.
    pub(super) child: Option<(&'static ChildKind, String)>,
    /// The row before the change.
    pub(super) previous: Option<String>,
    /// When the event happened.
    pub(super) event_ms: u64,
    /// The event says that the record is deleted.
    pub(super) is_deleted: bool,
}

/// Plans a delivery that arrived at `received_at_ms`; `is_verified` when it is proved to be from Zoho.
pub(super) fn new(
    config: &Config,
    events: &[Event<'_>],
    received_at_ms: u64,
    is_verified: bool,
) -> Result<Plan> {
    if events.len() > limits::EVENTS_MAX {
        let message = format!("webhook delivery: {} events, more than {}", events.len(), limits::EVENTS_MAX);
        return Err(Error::new(Kind::Data, message));
    }
    let mut plan = Plan::default();
    for event in events {
        check_organization(config, event, is_verified)?;
        // The body is not signed: its time may be anything.
        let latest_ms = received_at_ms.saturating_add(limits::EVENT_SKEW_MS);
        let event_ms = event.time_ms.unwrap_or(received_at_ms).min(latest_ms);
        let is_known = match events::route(&event.name) {
            Route::Record(table, operation) if config.tables.contains(&table) => {
                plan.steps.extend(record(config, table, operation, event, event_ms, is_verified)?);
                true
            }
            Route::Touch { table, key, child } if config.refetch != Refetch::Never => {
                let steps = touch(config, table, key, child, event, event_ms)?;
                let is_known = !steps.is_empty();
                plan.steps.extend(steps);
                is_known
            }
            _ => false,
        };
        if !is_known {
            plan.ignored.push(printable(&event.name));
        }
    }
    Ok(plan)
}

/// Refuses an event of another organization. One that names none must be proved, or refetched with this
/// organization's token.
fn check_organization(config: &Config, event: &Event<'_>, is_verified: bool) -> Result<()> {
    let (what, hint) = match event.organization_id.as_deref() {
        Some(id) if id == config.organization_id => return Ok(()),
        None if is_verified || config.refetch != Refetch::Never => return Ok(()),
        Some(_) => (
            "is of another organization",
            "this URL is registered in the wrong portal: remove the webhook there",
        ),
        None => ("has no `orgId`", "put `orgId` into the body, or set `refetch` to \"auto\" or \"always\""),
    };
    let message = format!("webhook delivery: event `{}` {what}", printable(&event.name));
    Err(Error::new(Kind::Permission, message).hint(hint))
}

/// The step of an event whose payload is the record; none for a record that was never of a selected
/// department.
fn record(
    config: &Config,
    table: &'static Table,
    operation: Operation,
    event: &Event<'_>,
    event_ms: u64,
    is_verified: bool,
) -> Result<Option<Step>> {
    let payload = event.payload.map(RawValue::get).ok_or_else(|| unusable(event))?;
    let meta = row::meta(payload).ok_or_else(|| unusable(event))?;
    let is_deleted = operation == Operation::Delete || meta.deleted;
    let is_selected = config.selects(table, payload);
    let was_selected = event.previous.is_none_or(|previous| config.selects(table, previous.get()));
    if !is_selected && (is_deleted || !was_selected) {
        return Ok(None);
    }
    let needs_refetch = table.record.is_some()
        && match config.refetch {
            Refetch::Always => true,
            Refetch::Never => false,
            Refetch::Auto => !is_verified || (!is_deleted && lacks_members(table, payload)),
        };
    let previous = event.previous.map(|state| state.get().to_owned());
    Ok(Some(if needs_refetch {
        Step::Refetch(Lookup { table, id: meta.id, child: None, previous, event_ms, is_deleted })
    } else if is_deleted || !is_selected {
        // A record that left the selected departments is deleted in the sink.
        Step::Apply(Change::delete(table, &meta.id, previous, Some(event_ms), ChangeSource::Webhook))
    } else {
        let row = payload.to_owned();
        let change = Change::of_row(table, operation, &meta, row, Some(event_ms), ChangeSource::Webhook);
        Step::Apply(Change { before: previous, partial: true, ..change })
    }))
}

/// The steps of an event about something attached to a row: the row is refetched, and the child, where the
/// payload is one. The payload is never used as a row. Empty when neither table is read.
fn touch(
    config: &Config,
    table: &'static Table,
    key: &str,
    child: Option<(&'static Table, &'static ChildKind)>,
    event: &Event<'_>,
    event_ms: u64,
) -> Result<Vec<Step>> {
    let payload = event.payload.map(RawValue::get).ok_or_else(|| unusable(event))?;
    let parent = member_id(payload, key).ok_or_else(|| unusable(event))?;
    let refetch = |table, id, child| {
        Step::Refetch(Lookup { table, id, child, previous: None, event_ms, is_deleted: false })
    };
    let mut steps = Vec::new();
    if config.tables.contains(&table) {
        steps.push(refetch(table, parent.clone(), None));
    }
    if let Some((table, kind)) = child.filter(|(table, _)| config.tables.contains(table)) {
        let meta = row::meta(payload).ok_or_else(|| unusable(event))?;
        steps.push(refetch(table, meta.id, Some((kind, parent))));
    }
    Ok(steps)
}

/// True when a payload lacks members that every row of the table has.
fn lacks_members(table: &Table, payload: &str) -> bool {
    let Some(members) = Members::parse(payload) else { return true };
    let has_column = |name: &str| table.columns.iter().any(|column| column.name == name);
    let always = ["createdTime", "modifiedTime"].into_iter().filter(|name| has_column(name));
    always.chain(table.fields_module.map(|_| "cf")).any(|name| !members.has(name))
}

/// The id in a member of a payload: digits in a string.
fn member_id(payload: &str, name: &str) -> Option<String> {
    let id = Members::parse(payload)?.get(name)?.strip_prefix('"')?.strip_suffix('"')?;
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
}

fn unusable(event: &Event<'_>) -> Error {
    let message = format!("webhook delivery: event `{}` names no record", printable(&event.name));
    Error::new(Kind::Data, message)
}

/// An event's name without control characters, cut.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
