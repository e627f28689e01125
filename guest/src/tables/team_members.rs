//! Members of teams: `GET /teams/{id}/members` (`zoho-desk-api.md` §4.3).

use crate::table::Type::{Id, Text};
use crate::table::{Column, Each, Group, Incremental, List, Rows, Table, column};

pub(super) const TABLE: Table = Table {
    name: "team_members",
    group: Group::People,
    key: &["teamId", "id"],
    title: "Team members",
    scopes: &["Desk.basic.READ"],
    list: List {
        path: "/api/v1/teams/{parent}/members",
        rows: Rows::Member("members"),
        each: Some(Each { table: "teams", key: Some("teamId"), ..Each::DEFAULT }),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call for each team. `id` is the agent.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("teamId", Id),
    column("id", Id),
    column("name", Text),
    column("firstName", Text),
    column("lastName", Text),
    column("email", Text),
    column("photoURL", Text),
    column("roleId", Id),
    column("profileId", Id),
];
