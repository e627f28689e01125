//! Deliveries become changes: verified, routed, and read back by id where the body is not enough.
//!
//! Zoho signs who sent a delivery and to whom, not its body (`zoho-desk-api.md` §6.5). A body is therefore a hint of what changed;
//! how far it is believed is the configuration's `signature` and `read_back`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Subscription;
use super::events::{self, Event, Route};
use super::keys::Keys;
use super::signature::{self, Refusal};
use crate::api::{Answer, Api};
use crate::config::{ReadBack, Signature};
use crate::error::{Error, Kind as Failure, Result};
use crate::row::{self, Change, Head, Operation};
use crate::table::{Kind, Table};
use crate::tables;
use crate::transport::Transport;

/// One HTTP request as it arrived; the contract's `delivery`.
pub struct Delivery {
    pub received_at_ms: u64,
    pub method: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// What one delivery meant; the contract's `receipt`.
#[derive(Debug, Default)]
pub struct Receipt {
    pub changes: Vec<Change>,
    /// Names of events that belong to no table that is read.
    pub ignored: Vec<String>,
}

/// Verifies and translates deliveries, in order, one answer each.
pub fn receive<T: Transport>(
    api: &mut Api<T>,
    subscription: Option<&str>,
    deliveries: &[Delivery],
) -> Vec<Result<Receipt>> {
    let subscription = match subscription.map(Subscription::parse).transpose() {
        Ok(subscription) => subscription,
        Err(error) => return deliveries.iter().map(|_| Err(error.clone())).collect(),
    };
    deliveries.iter().map(|delivery| one(api, subscription.as_ref(), delivery)).collect()
}

fn one<T: Transport>(
    api: &mut Api<T>,
    subscription: Option<&Subscription>,
    delivery: &Delivery,
) -> Result<Receipt> {
    // Zoho validates a new URL with GET, and with a POST that holds nothing.
    if !delivery.method.eq_ignore_ascii_case("POST") {
        return Ok(Receipt::default());
    }
    let refused = |what: String| Error::new(Failure::Data, format!("webhook delivery: {what}"));
    let events = events::parse(&delivery.body).map_err(refused)?;
    if events.is_empty() {
        return Ok(Receipt::default());
    }
    let verified = verify(api, subscription, delivery)?;
    let organization_id = api.config().organization_id.clone();
    if let Some(event) = events
        .iter()
        .find(|event| event.organization_id.as_deref().is_some_and(|id| id != organization_id.as_str()))
    {
        return Err(Error::new(
            Failure::Permission,
            format!("webhook delivery: event `{}` is of another organisation", shown(&event.name)),
        )
        .hint("this URL is registered in the wrong portal: remove the webhook there"));
    }
    let mut receipt = Receipt::default();
    for event in &events {
        take(api, event, delivery, verified, &mut receipt)?;
    }
    Ok(receipt)
}

/// True when the delivery is proved to be from Zoho; an error when it must be and is not.
fn verify<T: Transport>(
    api: &mut Api<T>,
    subscription: Option<&Subscription>,
    delivery: &Delivery,
) -> Result<bool> {
    let required = match api.config().signature {
        Signature::Off => return Ok(false),
        Signature::Required => true,
        Signature::WhenPresent => false,
        Signature::Auto => subscription.is_some(),
    };
    let token = delivery
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(signature::HEADER))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    let Some(token) = token else {
        return if required {
            Err(unproved("the header X-ZDesk-JWT is missing".to_owned()))
        } else {
            Ok(false)
        };
    };
    let webhook_id = subscription.and_then(|subscription| subscription.webhook_id.as_deref());
    let organization_id = api.config().organization_id.clone();
    let at_ms = delivery.received_at_ms;
    let verify = |keys: &Keys| signature::verify(&token, keys, &organization_id, webhook_id, at_ms);
    let mut outcome = verify(api.signing_keys(None)?);
    if let Err(Refusal::UnknownKey(_)) = outcome {
        outcome = verify(api.signing_keys(Some(at_ms))?);
    }
    outcome.map(|()| true).map_err(|refusal| unproved(refusal.message()))
}

fn unproved(what: String) -> Error {
    Error::new(Failure::Permission, format!("webhook delivery: {what}"))
        .code("SIGNATURE")
        .hint("somebody else knows this URL: change it with `webhook url --rotate` and register the new one")
}

/// Turns one event into changes.
fn take<T: Transport>(
    api: &mut Api<T>,
    event: &Event<'_>,
    delivery: &Delivery,
    verified: bool,
    receipt: &mut Receipt,
) -> Result<()> {
    let event_ms = event.time_ms.unwrap_or(delivery.received_at_ms);
    let before = receipt.changes.len();
    let known = match events::route(&event.name) {
        Route::Record(table, operation) => {
            let chosen = api.config().tables.contains(&table);
            if chosen {
                receipt.changes.extend(record(api, table, operation, event, event_ms, verified)?);
            }
            chosen
        }
        Route::Part(child) => part(api, child, event, event_ms, receipt)?,
        Route::Ignored => false,
    };
    if !known && receipt.changes.len() == before {
        receipt.ignored.push(shown(&event.name));
    }
    Ok(())
}

/// An event whose payload is the record: believed, or read again by its id.
fn record<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    operation: Operation,
    event: &Event<'_>,
    event_ms: u64,
    verified: bool,
) -> Result<Option<Change>> {
    let payload = event.payload.map(RawValue::get).ok_or_else(|| unusable(event))?;
    let head = row::head(payload).ok_or_else(|| unusable(event))?;
    let gone = operation == Operation::Delete || head.deleted;
    let reads = table.detail.is_some()
        && match api.config().read_back {
            ReadBack::Always => true,
            ReadBack::Never => false,
            ReadBack::Auto => !verified || (!gone && lacks_members(table, payload)),
        };
    if reads {
        return read_again(api, table, &head, event, event_ms, gone);
    }
    Ok(Some(if gone {
        delete(table, &head.id, event, event_ms)
    } else {
        from_payload(table, operation, &head, payload, event, event_ms)
    }))
}

/// An event about a part of a ticket: the ticket is read again, and the part, where it is a row. A part's payload is never
/// a ticket's row. Answers whether a chosen table was concerned.
fn part<T: Transport>(
    api: &mut Api<T>,
    child: Option<(&'static Table, &'static Kind)>,
    event: &Event<'_>,
    event_ms: u64,
    receipt: &mut Receipt,
) -> Result<bool> {
    if api.config().read_back == ReadBack::Never {
        return Ok(false);
    }
    let payload = event.payload.map(RawValue::get).ok_or_else(|| unusable(event))?;
    let parent = part_head(payload, "ticketId").ok_or_else(|| unusable(event))?;
    let mut known = false;
    if let Some(tickets) = tables::find("tickets").filter(|table| api.config().tables.contains(table)) {
        known = true;
        receipt.changes.extend(read_again(api, tickets, &parent, event, event_ms, false)?);
    }
    if let Some((table, kind)) = child.filter(|(table, _)| api.config().tables.contains(table)) {
        known = true;
        let head = row::head(payload).ok_or_else(|| unusable(event))?;
        receipt.changes.extend(read_child(api, table, kind, &parent.id, &head.id, event_ms)?);
    }
    Ok(known)
}

/// A child's state by the API itself; none when it is gone already or may not be seen.
fn read_child<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    kind: &'static Kind,
    parent: &str,
    id: &str,
    event_ms: u64,
) -> Result<Option<Change>> {
    let Some(children) = table.children else { return Ok(None) };
    let answer = match api.get(&kind.record_path(parent, id)) {
        Ok(answer) => answer,
        Err(error) if matches!(error.kind, Failure::NotFound | Failure::Permission) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(record) = answer.object()? else { return Ok(None) };
    let head = row::head(record.get()).filter(|head| head.id == id).ok_or_else(|| {
        Error::new(Failure::Data, format!("`{}` {id}: the detail is of another record", table.name))
    })?;
    let document = row::as_child(record.get(), children.parent_key, parent, kind)
        .ok_or_else(|| Error::new(Failure::Data, format!("`{}` {id}: the row is no object", table.name)))?;
    Ok(Some(Change {
        table: table.name,
        operation: Operation::Update,
        key: row::key(id),
        before: None,
        source_time_ms: head.modified_time_ms,
        as_of_ms: Some(answer.as_of_ms.unwrap_or(0).max(event_ms)),
        id: row::change_id(id, &document),
        after: Some(document),
        attributes: vec![
            ("lineage".to_owned(), "read-back".to_owned()),
            ("partial".to_owned(), "true".to_owned()),
        ],
    }))
}

fn unusable(event: &Event<'_>) -> Error {
    Error::new(Failure::Data, format!("webhook delivery: event `{}` names no record", shown(&event.name)))
}

/// The record's state by the API itself; none when this user may not see it.
fn read_again<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    head: &Head,
    event: &Event<'_>,
    event_ms: u64,
    gone: bool,
) -> Result<Option<Change>> {
    let answer: Answer = match api.get_record(table, &head.id) {
        Ok(answer) => answer,
        Err(error) if error.kind == Failure::NotFound => {
            return Ok(Some(delete(table, &head.id, event, event_ms)));
        }
        // An account that is gone answers 403, not 404 (§3.4).
        Err(error) if error.kind == Failure::Permission && error.code.as_deref() == Some("FORBIDDEN") => {
            return Ok(gone.then(|| delete(table, &head.id, event, event_ms)));
        }
        Err(error) => return Err(error),
    };
    let detail = answer.object()?.map_or("{}", RawValue::get);
    let found = row::head(detail).filter(|found| found.id == head.id).ok_or_else(|| {
        Error::new(Failure::Data, format!("`{}` {}: the detail is of another record", table.name, head.id))
    })?;
    // It was read after the event, so it is at least as new.
    let as_of_ms = answer.as_of_ms.unwrap_or(0).max(event_ms);
    if found.deleted {
        return Ok(Some(delete(table, &head.id, event, as_of_ms)));
    }
    Ok(Some(Change {
        table: table.name,
        operation: Operation::Update,
        key: row::key(&head.id),
        before: event.previous.map(|state| state.get().to_owned()),
        source_time_ms: found.modified_time_ms,
        as_of_ms: Some(as_of_ms),
        id: row::change_id(&head.id, detail),
        after: Some(detail.to_owned()),
        attributes: vec![
            ("partial".to_owned(), "true".to_owned()),
            ("lineage".to_owned(), "read-back".to_owned()),
        ],
    }))
}

fn from_payload(
    table: &'static Table,
    operation: Operation,
    head: &Head,
    payload: &str,
    event: &Event<'_>,
    event_ms: u64,
) -> Change {
    let before = event.previous.map(|state| state.get().to_owned());
    Change {
        table: table.name,
        operation,
        key: row::key(&head.id),
        before,
        source_time_ms: head.modified_time_ms,
        as_of_ms: Some(event_ms),
        id: row::change_id(&head.id, payload),
        after: Some(payload.to_owned()),
        attributes: vec![("partial".to_owned(), "true".to_owned())],
    }
}

fn delete(table: &'static Table, id: &str, event: &Event<'_>, as_of_ms: u64) -> Change {
    let before = event.previous.map(|state| state.get().to_owned());
    Change::gone(table.name, id, before, Some(as_of_ms))
}

/// True when a payload lacks what every row of the table has.
fn lacks_members(table: &Table, payload: &str) -> bool {
    let Ok(row::Members(members)) = serde_json::from_str::<row::Members<'_>>(payload) else { return true };
    let has = |name: &str| members.iter().any(|(member, _)| member == name);
    !has("createdTime") || !has("modifiedTime") || (table.fields_module.is_some() && !has("cf"))
}

/// The head of the record that a part names.
fn part_head(payload: &str, member: &str) -> Option<Head> {
    #[derive(Deserialize)]
    struct Part(std::collections::BTreeMap<String, Value>);
    let Part(members) = serde_json::from_str(payload).ok()?;
    let id = members.get(member)?.as_str()?.to_owned();
    let legal = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    legal.then_some(Head { id, modified_time_ms: None, deleted: false })
}

/// An event's name, fit to print.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
