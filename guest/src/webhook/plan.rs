//! What a delivery's events ask for: changes that can be believed as they stand, and records to be read again. Pure.

use serde_json::value::RawValue;

use super::events::{self, Event, Route};
use crate::config::{Config, Refetch};
use crate::error::{Error, Kind as Failure, Result};
use crate::limits;
use crate::row::{self, Change, ChangeSource, Head, Operation};
use crate::table::{Kind, Table};

/// What is to be done about a delivery.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Names of events that belong to no table that is read.
    pub(super) ignored: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Step {
    /// The payload says it all.
    Believe(Change),
    /// The record must be read again.
    Read(Wanted),
}

/// A record to be read again, and what the event said of it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) table: &'static Table,
    pub(super) id: String,
    /// Where it is a child: its kind and its parent's id.
    pub(super) child: Option<(&'static Kind, String)>,
    /// The before-image.
    pub(super) previous: Option<String>,
    /// When the event happened.
    pub(super) event_ms: u64,
    /// The event said that it is gone.
    pub(super) gone: bool,
}

/// Plans a delivery that arrived at `received_at_ms`; `verified` when it is proved to be from Zoho.
pub(super) fn of(config: &Config, events: &[Event<'_>], received_at_ms: u64, verified: bool) -> Result<Plan> {
    if events.len() > limits::EVENTS_MAX {
        let message = format!("webhook delivery: {} events, more than {}", events.len(), limits::EVENTS_MAX);
        return Err(Error::new(Failure::Data, message));
    }
    let mut plan = Plan::default();
    for event in events {
        belongs(config, event, verified)?;
        // The body is not signed: its time may be anything.
        let latest_ms = received_at_ms.saturating_add(limits::EVENT_SKEW_MS);
        let event_ms = event.time_ms.unwrap_or(received_at_ms).min(latest_ms);
        let known = match events::route(&event.name) {
            Route::Record(table, operation) if config.tables.contains(&table) => {
                plan.steps.extend(record(config, table, operation, event, event_ms, verified)?);
                true
            }
            Route::Part { table, key, child } if config.refetch != Refetch::Never => {
                part(config, table, key, child, event, event_ms, &mut plan)?
            }
            _ => false,
        };
        if !known {
            plan.ignored.push(shown(&event.name));
        }
    }
    Ok(plan)
}

/// Refuses an event of another organisation. One that names none must be proved, or be read again through ours.
fn belongs(config: &Config, event: &Event<'_>, verified: bool) -> Result<()> {
    let (what, hint) = match event.organization_id.as_deref() {
        Some(id) if id == config.organization_id => return Ok(()),
        None if verified || config.refetch != Refetch::Never => return Ok(()),
        Some(_) => (
            "is of another organisation",
            "this URL is registered in the wrong portal: remove the webhook there",
        ),
        None => ("has no `orgId`", "put `orgId` into the body, or set `refetch` to \"auto\" or \"always\""),
    };
    let message = format!("webhook delivery: event `{}` {what}", shown(&event.name));
    Err(Error::new(Failure::Permission, message).hint(hint))
}

/// An event whose payload is the record: believed, or read again by its id.
fn record(
    config: &Config,
    table: &'static Table,
    operation: Operation,
    event: &Event<'_>,
    event_ms: u64,
    verified: bool,
) -> Result<Option<Step>> {
    let payload = event.payload.map(RawValue::get).ok_or_else(|| unusable(event))?;
    let head = row::head(payload).ok_or_else(|| unusable(event))?;
    let gone = operation == Operation::Delete || head.deleted;
    // A record that was never of a chosen department is none of ours; one that left them is gone.
    let is_ours = config.selects(table, payload);
    let was_ours = event.previous.is_none_or(|previous| config.selects(table, previous.get()));
    if !is_ours && (gone || !was_ours) {
        return Ok(None);
    }
    let reads = table.record.is_some()
        && match config.refetch {
            Refetch::Always => true,
            Refetch::Never => false,
            Refetch::Auto => !verified || (!gone && lacks_members(table, payload)),
        };
    let previous = event.previous.map(|state| state.get().to_owned());
    Ok(Some(if reads {
        Step::Read(Wanted { table, id: head.id, child: None, previous, event_ms, gone })
    } else if gone || !is_ours {
        Step::Believe(Change::delete(table.name, &head.id, previous, Some(event_ms), ChangeSource::Webhook))
    } else {
        Step::Believe(from_payload(table, operation, &head, payload, previous, event_ms))
    }))
}

/// An event about a part of a row: the row is read again, and the part, where it is a row itself. A part's payload is never
/// taken for either. Answers whether a chosen table was concerned.
fn part(
    config: &Config,
    table: &'static Table,
    key: &str,
    child: Option<(&'static Table, &'static Kind)>,
    event: &Event<'_>,
    event_ms: u64,
    plan: &mut Plan,
) -> Result<bool> {
    let payload = event.payload.map(RawValue::get).ok_or_else(|| unusable(event))?;
    let parent = member_id(payload, key).ok_or_else(|| unusable(event))?;
    let mut known = false;
    let mut read = |table, id, child| {
        let previous = None;
        plan.steps.push(Step::Read(Wanted { table, id, child, previous, event_ms, gone: false }));
        known = true;
    };
    if config.tables.contains(&table) {
        read(table, parent.clone(), None);
    }
    if let Some((table, kind)) = child.filter(|(table, _)| config.tables.contains(table)) {
        let head = row::head(payload).ok_or_else(|| unusable(event))?;
        read(table, head.id, Some((kind, parent)));
    }
    Ok(known)
}

fn from_payload(
    table: &'static Table,
    operation: Operation,
    head: &Head,
    payload: &str,
    previous: Option<String>,
    event_ms: u64,
) -> Change {
    Change {
        table: table.name,
        operation,
        key: row::key(&head.id),
        before: previous,
        source_updated_at_ms: head.modified_time_ms,
        as_of_ms: Some(event_ms),
        id: row::change_id(&head.id, payload),
        after: Some(payload.to_owned()),
        partial: true,
        source: ChangeSource::Webhook,
    }
}

/// True when a payload lacks what every row of the table has.
fn lacks_members(table: &Table, payload: &str) -> bool {
    let Ok(row::Members(members)) = serde_json::from_str::<row::Members<'_>>(payload) else { return true };
    let has = |name: &str| members.iter().any(|(member, _)| member == name);
    let wants = |name: &str| table.columns.iter().any(|column| column.name == name);
    let always = ["createdTime", "modifiedTime"].into_iter().filter(|name| wants(name));
    always.chain(table.fields_module.map(|_| "cf")).any(|name| !has(name))
}

/// The id in a member of a payload: digits in a string.
fn member_id(payload: &str, name: &str) -> Option<String> {
    let id = row::member(payload, name)?.get().strip_prefix('"')?.strip_suffix('"')?;
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
}

fn unusable(event: &Event<'_>) -> Error {
    Error::new(Failure::Data, format!("webhook delivery: event `{}` names no record", shown(&event.name)))
}

/// An event's name, fit to print.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
