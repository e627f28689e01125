//! Departments: `GET /departments`, whole rows (`zoho-desk-api.md` §4.3).

use crate::table::Type::{Array, Boolean, Id, Text, Time};
use crate::table::{Column, EventFilter, Follow, List, Table, column, event};

pub(super) const TABLE: Table = Table {
    name: "departments",
    alias: "Departments",
    title: "Departments",
    scopes: &["Desk.basic.READ"],
    list: List {
        path: "/api/v1/departments",
        limit: 200,
        query: &[],
        sort_by: None,
        sort_is_chosen: false,
        optional: &[],
        departments: None,
        slices: None,
    },
    record: Some("/api/v1/departments/{id}"),
    detail: None,
    children: None,
    count: Some("/api/v1/departments/count"),
    follow: Follow::Compare { every_ms: 15 * 60 * 1000 },
    events: EVENTS,
    fields_module: None,
    columns: COLUMNS,
    notes: "A handful of rows; read again as a whole, because Zoho cannot say which changed.",
};

const EVENTS: &[EventFilter] =
    &[event("Department_Add", false, false), event("Department_Update", false, true)];

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
