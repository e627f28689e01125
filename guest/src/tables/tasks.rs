//! Tasks: `GET /tasks` of each department, and `GET /tasks/{id}` for the members that list rows lack
//! (`zoho-desk-api.md` §4.5).

use crate::embedded;
use crate::table::Type::{Boolean, Html, Id, Object, Text, Time};
use crate::table::{
    Column, Detail, Each, EventFilter, Group, Incremental, List, MODIFIED, Table, column, event, object,
};

pub(super) const TABLE: Table = Table {
    name: "tasks",
    group: Group::Activities,
    title: "Tasks",
    scopes: &["Desk.tasks.READ", "Desk.search.READ", "Desk.basic.READ", "Desk.settings.READ"],
    list: List { path: "/api/v1/tasks", ..LIST },
    record: Some("/api/v1/tasks/{id}"),
    detail: Some(Detail::DEFAULT),
    incremental: Incremental::Search { path: "/api/v1/tasks/search", cursor_fields: &[MODIFIED] },
    recycle_bin: Some("Tasks"),
    events: EVENTS,
    fields_module: Some("tasks"),
    columns: COLUMNS,
    notes: "One list call for each 98 tasks of a department and one call for each task.",
    ..Table::DEFAULT
};

/// The list of activities of each department.
pub(super) const LIST: List = List {
    limit: 99,
    sort_by: Some("createdTime"),
    departments: Some("departmentId"),
    each: Some(Each::DEPARTMENT),
    ..List::DEFAULT
};

const EVENTS: &[EventFilter] = &[
    event("Task_Add").by_department(),
    event("Task_Update").by_department().with_previous_state(),
    event("Task_Delete"),
];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("subject", Text),
    column("status", Text),
    column("priority", Text),
    column("category", Text),
    column("departmentId", Id),
    column("ownerId", Id),
    column("creatorId", Id),
    column("teamId", Id),
    column("contactId", Id),
    column("ticketId", Id),
    column("createdTime", Time),
    column("modifiedTime", Time),
    object("modifiedBy", embedded::AGENT),
    column("dueDate", Time),
    column("completedTime", Time),
    column("description", Html),
    column("isCommented", Boolean),
    column("isSpam", Boolean),
    column("isTrashed", Boolean),
    column("isDeleted", Boolean),
    column("activityType", Text),
    column("layoutId", Id),
    column("webUrl", Text),
    column("cf", Object),
    column("customFields", Object),
];
