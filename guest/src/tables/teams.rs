//! Teams: `GET /teams`, in one answer of another form (`zoho-desk-api.md` §4.3).

use crate::table::Type::{Array, Id, Text};
use crate::table::{Column, Group, Incremental, List, Rows, Table, column};

pub(super) const TABLE: Table = Table {
    name: "teams",
    group: Group::People,
    title: "Teams",
    scopes: &["Desk.basic.READ"],
    list: List { path: "/api/v1/teams", rows: Rows::Member("teams"), ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("departmentId", Id),
    column("logoUrl", Text),
    column("agents", Array),
    column("roles", Array),
    column("rolesWithSubordinates", Array),
    column("subTeams", Array),
    column("derivedAgents", Array),
];
