//! Skills: `GET /skills` of each department (`zoho-desk-api.md` §4.8).

use crate::embedded;
use crate::table::Type::{Array, Id, Integer, Object, Text, Time};
use crate::table::{Column, Each, Group, Incremental, List, Table, column, object};

pub(super) const TABLE: Table = Table {
    name: "skills",
    group: Group::Settings,
    title: "Skills",
    scopes: &["Desk.settings.READ", "Desk.basic.READ"],
    list: List {
        path: "/api/v1/skills",
        limit: 100,
        first: 0,
        each: Some(Each::DEPARTMENT),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One list call for each 100 skills of a department. Not in every edition.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("departmentId", Id),
    column("skillTypeId", Id),
    object("skillType", embedded::NAMED),
    column("status", Text),
    column("orderId", Integer),
    column("agentIds", Array),
    column("criteria", Object),
    column("createdTime", Time),
    column("modifiedTime", Time),
    object("createdBy", embedded::AGENT),
    object("modifiedBy", embedded::AGENT),
];
