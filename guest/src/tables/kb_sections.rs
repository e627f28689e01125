//! Sections of the knowledge base: `GET /kbRootCategories/{id}/categoryTree`, the nodes below the root
//! (`zoho-desk-api.md` §4.7).

use crate::table::Type::{Array, Boolean, Id, Integer, Text};
use crate::table::{Column, Each, EventFilter, Group, Incremental, List, Rows, Table, column, event};

pub(super) const TABLE: Table = Table {
    name: "kb_sections",
    group: Group::Knowledge,
    title: "Knowledge base sections",
    scopes: &["Desk.articles.READ"],
    list: List {
        path: "/api/v1/kbRootCategories/{parent}/categoryTree",
        rows: Rows::Tree("children"),
        each: Some(Each { table: "kb_categories", key: Some("rootCategoryId"), ..Each::DEFAULT }),
        ..List::DEFAULT
    },
    record: Some("/api/v1/kbSections/{id}"),
    incremental: Incremental::FullRefresh { every_ms: 60 * 60 * 1000 },
    events: EVENTS,
    columns: COLUMNS,
    notes: "One call for each root category. `parentCategoryId` is the section or root category above.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] =
    &[event("KBSection_Add"), event("KBSection_Update").with_previous_state(), event("KBSection_Delete")];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("rootCategoryId", Id),
    column("parentCategoryId", Id),
    column("level", Integer),
    column("order", Integer),
    column("status", Text),
    column("visibility", Text),
    column("locale", Text),
    column("isTrashed", Boolean),
    column("isFollowing", Boolean),
    column("logoUrl", Text),
    column("translations", Array),
];
