//! Archived tickets: `GET /tickets/archivedTickets` of each department (`zoho-desk-api.md` §4.1).

use crate::embedded;
use crate::table::Type::{Boolean, Id, Integer, Text, Time};
use crate::table::{Column, Each, Group, Incremental, List, Table, column, object};

pub(super) const TABLE: Table = Table {
    name: "archived_tickets",
    group: Group::Tickets,
    title: "Archived tickets",
    scopes: &["Desk.tickets.READ", "Desk.search.READ", "Desk.basic.READ"],
    list: List {
        path: "/api/v1/tickets/archivedTickets",
        limit: 25,
        first: 0,
        cap: Some(4_999),
        departments: Some("departmentId"),
        each: Some(Each::DEPARTMENT),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 24 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One list call for each 24 archived tickets of a department. The API lists about 5,000 of a \
            department and no more. A ticket that is archived leaves `tickets` and comes here.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("ticketNumber", Integer),
    column("subject", Text),
    column("status", Text),
    column("statusType", Text),
    column("priority", Text),
    column("channel", Text),
    column("channelCode", Text),
    column("relationshipType", Text),
    column("category", Text),
    column("subCategory", Text),
    column("language", Text),
    column("departmentId", Id),
    column("contactId", Id),
    column("accountId", Id),
    column("productId", Id),
    column("assigneeId", Id),
    column("teamId", Id),
    column("layoutId", Id),
    column("email", Text),
    column("phone", Text),
    column("createdTime", Time),
    column("closedTime", Time),
    column("dueDate", Time),
    column("responseDueDate", Time),
    column("onholdTime", Time),
    column("customerResponseTime", Time),
    column("commentCount", Integer),
    column("threadCount", Integer),
    column("sentiment", Text),
    column("isArchived", Boolean),
    column("isSpam", Boolean),
    object("lastThread", embedded::LAST_THREAD),
    object("source", embedded::SOURCE),
    column("webUrl", Text),
];
