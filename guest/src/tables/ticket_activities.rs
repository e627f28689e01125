//! Tasks, calls and events of tickets, as the ticket lists them: `GET /tickets/{id}/activities`
//! (`zoho-desk-api.md`, appendix).

use super::tickets;
use crate::table::Type::{Boolean, Id, Integer, Text, Time};
use crate::table::{ChildKind, Column, Table, column};

pub(super) const TABLE: Table = Table {
    name: "ticket_activities",
    title: "Ticket activities",
    scopes: &[
        "Desk.tickets.READ",
        "Desk.search.READ",
        "Desk.tasks.READ",
        "Desk.calls.READ",
        "Desk.events.READ",
        "Desk.settings.READ",
    ],
    children: tickets::children(KINDS),
    columns: COLUMNS,
    notes: "One call for each ticket. The tables `tasks`, `calls` and `events` have them completely.",
    ..tickets::BELOW
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
    column("category", Text),
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
