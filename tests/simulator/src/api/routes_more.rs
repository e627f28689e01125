//! The endpoints of activities, the knowledge base, settings, and of the parts of tickets other than threads
//! and comments (reference, §4.1, §4.2, §4.5 to §4.8 and appendix; the newest OAS where it has more).

use crate::api::parameters::{Kind, Paging, Parameter, optional, required};
use crate::api::routes::{Route, delete, list, pages, search, single};
use crate::api::{more, row_search, row_write, rows};
use crate::oauth::scopes::RequiredScopes;

const BASIC: RequiredScopes = &[&["Desk.basic.READ", "Desk.settings.READ"]];
const LAYOUTS: RequiredScopes = &[&["Desk.basic.READ"]];
const LAYOUT_RULES: RequiredScopes = &[&["Desk.layouts.READ", "Desk.settings.READ"]];
const SETTINGS: RequiredScopes = &[&["Desk.settings.READ"]];
const CONTACTS: RequiredScopes = &[&["Desk.contacts.READ"]];
const CUSTOM: RequiredScopes = &[&["Desk.custommodule.READ"]];
const ARTICLES: RequiredScopes = &[&["Desk.articles.READ"]];
const ARTICLES_SEARCH: RequiredScopes = &[&["Desk.articles.READ"], &["Desk.search.READ"]];
const ARTICLES_DELETE: RequiredScopes = &[&["Desk.articles.DELETE"]];
const TICKETS: RequiredScopes = &[&["Desk.tickets.READ"]];
const TASKS: RequiredScopes = &[&["Desk.tasks.READ", "Desk.activities.tasks.READ"]];
const TASKS_SEARCH: RequiredScopes =
    &[&["Desk.tasks.READ", "Desk.activities.tasks.READ"], &["Desk.search.READ"]];
const TASKS_DELETE: RequiredScopes = &[&["Desk.tasks.DELETE", "Desk.activities.tasks.DELETE"]];
const CALLS: RequiredScopes = &[&["Desk.calls.READ", "Desk.activities.calls.READ"]];
const CALLS_SEARCH: RequiredScopes = &[&["Desk.calls.READ"], &["Desk.search.READ"]];
const CALLS_DELETE: RequiredScopes = &[&["Desk.calls.DELETE", "Desk.activities.calls.DELETE"]];
const EVENTS: RequiredScopes = &[&["Desk.events.READ", "Desk.activities.events.READ"]];
const EVENTS_SEARCH: RequiredScopes = &[&["Desk.events.READ"], &["Desk.search.READ"]];
const EVENTS_DELETE: RequiredScopes = &[&["Desk.events.DELETE", "Desk.activities.events.DELETE"]];
/// Activities of a ticket: of one kind at least.
const ACTIVITIES: RequiredScopes = &[&["Desk.tasks.READ"], &["Desk.calls.READ"], &["Desk.events.READ"]];

const LAYOUT_MODULES: Kind = Kind::OneOf(crate::world::fields::MODULES);
const STATUS: Parameter = optional("status", Kind::OneOf(&["ACTIVE", "INACTIVE"]));
const INCLUDE_ACTIVITY: Parameter =
    optional("include", Kind::SomeOf(&["contacts", "tickets", "assignee", "teams"]));

const TASK_LIST: &[Parameter] = &[
    required("departmentId", Kind::Id),
    INCLUDE_ACTIVITY,
    optional(
        "sortBy",
        Kind::Sort(&["category", "subject", "dueDate", "status", "createdTime", "modifiedTime", "priority"]),
    ),
];
const CALL_LIST: &[Parameter] = &[
    required("departmentId", Kind::Id),
    INCLUDE_ACTIVITY,
    optional("isCompleted", Kind::Flag),
    optional("sortBy", Kind::Sort(&["startTime", "createdTime"])),
];
const ACTIVITY_SEARCH: &[Parameter] = &[
    optional("_all", Kind::Search),
    optional("id", Kind::Id),
    optional("subject", Kind::Search),
    optional("departmentId", Kind::Id),
    optional("priority", Kind::Text),
    optional("status", Kind::Text),
    optional("createdTimeRange", Kind::Range),
    optional("modifiedTimeRange", Kind::Range),
    optional("sortBy", Kind::Sort(&["relevance", "modifiedTime", "createdTime"])),
];
const ARTICLE_LIST: &[Parameter] = &[
    optional("modifiedTimeRange", Kind::Range),
    optional("status", Kind::Text),
    optional("categoryId", Kind::Id),
    optional("authorId", Kind::Id),
    optional(
        "sortBy",
        Kind::Sort(&[
            "createdTime",
            "modifiedTime",
            "likeCount",
            "viewCount",
            "feedbackCount",
            "dislikeCount",
        ]),
    ),
];
const ARTICLE_SEARCH: &[Parameter] = &[
    optional("_all", Kind::Search),
    optional("id", Kind::Id),
    optional("title", Kind::Search),
    optional("departmentId", Kind::Id),
    optional("categoryId", Kind::Id),
    optional("createdTimeRange", Kind::Range),
    optional("modifiedTimeRange", Kind::Range),
    optional("sortBy", Kind::Sort(&["relevance", "modifiedTime", "createdTime"])),
];
const LAYOUT_RULE_LIST: &[Parameter] = &[
    required("module", LAYOUT_MODULES),
    required("layoutId", Kind::Id),
    optional("departmentId", Kind::Id),
    optional("activeRules", Kind::Flag),
];
const RECORD_LIST: &[Parameter] = &[
    optional("viewId", Kind::Id),
    optional("fields", Kind::Fields),
    optional("sortBy", Kind::Sort(&["createdTime", "modifiedTime"])),
];

pub(crate) static ROUTES: &[Route] = &[
    list("GET /roles", BASIC, pages(500, 15), &[optional("isDefault", Kind::Flag)], rows::list),
    list("GET /profiles", BASIC, Paging::None, &[optional("searchStr", Kind::Text)], more::whole),
    list("GET /channels", LAYOUTS, Paging::None, &[], more::whole),
    list("GET /businessHours", SETTINGS, pages(50, 50), &[STATUS], rows::list),
    list("GET /holidayList", SETTINGS, pages(50, 50), &[STATUS], rows::list),
    list("GET /skills", SETTINGS, pages(100, 100), &[required("departmentId", Kind::Id), STATUS], rows::list),
    list("GET /supportPlans", SETTINGS, Paging::None, &[required("departmentId", Kind::Id)], more::whole),
    list("GET /organizationModules", SETTINGS, Paging::None, &[], more::whole),
    list("GET /cm_assets", CUSTOM, pages(50, 50), RECORD_LIST, rows::list),
    list("GET /cm_vehicles", CUSTOM, pages(50, 50), RECORD_LIST, rows::list),
    list(
        "GET /layouts",
        LAYOUTS,
        Paging::None,
        &[required("module", LAYOUT_MODULES), optional("departmentId", Kind::Id)],
        more::whole,
    ),
    single("GET /layouts/{id}", LAYOUTS, &[], rows::detail),
    list("GET /layoutRules", LAYOUT_RULES, pages(50, 50), LAYOUT_RULE_LIST, rows::list),
    list("GET /tasks", TASKS, pages(99, 10), TASK_LIST, rows::list),
    search("GET /tasks/search", TASKS_SEARCH, ACTIVITY_SEARCH, row_search::search),
    delete("POST /tasks/moveToTrash", TASKS_DELETE, row_write::move_to_trash),
    single("GET /tasks/{id}", TASKS, &[INCLUDE_ACTIVITY], rows::detail),
    list("GET /calls", CALLS, pages(99, 10), CALL_LIST, rows::list),
    search("GET /calls/search", CALLS_SEARCH, ACTIVITY_SEARCH, row_search::search),
    delete("POST /calls/moveToTrash", CALLS_DELETE, row_write::move_to_trash),
    single("GET /calls/{id}", CALLS, &[INCLUDE_ACTIVITY], rows::detail),
    list("GET /events", EVENTS, pages(99, 10), CALL_LIST, rows::list),
    search("GET /events/search", EVENTS_SEARCH, ACTIVITY_SEARCH, row_search::search),
    delete("POST /events/moveToTrash", EVENTS_DELETE, row_write::move_to_trash),
    single("GET /events/{id}", EVENTS, &[INCLUDE_ACTIVITY], rows::detail),
    list("GET /articles", ARTICLES, pages(50, 10), ARTICLE_LIST, rows::list),
    search("GET /articles/search", ARTICLES_SEARCH, ARTICLE_SEARCH, row_search::search),
    delete("POST /articles/moveToTrash", ARTICLES_DELETE, row_write::move_to_trash),
    single("GET /articles/{id}", ARTICLES, &[optional("version", Kind::Text)], rows::detail),
    list(
        "GET /articleTranslations",
        ARTICLES,
        pages(50, 10),
        &[
            optional("modifiedTimeRange", Kind::Range),
            optional("sortBy", Kind::OneOf(&["createdTime", "modifiedTime"])),
        ],
        more::translations,
    ),
    single("GET /articles/{id}/translations/{id}", ARTICLES, &[], more::translation),
    list(
        "GET /kbRootCategories",
        ARTICLES,
        pages(700, 50),
        &[optional("departmentId", Kind::Id), optional("sortBy", Kind::Sort(&["name", "order"]))],
        rows::list,
    ),
    single("GET /kbRootCategories/{id}", ARTICLES, &[], rows::detail),
    single("GET /kbRootCategories/{id}/categoryTree", ARTICLES, &[], more::tree),
    single("GET /kbSections/{id}", ARTICLES, &[], rows::detail),
    list("GET /accounts/{id}/sla", SETTINGS, pages(100, 10), &[STATUS], more::slas),
    list("GET /contacts/{id}/accounts", CONTACTS, pages(99, 10), &[], more::accounts),
    list(
        "GET /tickets/{id}/History",
        TICKETS,
        pages(50, 10),
        &[optional("agentId", Kind::Id)],
        more::of_ticket,
    ),
    single("GET /tickets/{id}/metrics", TICKETS, &[], more::of_ticket),
    list("GET /tickets/{id}/tags", TICKETS, Paging::None, &[], more::of_ticket),
    list(
        "GET /tickets/{id}/attachments",
        TICKETS,
        pages(100, 10),
        &[optional("isPublic", Kind::Flag), optional("sortBy", Kind::Sort(&["createdTime"]))],
        more::of_ticket,
    ),
    single("GET /tickets/{id}/attachments/{id}/content", TICKETS, &[], more::attachment),
    list(
        "GET /tickets/{id}/timeEntry",
        TICKETS,
        pages(50, 10),
        &[optional("createdTimeRange", Kind::Range), optional("modifiedTimeRange", Kind::Range)],
        more::of_ticket,
    ),
    list(
        "GET /tickets/{id}/approvals",
        TICKETS,
        pages(100, 10),
        &[optional("status", Kind::OneOf(&["Approved", "Rejected", "Pending"]))],
        more::of_ticket,
    ),
    single("GET /tickets/{id}/approvals/{id}", TICKETS, &[], more::part),
    single(
        "GET /tickets/{id}/timeEntry/{id}",
        TICKETS,
        &[optional("include", Kind::SomeOf(&["owner"]))],
        more::part,
    ),
    list("GET /tickets/{id}/activities", ACTIVITIES, pages(99, 10), &[INCLUDE_ACTIVITY], more::of_ticket),
];
