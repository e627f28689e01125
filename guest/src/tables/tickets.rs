//! Tickets: `GET /tickets`, and `GET /tickets/{id}` for the members that list rows lack (`zoho-desk-api.md`
//! §4.1).

use crate::embedded;
use crate::table::Type::{Array, Boolean, Html, Id, Integer, Object, Text, Time};
use crate::table::{
    ChildKind, Children, Column, Detail, EventFilter, Group, Incremental, List, MODIFIED, Table, column,
    event, object,
};

pub(super) const TABLE: Table = Table {
    name: "tickets",
    alias: "Tickets",
    title: "Tickets",
    scopes: BELOW.scopes,
    list: List { query: &[("include", INCLUDE)], optional_parameters: &["include", "sortBy"], ..BELOW.list },
    record: Some("/api/v1/tickets/{id}"),
    detail: Some(Detail {
        key: "ticket_detail",
        has_custom_field_keys: true,
        include: Some(INCLUDE),
        search_is_complete: true,
        list_only_fields: &["contact", "assignee", "department", "product", "team", "isRead", "lastThread"],
    }),
    count: Some("/api/v1/ticketsCount"),
    incremental: BELOW.incremental,
    has_archive: true,
    recycle_bin: Some("Tickets"),
    events: EVENTS,
    fields_module: Some("tickets"),
    columns: COLUMNS,
    notes: "One list call for each 99 tickets and, with ticket_detail, one call for each ticket. List rows \
            lack modifiedTime, description and custom fields.",
    ..Table::DEFAULT
};

/// The members of a table whose rows are children of tickets: it walks the list of tickets, and looks again
/// at tickets that were modified.
pub(super) const BELOW: Table = Table {
    group: Group::Tickets,
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
    incremental: Incremental::Search { path: "/api/v1/tickets/search", cursor_fields: &[MODIFIED] },
    ..Table::DEFAULT
};

/// Children of tickets, with the ticket's id in `ticketId`.
pub(super) const fn children(kinds: &'static [ChildKind]) -> Option<Children> {
    Some(Children { parent: "tickets", parent_key: "ticketId", kinds, together: None })
}

const INCLUDE: &str = "contacts,products,departments,team,isRead,assignee";

const EVENTS: &[EventFilter] = &[
    event("Ticket_Add").by_department(),
    event("Ticket_Update").by_department().with_previous_state(),
    event("Ticket_Delete"),
    event("Ticket_Thread_Add").by_department(),
    event("Ticket_Comment_Add").by_department(),
    event("Ticket_Comment_Update").by_department(),
];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("ticketNumber", Integer),
    column("subject", Text),
    column("status", Text),
    column("statusType", Text),
    column("priority", Text),
    column("channel", Text),
    column("channelCode", Text),
    column("category", Text),
    column("subCategory", Text),
    column("classification", Text),
    column("language", Text),
    column("sentiment", Text),
    column("email", Text),
    column("phone", Text),
    column("description", Html),
    column("resolution", Html),
    column("departmentId", Id),
    column("contactId", Id),
    column("accountId", Id),
    column("productId", Id),
    column("assigneeId", Id),
    column("teamId", Id),
    column("layoutId", Id),
    column("slaId", Id),
    column("createdBy", Id),
    column("modifiedBy", Id),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("dueDate", Time),
    column("responseDueDate", Time),
    column("customerResponseTime", Time),
    column("closedTime", Time),
    column("onholdTime", Time),
    column("commentCount", Integer),
    column("threadCount", Integer),
    column("approvalCount", Integer),
    column("taskCount", Integer),
    column("timeEntryCount", Integer),
    column("followerCount", Integer),
    column("tagCount", Integer),
    column("attachmentCount", Integer),
    column("isOverDue", Boolean),
    column("isResponseOverdue", Boolean),
    column("isEscalated", Boolean),
    column("isSpam", Boolean),
    column("isArchived", Boolean),
    column("isTrashed", Boolean),
    column("isDeleted", Boolean),
    column("isRead", Boolean),
    column("isFollowing", Boolean),
    column("relationshipType", Text),
    column("webUrl", Text),
    object("contact", embedded::CONTACT),
    object("assignee", embedded::AGENT),
    object("department", embedded::NAMED),
    object("product", embedded::PRODUCT),
    object("team", embedded::TEAM),
    object("source", embedded::SOURCE),
    object("lastThread", embedded::LAST_THREAD),
    object("layoutDetails", embedded::LAYOUT),
    column("channelRelatedInfo", Object),
    column("secondaryContacts", Array),
    column("sharedDepartments", Array),
    column("entitySkills", Array),
    column("cf", Object),
    column("customFields", Object),
];
