//! The recycle bin: `GET /recycleBin`, records deleted within 60 days (`zoho-desk-api.md` §7).

use crate::table::Type::{Id, Text, Time};
use crate::table::{Column, Group, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "recycle_bin",
    group: Group::Settings,
    title: "Recycle bin",
    scopes: &["Desk.settings.READ"],
    list: List { path: "/api/v1/recycleBin", limit: 50, first: 0, ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One list call for each 49 deleted records, again every six hours: about 1,000 credits for \
            10,000. Deletes reach the tables of the records without it. `deletedById` is a row of `agents`.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("displayName", Text),
    column("type", Text),
    column("departmentId", Id),
    column("deletedById", Id),
    column("deletedTime", Time),
];
