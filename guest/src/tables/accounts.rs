//! Accounts: `GET /accounts`, and `GET /accounts/{id}` for what the list rows lack (`zoho-desk-api.md` §4.4).

use crate::table::Type::{Array, Boolean, Id, Number, Object, Text, Time};
use crate::table::{Column, Detail, EventFilter, Follow, List, MODIFIED, Table, column, event};

pub(super) const TABLE: Table = Table {
    name: "accounts",
    alias: "Accounts",
    title: "Accounts",
    scopes: &["Desk.contacts.READ", "Desk.search.READ"],
    list: List {
        path: "/api/v1/accounts",
        limit: 99,
        query: &[],
        sort_by: Some("createdTime"),
        sort_is_chosen: false,
        optional: &["sortBy"],
        departments: None,
        slices: None,
    },
    record: Some("/api/v1/accounts/{id}"),
    detail: Some(Detail { is_chosen: false, include: None, beside: &[] }),
    children: None,
    count: None,
    follow: Follow::Search { path: "/api/v1/accounts/search", moments: &[MODIFIED] },
    events: EVENTS,
    fields_module: Some("accounts"),
    columns: COLUMNS,
    notes: "One list call for each 98 accounts and one call for each account.",
};

const EVENTS: &[EventFilter] = &[
    event("Account_Add", false, false),
    event("Account_Update", false, true),
    event("Account_Delete", false, false),
];

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
    column("owner", Object),
    column("zohoCRMAccount", Object),
    column("customerHappiness", Object),
    column("layoutDetails", Object),
    column("associatedSLAIds", Array),
    column("cf", Object),
    column("customFields", Object),
];
