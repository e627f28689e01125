//! Products: `GET /products`, and `GET /products/{id}` for the members that list rows lack
//! (`zoho-desk-api.md` §4.4).

use crate::table::Type::{Array, Boolean, Html, Id, Number, Object, Text, Time};
use crate::table::{Column, Detail, Incremental, List, MODIFIED, Table, column};

pub(super) const TABLE: Table = Table {
    name: "products",
    alias: "Products",
    title: "Products",
    scopes: &["Desk.settings.READ", "Desk.search.READ"],
    list: List {
        path: "/api/v1/products",
        limit: 100,
        query: &[("departmentId", "0")],
        sort_by: Some("createdTime"),
        optional_parameters: &["sortBy", "departmentId"],
        ..List::DEFAULT
    },
    record: Some("/api/v1/products/{id}"),
    detail: Some(Detail::DEFAULT),
    incremental: Incremental::Search { path: "/api/v1/products/search", cursor_fields: &[MODIFIED] },
    recycle_bin: Some("Products"),
    fields_module: Some("products"),
    columns: COLUMNS,
    notes: "One list call for each 99 products and one call for each product.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("productName", Text),
    column("productCode", Text),
    column("productCategory", Text),
    column("description", Html),
    column("unitPrice", Number),
    column("ownerId", Id),
    column("layoutId", Id),
    column("createdBy", Id),
    column("modifiedBy", Id),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("isDeleted", Boolean),
    column("isTrashed", Boolean),
    column("departmentIds", Array),
    column("cf", Object),
    column("customFields", Object),
];
