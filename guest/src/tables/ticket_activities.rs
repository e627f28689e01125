//! Tasks, calls and events of tickets, as the ticket lists them: `GET /tickets/{id}/activities`
//! (`zoho-desk-api.md`, appendix).

use crate::table::Type::{Boolean, Id, Integer, Text, Time};
use crate::table::{ChildKind, Children, Column, Group, Incremental, List, MODIFIED, Table, column};

pub(super) const TABLE: Table = Table {
    name: "ticket_activities",
    group: Group::Tickets,
    title: "Ticket activities",
    scopes: &[
        "Desk.tickets.READ",
        "Desk.search.READ",
        "Desk.tasks.READ",
        "Desk.calls.READ",
        "Desk.events.READ",
        "Desk.settings.READ",
    ],
    list: List {
        path: "/api/v1/tickets",
        limit: 100,
        sort_by: Some("createdTime"),
        configurable_sort: true,
        optional_parameters: &["sortBy"],
        departments: Some("departmentIds"),
        ..List::DEFAULT
    },
    children: Some(Children { parent: "tickets", parent_key: "ticketId", kinds: KINDS, touch_events: &[] }),
    incremental: Incremental::Search { path: "/api/v1/tickets/search", cursor_fields: &[MODIFIED] },
    columns: COLUMNS,
    notes: "One call for each ticket. The tables `tasks`, `calls` and `events` have them completely.",
    ..Table::DEFAULT
};

const KINDS: &[ChildKind] = &[ChildKind {
    name: "activity",
    list: "/api/v1/tickets/{parent}/activities",
    limit: 99,
    list_is_complete: true,
    ..ChildKind::DEFAULT
}];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("ticketId", Id),
    column("activityType", Text),
    column("subject", Text),
    column("status", Text),
    column("priority", Text),
    column("departmentId", Id),
    column("ownerId", Id),
    column("creatorId", Id),
    column("teamId", Id),
    column("contactId", Id),
    column("createdTime", Time),
    column("dueDate", Time),
    column("startTime", Time),
    column("completedTime", Time),
    column("duration", Integer),
    column("isCommented", Boolean),
    column("isSpam", Boolean),
    column("layoutId", Id),
    column("webUrl", Text),
];
