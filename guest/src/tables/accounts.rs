//! Accounts: `GET /accounts`, and `GET /accounts/{id}` for the members that list rows lack
//! (`zoho-desk-api.md` §4.4).

use crate::embedded;
use crate::table::Type::{Array, Boolean, Id, Number, Object, Text, Time};
use crate::table::{Column, Detail, EventFilter, Incremental, List, MODIFIED, Table, column, event, object};

pub(super) const TABLE: Table = Table {
    name: "accounts",
    alias: "Accounts",
    title: "Accounts",
    scopes: &["Desk.contacts.READ", "Desk.search.READ", "Desk.settings.READ"],
    list: List {
        path: "/api/v1/accounts",
        limit: 99,
        sort_by: Some("createdTime"),
        optional_parameters: &["sortBy"],
        ..List::DEFAULT
    },
    record: Some("/api/v1/accounts/{id}"),
    detail: Some(Detail::DEFAULT),
    hides_deleted: true,
    incremental: Incremental::Search { path: "/api/v1/accounts/search", cursor_fields: &[MODIFIED] },
    recycle_bin: Some("Accounts"),
    events: EVENTS,
    fields_module: Some("accounts"),
    columns: COLUMNS,
    notes: "One list call for each 98 accounts and one call for each account.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] =
    &[event("Account_Add"), event("Account_Update").with_previous_state(), event("Account_Delete")];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("accountName", Text),
    column("email", Text),
    column("phone", Text),
    column("fax", Text),
    column("website", Text),
    column("industry", Text),
    column("annualrevenue", Number),
    column("description", Text),
    column("street", Text),
    column("city", Text),
    column("state", Text),
    column("country", Text),
    column("code", Text),
    column("ownerId", Id),
    column("layoutId", Id),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("isFollowing", Boolean),
    column("isTrashed", Boolean),
    column("isDeleted", Boolean),
    column("webUrl", Text),
    object("owner", embedded::AGENT),
    object("zohoCRMAccount", embedded::CRM),
    object("customerHappiness", embedded::HAPPINESS),
    object("layoutDetails", embedded::LAYOUT),
    column("associatedSLAIds", Array),
    column("cf", Object),
    column("customFields", Object),
];
