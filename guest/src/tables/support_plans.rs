//! Support plans: `GET /supportPlans` of each department, in one answer (`zoho-desk-api.md` §4.8).

use crate::table::Type::{Id, Integer, Text, Time};
use crate::table::{Column, Each, Group, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "support_plans",
    group: Group::Settings,
    title: "Support plans",
    scopes: &["Desk.settings.READ", "Desk.basic.READ"],
    list: List { path: "/api/v1/supportPlans", each: Some(Each::DEPARTMENT), ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call for each department. The API spells `creadtedTime`.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("status", Text),
    column("supportType", Text),
    column("departmentId", Id),
    column("totalIncidents", Integer),
    column("creadtedTime", Time),
    column("modifiedTime", Time),
    column("createdBy", Id),
    column("modifiedBy", Id),
];
