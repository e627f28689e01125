//! History of tickets: `GET /tickets/{id}/History`. Events have no id: their content is their identity, and
//! only the new ones of a ticket are read again (`zoho-desk-api.md` §4.1).

use super::tickets;
use crate::embedded;
use crate::table::Type::{Array, Id, Text, Time};
use crate::table::{ChildKind, Column, Identity, Table, column, object};

pub(super) const TABLE: Table = Table {
    name: "ticket_history",
    key: &["ticketId", "id"],
    title: "Ticket history",
    children: tickets::children(KINDS),
    columns: COLUMNS,
    notes: "One list call for each 50 events of a ticket. `id` is made from the event.",
    ..tickets::BELOW
};

const KINDS: &[ChildKind] = &[ChildKind {
    name: "event",
    list: "/api/v1/tickets/{parent}/History",
    limit: 50,
    identity: Identity::Content(&["eventName", "eventTime", "actor", "eventInfo"]),
    append_only: Some("eventTime"),
    list_is_complete: true,
    ..ChildKind::DEFAULT
}];

const COLUMNS: &[Column] = &[
    column("id", Text),
    column("ticketId", Id),
    column("eventName", Text),
    column("eventTime", Time),
    object("actor", embedded::PERSON),
    column("source", Text),
    column("eventInfo", Array),
];
