//! Approvals of tickets: `GET /tickets/{id}/approvals` (`TicketApprovals.json` of zoho/zohodesk-oas).

use super::tickets;
use crate::embedded;
use crate::table::Type::{Id, Text};
use crate::table::{ChildKind, Column, EventFilter, Table, column, event, object};

pub(super) const TABLE: Table = Table {
    name: "ticket_approvals",
    title: "Ticket approvals",
    children: tickets::children(KINDS),
    events: EVENTS,
    columns: COLUMNS,
    notes: "One call for each ticket in a snapshot, and for each changed ticket that has approvals.",
    ..tickets::BELOW
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
    object("approver", embedded::PERSON),
    object("requester", embedded::PERSON),
    column("requestedTime", Text),
    column("processedTime", Text),
];
