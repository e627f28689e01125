//! Agents: `GET /agents`, the active ones and the disabled ones, complete rows (`zoho-desk-api.md` §4.3).

use crate::table::Type::{Array, Boolean, Id, Object, Text};
use crate::table::{Column, EventFilter, Group, Incremental, List, Partitions, Table, column, event};

pub(super) const TABLE: Table = Table {
    name: "agents",
    group: Group::People,
    title: "Agents",
    scopes: &["Desk.basic.READ"],
    list: List {
        path: "/api/v1/agents",
        limit: 200,
        least: 10,
        partitions: Some(Partitions {
            parameter: "status",
            values: &["ACTIVE", "DISABLED"],
            is_written: false,
        }),
        ..List::DEFAULT
    },
    record: Some("/api/v1/agents/{id}"),
    incremental: Incremental::FullRefresh { every_ms: 60 * 60 * 1000 },
    events: EVENTS,
    columns: COLUMNS,
    notes: "One list call for each 199 agents. Disabled agents stay in the table.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] =
    &[event("Agent_Add"), event("Agent_Update").with_previous_state(), event("Agent_Delete")];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("zuid", Id),
    column("emailId", Text),
    column("firstName", Text),
    column("lastName", Text),
    column("name", Text),
    column("isConfirmed", Boolean),
    column("status", Text),
    column("roleId", Id),
    column("profileId", Id),
    column("phone", Text),
    column("mobile", Text),
    column("extn", Text),
    column("aboutInfo", Text),
    column("countryCode", Text),
    column("langCode", Text),
    column("timeZone", Text),
    column("photoURL", Text),
    column("rolePermissionType", Text),
    column("associatedDepartmentIds", Array),
    column("associatedChatDepartmentIds", Array),
    column("channelExpert", Array),
    column("cf", Object),
    column("isZiaAgent", Boolean),
];
