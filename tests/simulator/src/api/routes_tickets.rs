//! The endpoints of tickets, threads and comments (reference, §4.1 and §4.2).

use crate::api::parameters::{Kind, Parameter, optional, required};
use crate::api::routes::{Route, count, delete, list, pages, search, single};
use crate::api::{conversations, ticket_search, ticket_write, tickets};
use crate::oauth::scopes::RequiredScopes;

const READ: RequiredScopes = &[&["Desk.tickets.READ"]];
const SEARCH: RequiredScopes = &[&["Desk.tickets.READ"], &["Desk.search.READ"]];
const UPDATE: RequiredScopes = &[&["Desk.tickets.UPDATE"]];
const CREATE: RequiredScopes = &[&["Desk.tickets.CREATE"]];
const DELETE: RequiredScopes = &[&["Desk.tickets.DELETE"]];

const LIST_INCLUDE: &[&str] = &["contacts", "products", "departments", "team", "isRead", "assignee"];
const DETAIL_INCLUDE: &[&str] =
    &["contacts", "products", "departments", "team", "isRead", "assignee", "contract", "skills"];
/// Sort keys from the text and the OAS. `modifiedTime` is accepted here and rejected by the handler unless
/// a setting allows it.
const LIST_SORTS: &[&str] = &[
    "responseDueDate",
    "customerResponseTime",
    "createdTime",
    "ticketNumber",
    "dueDate",
    "recentThread",
    "modifiedTime",
];

const LIST: &[Parameter] = &[
    optional("departmentIds", Kind::Ids(20)),
    optional("departmentId", Kind::Id),
    optional("viewId", Kind::Id),
    optional("assignee", Kind::Text),
    optional("teamIds", Kind::Ids(50)),
    optional("status", Kind::Text),
    optional("channel", Kind::Text),
    optional("priority", Kind::Text),
    optional("receivedInDays", Kind::OneOf(&["15", "30", "90"])),
    optional("dueDate", Kind::OneOf(&["overdue", "today", "tomorrow", "currentWeek", "currentMonth"])),
    optional(
        "closedTime",
        Kind::OneOf(&[
            "today",
            "yesterday",
            "currentWeek",
            "currentMonth",
            "last3days",
            "last7days",
            "last15days",
            "last30days",
        ]),
    ),
    optional("include", Kind::SomeOf(LIST_INCLUDE)),
    optional("fields", Kind::Fields),
    optional("sortBy", Kind::Sort(LIST_SORTS)),
];

const SEARCH_PARAMETERS: &[Parameter] = &[
    optional("_all", Kind::Search),
    optional("id", Kind::Id),
    optional("ticketNumber", Kind::Text),
    optional("subject", Kind::Search),
    optional("description", Kind::Search),
    optional("status", Kind::Text),
    optional("priority", Kind::Text),
    optional("category", Kind::Text),
    optional("channel", Kind::Text),
    optional("departmentId", Kind::Id),
    optional("assigneeId", Kind::Text),
    optional("contactId", Kind::Text),
    optional("contactName", Kind::Search),
    optional("accountId", Kind::Text),
    optional("accountName", Kind::Search),
    optional("productId", Kind::Text),
    optional("productName", Kind::Search),
    optional("tag", Kind::Search),
    optional("email", Kind::Search),
    optional("phone", Kind::Search),
    optional("createdTimeRange", Kind::Range),
    optional("modifiedTimeRange", Kind::Range),
    optional("dueDateRange", Kind::Range),
    optional("customerResponseTimeRange", Kind::Range),
    optional("customField1", Kind::Text),
    optional("customField2", Kind::Text),
    optional("customField3", Kind::Text),
    optional("customField4", Kind::Text),
    optional("customField5", Kind::Text),
    optional("customField6", Kind::Text),
    optional("customField7", Kind::Text),
    optional("customField8", Kind::Text),
    optional("customField9", Kind::Text),
    optional("customField10", Kind::Text),
    optional("sortBy", Kind::Sort(&["relevance", "modifiedTime", "createdTime", "customerResponseTime"])),
];

const COUNT: &[Parameter] = &[
    optional("contactId", Kind::Id),
    optional("departmentId", Kind::Id),
    optional("createdTimeRange", Kind::Range),
    optional("modifiedTimeRange", Kind::Range),
    optional("category", Kind::Text),
    optional("assigneeId", Kind::Text),
    optional("accountId", Kind::Id),
    optional("status", Kind::Text),
    optional("priority", Kind::Text),
    optional("channel", Kind::Text),
];

pub(crate) static ROUTES: &[Route] = &[
    list("GET /tickets", READ, pages(100, 25), LIST, tickets::list),
    single("POST /tickets", CREATE, &[], ticket_write::create),
    search("GET /tickets/search", SEARCH, SEARCH_PARAMETERS, ticket_search::search),
    list(
        "GET /tickets/archivedTickets",
        SEARCH,
        pages(100, 25),
        &[
            required("departmentId", Kind::Id),
            optional("include", Kind::SomeOf(LIST_INCLUDE)),
            optional("viewType", Kind::OneOf(&["1", "2", "4"])),
        ],
        tickets::archived,
    ),
    delete("POST /tickets/moveToTrash", DELETE, ticket_write::move_to_trash),
    count("GET /ticketsCount", SEARCH, COUNT, ticket_search::count),
    single("GET /tickets/{id}", READ, &[optional("include", Kind::SomeOf(DETAIL_INCLUDE))], tickets::detail),
    single("PATCH /tickets/{id}", UPDATE, &[], ticket_write::update),
    list("GET /tickets/{id}/conversations", READ, pages(200, 100), &[], conversations::conversations),
    list(
        "GET /tickets/{id}/threads",
        READ,
        pages(200, 100),
        &[optional("sortBy", Kind::Sort(&["sendDateTime"]))],
        conversations::threads,
    ),
    single("GET /tickets/{id}/latestThread", READ, &[], conversations::latest_thread),
    single(
        "GET /tickets/{id}/threads/{id}",
        READ,
        &[optional("include", Kind::SomeOf(&["plainText"]))],
        conversations::thread,
    ),
    list(
        "GET /tickets/{id}/comments",
        READ,
        pages(100, 50),
        &[
            optional("include", Kind::SomeOf(&["mentions", "plainText"])),
            optional("sortBy", Kind::Sort(&["commentedTime"])),
        ],
        conversations::comments,
    ),
    single("POST /tickets/{id}/comments", UPDATE, &[], ticket_write::add_comment),
    single(
        "GET /tickets/{id}/comments/{id}",
        READ,
        &[optional("include", Kind::SomeOf(&["mentions", "plainText"]))],
        conversations::comment,
    ),
    single("PATCH /tickets/{id}/comments/{id}", UPDATE, &[], ticket_write::update_comment),
    delete("DELETE /tickets/{id}/comments/{id}", UPDATE, ticket_write::delete_comment),
];
