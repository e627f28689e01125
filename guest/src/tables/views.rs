//! Views: `GET /views?module=` (`zoho-desk-api.md` §4.8).

use crate::table::Type::{Boolean, Id, Text};
use crate::table::{Column, Group, Incremental, List, Partitions, Table, column};

pub(super) const TABLE: Table = Table {
    name: "views",
    group: Group::Settings,
    title: "Views",
    scopes: &["Desk.basic.READ"],
    list: List {
        path: "/api/v1/views",
        partitions: Some(Partitions { parameter: "module", values: MODULES, is_written: true }),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call for each module.",
    ..Table::DEFAULT
};

const MODULES: &[&str] =
    &["tickets", "contacts", "events", "activities", "tasks", "contracts", "accounts", "calls"];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("module", Text),
    column("name", Text),
    column("viewName", Text),
    column("displayLabel", Text),
    column("isCustomView", Boolean),
    column("isLocked", Boolean),
];
