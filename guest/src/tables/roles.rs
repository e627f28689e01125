//! Roles: `GET /roles` (`zoho-desk-api.md`, appendix).

use crate::table::Type::{Boolean, Id, Text};
use crate::table::{Column, Group, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "roles",
    group: Group::People,
    title: "Roles",
    scopes: &["Desk.basic.READ"],
    list: List { path: "/api/v1/roles", limit: 500, first: 0, ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One list call for each 499 roles.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("reportsTo", Id),
    column("shareDataWithPeers", Boolean),
    column("isDefault", Boolean),
    column("isVisible", Boolean),
];
