//! Time entries of tickets: `GET /tickets/{id}/timeEntry` (`zoho-desk-api.md` §4.6).

use super::tickets;
use crate::table::Type::{Boolean, Id, Integer, Number, Object, Text, Time};
use crate::table::{ChildKind, Column, EventFilter, Table, column, event, object};

pub(super) const TABLE: Table = Table {
    name: "ticket_time_entries",
    title: "Ticket time entries",
    children: tickets::children(KINDS),
    events: EVENTS,
    fields_module: Some("timeEntry"),
    columns: COLUMNS,
    notes: "One call for each ticket in a snapshot, and for each changed ticket that has time entries. \
            Whether a time entry modifies its ticket is not documented; a deleted one is found by its \
            webhook, where that names the ticket, or by the next change of its ticket.",
    ..tickets::BELOW
};

const KINDS: &[ChildKind] = &[ChildKind {
    name: "time entry",
    list: "/api/v1/tickets/{parent}/timeEntry",
    limit: 50,
    record: "/api/v1/tickets/{parent}/timeEntry/{id}",
    count: "timeEntryCount",
    event_prefix: "TimeEntry_",
    list_is_complete: true,
    ..ChildKind::DEFAULT
}];

/// Time entries of tasks have the same events, and are ignored.
const EVENTS: &[EventFilter] =
    &[event("TimeEntry_Add"), event("TimeEntry_Update").with_previous_state(), event("TimeEntry_Delete")];

/// The ticket of a time entry.
const PARENT: &[Column] =
    &[column("id", Id), column("type", Text), column("ticketNumber", Integer), column("subject", Text)];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("ticketId", Id),
    column("ownerId", Id),
    column("creatorId", Id),
    column("createdBy", Id),
    column("departmentId", Id),
    column("hoursSpent", Integer),
    column("minutesSpent", Integer),
    column("secondsSpent", Integer),
    column("executedTime", Time),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("description", Text),
    column("isBillable", Boolean),
    column("isTrashed", Boolean),
    column("mode", Text),
    column("billingType", Text),
    column("requestChargeType", Text),
    column("agentCostPerHour", Number),
    column("additionalCost", Number),
    column("fixedCost", Number),
    column("totalCost", Number),
    column("invoiceId", Id),
    object("parent", PARENT),
    column("cf", Object),
];
