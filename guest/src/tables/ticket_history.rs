//! History of tickets: `GET /tickets/{id}/History`. Events have no id: their content is their identity, and
//! only the new ones of a ticket are read again (`zoho-desk-api.md` §4.1).

use crate::table::Type::{Array, Id, Object, Text, Time};
use crate::table::{
    ChildKind, Children, Column, Group, Identity, Incremental, List, MODIFIED, Table, column,
};

pub(super) const TABLE: Table = Table {
    name: "ticket_history",
    group: Group::Tickets,
    key: &["ticketId", "id"],
    title: "Ticket history",
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
    notes: "One list call for each 50 events of a ticket. `id` is made from the event.",
    ..Table::DEFAULT
};

const KINDS: &[ChildKind] = &[ChildKind {
    name: "event",
    list: "/api/v1/tickets/{parent}/History",
    limit: 50,
    identity: Identity::Content(&["eventName", "eventTime", "eventInfo"]),
    append_only: Some("eventTime"),
    list_is_complete: true,
    ..ChildKind::DEFAULT
}];

const COLUMNS: &[Column] = &[
    column("id", Text),
    column("ticketId", Id),
    column("eventName", Text),
    column("eventTime", Time),
    column("actor", Object),
    column("source", Text),
    column("eventInfo", Array),
];
