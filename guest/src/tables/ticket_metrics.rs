//! Metrics of tickets: `GET /tickets/{id}/metrics`, one row for each ticket (`zoho-desk-api.md` §4.1).

use super::tickets;
use crate::table::Type::{Array, Id, Integer, Text};
use crate::table::{ChildKind, Column, Identity, Rows, Table, column};

pub(super) const TABLE: Table = Table {
    name: "ticket_metrics",
    key: &["ticketId"],
    title: "Ticket metrics",
    children: tickets::children(KINDS),
    columns: COLUMNS,
    notes: "One call for each ticket. The key is `ticketId`.",
    ..tickets::BELOW
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
