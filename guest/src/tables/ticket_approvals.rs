//! Approvals of tickets: `GET /tickets/{id}/approvals` (`TicketApprovals.json` of zoho/zohodesk-oas).

use crate::table::Type::{Id, Object, Text};
use crate::table::{
    ChildKind, Children, Column, EventFilter, Group, Incremental, List, MODIFIED, Table, column, event,
};

pub(super) const TABLE: Table = Table {
    name: "ticket_approvals",
    group: Group::Tickets,
    title: "Ticket approvals",
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
    events: EVENTS,
    columns: COLUMNS,
    notes: "One call for each ticket in a snapshot, and for each changed ticket that has approvals.",
    ..Table::DEFAULT
};

const KINDS: &[ChildKind] = &[ChildKind {
    name: "approval",
    list: "/api/v1/tickets/{parent}/approvals",
    record: "/api/v1/tickets/{parent}/approvals/{id}",
    count: "approvalCount",
    event_prefix: "Ticket_Approval_",
    list_is_complete: true,
    ..ChildKind::DEFAULT
}];

const EVENTS: &[EventFilter] =
    &[event("Ticket_Approval_Add"), event("Ticket_Approval_Update").with_previous_state()];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("ticketId", Id),
    column("subject", Text),
    column("description", Text),
    column("status", Text),
    column("approver", Object),
    column("requester", Object),
    column("requestedTime", Text),
    column("processedTime", Text),
];
