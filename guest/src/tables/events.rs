//! Events: `GET /events` of each department, and `GET /events/{id}` for the members that list rows lack
//! (`zoho-desk-api.md` §4.5).

use crate::table::Type::{Boolean, Html, Id, Integer, Object, Text, Time};
use crate::table::{
    Column, Detail, Each, EventFilter, Group, Incremental, List, MODIFIED, Table, column, event,
};

pub(super) const TABLE: Table = Table {
    name: "events",
    group: Group::Activities,
    title: "Events",
    scopes: &["Desk.events.READ", "Desk.search.READ", "Desk.basic.READ", "Desk.settings.READ"],
    list: List {
        path: "/api/v1/events",
        limit: 99,
        sort_by: Some("createdTime"),
        departments: Some("departmentId"),
        each: Some(Each::DEPARTMENT),
        ..List::DEFAULT
    },
    record: Some("/api/v1/events/{id}"),
    detail: Some(Detail::DEFAULT),
    incremental: Incremental::Search { path: "/api/v1/events/search", cursor_fields: &[MODIFIED] },
    recycle_bin: Some("Events"),
    events: EVENTS,
    fields_module: Some("events"),
    columns: COLUMNS,
    notes: "One list call for each 98 events of a department and one call for each event.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] = &[
    event("Event_Add").by_department(),
    event("Event_Update").by_department().with_previous_state(),
    event("Event_Delete"),
];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("subject", Text),
    column("status", Text),
    column("priority", Text),
    column("category", Text),
    column("departmentId", Id),
    column("ownerId", Id),
    column("creatorId", Id),
    column("teamId", Id),
    column("contactId", Id),
    column("ticketId", Id),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("modifiedBy", Object),
    column("startTime", Time),
    column("completedTime", Time),
    column("duration", Integer),
    column("direction", Text),
    column("description", Html),
    column("isCommented", Boolean),
    column("isSpam", Boolean),
    column("activityType", Text),
    column("layoutId", Id),
    column("webUrl", Text),
    column("cf", Object),
    column("customFields", Object),
];
