//! Root categories of the knowledge base: `GET /kbRootCategories` (`zoho-desk-api.md` §4.7).

use crate::embedded;
use crate::table::Type::{Array, Boolean, Id, Integer, Object, Text, Time};
use crate::table::{Column, EventFilter, Group, Incremental, List, Table, column, event, object};

pub(super) const TABLE: Table = Table {
    name: "kb_categories",
    group: Group::Knowledge,
    title: "Knowledge base categories",
    scopes: &["Desk.articles.READ"],
    list: List { path: "/api/v1/kbRootCategories", limit: 50, ..List::DEFAULT },
    record: Some("/api/v1/kbRootCategories/{id}"),
    incremental: Incremental::FullRefresh { every_ms: 60 * 60 * 1000 },
    events: EVENTS,
    columns: COLUMNS,
    notes: "One list call for each 49 root categories.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] = &[
    event("KBRootCategory_Add"),
    event("KBRootCategory_Update").with_previous_state(),
    event("KBRootCategory_Delete"),
];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("status", Text),
    column("visibility", Text),
    column("order", Integer),
    column("helpcenterId", Id),
    column("primaryDepartmentId", Id),
    column("associatedDepartmentIds", Array),
    column("isReviewEnabled", Boolean),
    column("isTrashed", Boolean),
    column("moderationType", Text),
    column("articleViewType", Text),
    column("logoUrl", Text),
    column("translations", Array),
    column("groups", Array),
    column("workspaceId", Text),
    object("createdBy", embedded::AGENT),
    object("modifiedBy", embedded::AGENT),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("feedbackTicketConversionPreference", Object),
];
