//! Records of custom modules: `GET /{module}` of each (`Records.json` of zoho/zohodesk-oas).

use crate::table::Type::{Id, Object, Text, Time};
use crate::table::{Column, Each, Group, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "custom_records",
    group: Group::Settings,
    key: &["module", "id"],
    title: "Records of custom modules",
    scopes: &["Desk.custommodule.READ", "Desk.settings.READ"],
    list: List {
        path: "/api/v1/{parent}",
        limit: 50,
        first: 0,
        sort_by: Some("createdTime"),
        each: Some(Each {
            table: "modules",
            only: Some(("isCustomModule", "true")),
            id: "apiName",
            key: Some("module"),
            hides_rows: true,
            ..Each::DEFAULT
        }),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call for the modules and one list call for each 49 records of a custom module. `module` is \
            its API name.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("module", Text),
    column("id", Id),
    column("name", Text),
    column("ownerId", Id),
    column("departmentId", Id),
    column("layoutId", Id),
    column("createdBy", Id),
    column("createdTime", Time),
    column("modifiedBy", Id),
    column("modifiedTime", Time),
    column("webUrl", Text),
    column("cf", Object),
];
