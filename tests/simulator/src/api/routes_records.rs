//! The endpoints about everything but tickets (reference, §4.3, §4.4, §4.8, §6.2, §7).

use crate::api::parameters::{Kind, Paging, Parameter, optional, required};
use crate::api::routes::{Handler, Route, Weight, pages};
use crate::api::{contracts, fields, organizations, recycle_bin, row_search, row_write, rows, webhooks};
use crate::oauth::scopes::Demand;

const BASIC: Demand = &[&["Desk.basic.READ", "Desk.settings.READ"]];
const SETTINGS: Demand = &[&["Desk.settings.READ"]];
const SETTINGS_UPDATE: Demand = &[&["Desk.settings.UPDATE"]];
const CONTACTS: Demand = &[&["Desk.contacts.READ"]];
const ACCOUNTS: Demand = &[&["Desk.contacts.READ", "Desk.accounts.READ"]];
const CONTACTS_SEARCH: Demand = &[&["Desk.contacts.READ"], &["Desk.search.READ"]];
const CONTACTS_DELETE: Demand = &[&["Desk.contacts.DELETE"]];
const CONTACTS_UPDATE: Demand = &[&["Desk.contacts.UPDATE"]];
const PRODUCTS: Demand = &[&["Desk.products.READ", "Desk.settings.READ"]];
const PRODUCTS_SEARCH: Demand = &[&["Desk.products.READ", "Desk.settings.READ"], &["Desk.search.READ"]];
const PRODUCTS_DELETE: Demand = &[&["Desk.products.DELETE", "Desk.settings.DELETE"]];
const PRODUCTS_UPDATE: Demand = &[&["Desk.products.UPDATE", "Desk.settings.UPDATE"]];
const CONTRACTS_DELETE: Demand = &[&["Desk.contracts.DELETE", "Desk.settings.DELETE"]];
const CONTRACTS_UPDATE: Demand = &[&["Desk.contracts.UPDATE", "Desk.settings.UPDATE"]];
const HOOKS_READ: Demand = &[&["Desk.webhooks.READ", "Desk.settings.READ", "Desk.events.READ"]];
const HOOKS_CREATE: Demand = &[&["Desk.webhooks.CREATE", "Desk.settings.CREATE", "Desk.events.CREATE"]];
const HOOKS_UPDATE: Demand = &[&["Desk.webhooks.UPDATE", "Desk.settings.UPDATE", "Desk.events.UPDATE"]];
const HOOKS_DELETE: Demand = &[&["Desk.webhooks.DELETE", "Desk.settings.DELETE", "Desk.events.DELETE"]];

const FIELD_MODULES: Kind = Kind::OneOf(crate::world::fields::MODULES);
const CREATED_RANGE: Parameter = optional("createdTimeRange", Kind::Range);
const MODIFIED_RANGE: Parameter = optional("modifiedTimeRange", Kind::Range);

const fn one(
    name: &'static str,
    scopes: Demand,
    parameters: &'static [Parameter],
    handler: Handler,
) -> Route {
    Route { name, scopes, paging: Paging::None, weight: Weight::Fixed(1), parameters, handler }
}

const fn count(
    name: &'static str,
    scopes: Demand,
    parameters: &'static [Parameter],
    handler: Handler,
) -> Route {
    Route { name, scopes, paging: Paging::None, weight: Weight::Fixed(3), parameters, handler }
}

const fn list(
    name: &'static str,
    scopes: Demand,
    paging: Paging,
    parameters: &'static [Parameter],
    handler: Handler,
) -> Route {
    Route { name, scopes, paging, weight: Weight::ByOffset, parameters, handler }
}

const fn search(name: &'static str, scopes: Demand, parameters: &'static [Parameter]) -> Route {
    list(name, scopes, Paging::Search, parameters, row_search::search)
}

const fn trash(name: &'static str, scopes: Demand) -> Route {
    let (paging, weight, parameters) = (Paging::None, Weight::Fixed(6), &[]);
    Route { name, scopes, paging, weight, parameters, handler: row_write::move_to_trash }
}

pub(crate) static ROUTES: &[Route] = &[
    one("GET /organizations", BASIC, &[], organizations::list),
    one("GET /organizations/{id}", BASIC, &[], organizations::detail),
    one("GET /accessibleOrganizations", BASIC, &[], organizations::list),
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
    one("GET /departments/{id}", BASIC, &[], rows::detail),
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
    one("GET /agents/{id}", BASIC, &[optional("include", Kind::SomeOf(&["profile", "role"]))], rows::detail),
    one("GET /myinfo", BASIC, &[], organizations::my_info),
    list("GET /teams", BASIC, Paging::None, &[], organizations::teams),
    one("GET /teams/{id}", BASIC, &[], rows::detail),
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
    ),
    trash("POST /products/moveToTrash", PRODUCTS_DELETE),
    one(
        "GET /products/{id}",
        PRODUCTS,
        &[optional("include", Kind::SomeOf(&["departments", "owner"]))],
        rows::detail,
    ),
    one("PATCH /products/{id}", PRODUCTS_UPDATE, &[], row_write::update),
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
    trash("POST /contracts/moveToTrash", CONTRACTS_DELETE),
    one("GET /contracts/{id}", SETTINGS, &[], contracts::detail),
    one("PATCH /contracts/{id}", CONTRACTS_UPDATE, &[], row_write::update),
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
    ),
    count("GET /contacts/count", CONTACTS, &[required("viewId", Kind::Id)], rows::count),
    trash("POST /contacts/moveToTrash", CONTACTS_DELETE),
    one(
        "GET /contacts/{id}",
        CONTACTS,
        &[optional("include", Kind::SomeOf(&["accounts", "owner"]))],
        rows::detail,
    ),
    one("PATCH /contacts/{id}", CONTACTS_UPDATE, &[], row_write::update),
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
    ),
    trash("POST /accounts/moveToTrash", CONTACTS_DELETE),
    one("GET /accounts/{id}", ACCOUNTS, &[optional("include", Kind::SomeOf(&["owner"]))], rows::detail),
    one("PATCH /accounts/{id}", CONTACTS_UPDATE, &[], row_write::update),
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
    one("GET /organizationFields/{id}", SETTINGS, &[], fields::detail),
    count("GET /customFieldCount", SETTINGS, &[required("module", FIELD_MODULES)], fields::count),
    one(
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
        organizations::views,
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
    one("POST /recycleBin/restore", SETTINGS_UPDATE, &[], recycle_bin::restore),
    one("POST /recycleBin/restoreAll", SETTINGS_UPDATE, &[], recycle_bin::restore_all),
    one("POST /recycleBin/delete", SETTINGS_UPDATE, &[], recycle_bin::delete),
    one("POST /recycleBin/deleteAll", SETTINGS_UPDATE, &[], recycle_bin::delete_all),
    list("GET /webhooks", HOOKS_READ, Paging::None, &[], webhooks::list),
    one("POST /webhooks", HOOKS_CREATE, &[], webhooks::create),
    one("GET /webhooks/{id}", HOOKS_READ, &[], webhooks::detail),
    one("PATCH /webhooks/{id}", HOOKS_UPDATE, &[], webhooks::update),
    one("DELETE /webhooks/{id}", HOOKS_DELETE, &[], webhooks::delete),
];
