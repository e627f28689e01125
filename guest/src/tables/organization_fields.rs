//! Fields of every module, custom ones included: `GET /organizationFields?module=` (`zoho-desk-api.md` §4.8).

use crate::table::Type::{Array, Boolean, Id, Integer, Text};
use crate::table::{Column, Incremental, List, Partitions, Table, column};

pub(super) const TABLE: Table = Table {
    name: "organization_fields",
    alias: "OrganizationFields",
    title: "Organization fields",
    scopes: &["Desk.settings.READ"],
    list: List {
        path: "/api/v1/organizationFields",
        partitions: Some(Partitions { parameter: "module", values: MODULES, is_written: true }),
        ..List::DEFAULT
    },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call for each module; `module` names it in each row. A module the portal does not have is \
            skipped.",
    ..Table::DEFAULT
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
