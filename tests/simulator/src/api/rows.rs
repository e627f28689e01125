//! List, count and detail of every module but tickets, and the order of their rows.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::api::views;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::json;
use crate::world::World;
use crate::world::table::{Object, Record, Row, Table, project};

/// The module of a route: the first segment of its path.
pub(crate) fn module(context: &Context<'_>) -> &'static str {
    let path = context.route.name.split_once(" /").map_or("", |(_, path)| path);
    path.split('/').next().unwrap_or("")
}

/// `GET /{module}`.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    let name = module(context);
    views::check(context, name)?;
    let world = context.world();
    let table = world.table(name).ok_or_else(ApiError::not_found)?;
    let selection = table.selection(&context.selection_key(), || {
        let matching = (0..table.rows.len() as u32).filter(|at| {
            let row = &table.rows[*at as usize];
            row.is_live() && is_match(context, row)
        });
        let mut selected: Vec<u32> = matching.collect();
        sort(&world, table, &mut selected, context.get("sortBy"));
        selected
    });
    let page = context.page(&selection);
    let included = context.list("include");
    let fields = context.list("fields");
    let mut out = Vec::with_capacity(page.len() * 700);
    let cached = table.cached_list_rows();
    for at in page {
        if !out.is_empty() {
            out.push(b',');
        }
        let at = *at as usize;
        if included.is_empty() && fields.is_empty() {
            table.list_row(&cached, at, &mut out);
        } else {
            let mut document = list_object(table, &table.rows[at], &fields)?;
            include(&world, &table.rows[at], &included, &mut document);
            json::value(&mut out, &Value::Object(document));
        }
    }
    Ok(context.list_answer(&out, None))
}

pub(crate) fn list_object(table: &Table, row: &Row, fields: &[&str]) -> Result<Object, ApiError> {
    let mut keys: Vec<&str> = table.module.list.to_vec();
    if !fields.is_empty() {
        // `fields` replaces the projection; an unknown name is 500 (§8, gotcha 9).
        keys = [&["id"], fields].concat();
        if keys.iter().any(|key| !row.values.contains_key(*key)) {
            return Err(ApiError::internal());
        }
    }
    let get = |key: &str| row.values.get(key).cloned().unwrap_or(Value::Null);
    Ok(keys.into_iter().map(|key| (key.to_owned(), get(key))).collect())
}

/// Adds the objects that `include` names.
fn include(world: &World, row: &Row, included: &[&str], document: &mut Object) {
    for name in included {
        let (key, value) = match *name {
            "owner" => ("owner", world.owner(row)),
            "accounts" => ("account", world.account_of_contact(row)),
            "products" => ("product", world.product_of_contract(row)),
            "slas" => ("sla", row.values.get("sla").cloned().unwrap_or(Value::Null)),
            "departments" if row.values.contains_key("departmentIds") => {
                let ids = row.values.get("departmentIds").and_then(Value::as_array);
                let departments = ids.into_iter().flatten().filter_map(|id| {
                    let row = world.departments.find(id.as_str()?)?;
                    Some(json!({"id": id, "name": row.values.get("name")}))
                });
                ("departments", departments.collect())
            }
            "departments" => ("department", world.department_of(row)),
            "profile" => ("profile", json!({"id": row.text("profileId"), "name": "Support"})),
            "role" => ("role", json!({"id": row.text("roleId"), "name": "Agent"})),
            _ => continue,
        };
        document.insert(key.to_owned(), value);
    }
}

/// `GET /{module}/count` of the modules whose count is a number.
pub(crate) fn count(context: &Context<'_>) -> Result<Answer, ApiError> {
    views::check(context, module(context))?;
    let world = context.world();
    let table = world.table(module(context)).ok_or_else(ApiError::not_found)?;
    let count = table.live_count();
    Ok(Answer::value(&json!({"count": count})))
}

/// `GET /{module}/{id}`.
pub(crate) fn detail(context: &Context<'_>) -> Result<Answer, ApiError> {
    let (name, id) = (module(context), context.id(0));
    let world = context.world();
    let table = world.table(name).ok_or_else(ApiError::not_found)?;
    let Some(row) = table.find(id) else {
        // For accounts, an unknown numeric id is 403 (§3.4).
        let numeric = id.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if name == "accounts" && numeric {
            ApiError::forbidden()
        } else {
            ApiError::not_found()
        });
    };
    let mut document = world.detail(table, row);
    include(&world, row, &context.list("include"), &mut document);
    Ok(Answer::value(&Value::Object(document)))
}

pub(crate) fn is_match(context: &Context<'_>, row: &Row) -> bool {
    let query = &context.call.query;
    query.iter().all(|(name, value)| match name.as_str() {
        "module" | "layoutId" => row.text(name) == value,
        "isEnabled" | "isConfirmed" => row.values.get(name) == Some(&json!(value == "true")),
        "chatStatus" | "status" | "rolePermissionType" | "ownerId" | "accountId" => row.text(name) == value,
        "searchStr" => {
            let text = format!("{} {}", row.text("name"), row.text("emailId"));
            text.to_lowercase().contains(&value.to_lowercase())
        }
        "contractName" => row.text(name).to_lowercase().contains(&value.to_lowercase()),
        "roleIds" | "profileIds" | "ownerIds" => {
            value.split(',').any(|id| row.text(name.trim_end_matches('s')) == id.trim())
        }
        "departmentIds" | "departmentId" => is_in_department(row, value),
        _ => true,
    })
}

/// Whether a record belongs to one of the departments, given as comma-separated ids; 0 stands for all.
pub(crate) fn is_in_department(row: &Row, wanted: &str) -> bool {
    let lists = ["departmentIds", "associatedDepartmentIds"].iter().filter_map(|key| row.values.get(*key));
    let own: Vec<&str> = lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
    wanted
        .split(',')
        .map(str::trim)
        .any(|id| id == "0" || row.text("departmentId") == id || own.contains(&id))
}

/// Sorts positions by a documented key, `-` for descending. Equal keys ascend by id.
pub(crate) fn sort(world: &World, table: &Table, selected: &mut [u32], by: Option<&str>) {
    let Some(by) = by else { return };
    let (key, descending) = by.strip_prefix('-').map_or((by, false), |key| (key, true));
    let row = |at: &u32| &table.rows[*at as usize];
    let compare = |a: &u32, b: &u32| -> Ordering {
        let (a, b) = (row(a), row(b));
        match key {
            "createdTime" => a.created.cmp(&b.created),
            "modifiedTime" | "relevance" => a.modified.cmp(&b.modified),
            "unitPrice" => number(a.text(key)).total_cmp(&number(b.text(key))),
            "account" | "accountName" if table.module.name != "accounts" => {
                account_name(world, a).cmp(&account_name(world, b))
            }
            "contractStartDate" => a.text("startDate").cmp(b.text("startDate")),
            "contractEndDate" => a.text("endDate").cmp(b.text("endDate")),
            key => a.text(key).to_lowercase().cmp(&b.text(key).to_lowercase()),
        }
    };
    selected.sort_by(|a, b| if descending { compare(b, a) } else { compare(a, b) }.then(a.cmp(b)));
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or(0.0)
}

fn account_name(world: &World, row: &Row) -> String {
    world
        .accounts
        .find(row.text("accountId"))
        .map_or("", |account| account.text("accountName"))
        .to_lowercase()
}

/// Appends a search row.
pub(crate) fn search_row(world: &World, table: &Table, row: &Row, out: &mut Vec<u8>) {
    let mut document = row.values.clone();
    if table.module.search_adds.contains(&"owner") {
        document.insert("owner".to_owned(), world.owner(row));
    }
    if table.module.search_adds.contains(&"account") {
        document.insert("account".to_owned(), world.account_of_contact(row));
    }
    project(out, &document, &table.module.search());
}
