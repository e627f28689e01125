//! The endpoints about tickets and what belongs to a ticket (reference, §4.1 and §4.2).

use crate::api::parameters::{Kind, Paging, Parameter, optional, required};
use crate::api::routes::{Route, Weight, pages};
use crate::api::{conversations, ticket_search, ticket_write, tickets};

const READ: &[&[&str]] = &[&["Desk.tickets.READ"]];
const SEARCH: &[&[&str]] = &[&["Desk.tickets.READ"], &["Desk.search.READ"]];
const UPDATE: &[&[&str]] = &[&["Desk.tickets.UPDATE"]];
const CREATE: &[&[&str]] = &[&["Desk.tickets.CREATE"]];
const DELETE: &[&[&str]] = &[&["Desk.tickets.DELETE"]];

const LIST_INCLUDE: &[&str] = &["contacts", "products", "departments", "team", "isRead", "assignee"];
const DETAIL_INCLUDE: &[&str] =
    &["contacts", "products", "departments", "team", "isRead", "assignee", "contract", "skills"];
/// Documented, in the text and in the OAS; `modifiedTime` is let through here and decided later.
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
    Route {
        name: "GET /tickets",
        scopes: READ,
        paging: pages(100, 25),
        weight: Weight::ByOffset,
        parameters: LIST,
        handler: tickets::list,
    },
    Route {
        name: "POST /tickets",
        scopes: CREATE,
        paging: Paging::None,
        weight: Weight::Fixed(1),
        parameters: &[],
        handler: ticket_write::create,
    },
    Route {
        name: "GET /tickets/search",
        scopes: SEARCH,
        paging: Paging::Search,
        weight: Weight::ByOffset,
        parameters: SEARCH_PARAMETERS,
        handler: ticket_search::search,
    },
    Route {
        name: "GET /tickets/archivedTickets",
        scopes: SEARCH,
        paging: Paging::List { min: 1, max: 100, default: 25 },
        weight: Weight::ByOffset,
        parameters: &[
            required("departmentId", Kind::Id),
            optional("include", Kind::SomeOf(LIST_INCLUDE)),
            optional("viewType", Kind::OneOf(&["1", "2", "4"])),
        ],
        handler: tickets::archived,
    },
    Route {
        name: "POST /tickets/moveToTrash",
        scopes: DELETE,
        paging: Paging::None,
        weight: Weight::Fixed(6),
        parameters: &[],
        handler: ticket_write::move_to_trash,
    },
    Route {
        name: "GET /ticketsCount",
        scopes: SEARCH,
        paging: Paging::None,
        weight: Weight::Fixed(3),
        parameters: COUNT,
        handler: ticket_search::count,
    },
    Route {
        name: "GET /tickets/{id}",
        scopes: READ,
        paging: Paging::None,
        weight: Weight::Fixed(1),
        parameters: &[optional("include", Kind::SomeOf(DETAIL_INCLUDE))],
        handler: tickets::detail,
    },
    Route {
        name: "PATCH /tickets/{id}",
        scopes: UPDATE,
        paging: Paging::None,
        weight: Weight::Fixed(1),
        parameters: &[],
        handler: ticket_write::update,
    },
    Route {
        name: "GET /tickets/{id}/conversations",
        scopes: READ,
        paging: pages(200, 100),
        weight: Weight::ByOffset,
        parameters: &[],
        handler: conversations::conversations,
    },
    Route {
        name: "GET /tickets/{id}/threads",
        scopes: READ,
        paging: pages(200, 100),
        weight: Weight::ByOffset,
        parameters: &[optional("sortBy", Kind::Sort(&["sendDateTime"]))],
        handler: conversations::threads,
    },
    Route {
        name: "GET /tickets/{id}/latestThread",
        scopes: READ,
        paging: Paging::None,
        weight: Weight::Fixed(1),
        parameters: &[],
        handler: conversations::latest_thread,
    },
    Route {
        name: "GET /tickets/{id}/threads/{id}",
        scopes: READ,
        paging: Paging::None,
        weight: Weight::Fixed(1),
        parameters: &[optional("include", Kind::SomeOf(&["plainText"]))],
        handler: conversations::thread,
    },
    Route {
        name: "GET /tickets/{id}/comments",
        scopes: READ,
        paging: pages(100, 50),
        weight: Weight::ByOffset,
        parameters: &[
            optional("include", Kind::SomeOf(&["mentions", "plainText"])),
            optional("sortBy", Kind::Sort(&["commentedTime"])),
        ],
        handler: conversations::comments,
    },
    Route {
        name: "POST /tickets/{id}/comments",
        scopes: UPDATE,
        paging: Paging::None,
        weight: Weight::Fixed(1),
        parameters: &[],
        handler: ticket_write::add_comment,
    },
    Route {
        name: "GET /tickets/{id}/comments/{id}",
        scopes: READ,
        paging: Paging::None,
        weight: Weight::Fixed(1),
        parameters: &[optional("include", Kind::SomeOf(&["mentions", "plainText"]))],
        handler: conversations::comment,
    },
    Route {
        name: "PATCH /tickets/{id}/comments/{id}",
        scopes: UPDATE,
        paging: Paging::None,
        weight: Weight::Fixed(1),
        parameters: &[],
        handler: ticket_write::update_comment,
    },
    Route {
        name: "DELETE /tickets/{id}/comments/{id}",
        scopes: UPDATE,
        paging: Paging::None,
        weight: Weight::Fixed(6),
        parameters: &[],
        handler: ticket_write::delete_comment,
    },
];
