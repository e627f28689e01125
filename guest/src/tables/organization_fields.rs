//! Fields of every module, custom ones included: `GET /organizationFields?module=` (`zoho-desk-api.md` §4.8).

use crate::table::Type::{Array, Boolean, Id, Integer, Text};
use crate::table::{Column, Follow, List, Slices, Table, column};

pub(super) const TABLE: Table = Table {
    name: "organization_fields",
    alias: "OrganizationFields",
    title: "Organisation fields",
    scopes: &["Desk.settings.READ"],
    list: List {
        path: "/api/v1/organizationFields",
        limit: 0,
        query: &[],
        sort_by: None,
        sort_is_chosen: false,
        optional: &[],
        departments: None,
        slices: Some(Slices { parameter: "module", values: MODULES }),
    },
    record: None,
    detail: None,
    children: None,
    count: None,
    follow: Follow::Compare { every_ms: 60 * 60 * 1000 },
    events: &[],
    fields_module: None,
    columns: COLUMNS,
    notes: "One call for each module; each row says which in `module`. A module the portal does not have is left out.",
};

/// Modules that have fields, as `organizationFields` names them.
const MODULES: &[&str] =
    &["tickets", "contacts", "accounts", "tasks", "calls", "events", "contracts", "products", "timeEntry"];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("module", Text),
    column("apiName", Text),
    column("name", Text),
    column("displayLabel", Text),
    column("i18NLabel", Text),
    column("type", Text),
    column("maxLength", Integer),
    column("isCustomField", Boolean),
    column("isMandatory", Boolean),
    column("isEncryptedField", Boolean),
    column("showToHelpCenter", Boolean),
    column("toolTip", Text),
    column("toolTipType", Text),
    column("allowedValues", Array),
];
