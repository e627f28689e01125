//! Deliveries become changes: verified, routed, and read back by id where the body is not enough.
//!
//! Zoho signs who sent a delivery and to whom, not its body (`zoho-desk-api.md` §6.5). A body is therefore a hint of what changed;
//! how far it is believed is the configuration's `signature` and `read_back`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Subscription;
use super::events::{self, Event, Route};
use super::signature::{self, Refusal};
use crate::api::{Answer, Api};
use crate::config::{ReadBack, Signature};
use crate::error::{Error, Kind, Result};
use crate::row::{self, Change, Head, Operation};
use crate::table::Table;
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
    let refused = |what: String| Error::new(Kind::Data, format!("webhook delivery: {what}"));
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
            Kind::Permission,
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
    let mut outcome =
        signature::verify(&token, api.signing_keys(false)?, &organization_id, webhook_id, at_ms);
    if let Err(Refusal::UnknownKey(_)) = outcome {
        outcome = signature::verify(&token, api.signing_keys(true)?, &organization_id, webhook_id, at_ms);
    }
    outcome.map(|()| true).map_err(|refusal| unproved(refusal.message()))
}

fn unproved(what: String) -> Error {
    Error::new(Kind::Permission, format!("webhook delivery: {what}"))
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
    let (table, operation, id_member) = match events::route(&event.name) {
        Route::Record(table, operation) => (table, operation, None),
        Route::Part(table, member) => (table, Operation::Update, Some(member)),
        Route::Ignored => {
            receipt.ignored.push(shown(&event.name));
            return Ok(());
        }
    };
    let read_back = api.config().read_back;
    if !api.config().tables.contains(&table) || (id_member.is_some() && read_back == ReadBack::Never) {
        receipt.ignored.push(shown(&event.name));
        return Ok(());
    }
    let unusable = || {
        Error::new(Kind::Data, format!("webhook delivery: event `{}` names no record", shown(&event.name)))
    };
    let payload = event.payload.map(RawValue::get).ok_or_else(unusable)?;
    let head = match id_member {
        Some(member) => part_head(payload, member),
        None => row::head(payload),
    }
    .ok_or_else(unusable)?;
    let event_ms = event.time_ms.unwrap_or(delivery.received_at_ms);
    let gone = operation == Operation::Delete || (id_member.is_none() && head.deleted);
    let reads = table.detail.is_some()
        && (id_member.is_some()
            || match read_back {
                ReadBack::Always => true,
                ReadBack::Never => false,
                ReadBack::Auto => !verified || (!gone && lacks_members(table, payload)),
            });
    let change = if reads {
        read_again(api, table, &head, event, event_ms)?
    } else if id_member.is_some() {
        None
    } else if gone {
        Some(delete(table, &head.id, event, event_ms))
    } else {
        Some(from_payload(table, operation, &head, payload, event, event_ms))
    };
    receipt.changes.extend(change);
    Ok(())
}

/// The record's state by the API itself; none when this user may not see it.
fn read_again<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    head: &Head,
    event: &Event<'_>,
    event_ms: u64,
) -> Result<Option<Change>> {
    let answer: Answer = match api.get_record(table, &head.id) {
        Ok(answer) => answer,
        Err(error) if error.kind == Kind::NotFound => {
            return Ok(Some(delete(table, &head.id, event, event_ms)));
        }
        Err(error) if error.kind == Kind::Permission && error.code.as_deref() == Some("FORBIDDEN") => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let detail = answer.object()?.map_or("{}", RawValue::get);
    let found = row::head(detail).filter(|found| found.id == head.id).ok_or_else(|| {
        Error::new(Kind::Data, format!("`{}` {}: the detail is of another record", table.name, head.id))
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
    Change {
        table: table.name,
        operation: Operation::Delete,
        key: row::key(id),
        before: event.previous.map(|state| state.get().to_owned()),
        after: None,
        source_time_ms: None,
        as_of_ms: Some(as_of_ms),
        id: format!("{id}-gone-{as_of_ms}"),
        attributes: Vec::new(),
    }
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
