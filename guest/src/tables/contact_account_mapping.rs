//! Accounts of contacts: `GET /contacts/{id}/accounts` of each contact that has some (`zoho-desk-api.md`,
//! appendix).

use crate::table::Type::{Id, Text, Time};
use crate::table::{Column, Each, Group, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "contact_account_mapping",
    group: Group::Settings,
    key: &["contactId", "id"],
    title: "Accounts of contacts",
    scopes: &["Desk.contacts.READ"],
    list: List {
        path: "/api/v1/contacts/{parent}/accounts",
        limit: 99,
        each: Some(Each {
            table: "contacts",
            key: Some("contactId"),
            count: "accountCount",
            ..Each::DEFAULT
        }),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 7 * 24 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One list call for each 98 contacts and one call for each contact with accounts, again each week. \
            `id` is the account.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("contactId", Id),
    column("id", Id),
    column("accountName", Text),
    column("mappingType", Text),
    column("email", Text),
    column("phone", Text),
    column("website", Text),
    column("createdTime", Time),
];
