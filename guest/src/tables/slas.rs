//! Service level agreements of accounts: `GET /accounts/{id}/sla`; the API has no other list
//! (`zoho-desk-api.md` §4.8).

use crate::embedded;
use crate::table::Type::{Boolean, Id, Text};
use crate::table::{Column, Each, Group, Incremental, List, Table, column, object};

pub(super) const TABLE: Table = Table {
    name: "slas",
    group: Group::Settings,
    key: &["accountId", "id"],
    title: "SLAs of accounts",
    scopes: &["Desk.settings.READ", "Desk.contacts.READ"],
    list: List {
        path: "/api/v1/accounts/{parent}/sla",
        limit: 100,
        first: 0,
        each: Some(Each { table: "accounts", key: Some("accountId"), ..Each::DEFAULT }),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 7 * 24 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One list call for each 98 accounts and one call for each account, again each week. One row for \
            each account and agreement. The descriptions of the API differ in `slaName` and `name`.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("accountId", Id),
    column("id", Id),
    column("slaName", Text),
    column("name", Text),
    column("isActive", Boolean),
    object("department", embedded::NAMED),
];
