//! The paths of the pages of a plain list, with the parameters that select and order its rows.

use crate::api::Api;
use crate::config::Sort;
use crate::table::{List, Table};
use crate::transport::Transport;
use crate::url::Path;

/// The parameter of a projection.
pub(super) const FIELDS: &str = "fields";

/// The path of one page; with `fields`, of its projection to those fields.
pub(super) fn page<T: Transport>(api: &Api<T>, table: &Table, from: u64, fields: Option<&str>) -> String {
    without(api, table, from, fields, &[])
}

/// The parameters that select and order the rows of the list, as a query.
pub(super) fn selection<T: Transport>(api: &Api<T>, table: &Table) -> String {
    without(api, table, 1, None, &["include"])
}

pub(super) fn without<T: Transport>(
    api: &Api<T>,
    table: &Table,
    from: u64,
    fields: Option<&str>,
    left_out: &[&str],
) -> String {
    ordered(api, table, from, fields, left_out, order(api, table))
}

/// The order of the list: the configured one, where it can be configured.
pub(super) fn order<T: Transport>(api: &Api<T>, table: &Table) -> Sort {
    if table.list.configurable_sort { api.config().sort } else { Sort::OldestFirst }
}

/// The path of the first page of the list in this order.
pub(super) fn first<T: Transport>(api: &Api<T>, table: &Table, order: Sort) -> String {
    ordered(api, table, 1, None, &[], order)
}

/// The path of one page of the list, sorted by a field, newest first.
pub(super) fn newest<T: Transport>(api: &Api<T>, table: &Table, field: &str, from: u64) -> String {
    let path = ordered(api, table, from, None, &["sortBy"], Sort::NewestFirst);
    format!("{path}&sortBy=-{field}")
}

pub(super) fn ordered<T: Transport>(
    api: &Api<T>,
    table: &Table,
    from: u64,
    fields: Option<&str>,
    left_out: &[&str],
    order: Sort,
) -> String {
    let List { path, limit, query, sort_by, departments, .. } = table.list;
    let config = api.config();
    let is_sent = |name: &str| !api.is_unsupported(table.name, name) && !left_out.contains(&name);
    let mut path = Path::new(path);
    if limit > 0 {
        path = path.with("from", from).with("limit", limit);
    }
    if let Some(field) = sort_by
        && is_sent("sortBy")
    {
        let sign = if order == Sort::NewestFirst { "-" } else { "" };
        path = path.with("sortBy", format_args!("{sign}{field}"));
    }
    if let Some(parameter) = departments
        && !config.department_ids.is_empty()
    {
        path = path.with(parameter, config.department_ids.join(","));
    }
    if let Some(fields) = fields {
        return path.with(FIELDS, fields).into_string();
    }
    for (name, value) in query {
        if is_sent(name) {
            path = path.with(name, value);
        }
    }
    path.into_string()
}
