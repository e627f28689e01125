//! Webhooks of the portal: `GET /webhooks`, in one answer (`zoho-desk-api.md` §6.2).

use crate::table::Type::{Array, Boolean, Id, Object, Text};
use crate::table::{Column, Group, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "webhooks",
    group: Group::Settings,
    title: "Webhooks",
    scopes: &["Desk.events.READ"],
    list: List { path: "/api/v1/webhooks", secret: &["url"], ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call. Without `url`, which holds the secret of its receiver.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("type", Text),
    column("isEnabled", Boolean),
    column("subscriptions", Object),
    column("includeEventsFrom", Array),
    column("ignoreSourceId", Text),
    column("createdBy", Id),
    column("createdTime", Text),
    column("modifiedTime", Text),
];
