//! Departments: `GET /departments`, and `GET /departments/{id}` for their agents (`zoho-desk-api.md` §4.3).

use crate::table::Type::{Array, Boolean, Id, Text, Time};
use crate::table::{Column, Detail, EventFilter, Incremental, List, Table, column, event};

pub(super) const TABLE: Table = Table {
    name: "departments",
    alias: "Departments",
    title: "Departments",
    scopes: &["Desk.basic.READ"],
    list: List { path: "/api/v1/departments", limit: 200, ..List::DEFAULT },
    record: Some("/api/v1/departments/{id}"),
    detail: Some(Detail::DEFAULT),
    count: Some("/api/v1/departments/count"),
    incremental: Incremental::FullRefresh { every_ms: 60 * 60 * 1000 },
    events: EVENTS,
    columns: COLUMNS,
    notes: "Few rows; read by full refresh, because Zoho cannot list changed departments. One call for each \
            department: the list lacks associatedAgentIds.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] = &[event("Department_Add"), event("Department_Update").with_previous_state()];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("nameInCustomerPortal", Text),
    column("sanitizedName", Text),
    column("chatStatus", Text),
    column("creatorId", Id),
    column("createdTime", Time),
    column("isEnabled", Boolean),
    column("isDefault", Boolean),
    column("isAssignToTeamEnabled", Boolean),
    column("isVisibleInCustomerPortal", Boolean),
    column("hasLogo", Boolean),
    column("associatedAgentIds", Array),
];
