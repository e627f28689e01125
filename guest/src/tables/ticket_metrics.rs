//! Metrics of tickets: `GET /tickets/{id}/metrics`, one row for each ticket (`zoho-desk-api.md` §4.1).

use crate::table::Type::{Array, Id, Integer, Text};
use crate::table::{
    ChildKind, Children, Column, Group, Identity, Incremental, List, MODIFIED, Rows, Table, column,
};

pub(super) const TABLE: Table = Table {
    name: "ticket_metrics",
    group: Group::Tickets,
    key: &["ticketId"],
    title: "Ticket metrics",
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
    notes: "One call for each ticket. The key is `ticketId`.",
    ..Table::DEFAULT
};

const KINDS: &[ChildKind] = &[ChildKind {
    name: "metric",
    list: "/api/v1/tickets/{parent}/metrics",
    rows: Rows::One,
    identity: Identity::Parent,
    limit: 0,
    list_is_complete: true,
    ..ChildKind::DEFAULT
}];

const COLUMNS: &[Column] = &[
    column("ticketId", Id),
    column("firstResponseTime", Text),
    column("totalResponseTime", Text),
    column("resolutionTime", Text),
    column("responseCount", Integer),
    column("outgoingCount", Integer),
    column("threadCount", Integer),
    column("reopenCount", Integer),
    column("reassignCount", Integer),
    column("agentsHandled", Array),
    column("stagingData", Array),
];
