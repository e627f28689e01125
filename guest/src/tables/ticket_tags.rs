//! Tags of tickets: `GET /tickets/{id}/tags` (`zoho-desk-api.md` §4.8).

use crate::table::Type::{Id, Text};
use crate::table::{ChildKind, Children, Column, Group, Incremental, List, MODIFIED, Rows, Table, column};

pub(super) const TABLE: Table = Table {
    name: "ticket_tags",
    group: Group::Tickets,
    key: &["ticketId", "id"],
    title: "Ticket tags",
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
    notes: "One call for each ticket in a snapshot, and for each changed ticket that has tags. A tag that \
            was taken off is found by the next snapshot.",
    ..Table::DEFAULT
};

const KINDS: &[ChildKind] = &[ChildKind {
    name: "tag",
    list: "/api/v1/tickets/{parent}/tags",
    rows: Rows::Member("tags"),
    limit: 0,
    count: "tagCount",
    list_is_complete: true,
    ..ChildKind::DEFAULT
}];

const COLUMNS: &[Column] =
    &[column("ticketId", Id), column("id", Id), column("name", Text), column("tagType", Text)];
