//! Modules, custom ones included: `GET /organizationModules` (`Module.json` of zoho/zohodesk-oas).

use crate::embedded;
use crate::table::Type::{Boolean, Id, Text, Time};
use crate::table::{Column, Group, Incremental, List, Rows, Table, column, object};

pub(super) const TABLE: Table = Table {
    name: "modules",
    group: Group::Settings,
    title: "Modules",
    scopes: &["Desk.settings.READ"],
    list: List { path: "/api/v1/organizationModules", rows: Rows::Member("modules"), ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("apiName", Text),
    column("displayLabel", Text),
    column("singularLabel", Text),
    column("pluralLabel", Text),
    column("description", Text),
    column("nameField", Text),
    column("isCustomModule", Boolean),
    column("isDeptSpecific", Boolean),
    column("hasRecycleBin", Boolean),
    column("createdBy", Id),
    column("createdTime", Time),
    column("modifiedBy", Id),
    column("modifiedTime", Time),
    object("modifier", embedded::AGENT),
];
