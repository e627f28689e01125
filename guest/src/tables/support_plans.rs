//! Support plans: `GET /supportPlans` of each department (`zoho-desk-api.md` §4.8, in one answer;
//! `SupportPlan.json` of zoho/zohodesk-oas, in pages of 50).

use crate::embedded;
use crate::table::Type::{Id, Integer, Object, Text, Time};
use crate::table::{Column, Each, Group, Incremental, List, Table, column, object};

pub(super) const TABLE: Table = Table {
    name: "support_plans",
    group: Group::Settings,
    title: "Support plans",
    scopes: &["Desk.settings.READ", "Desk.basic.READ"],
    list: List { path: "/api/v1/supportPlans", each: Some(Each::DEPARTMENT), ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call for each department, and one for each further 50 plans. The descriptions of the API \
            differ: `departmentId`, `creadtedTime` and `totalIncidents` are of the older one, `department`, \
            `createdTime`, `sla` and `creditDetails` of the newer one.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("status", Text),
    column("supportType", Text),
    column("departmentId", Id),
    object("department", embedded::NAMED),
    object("sla", &[column("id", Id), column("name", Text), column("status", Text)]),
    column("creditDetails", Object),
    column("totalIncidents", Integer),
    column("creadtedTime", Time),
    column("createdTime", Time),
    column("modifiedTime", Time),
    object("createdBy", embedded::AGENT),
    object("modifiedBy", embedded::AGENT),
];
