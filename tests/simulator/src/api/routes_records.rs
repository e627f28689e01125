//! The endpoints of every module but tickets (reference, §4.3, §4.4, §4.8, §6.2, §7).

use crate::api::parameters::{Kind, Paging, Parameter, optional, required};
use crate::api::routes::{Route, count, delete, list, pages, search, single};
use crate::api::{
    contracts, fields, more, organizations, recycle_bin, row_search, row_write, rows, views, webhooks,
};
use crate::oauth::scopes::RequiredScopes;

const BASIC: RequiredScopes = &[&["Desk.basic.READ", "Desk.settings.READ"]];
const SETTINGS: RequiredScopes = &[&["Desk.settings.READ"]];
const SETTINGS_UPDATE: RequiredScopes = &[&["Desk.settings.UPDATE"]];
const CONTACTS: RequiredScopes = &[&["Desk.contacts.READ"]];
const ACCOUNTS: RequiredScopes = &[&["Desk.contacts.READ", "Desk.accounts.READ"]];
const CONTACTS_SEARCH: RequiredScopes = &[&["Desk.contacts.READ"], &["Desk.search.READ"]];
const CONTACTS_DELETE: RequiredScopes = &[&["Desk.contacts.DELETE"]];
const CONTACTS_UPDATE: RequiredScopes = &[&["Desk.contacts.UPDATE"]];
const PRODUCTS: RequiredScopes = &[&["Desk.products.READ", "Desk.settings.READ"]];
const PRODUCTS_SEARCH: RequiredScopes =
    &[&["Desk.products.READ", "Desk.settings.READ"], &["Desk.search.READ"]];
const PRODUCTS_DELETE: RequiredScopes = &[&["Desk.products.DELETE", "Desk.settings.DELETE"]];
const PRODUCTS_UPDATE: RequiredScopes = &[&["Desk.products.UPDATE", "Desk.settings.UPDATE"]];
const CONTRACTS_DELETE: RequiredScopes = &[&["Desk.contracts.DELETE", "Desk.settings.DELETE"]];
const CONTRACTS_UPDATE: RequiredScopes = &[&["Desk.contracts.UPDATE", "Desk.settings.UPDATE"]];
const WEBHOOKS_READ: RequiredScopes = &[&["Desk.webhooks.READ", "Desk.settings.READ", "Desk.events.READ"]];
const WEBHOOKS_CREATE: RequiredScopes =
    &[&["Desk.webhooks.CREATE", "Desk.settings.CREATE", "Desk.events.CREATE"]];
const WEBHOOKS_UPDATE: RequiredScopes =
    &[&["Desk.webhooks.UPDATE", "Desk.settings.UPDATE", "Desk.events.UPDATE"]];
const WEBHOOKS_DELETE: RequiredScopes =
    &[&["Desk.webhooks.DELETE", "Desk.settings.DELETE", "Desk.events.DELETE"]];

const FIELD_MODULES: Kind = Kind::OneOf(crate::world::fields::MODULES);
const CREATED_RANGE: Parameter = optional("createdTimeRange", Kind::Range);
const MODIFIED_RANGE: Parameter = optional("modifiedTimeRange", Kind::Range);

pub(crate) static ROUTES: &[Route] = &[
    single("GET /organizations", BASIC, &[], organizations::list),
    single("GET /organizations/{id}", BASIC, &[], organizations::detail),
    single("GET /accessibleOrganizations", BASIC, &[], organizations::list),
    list(
        "GET /departments",
        BASIC,
        Paging::List { min: 0, max: 200, default: 10 },
        &[
            optional("isEnabled", Kind::Flag),
            optional("chatStatus", Kind::OneOf(&["AVAILABLE", "DISABLED", "NOT_CREATED", "${UNAVAILABLE}"])),
            optional("searchStr", Kind::Text),
        ],
        rows::list,
    ),
    count("GET /departments/count", BASIC, &[], rows::count),
    single("GET /departments/{id}", BASIC, &[], rows::detail),
    list(
        "GET /agents",
        BASIC,
        Paging::List { min: 10, max: 200, default: 10 },
        &[
            optional("status", Kind::OneOf(&["ACTIVE", "DISABLED"])),
            optional("isConfirmed", Kind::Flag),
            optional("departmentIds", Kind::Ids(50)),
            optional("roleIds", Kind::Ids(50)),
            optional("profileIds", Kind::Ids(50)),
            optional("searchStr", Kind::Text),
            optional(
                "rolePermissionType",
                Kind::OneOf(&[
                    "AgentPublic",
                    "AgentPersonal",
                    "AgentTeamPersonal",
                    "Admin",
                    "Custom",
                    "Light",
                ]),
            ),
            optional("include", Kind::SomeOf(&["profile", "role"])),
        ],
        rows::list,
    ),
    count("GET /agents/count", BASIC, &[], rows::count),
    single(
        "GET /agents/{id}",
        BASIC,
        &[optional("include", Kind::SomeOf(&["profile", "role"]))],
        rows::detail,
    ),
    single("GET /myinfo", BASIC, &[], organizations::my_info),
    list("GET /teams", BASIC, Paging::None, &[], more::whole),
    list(
        "GET /teams/{id}/members",
        BASIC,
        Paging::None,
        &[optional("include", Kind::SomeOf(&["profile", "role"]))],
        more::members,
    ),
    single("GET /teams/{id}", BASIC, &[], rows::detail),
    list(
        "GET /products",
        PRODUCTS,
        pages(100, 10),
        &[
            optional("departmentId", Kind::Id),
            optional("viewId", Kind::Id),
            optional("ownerId", Kind::Id),
            optional("include", Kind::SomeOf(&["owner"])),
            optional("fields", Kind::Fields),
            optional(
                "sortBy",
                Kind::Sort(&["productName", "productCode", "unitPrice", "createdTime", "modifiedTime"]),
            ),
        ],
        rows::list,
    ),
    search(
        "GET /products/search",
        PRODUCTS_SEARCH,
        &[
            optional("_all", Kind::Search),
            optional("id", Kind::Id),
            optional("productName", Kind::Search),
            optional("productCode", Kind::Search),
            optional("departmentId", Kind::Id),
            optional("contactId", Kind::Id),
            optional("accountId", Kind::Id),
            CREATED_RANGE,
            MODIFIED_RANGE,
            optional("sortBy", Kind::Sort(&["relevance", "modifiedTime", "createdTime", "productName"])),
        ],
        row_search::search,
    ),
    delete("POST /products/moveToTrash", PRODUCTS_DELETE, row_write::move_to_trash),
    single(
        "GET /products/{id}",
        PRODUCTS,
        &[optional("include", Kind::SomeOf(&["departments", "owner"]))],
        rows::detail,
    ),
    single("PATCH /products/{id}", PRODUCTS_UPDATE, &[], row_write::update),
    list(
        "GET /contracts",
        SETTINGS,
        pages(100, 10),
        &[
            optional("accountId", Kind::Id),
            optional("ownerIds", Kind::Ids(50)),
            optional("departmentIds", Kind::Ids(50)),
            optional("viewId", Kind::Id),
            optional("contractName", Kind::Text),
            optional("include", Kind::SomeOf(&["accounts", "products", "slas", "owner", "departments"])),
            optional("fields", Kind::Fields),
            optional(
                "sortBy",
                Kind::Sort(&[
                    "accountName",
                    "contractName",
                    "contractEndDate",
                    "contractStartDate",
                    "createdTime",
                    "modifiedTime",
                ]),
            ),
        ],
        contracts::list,
    ),
    count(
        "GET /contracts/count",
        SETTINGS,
        &[required("viewId", Kind::Id), required("departmentId", Kind::Id), optional("ownerId", Kind::Id)],
        contracts::count,
    ),
    delete("POST /contracts/moveToTrash", CONTRACTS_DELETE, row_write::move_to_trash),
    single("GET /contracts/{id}", SETTINGS, &[], contracts::detail),
    single("PATCH /contracts/{id}", CONTRACTS_UPDATE, &[], row_write::update),
    list(
        "GET /contacts",
        CONTACTS,
        pages(100, 10),
        &[
            optional("viewId", Kind::Id),
            optional("include", Kind::SomeOf(&["accounts"])),
            optional(
                "sortBy",
                Kind::Sort(&[
                    "firstName",
                    "lastName",
                    "phone",
                    "email",
                    "account",
                    "createdTime",
                    "modifiedTime",
                ]),
            ),
        ],
        rows::list,
    ),
    search(
        "GET /contacts/search",
        CONTACTS_SEARCH,
        &[
            optional("_all", Kind::Search),
            optional("id", Kind::Id),
            optional("firstName", Kind::Search),
            optional("lastName", Kind::Search),
            optional("fullName", Kind::Search),
            optional("accountName", Kind::Search),
            optional("email", Kind::Search),
            optional("phone", Kind::Search),
            CREATED_RANGE,
            MODIFIED_RANGE,
            optional(
                "sortBy",
                Kind::Sort(&["relevance", "modifiedTime", "createdTime", "lastName", "firstName"]),
            ),
        ],
        row_search::search,
    ),
    count("GET /contacts/count", CONTACTS, &[required("viewId", Kind::Id)], rows::count),
    delete("POST /contacts/moveToTrash", CONTACTS_DELETE, row_write::move_to_trash),
    single(
        "GET /contacts/{id}",
        CONTACTS,
        &[optional("include", Kind::SomeOf(&["accounts", "owner"]))],
        rows::detail,
    ),
    single("PATCH /contacts/{id}", CONTACTS_UPDATE, &[], row_write::update),
    list(
        "GET /accounts",
        ACCOUNTS,
        pages(100, 10),
        &[optional(
            "sortBy",
            Kind::Sort(&["website", "email", "phone", "accountName", "createdTime", "modifiedTime"]),
        )],
        rows::list,
    ),
    search(
        "GET /accounts/search",
        CONTACTS_SEARCH,
        &[
            optional("_all", Kind::Search),
            optional("id", Kind::Id),
            optional("accountName", Kind::Search),
            CREATED_RANGE,
            MODIFIED_RANGE,
            optional("sortBy", Kind::Sort(&["relevance", "modifiedTime", "createdTime", "accountName"])),
        ],
        row_search::search,
    ),
    delete("POST /accounts/moveToTrash", CONTACTS_DELETE, row_write::move_to_trash),
    single("GET /accounts/{id}", ACCOUNTS, &[optional("include", Kind::SomeOf(&["owner"]))], rows::detail),
    single("PATCH /accounts/{id}", CONTACTS_UPDATE, &[], row_write::update),
    list(
        "GET /organizationFields",
        SETTINGS,
        Paging::None,
        &[
            required("module", FIELD_MODULES),
            optional("departmentId", Kind::Id),
            optional("apiNames", Kind::Text),
        ],
        fields::list,
    ),
    single("GET /organizationFields/{id}", SETTINGS, &[], fields::detail),
    count("GET /customFieldCount", SETTINGS, &[required("module", FIELD_MODULES)], fields::count),
    single(
        "GET /views",
        BASIC,
        &[
            required(
                "module",
                Kind::OneOf(&[
                    "tickets",
                    "contacts",
                    "events",
                    "activities",
                    "tasks",
                    "contracts",
                    "accounts",
                    "calls",
                ]),
            ),
            optional("departmentId", Kind::Id),
            optional("featureFlags", Kind::OneOf(&["createdBy"])),
        ],
        views::list,
    ),
    list(
        "GET /recycleBin",
        SETTINGS,
        pages(50, 10),
        &[
            optional("include", Kind::SomeOf(&["deletedBy", "department"])),
            optional("departmentId", Kind::Id),
            optional("moduleId", Kind::Id),
        ],
        recycle_bin::list,
    ),
    single("POST /recycleBin/restore", SETTINGS_UPDATE, &[], recycle_bin::restore),
    single("POST /recycleBin/restoreAll", SETTINGS_UPDATE, &[], recycle_bin::restore_all),
    single("POST /recycleBin/delete", SETTINGS_UPDATE, &[], recycle_bin::delete),
    single("POST /recycleBin/deleteAll", SETTINGS_UPDATE, &[], recycle_bin::delete_all),
    list("GET /webhooks", WEBHOOKS_READ, Paging::None, &[], webhooks::list),
    single("POST /webhooks", WEBHOOKS_CREATE, &[], webhooks::create),
    single("GET /webhooks/{id}", WEBHOOKS_READ, &[], webhooks::detail),
    single("PATCH /webhooks/{id}", WEBHOOKS_UPDATE, &[], webhooks::update),
    single("DELETE /webhooks/{id}", WEBHOOKS_DELETE, &[], webhooks::delete),
];
