//! Events: `GET /events` of each department, and `GET /events/{id}` for the members that list rows lack
//! (`zoho-desk-api.md` §4.5).

use super::{calls, tasks};
use crate::table::{Detail, EventFilter, Group, Incremental, List, MODIFIED, Table, event};

pub(super) const TABLE: Table = Table {
    name: "events",
    group: Group::Activities,
    title: "Events",
    scopes: &["Desk.events.READ", "Desk.search.READ", "Desk.basic.READ", "Desk.settings.READ"],
    list: List { path: "/api/v1/events", ..tasks::LIST },
    record: Some("/api/v1/events/{id}"),
    detail: Some(Detail::DEFAULT),
    incremental: Incremental::Search { path: "/api/v1/events/search", cursor_fields: &[MODIFIED] },
    recycle_bin: Some("Events"),
    events: EVENTS,
    fields_module: Some("events"),
    columns: calls::COLUMNS,
    notes: "One list call for each 98 events of a department and one call for each event.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] = &[
    event("Event_Add").by_department(),
    event("Event_Update").by_department().with_previous_state(),
    event("Event_Delete"),
];
