//! Attachments of tickets, without their bytes: `GET /tickets/{id}/attachments` (`zoho-desk-api.md` §4.2).

use crate::table::Type::{Boolean, Id, Integer, Text, Time};
use crate::table::{ChildKind, Children, Column, Group, Incremental, List, MODIFIED, Table, column};

pub(super) const TABLE: Table = Table {
    name: "ticket_attachments",
    group: Group::Tickets,
    title: "Ticket attachments",
    scopes: &["Desk.tickets.READ", "Desk.search.READ", "Desk.settings.READ"],
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
    notes: "One call for each ticket in a snapshot, and for each changed ticket that has attachments. A \
            deleted attachment is found by the next snapshot.",
    ..Table::DEFAULT
};

const KINDS: &[ChildKind] = &[ChildKind {
    name: "attachment",
    list: "/api/v1/tickets/{parent}/attachments",
    count: "attachmentCount",
    list_is_complete: true,
    ..ChildKind::DEFAULT
}];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("ticketId", Id),
    column("name", Text),
    column("size", Integer),
    column("isPublic", Boolean),
    column("creatorId", Id),
    column("createdTime", Time),
    column("previewurl", Text),
    column("href", Text),
];
