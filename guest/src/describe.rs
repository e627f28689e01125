//! What the connector is, as one JSON document: form, hosts, tables, scopes, commands, help. See `docs/CONTRACT.md`.

mod webhook;

use serde_json::{Map, Value, json};

use crate::data_center::DATA_CENTERS;
use crate::limits;
use crate::table::Incremental;
use crate::tables;

/// The steps at Zoho's console, in Markdown.
const STEPS: &str = include_str!("describe/authorization.md");
const HELP_EN: &str = include_str!("describe/help.en.md");
const HELP_ZH: &str = include_str!("describe/help.zh-CN.md");

/// Scopes that registering a webhook through the API needs besides; not needed for one that is registered by hand.
const WEBHOOK_SCOPES: [&str; 4] =
    ["Desk.events.READ", "Desk.events.CREATE", "Desk.events.UPDATE", "Desk.events.DELETE"];

/// The document that `describe` answers and the component carries in its custom section.
pub fn document() -> Value {
    let scopes = scopes();
    json!({
        "name": "zoho-desk",
        "title": "Zoho Desk",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "Tickets with their conversations, contacts, accounts, products, contracts, departments and fields of Zoho Desk, deletes included",
        "contract": "connector:source@0.1.0",
        "configuration": configuration(),
        "grant": grant(),
        "authorization": {
            "scopes": scopes,
            "scope_text": scopes.join(","),
            "webhook_scopes": WEBHOOK_SCOPES,
            "webhook_scope_text": WEBHOOK_SCOPES.join(","),
            "steps": STEPS,
        },
        "hosts": [
            host("desk", "desk_url", |center| center.desk_url),
            host("accounts", "accounts_url", |center| center.accounts_url),
        ],
        "tables": tables::ALL.iter().map(|table| table_entry(table)).collect::<Vec<_>>(),
        "commands": commands(),
        "webhook": {"setup": webhook::setup()},
        "help": {"en": HELP_EN, "zh-CN": HELP_ZH},
    })
}

/// Every scope that some table needs, each once, plus what the connection test needs.
pub fn scopes() -> Vec<&'static str> {
    let mut scopes = vec!["Desk.basic.READ"];
    for scope in tables::ALL.iter().flat_map(|table| table.scopes) {
        if !scopes.contains(scope) {
            scopes.push(scope);
        }
    }
    scopes
}

fn table_entry(table: &crate::table::Table) -> Value {
    let mut capabilities = vec!["snapshot", "incremental"];
    if table.count.is_some() {
        capabilities.push("count");
    }
    if !table.events.is_empty() {
        capabilities.push("webhook");
    }
    json!({
        "name": table.name,
        "aliases": [table.alias],
        "title": table.title,
        "primary_key": ["id"],
        "scopes": table.scopes,
        "capabilities": capabilities,
        "events": table.events.iter().map(|event| event.name).collect::<Vec<_>>(),
        "incremental": match table.incremental {
            Incremental::Search { .. } => "search",
            Incremental::FullRefresh { .. } => "full-refresh",
        },
        "notes": table.notes,
    })
}

fn host(name: &str, key: &str, url: fn(&crate::data_center::DataCenter) -> &'static str) -> Value {
    let urls: Map<String, Value> =
        DATA_CENTERS.iter().map(|center| (center.name.to_owned(), json!(url(center)))).collect();
    json!({"name": name, "key": key, "select": "data_center", "default": DATA_CENTERS[0].name, "urls": urls})
}

fn grant() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "code": {"type": "string", "title": "Generated code", "writeOnly": true,
                "description": "From the API console's tab Generate Code; works once, for the minutes chosen there.",
                "x-i18n": {"zh-CN": {"title": "授权码", "description": "在 API 控制台的“生成代码”页签中生成；只能使用一次，且在所选分钟内有效。"}}},
            "redirect_uri": {"type": "string", "title": "Redirect URI", "description": "Only for a server-based client."},
            "refresh_token": {"type": "string", "title": "Refresh token", "writeOnly": true,
                "description": "Instead of a code: a refresh token that exists already."},
        },
    })
}

fn commands() -> Value {
    json!([
        {"name": "list-fields", "title": "List the fields of a module", "arguments": {"type": "object",
            "additionalProperties": false, "properties": {"module": {"type": "string", "default": "tickets"}}}},
        {"name": "list-departments", "title": "List the departments with their ids",
            "arguments": {"type": "object", "additionalProperties": false, "properties": {}}},
        {"name": "refresh-token", "title": "Renew the access token now",
            "arguments": {"type": "object", "additionalProperties": false, "properties": {}}},
    ])
}

fn configuration() -> Value {
    let centers: Vec<&str> = DATA_CENTERS.iter().map(|center| center.name).collect();
    let table_names: Vec<&str> = tables::ALL.iter().flat_map(|table| [table.name, table.alias]).collect();
    let mut form = Form { order: 0, properties: Map::new() };
    form.add("data_center", "basic", "select", ("Data centre", "数据中心"),
        ("Where the organisation lives: the ending of the address you see when you open Zoho Desk, `us` for desk.zoho.com.",
         "组织所在的数据中心：打开 Zoho Desk 时看到的网址后缀，desk.zoho.com 为 `us`。"),
        json!({"type": "string", "enum": centers, "default": "us"}));
    form.add(
        "organization_id",
        "basic",
        "text",
        ("Organisation ID", "组织 ID"),
        ("The number under Setup > Developer Space > API.", "“设置 > 开发者空间 > API”页面上的数字。"),
        json!({"type": "string", "pattern": "^[0-9]+$"}),
    );
    form.add(
        "client_id",
        "basic",
        "text",
        ("Client ID", "客户端 ID"),
        (
            "Of the self client that you created at the Zoho API console of this data centre.",
            "在该数据中心的 Zoho API 控制台创建的 Self Client 的客户端 ID。",
        ),
        json!({"type": "string"}),
    );
    form.add("client_secret", "basic", "password", ("Client secret", "客户端密钥"),
        ("Of the same client. Use a client of its own for each connection: Zoho limits the tokens of a client.", "同一客户端的密钥。请为每个连接使用单独的客户端，因为 Zoho 限制每个客户端的令牌数量。"),
        json!({"type": "string", "writeOnly": true}));
    form.add(
        "tables",
        "reading",
        "list",
        ("Tables", "数据表"),
        ("The tables to read; all when left out.", "要读取的表；留空则读取全部。"),
        json!({"type": "array", "items": {"type": "string", "enum": table_names}}),
    );
    form.add("ticket_detail", "reading", "switch", ("Ticket detail", "启用工单详情"),
        ("One more call for each ticket: description, resolution, modified time and all custom fields. Without it tickets are read many times faster.", "每个工单多一次请求，以获取描述、解决方案、修改时间和全部自定义字段；关闭后读取速度快很多倍。"),
        json!({"type": "boolean", "default": true}));
    form.add("custom_field_keys", "reading", "list", ("Custom fields without detail", "自定义字段"),
        ("API names (cf_…) of ticket fields to read when ticket detail is off; at most 30.", "关闭工单详情时要读取的自定义字段 API 名称（cf_…），最多 30 个。"),
        json!({"type": "array", "items": {"type": "string"}, "maxItems": limits::CUSTOM_FIELD_KEYS_MAX, "default": []}));
    form.add(
        "sort",
        "reading",
        "select",
        ("First read", "首次读取顺序"),
        ("Whether the oldest or the newest tickets come first.", "首次读取时最早或最新的工单优先。"),
        json!({"type": "string", "enum": ["oldest", "newest"], "default": "oldest"}),
    );
    form.add("department_ids", "reading", "list", ("Departments", "部门"),
        ("Only tickets of these departments (ids); all when left out.", "只读取这些部门（ID）的工单；留空则读取全部。"),
        json!({"type": "array", "items": {"type": "string", "pattern": "^[0-9]+$"}, "maxItems": limits::DEPARTMENT_IDS_MAX, "default": []}));
    form.add(
        "signature",
        "realtime",
        "select",
        ("Webhook signature", "Webhook 签名"),
        (
            "Whether a delivery must carry Zoho's signature: `auto` requires it once the webhook was registered by `webhook subscribe`.",
            "推送是否必须带有 Zoho 的签名：`auto` 表示通过 `webhook subscribe` 注册后必须带有签名。",
        ),
        json!({"type": "string", "enum": ["auto", "required", "when-present", "off"], "default": "auto"}),
    );
    form.add(
        "refetch",
        "realtime",
        "select",
        ("Read changes back", "回读变更"),
        (
            "Whether a changed record is read again by id, because Zoho does not sign the body: `auto` does so when the body is incomplete or unsigned.",
            "由于 Zoho 不对正文签名，是否按 ID 重新读取变更的记录：`auto` 仅在正文不完整或未签名时回读。",
        ),
        json!({"type": "string", "enum": ["auto", "always", "never"], "default": "auto"}),
    );
    form.add(
        "desk_url",
        "advanced",
        "text",
        ("Desk URL", "Desk 地址"),
        (
            "Instead of the data centre's Desk host: for tests, proxies and private set-ups.",
            "代替数据中心的 Desk 主机，用于测试、代理和私有部署。",
        ),
        json!({"type": "string", "format": "uri"}),
    );
    form.add(
        "accounts_url",
        "advanced",
        "text",
        ("Accounts URL", "Accounts 地址"),
        ("Instead of the data centre's accounts host.", "代替数据中心的 Accounts 主机。"),
        json!({"type": "string", "format": "uri"}),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": form.properties,
        "required": ["organization_id", "client_id", "client_secret"],
        "additionalProperties": false,
    })
}

/// Collects the form's properties in their order.
struct Form {
    order: u32,
    properties: Map<String, Value>,
}

impl Form {
    fn add(
        &mut self,
        key: &str,
        group: &str,
        widget: &str,
        (title, title_zh): (&str, &str),
        (description, description_zh): (&str, &str),
        mut schema: Value,
    ) {
        self.order += 10;
        schema["title"] = json!(title);
        schema["description"] = json!(description);
        schema["x-order"] = json!(self.order);
        schema["x-group"] = json!(group);
        schema["x-widget"] = json!(widget);
        schema["x-i18n"] = json!({"zh-CN": {"title": title_zh, "description": description_zh}});
        self.properties.insert(key.to_owned(), schema);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn the_form_has_exactly_the_keys_that_are_parsed() {
        let document = document();
        let properties = document["configuration"]["properties"].as_object().unwrap();
        let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
        let mut parsed = config::KEYS.to_vec();
        keys.sort_unstable();
        parsed.sort_unstable();
        assert_eq!(keys, parsed);
    }

    #[test]
    fn only_the_secret_is_write_only() {
        let document = document();
        let properties = document["configuration"]["properties"].as_object().unwrap();
        let secrets: Vec<_> = properties.iter().filter(|(_, schema)| schema["writeOnly"] == true).collect();
        assert_eq!(secrets.len(), 1);
        assert_eq!(secrets[0].0, "client_secret");
    }

    #[test]
    fn every_data_centre_has_both_hosts() {
        for host in document()["hosts"].as_array().unwrap() {
            assert_eq!(host["urls"].as_object().unwrap().len(), DATA_CENTERS.len());
        }
    }

    #[test]
    fn scopes_cover_every_table() {
        let scopes = scopes();
        assert!(tables::ALL.iter().flat_map(|table| table.scopes).all(|scope| scopes.contains(scope)));
    }
}
