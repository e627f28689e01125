//! The `describe` document: configuration, hosts, tables, scopes, commands, help. See `docs/CONTRACT.md`.
//!
//! Texts for people are files in `describe/`, one per language. Knows nothing of how a value is used.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod events;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod original;
#[cfg(test)]
mod reference;
mod texts;
mod webhook;

use serde_json::{Map, Value, json};

use crate::config::keys::KEYS;
use crate::data_center::DATA_CENTERS;
use crate::plan;
use crate::table::{Group, Incremental};
use crate::tables;

const SUMMARY: &str = "Tickets with their conversations, contacts, accounts, products, contracts, \
    departments and fields of Zoho Desk, deletes included; and, where named, agents, activities, the \
    knowledge base and settings";
/// The steps at Zoho's console, in Markdown.
const STEPS: &str = include_str!("describe/authorization.md");
const HELP_EN: &str = include_str!("describe/help.en.md");
const HELP_ZH: &str = include_str!("describe/help.zh-CN.md");

/// Additional scopes for registering a webhook through the API; one that is registered by hand does not need
/// them.
const WEBHOOK_SCOPES: [&str; 4] =
    ["Desk.events.READ", "Desk.events.CREATE", "Desk.events.UPDATE", "Desk.events.DELETE"];

/// The document that `describe` returns and the component carries in its custom section.
pub fn document() -> Value {
    let scopes = scopes();
    json!({
        "name": "zoho-desk",
        "title": "Zoho Desk",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": SUMMARY,
        "contract": "connector:source@0.1.0",
        "configuration": configuration(),
        "grant": grant(),
        "authorization": {
            "scopes": scopes,
            "scope_text": scopes.join(","),
            "group_scope_text": group_scopes(),
            "webhook_scopes": WEBHOOK_SCOPES,
            "webhook_scope_text": WEBHOOK_SCOPES.join(","),
            "steps": STEPS,
        },
        "hosts": [
            host("desk", "desk_url", |center| center.desk_url),
            host("accounts", "accounts_url", |center| center.accounts_url),
        ],
        "tables": tables::all().map(table_entry).collect::<Vec<_>>(),
        "commands": commands(),
        "webhook": {"setup": webhook::setup()},
        "help": {"en": HELP_EN, "zh-CN": HELP_ZH},
    })
}

/// The scopes of the connection test and of the tables that are read by default, each once.
pub fn scopes() -> Vec<&'static str> {
    let mut scopes = vec!["Desk.basic.READ"];
    add_scopes(&mut scopes, Group::Core);
    scopes
}

fn add_scopes(scopes: &mut Vec<&'static str>, group: Group) {
    for scope in tables::all().filter(|table| table.group == group).flat_map(|table| table.scopes) {
        if !scopes.contains(scope) {
            scopes.push(scope);
        }
    }
}

/// The scopes that the tables of each group need in addition.
fn group_scopes() -> Value {
    let core = scopes();
    let of = |group: &Group| {
        let mut all = core.clone();
        add_scopes(&mut all, *group);
        (group.name().to_owned(), json!(all[core.len()..].join(",")))
    };
    Value::Object(Group::ALL.iter().skip(1).map(of).collect())
}

fn table_entry(table: &'static crate::table::Table) -> Value {
    let mut capabilities = vec!["snapshot", "incremental"];
    if table.count.is_some() {
        capabilities.push("count");
    }
    if !table.events.is_empty() {
        capabilities.push("webhook");
    }
    json!({
        "name": table.name,
        "aliases": Some(table.alias).filter(|alias| !alias.is_empty()).as_slice(),
        "title": table.title,
        "group": table.group.name(),
        "primary_key": table.key,
        "scopes": table.scopes,
        "capabilities": capabilities,
        "events": table.events.iter().map(|event| event.name).collect::<Vec<_>>(),
        "incremental": match table.incremental {
            Incremental::Search { .. } => "search",
            Incremental::Sorted { .. } => "sorted-list",
            Incremental::FullRefresh { .. } => "full-refresh",
        },
        "refresh_ms": match table.incremental {
            Incremental::Search { .. } => None,
            Incremental::Sorted { every_ms, .. } | Incremental::FullRefresh { every_ms } => Some(every_ms),
        },
        "parent": table.children.map(|children| children.parent).or(table.list.each.map(|each| each.table)),
        "attachment": table.attachment.map(|file| json!({"name": file.name, "size": file.size})),
        "notes": table.notes,
        "first_read_credits": plan::typical(table),
    })
}

fn host(name: &str, key: &str, url: fn(&crate::data_center::DataCenter) -> &'static str) -> Value {
    let urls: Map<String, Value> =
        DATA_CENTERS.iter().map(|center| (center.name.to_owned(), json!(url(center)))).collect();
    let default = DATA_CENTERS[0].name;
    json!({"name": name, "key": key, "select": "data_center", "default": default, "urls": urls})
}

fn grant() -> Value {
    let text = || json!({"type": "string"});
    let secret = || json!({"type": "string", "writeOnly": true});
    let schemas = [("code", secret()), ("redirect_uri", text()), ("refresh_token", secret())];
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": texts::with_texts("grant", schemas),
    })
}

fn commands() -> Value {
    let arguments = |properties: Value| {
        let mut schema = json!({"type": "object", "additionalProperties": false});
        schema["properties"] = properties;
        schema
    };
    let module = json!({"module": {"type": "string", "default": "tickets"}});
    let tables = json!({"tables": {"type": "array", "items": {"type": "string"}, "default": []}});
    json!([
        {"name": "list-fields", "title": "List the fields of a module", "arguments": arguments(module)},
        {"name": "list-departments", "title": "List the departments with their ids",
            "arguments": arguments(json!({}))},
        {"name": "plan", "title": "What a first read costs, by table", "arguments": arguments(tables)},
        {"name": "refresh-token", "title": "Renew the access token now", "arguments": arguments(json!({}))},
    ])
}

fn configuration() -> Value {
    let schemas = KEYS.iter().enumerate().map(|(index, key)| {
        let mut schema = key.schema();
        schema["x-order"] = json!(10 * (index + 1));
        (key.name, schema)
    });
    let required: Vec<&str> = KEYS.iter().filter(|key| key.is_required()).map(|key| key.name).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": texts::with_texts("configuration", schemas),
        "required": required,
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_is_write_only() {
        let document = document();
        let properties = document["configuration"]["properties"].as_object().unwrap();
        let secrets: Vec<_> = properties.iter().filter(|(_, schema)| schema["writeOnly"] == true).collect();
        assert_eq!(secrets.len(), 1);
        assert_eq!(secrets[0].0, "client_secret");
    }

    #[test]
    fn every_data_center_has_both_hosts() {
        for host in document()["hosts"].as_array().unwrap() {
            assert_eq!(host["urls"].as_object().unwrap().len(), DATA_CENTERS.len());
        }
    }

    #[test]
    fn scopes_cover_every_table() {
        let (core, groups) = (scopes(), group_scopes());
        for table in tables::ALL {
            let more = groups[table.group.name()].as_str().unwrap_or_default();
            let has = |scope: &&str| core.contains(scope) || more.split(',').any(|known| known == *scope);
            assert!(table.scopes.iter().all(has), "{}", table.name);
        }
    }
}
