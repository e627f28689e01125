//! Zoho's events: parsed from a delivery's body, and routed to a table and an operation by their names. Pure.
//!
//! Source: `zoho-desk-api.md` §6.3 (names), §6.4 (delivery), §7 (a delete may come as an update).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::change::Operation;
use crate::table::{ChildKind, Table, Touch};
use crate::tables;

/// One event of a delivery.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) payload: Option<&'a RawValue>,
    pub(super) previous: Option<&'a RawValue>,
    /// When it happened, Unix milliseconds.
    pub(super) time_ms: Option<u64>,
    pub(super) organization_id: Option<Cow<'a, str>>,
}

/// The table that an event is about.
#[derive(Debug)]
pub(super) enum Route {
    /// The payload is the record itself.
    Record(&'static Table, Operation),
    /// The payload belongs to a row of each of these tables, which may have changed.
    Touch(Vec<(&'static Table, &'static Touch)>),
    /// The payload belongs to a row of `table`, which may have changed, and is a row of `children`, or
    /// belongs to one.
    Child {
        table: &'static Table,
        children: &'static Table,
        key: &'static str,
        kind: &'static ChildKind,
        id: ChildId,
        is_deleted: bool,
    },
    /// No table of this connector.
    Ignored,
}

/// Where a payload has the id of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildId {
    /// The payload is the child.
    Own,
    /// In a member that is named after the kind, for example `commentId`: the payload is attached to the
    /// child.
    Named,
}

/// Routes an event by its name. An event about a record counts only if a table declares it: a forged
/// `Department_Delete`, which Zoho does not have, deletes nothing. Events about something that belongs to a
/// record are routed by prefix: they cause reads only.
pub(super) fn route(name: &str) -> Route {
    if let Some(touch) = touch(name) {
        return touch;
    }
    let operation = match name.rsplit_once('_') {
        Some((_, "Add")) => Operation::Create,
        Some((_, "Update")) => Operation::Update,
        Some((_, "Delete")) => Operation::Delete,
        _ => return Route::Ignored,
    };
    let declares =
        |table: &&Table| table.children.is_none() && table.events.iter().any(|event| event.name == name);
    tables::all().find(declares).map_or(Route::Ignored, |table| Route::Record(table, operation))
}

/// The route of an event about something that belongs to a row.
fn touch(name: &str) -> Option<Route> {
    let of_kind = tables::all().find_map(|table| {
        let children = table.children?;
        let is_its = |kind: &&ChildKind| !kind.event_prefix.is_empty() && name.starts_with(kind.event_prefix);
        let kind = children.kinds.iter().find(is_its)?;
        let (id, is_deleted) = match name.strip_prefix(kind.event_prefix)? {
            "Add" | "Update" | "Restored" => (ChildId::Own, false),
            "Delete" | "Trashed" => (ChildId::Own, true),
            _ => (ChildId::Named, false),
        };
        let (table, children, key) = (tables::find(children.parent)?, table, children.parent_key);
        Some(Route::Child { table, children, key, kind, id, is_deleted })
    });
    let of_row = |table: &'static Table| {
        let touch = table.touches.iter().find(|touch| name.starts_with(touch.event_prefix))?;
        Some((table, touch))
    };
    of_kind.or_else(|| {
        let touched: Vec<_> = tables::all().filter_map(of_row).collect();
        (!touched.is_empty()).then_some(Route::Touch(touched))
    })
}

/// The events of a body: an array, one object, or the array wrapped in `{"array": …}`. Empty objects validate
/// a new URL and are no events.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Event<'_>>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let not_json = |error: serde_json::Error| format!("the body is not JSON of events: {error}");
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
    fn events_are_parsed_from_every_form_of_a_body() {
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
    fn a_body_that_is_no_json_of_events_is_refused() {
        for bad in ["nonsense", "42", r#"[{"payload":{"id":"1"}}]"#, "[1]"] {
            assert!(names(bad).is_err(), "{bad}");
        }
        assert!(parse(&[0xff, 0xfe]).is_err());
        let deep = "[".repeat(100_000);
        assert!(names(&deep).is_err());
    }

    #[test]
    fn events_are_routed_to_their_table_or_ignored() {
        for (name, expected, operation) in [
            ("Ticket_Add", "tickets", Operation::Create),
            ("Ticket_Delete", "tickets", Operation::Delete),
            ("Department_Update", "departments", Operation::Update),
        ] {
            let Route::Record(found, of) = route(name) else { panic!("{name}") };
            assert_eq!((found.name, of), (expected, operation), "{name}");
        }
        for (name, of, kind, id, is_deleted) in [
            ("Ticket_Thread_Add", "ticket_conversations", "thread", ChildId::Own, false),
            ("Ticket_Comment_Update", "ticket_conversations", "comment", ChildId::Own, false),
            ("Ticket_Comment_Attachment_Add", "ticket_conversations", "comment", ChildId::Named, false),
            ("Ticket_Attachment_Trashed", "ticket_attachments", "attachment", ChildId::Own, true),
            ("Ticket_Attachment_Restored", "ticket_attachments", "attachment", ChildId::Own, false),
            ("Ticket_Approval_Update", "ticket_approvals", "approval", ChildId::Own, false),
            ("TimeEntry_Delete", "ticket_time_entries", "time entry", ChildId::Own, true),
        ] {
            let Route::Child {
                table,
                children,
                key: "ticketId",
                kind: found,
                id: found_id,
                is_deleted: gone,
            } = route(name)
            else {
                panic!("{name}")
            };
            let found = (table.name, children.name, found.name, found_id, gone);
            assert_eq!(found, ("tickets", of, kind, id, is_deleted), "{name}");
        }
        for (name, of) in [
            ("Article_Translation_Add", &["articles", "article_translations"][..]),
            ("Article_Translation_Delete", &["articles", "article_translations"]),
            ("Article_Feedback_Add", &["articles"]),
        ] {
            let Route::Touch(touched) = route(name) else { panic!("{name}") };
            assert!(touched.iter().map(|(table, _)| table.name).eq(of.iter().copied()), "{name}");
        }
        for other in
            ["Department_Delete", "Product_Update", "Agent_Presence_Update", "Something_New", "x", ""]
        {
            assert!(matches!(route(other), Route::Ignored), "{other}");
        }
    }
}
