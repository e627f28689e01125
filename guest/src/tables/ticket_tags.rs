//! Tags of tickets: `GET /tickets/{id}/tags` (`zoho-desk-api.md` §4.8).

use super::tickets;
use crate::table::Type::{Id, Text};
use crate::table::{ChildKind, Column, Rows, Table, column};

pub(super) const TABLE: Table = Table {
    name: "ticket_tags",
    key: &["ticketId", "id"],
    title: "Ticket tags",
    children: tickets::children(KINDS),
    columns: COLUMNS,
    notes: "One call for each ticket in a snapshot, and for each changed ticket that has tags. A tag that \
            was taken off is found by the next change of its ticket.",
    ..tickets::BELOW
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
