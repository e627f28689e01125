//! Holiday lists: `GET /holidayList`, active and inactive ones (`zoho-desk-api.md`, appendix).

use crate::embedded;
use crate::table::Type::{Array, Id, Text, Time};
use crate::table::{Column, Group, Incremental, List, Partitions, Table, column, object};

pub(super) const TABLE: Table = Table {
    name: "holiday_lists",
    group: Group::Settings,
    title: "Holiday lists",
    scopes: &["Desk.settings.READ"],
    list: List {
        path: "/api/v1/holidayList",
        limit: 50,
        first: 0,
        partitions: Some(Partitions::ACTIVE_AND_INACTIVE),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 24 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One list call for each 49 of a status.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("status", Text),
    column("holidays", Array),
    column("associatedDepartments", Array),
    column("createdTime", Time),
    column("modifiedTime", Time),
    object("createdBy", embedded::AGENT),
    object("modifiedBy", embedded::AGENT),
];
