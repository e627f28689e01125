//! Contracts: `GET /contracts`, and `GET /contracts/{id}` for the members that list rows lack
//! (`zoho-desk-api.md` §4.4).

use crate::embedded;
use crate::table::Type::{Array, Boolean, Date, Html, Id, Integer, Object, Text, Time};
use crate::table::{Column, Detail, Incremental, List, Order, Table, column, object};

pub(super) const TABLE: Table = Table {
    name: "contracts",
    alias: "Contracts",
    title: "Contracts",
    scopes: &["Desk.settings.READ"],
    list: List {
        path: "/api/v1/contracts",
        limit: 50,
        sort_by: Some("createdTime"),
        optional_parameters: &["sortBy"],
        ..List::DEFAULT
    },
    record: Some("/api/v1/contracts/{id}"),
    detail: Some(Detail::DEFAULT),
    incremental: Incremental::Sorted { every_ms: 60 * 60 * 1000, order: Order::Newest },
    recycle_bin: Some("Contracts"),
    fields_module: Some("contracts"),
    columns: COLUMNS,
    notes: "One list call for each 49 contracts and one call for each contract. Not in every edition. Has \
            neither a search nor a count without a view: changes are found by the list, sorted by modified \
            time.",
    ..Table::DEFAULT
};

const SUPPORT_PLAN: &[Column] =
    &[column("id", Id), column("name", Text), column("status", Text), column("supportType", Text)];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("contractName", Text),
    column("contractNumber", Text),
    column("contractStatus", Text),
    column("description", Html),
    column("accountId", Id),
    column("productId", Id),
    column("departmentId", Id),
    column("ownerId", Id),
    column("associatedSLAId", Id),
    column("createdBy", Id),
    column("modifiedBy", Id),
    column("startDate", Date),
    column("endDate", Date),
    column("notifyOn", Date),
    column("notifyBefore", Integer),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("isDeleted", Boolean),
    column("isTrashed", Boolean),
    object("account", embedded::ACCOUNT),
    object("product", embedded::PRODUCT),
    object("sla", embedded::NAMED),
    object("supportPlan", SUPPORT_PLAN),
    column("notificationAgentIds", Array),
    column("cf", Object),
    column("customFields", Object),
];
