//! Rules of layouts: `GET /layoutRules?module=&layoutId=` of each layout (`LayoutRules.json` of
//! zoho/zohodesk-oas).

use crate::table::Type::{Array, Boolean, Id, Object, Text, Time};
use crate::table::{Column, Each, Group, Incremental, List, Partitions, Table, column};

pub(super) const TABLE: Table = Table {
    name: "layout_rules",
    group: Group::Settings,
    title: "Layout rules",
    scopes: &["Desk.basic.READ", "Desk.settings.READ"],
    list: List {
        path: "/api/v1/layoutRules",
        limit: 50,
        first: 0,
        partitions: Some(Partitions { parameter: "module", values: MODULES, is_written: true }),
        each: Some(Each {
            table: "layouts",
            parameter: Some("layoutId"),
            key: Some("layoutId"),
            ..Each::DEFAULT
        }),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 24 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call for each module and one for each layout.",
    ..Table::DEFAULT
};

const MODULES: &[&str] =
    &["tickets", "contacts", "accounts", "products", "tasks", "calls", "events", "timeEntry"];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("layoutId", Id),
    column("module", Text),
    column("displayLabel", Text),
    column("description", Text),
    column("departmentId", Id),
    column("isActive", Boolean),
    column("primaryField", Object),
    column("fieldConditions", Array),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("createdBy", Id),
    column("modifiedBy", Id),
];
