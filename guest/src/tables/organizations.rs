//! Organizations that the token sees: `GET /organizations` (`zoho-desk-api.md` §4.3).

use crate::table::Type::{Boolean, Id, Text};
use crate::table::{Column, Group, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "organizations",
    group: Group::Settings,
    title: "Organizations",
    scopes: &["Desk.basic.READ"],
    list: List { path: "/api/v1/organizations", ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 24 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call. Every organization of the user, not only the configured one.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("companyName", Text),
    column("portalName", Text),
    column("alias", Text),
    column("edition", Text),
    column("portalURL", Text),
    column("customDomain", Text),
    column("isDefault", Boolean),
    column("isAdminInOrg", Boolean),
    column("currencyCode", Text),
    column("currencySymbol", Text),
    column("currencyLocale", Text),
    column("primaryContact", Text),
    column("phoneNumber", Text),
    column("mobile", Text),
    column("fax", Text),
    column("website", Text),
    column("street", Text),
    column("city", Text),
    column("state", Text),
    column("country", Text),
    column("zip", Text),
    column("description", Text),
    column("employeeCount", Text),
    column("faviconURL", Text),
    column("logoURL", Text),
];
