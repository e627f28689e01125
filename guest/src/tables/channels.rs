//! Channels: `GET /channels`, with their code as key (`zoho-desk-api.md`, appendix).

use crate::table::Type::{Boolean, Object, Text};
use crate::table::{Column, Group, Identity, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "channels",
    group: Group::Settings,
    key: &["code"],
    title: "Channels",
    scopes: &["Desk.basic.READ"],
    list: List { path: "/api/v1/channels", identity: Identity::Member("code"), ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 24 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call. The key is `code`.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("code", Text),
    column("name", Text),
    column("type", Text),
    column("description", Text),
    column("parentChannel", Text),
    column("isActive", Boolean),
    column("photoURL", Text),
    column("appInfo", Object),
];
