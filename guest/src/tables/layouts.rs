//! Layouts: `GET /layouts?module=`, and `GET /layouts/{id}` for their sections and fields (`zoho-desk-api.md`
//! §4.8).

use crate::table::Type::{Array, Boolean, Id, Text, Time};
use crate::table::{Column, Detail, Group, Incremental, List, Partitions, Table, column};

pub(super) const TABLE: Table = Table {
    name: "layouts",
    group: Group::Settings,
    title: "Layouts",
    scopes: &["Desk.basic.READ"],
    list: List {
        path: "/api/v1/layouts",
        partitions: Some(Partitions { parameter: "module", values: MODULES, is_written: true }),
        ..List::DEFAULT
    },
    record: Some("/api/v1/layouts/{id}"),
    detail: Some(Detail::DEFAULT),
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call for each module and one for each layout.",
    ..Table::DEFAULT
};

const MODULES: &[&str] =
    &["tickets", "contacts", "accounts", "contracts", "products", "tasks", "calls", "events", "timeEntry"];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("module", Text),
    column("layoutName", Text),
    column("layoutDisplayName", Text),
    column("departmentId", Id),
    column("isDefaultLayout", Boolean),
    column("isStandardLayout", Boolean),
    column("hasLogo", Boolean),
    column("sections", Array),
    column("profiles", Array),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("createdBy", Id),
    column("modifiedBy", Id),
];
