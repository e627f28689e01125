//! Products: `GET /products`, and `GET /products/{id}` for what the list rows lack (`zoho-desk-api.md` §4.4).

use crate::table::Type::{Array, Boolean, Html, Id, Number, Object, Text, Time};
use crate::table::{Column, Detail, Follow, List, MODIFIED, Table, column};

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
        sort_is_chosen: false,
        optional: &["sortBy", "departmentId"],
        departments: None,
        slices: None,
    },
    record: Some("/api/v1/products/{id}"),
    detail: Some(Detail { is_chosen: false, include: None, beside: &[] }),
    children: None,
    count: None,
    follow: Follow::Search { path: "/api/v1/products/search", moments: &[MODIFIED] },
    events: &[],
    fields_module: Some("products"),
    columns: COLUMNS,
    notes: "One list call for each 99 products and one call for each product.",
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
    column("departmentIds", Array),
    column("departments", Array),
    column("owner", Object),
    column("cf", Object),
    column("customFields", Object),
];
