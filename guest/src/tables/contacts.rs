//! Contacts: `GET /contacts`, and `GET /contacts/{id}` for the members that list rows lack
//! (`zoho-desk-api.md` §4.4).

use crate::embedded;
use crate::table::Type::{Array, Boolean, Id, Integer, Object, Text, Time};
use crate::table::{Column, Detail, EventFilter, Incremental, List, MODIFIED, Table, column, event, object};

pub(super) const TABLE: Table = Table {
    name: "contacts",
    alias: "Contacts",
    title: "Contacts",
    scopes: &["Desk.contacts.READ", "Desk.search.READ", "Desk.settings.READ"],
    list: List {
        path: "/api/v1/contacts",
        limit: 99,
        query: &[("include", "accounts")],
        sort_by: Some("createdTime"),
        optional_parameters: &["include", "sortBy"],
        ..List::DEFAULT
    },
    record: Some("/api/v1/contacts/{id}"),
    detail: Some(Detail { key: "contact_detail", list_only_fields: &["account"], ..Detail::DEFAULT }),
    incremental: Incremental::Search { path: "/api/v1/contacts/search", cursor_fields: &[MODIFIED] },
    recycle_bin: Some("Contacts"),
    events: EVENTS,
    fields_module: Some("contacts"),
    columns: COLUMNS,
    notes: "One list call for each 98 contacts and, with contact_detail, one call for each contact. List \
            rows lack modifiedTime, address, description and custom fields.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] =
    &[event("Contact_Add"), event("Contact_Update").with_previous_state(), event("Contact_Delete")];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("firstName", Text),
    column("lastName", Text),
    column("email", Text),
    column("secondaryEmail", Text),
    column("phone", Text),
    column("mobile", Text),
    column("title", Text),
    column("type", Text),
    column("description", Text),
    column("street", Text),
    column("city", Text),
    column("state", Text),
    column("country", Text),
    column("zip", Text),
    column("facebook", Text),
    column("twitter", Text),
    column("language", Text),
    column("ownerId", Id),
    column("accountId", Id),
    column("layoutId", Id),
    column("accountCount", Integer),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("isAnonymous", Boolean),
    column("isEndUser", Boolean),
    column("isSpam", Boolean),
    column("isFollowing", Boolean),
    column("isTrashed", Boolean),
    column("isDeleted", Boolean),
    column("photoURL", Text),
    column("webUrl", Text),
    object("account", embedded::ACCOUNT),
    object("owner", embedded::AGENT),
    object("zohoCRMContact", embedded::CRM),
    object("customerHappiness", embedded::HAPPINESS),
    object("layoutDetails", embedded::LAYOUT),
    column("accounts", Array),
    column("cf", Object),
    column("customFields", Object),
];
