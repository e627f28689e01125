//! Calls: `GET /calls` of each department, and `GET /calls/{id}` for the members that list rows lack
//! (`zoho-desk-api.md` §4.5).

use super::tasks;
use crate::embedded;
use crate::table::Type::{Boolean, Html, Id, Integer, Object, Text, Time};
use crate::table::{
    Column, Detail, EventFilter, Group, Incremental, List, MODIFIED, Table, column, event, object,
};

pub(super) const TABLE: Table = Table {
    name: "calls",
    group: Group::Activities,
    title: "Calls",
    scopes: &["Desk.calls.READ", "Desk.search.READ", "Desk.basic.READ", "Desk.settings.READ"],
    list: List { path: "/api/v1/calls", ..tasks::LIST },
    record: Some("/api/v1/calls/{id}"),
    detail: Some(Detail::DEFAULT),
    incremental: Incremental::Search { path: "/api/v1/calls/search", cursor_fields: &[MODIFIED] },
    recycle_bin: Some("Calls"),
    events: EVENTS,
    fields_module: Some("calls"),
    columns: COLUMNS,
    notes: "One list call for each 98 calls of a department and one call for each call.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] = &[
    event("Call_Add").by_department(),
    event("Call_Update").by_department().with_previous_state(),
    event("Call_Delete"),
];

/// Events have them, too.
pub(super) const COLUMNS: &[Column] = &[
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
    object("modifiedBy", embedded::AGENT),
    column("startTime", Time),
    column("dueDate", Time),
    column("completedTime", Time),
    column("duration", Integer),
    column("direction", Text),
    column("description", Html),
    column("isCommented", Boolean),
    column("isSpam", Boolean),
    column("isTrashed", Boolean),
    column("isDeleted", Boolean),
    column("activityType", Text),
    column("layoutId", Id),
    column("webUrl", Text),
    column("cf", Object),
    column("customFields", Object),
];
