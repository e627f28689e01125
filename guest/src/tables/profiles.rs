//! Profiles: `GET /profiles`, in one answer (`zoho-desk-api.md`, appendix).

use crate::table::Type::{Boolean, Id, Object, Text};
use crate::table::{Column, Group, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "profiles",
    group: Group::People,
    title: "Profiles",
    scopes: &["Desk.basic.READ"],
    list: List { path: "/api/v1/profiles", ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("type", Text),
    column("isDefault", Boolean),
    column("isVisible", Boolean),
    column("permissions", Object),
];
