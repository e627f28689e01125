//! What Zoho's events mean for the tables: which table, which operation, and what is ignored by name. Pure.
//!
//! Source: `zoho-desk-api.md` §6.3 (names), §6.4 (delivery), §7 (a delete may come as an update).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::row::Operation;
use crate::table::{Kind, Table};
use crate::tables;

/// One event of a delivery.
#[derive(Debug)]
pub struct Event<'a> {
    pub name: Cow<'a, str>,
    pub payload: Option<&'a RawValue>,
    pub previous: Option<&'a RawValue>,
    /// When it happened, Unix milliseconds.
    pub time_ms: Option<u64>,
    pub organization_id: Option<Cow<'a, str>>,
}

/// Where an event leads.
#[derive(Debug)]
pub enum Route {
    /// The payload is the record itself.
    Record(&'static Table, Operation),
    /// The payload is a part of a row, which it names and which may have changed with it. Where the part is a row of a
    /// table of children itself, that table and its kind.
    Part { table: &'static Table, key: &'static str, child: Option<(&'static Table, &'static Kind)> },
    /// No table of ours.
    Ignored,
}

/// Routes an event by its name. Only events that a table declares are its own: nobody can make up a
/// `Department_Delete`, which Zoho does not have.
pub fn route(name: &str) -> Route {
    if let Some(part) = part(name) {
        return part;
    }
    let operation = match name.rsplit_once('_') {
        Some((_, "Add")) => Operation::Create,
        Some((_, "Update")) => Operation::Update,
        Some((_, "Delete")) => Operation::Delete,
        _ => return Route::Ignored,
    };
    let own =
        |table: &&Table| table.children.is_none() && table.events.iter().any(|event| event.name == name);
    tables::ALL.into_iter().find(own).map_or(Route::Ignored, |table| Route::Record(table, operation))
}

/// Where an event about a part of a row leads: the parent, and the table of children where the part is a row of it.
fn part(name: &str) -> Option<Route> {
    tables::ALL.into_iter().find_map(|table| {
        let children = table.children.as_ref()?;
        let kind = children.kinds.iter().find(|kind| name.starts_with(kind.event_prefix));
        let is_other = || children.other_parts.iter().any(|prefix| name.starts_with(prefix));
        if kind.is_none() && !is_other() {
            return None;
        }
        // Deleted children have no event.
        let is_row = name.ends_with("_Add") || name.ends_with("_Update");
        let child = kind.filter(|_| is_row).map(|kind| (table, kind));
        Some(Route::Part { table: tables::find(children.parent)?, key: children.parent_key, child })
    })
}

/// The events of a body: an array, one object, or the array wrapped in `{"array": …}`. Empty objects are the
/// validation of a new URL and mean nothing.
pub fn parse(body: &[u8]) -> Result<Vec<Event<'_>>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let not_json = |error: serde_json::Error| format!("the body is not usable JSON: {error}");
    let raw: &RawValue = serde_json::from_str(text).map_err(not_json)?;
    let elements: Vec<&RawValue> = match raw.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(raw.get()).map_err(not_json)?,
        Some(b'{') => {
            let wrapped: Wrapped<'_> = serde_json::from_str(raw.get()).map_err(not_json)?;
            wrapped.array.unwrap_or_else(|| vec![raw])
        }
        _ => return Err("the body is neither an array nor an object".to_owned()),
    };
    let mut events = Vec::with_capacity(elements.len());
    for element in elements {
        let wire: Wire<'_> =
            serde_json::from_str(element.get()).map_err(|error| format!("an event: {error}"))?;
        let Some(name) = wire.event_type else {
            if wire.payload.is_none() {
                continue;
            }
            return Err("an event has no `eventType`".to_owned());
        };
        events.push(Event {
            name,
            payload: wire.payload.filter(|payload| payload.get() != "null"),
            previous: wire.prev_state.filter(|state| state.get().starts_with('{')),
            time_ms: wire.event_time.and_then(|time| milliseconds(time.get())),
            organization_id: wire.org_id.map(|id| Cow::Owned(id.get().trim_matches('"').to_owned())),
        });
    }
    Ok(events)
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    array: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    event_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    prev_state: Option<&'a RawValue>,
    #[serde(borrow)]
    event_time: Option<&'a RawValue>,
    #[serde(borrow)]
    org_id: Option<&'a RawValue>,
}

/// Milliseconds in a string or a number, or an ISO time.
fn milliseconds(raw: &str) -> Option<u64> {
    let text = raw.trim_matches('"');
    text.parse().ok().or_else(|| crate::time::parse(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Result<Vec<String>, String> {
        parse(body.as_bytes()).map(|events| events.into_iter().map(|event| event.name.into_owned()).collect())
    }

    #[test]
    fn every_form_of_a_body_is_taken() {
        let event =
            r#"{"eventType":"Ticket_Add","payload":{"id":"1"},"eventTime":"1618493667780","orgId":"42"}"#;
        for body in [format!("[{event}]"), event.to_owned(), format!(r#"{{"array":[{event}]}}"#)] {
            assert_eq!(names(&body).unwrap(), ["Ticket_Add"], "{body}");
        }
        for empty in ["", "[]", "[{}]", "{}"] {
            assert!(names(empty).unwrap().is_empty(), "{empty}");
        }
        let parsed = format!("[{event}]");
        let events = parse(parsed.as_bytes()).unwrap();
        assert_eq!(
            (events[0].time_ms, events[0].organization_id.as_deref()),
            (Some(1_618_493_667_780), Some("42"))
        );
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for bad in ["nonsense", "42", r#"[{"payload":{"id":"1"}}]"#, "[1]"] {
            assert!(names(bad).is_err(), "{bad}");
        }
        assert!(parse(&[0xff, 0xfe]).is_err());
        let deep = "[".repeat(100_000);
        assert!(names(&deep).is_err());
    }

    #[test]
    fn events_lead_to_their_table_or_are_ignored() {
        let table = |name| tables::find(name).unwrap();
        assert!(
            matches!(route("Ticket_Add"), Route::Record(found, Operation::Create) if found == table("tickets"))
        );
        assert!(
            matches!(route("Ticket_Delete"), Route::Record(found, Operation::Delete) if found == table("tickets"))
        );
        assert!(
            matches!(route("Department_Update"), Route::Record(found, Operation::Update) if found == table("departments"))
        );
        for (part, kind) in [
            ("Ticket_Thread_Add", Some("thread")),
            ("Ticket_Comment_Update", Some("comment")),
            ("Ticket_Attachment_Trashed", None),
            ("Ticket_Approval_Add", None),
        ] {
            let Route::Part { table: owner, key: "ticketId", child } = route(part) else { panic!("{part}") };
            assert!(owner == table("tickets"), "{part}");
            assert_eq!(child.map(|(_, kind)| kind.name), kind, "{part}");
        }
        for other in [
            "Department_Delete",
            "Product_Update",
            "Agent_Presence_Update",
            "Article_Translation_Add",
            "Something_New",
            "x",
            "",
        ] {
            assert!(matches!(route(other), Route::Ignored), "{other}");
        }
    }
}
